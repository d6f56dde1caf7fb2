"""Sweeps make good what lost pushes left, at the price of pages; and tell when pushes have stopped."""

from typing import Any

import pytest
from structlog.testing import capture_logs

from omisync.omisell import OmisellError, Unavailable
from omisync.simulator import ListConfig


async def known(world: Any, orders: int) -> list[str]:
    """So many orders known here in full, and a first sweep done."""
    numbers = [f"A-{number:03d}" for number in range(orders)]
    for number in numbers:
        world.simulator.create({"order_number": number})
    await world.push()
    async with world.refreshing():
        await world.settled()
    await world.sweeper().incremental()
    world.simulator.ledger.clear()
    return numbers


async def long_ago(world: Any) -> None:
    """Let the changes so far be older than the time that a push is given to come, as Omisell's clock has it."""
    ahead = world.omisell.server_time() + 300
    world.omisell.server_time = lambda: ahead


async def test_what_lost_pushes_left_stale_is_current_after_one_page(world: Any) -> None:
    numbers = await known(world, 12)
    for number in numbers:
        world.simulator.advance(number, 350)
    world.lose_pushes()
    swept = await world.sweeper().incremental()
    assert (swept.seen, len(swept.repairs), world.calls("order.list"), world.calls()) == (12, 12, 1, 0)
    assert set((await world.statuses()).values()) == {350}
    assert (await world.events("A-003"))[1:] == [("status", 200, 350, "sweep")]
    async with world.refreshing():
        await world.paid()
    assert world.calls() == 12
    assert await world.differences() == []
    again = await world.sweeper().incremental()
    assert again.differences == ()


async def test_orders_that_we_did_not_send_are_adopted(world: Any) -> None:
    await known(world, 0)
    for number in ("B-1", "B-2"):
        world.simulator.create({"order_number": number}, status_id=460)
    world.lose_pushes()
    swept = await world.sweeper().incremental()
    assert [difference.kind for difference in swept.differences] == ["missing", "missing"]
    async with world.refreshing():
        await world.settled()
    assert await world.events("B-1") == [("adopted", None, 460, "sweep")]
    assert await world.differences() == []


async def test_what_a_push_has_asked_for_already_is_no_repair(world: Any) -> None:
    await known(world, 2)
    world.simulator.advance("A-000", 460)
    await world.push()
    await world.inbox.route(world.shop_id)
    swept = await world.sweeper().incremental()
    assert ([difference.kind for difference in swept.differences], swept.repairs) == (["asked"], ())
    assert world.counted.repairs == []
    assert (await world.events("A-000"))[-1] == ("status", 200, 460, "webhook")


async def test_a_dry_run_tells_the_differences_and_changes_nothing(world: Any) -> None:
    await known(world, 3)
    world.simulator.advance("A-000", 350)
    world.simulator.create({"order_number": "B-1"})
    world.lose_pushes()
    pages: list[tuple[int, int]] = []
    swept = await world.sweeper().manual(3600, dry_run=True, on_page=lambda seen, count: pages.append((seen, count)))
    assert {(d.order_number, d.kind) for d in swept.differences} == {("A-000", "status"), ("B-1", "missing")}
    assert pages == [(4, 4)]
    assert set((await world.statuses()).values()) == {200}
    assert await world.sql.fetchval("SELECT count(*) FROM omisync.refreshes") == 0
    done = await world.sweeper().manual(3600)
    assert [d.kind for d in done.differences] != []
    assert (await world.statuses())["A-000"] == 350


async def test_the_daily_sweep_reads_days_from_the_list_and_fetches_only_what_it_does_not_show(world: Any) -> None:
    numbers = await known(world, 30)
    world.simulator.advance(numbers[0], 300)
    world.lose_pushes()
    # one that we believe to have stood still for days, while it has moved today; and one that is at its end
    await world.sql.execute(
        "UPDATE omisync.orders SET omisell_updated_at = omisell_updated_at - interval '5 days',"
        " detail_updated_at = detail_updated_at - interval '5 days' WHERE order_number = 'A-001'"
    )
    world.simulator.advance("A-002", 900)
    await world.push()
    async with world.refreshing():
        await world.settled()
        world.simulator.ledger.clear()
        swept = await world.sweeper().full()
        assert {d.order_number for d in swept.repairs} == {"A-000", "A-001"}
        assert world.calls("order.list") <= 2
        await world.paid()
    assert world.calls() <= 3
    assert await world.differences() == []


async def test_open_orders_of_sparse_days_are_fetched_and_one_that_has_vanished_is_no_hindrance(world: Any) -> None:
    await known(world, 3)
    await world.sql.execute(
        "UPDATE omisync.orders SET omisell_updated_at = omisell_updated_at - interval '3 days'"
        " WHERE order_number = 'A-001'"
    )
    async with world.refreshing():
        await world.sweeper().full()
        await world.paid()
    assert await world.differences() == []


async def test_a_day_whose_pages_are_more_than_its_open_orders_is_not_read(build: Any) -> None:
    world = await build(lists=ListConfig(lag=(0, 0), max_page_size=2))
    numbers = await known(world, 12)
    for number in numbers[3:]:
        world.simulator.advance(number, 900)
    await world.push()
    async with world.refreshing():
        await world.settled()
        world.simulator.ledger.clear()
        await world.sweeper().full()
        assert world.calls("order.list") <= 2
        await world.paid()
    assert world.calls() == 3


async def test_a_detail_that_was_given_up_is_asked_for_again_by_the_daily_sweep(world: Any) -> None:
    await known(world, 1)
    world.simulator.advance("A-000", 900)
    world.lose_pushes()
    await world.sweeper().incremental()
    assert await world.statuses() == {"A-000": 900}
    await world.sql.execute("DELETE FROM omisync.refreshes")
    async with world.refreshing():
        await world.sweeper().full()
        await world.paid()
    assert await world.differences() == []


async def test_a_sweep_that_fails_keeps_the_cursor_and_says_why(world: Any) -> None:
    await known(world, 1)
    before = await world.sweeps.cursor()
    world.simulator.faults.set("error_before", rate=1.0, endpoints=("order.list",))
    with pytest.raises(Unavailable):
        await world.sweeper().incremental()
    assert await world.sweeps.cursor() == before
    last = (await world.operator.status()).sweeps[0]
    assert last.error is not None
    assert last.error.startswith("Unavailable: ")
    assert issubclass(Unavailable, OmisellError)


async def test_pushes_that_stop_while_orders_change_are_noticed_and_said(world: Any) -> None:
    await known(world, 4)
    assert (await world.operator.status()).pushes_silent_since is None
    last_push = await world.sql.fetchval("SELECT max(received_at) FROM omisync.inbox")
    for number in ("A-000", "A-001", "A-002"):
        world.simulator.advance(number, 460)
    world.lose_pushes()
    await long_ago(world)
    with capture_logs() as logs:
        swept = await world.sweeper().incremental()
    assert len(swept.lost_times) == 3
    assert (await world.operator.status()).pushes_silent_since == last_push
    (warning,) = [log for log in logs if log["log_level"] == "warning"]
    assert (warning["event"][:26], warning["since"]) == ("no push comes any more, th", last_push.isoformat())
    world.simulator.advance("A-003", 460)
    await world.push()
    assert (await world.operator.status()).pushes_silent_since is None


async def test_pushes_that_never_came_at_all_are_noticed(world: Any) -> None:
    await world.sweeper().incremental()
    for number in ("A-1", "A-2", "A-3"):
        world.simulator.create({"order_number": number})
    world.lose_pushes()
    await long_ago(world)
    await world.sweeper().incremental()
    started = await world.sql.fetchval("SELECT max(started_at) FROM omisync.sweeps")
    assert (await world.operator.status()).pushes_silent_since == started


async def test_changes_that_omisell_never_pushes_and_those_of_this_minute_are_no_lost_pushes(world: Any) -> None:
    await known(world, 4)
    for number in ("A-000", "A-001", "A-002"):
        world.simulator.advance(number, 350)
    world.lose_pushes()
    await long_ago(world)
    assert (await world.sweeper().incremental()).lost_times == ()
    del world.omisell.server_time
    world.simulator.advance("A-003", 460)
    world.lose_pushes()
    swept = await world.sweeper().incremental()
    assert (len(swept.repairs), swept.lost_times) == (1, ())


async def test_a_lost_push_older_than_one_that_came_is_no_silence(world: Any) -> None:
    await known(world, 4)
    for number in ("A-000", "A-001", "A-002"):
        world.simulator.advance(number, 460)
    world.lose_pushes()
    world.simulator.advance("A-003", 460)
    world.simulator.advance("A-003", 500)
    await world.push()
    await long_ago(world)
    assert len((await world.sweeper().incremental()).lost_times) == 3
    assert (await world.operator.status()).pushes_silent_since is None


async def test_a_second_order_of_one_number_is_told_once_and_no_sweep_fetches_it_again(build: Any) -> None:
    from omisync.simulator import OrderConfig  # noqa: PLC0415 - for this test only

    world = await build(orders=OrderConfig(duplicates="create_second"))
    body = {"order_number": "A-1", "shop_id": world.shop_id, "items": [{"sku": "TEE-M", "quantity": 1}]}
    await world.omisell.add_order(body)
    await world.omisell.add_order(body)
    async with world.refreshing():
        await world.sweeper().incremental()
        await world.until("SELECT count(*) = 1 FROM omisync.findings")
        await world.settled()
        calls = world.calls()
        assert (await world.sweeper().incremental()).differences == ()
        await world.settled()
    assert world.calls() == calls
