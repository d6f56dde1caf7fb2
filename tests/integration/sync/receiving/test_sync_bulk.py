"""Under pressure a page of the list stands for many fetches, and in the end every order equals Omisell's."""

from typing import Any

import pytest

from omisync.simulator import ListConfig
from omisync.sync.bulk import Bulk


async def known(world: Any, orders: int) -> list[str]:
    """So many orders, all of them known here with their details; the pushes so far have come."""
    numbers = [f"A-{number:03d}" for number in range(orders)]
    for number in numbers:
        world.simulator.create({"order_number": number})
    await world.push()
    async with world.refreshing():
        await world.settled()
    assert await world.differences() == []
    world.simulator.ledger.clear()
    return numbers


async def relieved(bulk: Bulk) -> int:
    return await bulk.relieve(await bulk.pressing())


async def test_many_pushes_are_confirmed_by_a_page_and_details_that_bring_less_are_owed(world: Any) -> None:
    numbers = await known(world, 30)
    for number in numbers:
        world.simulator.advance(number, 300)
        world.simulator.push(number, "order.approved")
    await world.push()
    await world.inbox.route(world.shop_id)
    assert await relieved(Bulk(world.omisell, world.orders, shop_id=world.shop_id)) == 1
    assert (world.calls("order.list"), world.calls("order.detail")) == (1, 0)
    assert set((await world.statuses()).values()) == {300}
    assert (await world.events("A-007"))[1:] == [("status", 200, 300, "webhook")]
    row = await world.order("A-007")
    assert row["detail_updated_at"] < row["omisell_updated_at"]
    assert row["synced_at"] < row["status_seen_at"]
    assert await world.orders.claim(100) == []
    assert set(await world.inbox_states()) == {"done", "waiting"}
    async with world.refreshing():
        await world.paid()
    assert world.calls() == 30
    assert await world.differences() == []
    assert set(await world.inbox_states()) == {"done"}


async def test_details_that_bring_tracking_come_in_their_turn(world: Any) -> None:
    numbers = await known(world, 30)
    for number in numbers:
        world.simulator.advance(number, 460 if number < "A-020" else 300)
        if number >= "A-020":
            world.simulator.push(number, "order.approved")
    await world.push()
    async with world.refreshing():
        await world.settled()
    assert world.calls("order.list") == 1
    assert world.calls() == 20
    assert await world.differences() == numbers[20:]
    rows = await world.sql.fetch("SELECT priority FROM omisync.refreshes")
    assert [row["priority"] for row in rows] == [2] * 10


async def test_a_later_push_shares_the_fetch_that_an_earlier_one_still_waits_for(world: Any) -> None:
    numbers = await known(world, 25)
    for status in (300, 500):
        for number in numbers:
            world.simulator.advance(number, status)
            if status == 300:
                world.simulator.push(number, "order.approved")
        await world.push()
        await world.inbox.route(world.shop_id)
        await relieved(Bulk(world.omisell, world.orders, shop_id=world.shop_id))
    assert [event[2] for event in await world.events("A-003")] == [200, 300, 500]
    async with world.refreshing():
        await world.settled()
    assert world.calls() == 25
    assert await world.differences() == []


async def test_few_pushes_are_fetched_one_by_one(world: Any) -> None:
    numbers = await known(world, 10)
    for number in numbers:
        world.simulator.advance(number, 460)
    await world.push()
    async with world.refreshing():
        await world.settled()
    assert (world.calls("order.list"), world.calls()) == (0, 10)


async def test_a_list_that_lags_confirms_nothing_and_the_fetches_go_on(build: Any) -> None:
    world = await build()
    numbers = await known(world, 25)
    world.simulator.faults.set("list_lag", rate=1.0, seconds=600)
    for number in numbers:
        world.simulator.advance(number, 460)
    await world.push()
    async with world.refreshing():
        await world.settled()
    assert world.calls() == 25
    assert await world.differences() == []


async def test_a_window_too_wide_for_its_pages_is_narrowed(build: Any) -> None:
    world = await build(lists=ListConfig(lag=(0, 0), max_page_size=10))
    numbers = await known(world, 170)
    world.simulator.clock.offset += 100
    for number in numbers[:60]:
        world.simulator.advance(number, 300)
        world.simulator.push(number, "order.approved")
    await world.push()
    await world.inbox.route(world.shop_id)
    # one of them tells of something long ago: its window is all that there is, 17 pages for 60 fetches
    await world.sql.execute("UPDATE omisync.refreshes SET wanted_at = to_timestamp(1) WHERE order_number = 'A-000'")
    await world.sql.execute("UPDATE omisync.orders SET omisell_updated_at = NULL WHERE order_number = 'A-000'")
    assert await relieved(Bulk(world.omisell, world.orders, shop_id=world.shop_id)) <= 1 + 30 // 5
    assert sum(status == 300 for status in (await world.statuses()).values()) >= 30


async def test_a_list_that_cannot_be_read_leaves_the_fetches_to_go_on(world: Any) -> None:
    numbers = await known(world, 25)
    world.simulator.faults.set("error_before", rate=1.0, endpoints=("order.list",))
    for number in numbers:
        world.simulator.advance(number, 460)
    await world.push()
    async with world.refreshing():
        await world.settled()
    assert world.calls() == 25
    assert await world.differences() == []


async def test_what_an_operator_asked_for_is_fetched_whatever_the_list_says(world: Any) -> None:
    numbers = await known(world, 25)
    for number in numbers:
        world.simulator.advance(number, 300)
        world.simulator.push(number, "order.approved")
    await world.push()
    await world.inbox.route(world.shop_id)
    await world.operator.request_refresh(["A-003"], "anna")
    await relieved(Bulk(world.omisell, world.orders, shop_id=world.shop_id))
    (fetch,) = await world.orders.claim(100)
    assert (fetch.order_number, fetch.source) == ("A-003", "operator")


async def test_a_push_about_a_shipment_is_fetched_whatever_the_list_says(world: Any) -> None:
    numbers = await known(world, 25)
    order = world.simulator.orders.find("A-003")
    await world.deliver(
        {
            "event": "shipment.updated",
            "shop_id": world.shop_id,
            "request_id": "s-1",
            "data": {
                "omisell_order_number": order.omisell_order_number,
                "status_id": 220,
                "updated_time": order.state.updated_time + 1000,
            },
        }
    )
    for number in numbers:
        if number != "A-003":
            world.simulator.advance(number, 300)
            world.simulator.push(number, "order.approved")
    await world.push()
    await world.inbox.route(world.shop_id)
    await relieved(Bulk(world.omisell, world.orders, shop_id=world.shop_id))
    (fetch,) = await world.orders.claim(100)
    assert fetch.omisell_order_number == order.omisell_order_number
    assert fetch.wanted_time == order.state.updated_time


@pytest.mark.parametrize("status", [460, 300])
async def test_a_fetch_under_way_while_the_list_is_read_goes_back_in_nothing(world: Any, status: int) -> None:
    world.simulator.create({"order_number": "A-1"})
    await world.push()
    async with world.refreshing():
        await world.settled()
    world.simulator.advance("A-1", 250)
    world.simulator.push("A-1", "order.confirmed")
    await world.push()
    await world.inbox.route(world.shop_id)
    (fetch,) = await world.orders.claim(1)
    old = await world.omisell.order_detail(fetch.omisell_order_number)
    world.simulator.advance("A-1", status)
    await world.sweeper().incremental()
    assert await world.statuses() == {"A-1": status}

    refresher = world.refresher()
    await refresher._apply(fetch, old, refresher._log)
    assert await world.statuses() == {"A-1": status}
    row = await world.order("A-1")
    assert row["detail_updated_at"] < row["omisell_updated_at"]
    async with world.refreshing():
        await world.paid()
    assert await world.differences() == []
