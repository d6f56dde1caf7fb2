"""Pushes to rows, on a real database against the simulator: one fetch for all, never back in time, nothing lost."""

import asyncio
import json
from typing import Any

from omisync.simulator import OrderConfig, PushConfig
from omisync.store import Ending, Orders
from omisync.store.hooks import Hooks
from omisync.sync import refresher as module
from omisync.sync.backoff import Backoff


async def added(world: Any, number: str = "A-1") -> Any:
    """An order that we sent ourselves; the push that answers it has not come yet."""
    payload = {"order_number": number, "items": [{"sku": "TEE-M", "quantity": 1}]}
    await world.sql.execute("SELECT omisync.add_order($1)", json.dumps(payload))
    (claim,) = await world.outbox.claim("order.add", 1)
    answer = await world.omisell.add_order({**payload, "shop_id": world.shop_id})
    await world.outbox.finish(
        Ending(
            claim,
            "done",
            "added",
            event="added",
            omisell_order_number=answer.omisell_order_number,
            status_id=answer.status_id,
            updated_time=answer.updated_time,
            spent=1,
        )
    )
    return world.simulator.orders.find(number)


async def test_many_pushes_of_one_order_are_one_fetch(world: Any) -> None:
    world.simulator.create({"order_number": "A-1"})
    for status in (460, 500, 900):
        world.simulator.advance("A-1", status)
    assert await world.push() == 4
    async with world.refreshing():
        await world.settled()
    assert world.calls() == 1
    assert await world.inbox_states() == ["done"] * 4
    assert await world.events("A-1") == [("adopted", None, 900, "webhook")]
    assert await world.differences() == []


async def test_an_order_that_lives_is_followed_push_by_push(world: Any) -> None:
    world.simulator.create({"order_number": "A-1"})
    async with world.refreshing() as refresher:
        for status in (None, 460, 500, 900):
            if status is not None:
                world.simulator.advance("A-1", status)
            await world.push()
            refresher.wake()
            await world.settled()
    assert world.calls() == 4
    assert await world.events("A-1") == [
        ("adopted", None, 200, "webhook"),
        ("status", 200, 460, "webhook"),
        ("status", 460, 500, "webhook"),
        ("status", 500, 900, "webhook"),
    ]
    assert await world.differences() == []
    row = await world.order("A-1")
    assert row["detail_updated_at"] == row["omisell_updated_at"]
    parcels = await world.sql.fetch("SELECT courier_tracking_number FROM omisync.parcels")
    assert [parcel["courier_tracking_number"] for parcel in parcels] == row["tracking_numbers"]


async def test_the_push_that_answers_our_own_add_is_no_fetch_and_its_detail_comes_with_the_next(world: Any) -> None:
    await added(world)
    await world.push()
    async with world.refreshing() as refresher:
        await world.settled()
        assert (world.calls(), await world.inbox_states()) == (0, ["known"])
        world.simulator.advance("A-1", 460)
        await world.push()
        refresher.wake()
        await world.settled()
        assert world.calls() == 1
        await world.paid()
    assert world.calls() == 1
    assert await world.differences() == []


async def test_the_detail_that_answers_our_own_add_is_paid_out_of_spare_budget_if_no_other_push_comes(
    world: Any,
) -> None:
    await added(world)
    await world.push()
    async with world.refreshing():
        await world.settled()
        await world.paid()
    assert world.calls() == 1
    assert await world.differences() == []


async def test_a_repeat_and_a_late_push_are_no_fetch(world: Any) -> None:
    world.simulator.create({"order_number": "A-1"})
    world.simulator.advance("A-1", 460)
    world.simulator.advance("A-1", 500)
    created, ready, shipped = world.pushes()
    async with world.refreshing() as refresher:
        await world.inbox.add(shipped)
        refresher.wake()
        await world.settled()
        assert world.calls() == 1
        for again in (shipped, ready, created):
            await world.inbox.add(again)
        world.simulator.push("A-1", "order.shipped")
        await world.push()
        refresher.wake()
        await world.settled()
    assert world.calls() == 1
    assert await world.inbox_states() == ["done", "known", "known", "known"]


async def test_a_push_that_comes_long_after_a_sweep_has_fetched_its_change_is_no_fetch(world: Any) -> None:
    order = world.simulator.create({"order_number": "A-1"}, status_id=460)
    await world.orders.request([(order.omisell_order_number, "A-1", None)], "sweep")
    async with world.refreshing() as refresher:
        await world.settled()
        await world.sql.execute("UPDATE omisync.orders SET synced_at = synced_at + interval '10 s'")
        await world.push()
        refresher.wake()
        await world.settled()
    assert world.calls() == 1
    assert await world.inbox_states() == ["known", "known"]


async def test_a_push_within_the_second_of_the_detail_is_fetched_without_hurry(world: Any) -> None:
    order = world.simulator.create({"order_number": "A-1"}, status_id=460)
    await world.orders.request([(order.omisell_order_number, "A-1", None)], "sweep")
    async with world.refreshing() as refresher:
        await world.settled()
        await world.push()
        refresher.wake()
        await world.settled()
        assert world.calls() == 1
        await world.paid()
    assert world.calls() == 2


async def test_an_order_whose_add_is_in_flight_is_not_fetched(world: Any) -> None:
    payload = {"order_number": "A-1", "items": [{"sku": "TEE-M", "quantity": 1}]}
    await world.sql.execute("SELECT omisync.add_order($1)", json.dumps(payload))
    (claim,) = await world.outbox.claim("order.add", 1)
    answer = await world.omisell.add_order({**payload, "shop_id": world.shop_id})
    world.simulator.advance("A-1", 460)
    await world.push()
    async with world.refreshing():
        await world.until("SELECT count(*) = 2 FROM omisync.inbox WHERE state <> 'new'")
        assert world.calls() == 0
        await world.outbox.finish(
            Ending(
                claim,
                "done",
                "added",
                event="added",
                omisell_order_number=answer.omisell_order_number,
                status_id=answer.status_id,
                spent=1,
            )
        )
        await world.settled()
    assert world.calls() == 1
    assert await world.events("A-1") == [("added", None, 200, "outbox"), ("status", 200, 460, "webhook")]


async def test_a_push_while_the_fetch_is_under_way_is_not_lost(world: Any) -> None:
    world.simulator.create({"order_number": "A-1"})
    await world.push()
    world.simulator.faults.set("slow", rate=1.0, times=1, seconds=0.5, endpoints=("order.detail",))
    async with world.refreshing() as refresher:
        await world.until("SELECT EXISTS (SELECT FROM omisync.refreshes WHERE lease_token IS NOT NULL)")
        world.simulator.advance("A-1", 460)
        await world.push()
        refresher.wake()
        await world.settled()
    assert await world.inbox_states() == ["done", "done"]
    assert await world.differences() == []


async def test_a_detail_that_lags_behind_the_push_is_fetched_again(build: Any, monkeypatch: Any) -> None:
    world = await build(orders=OrderConfig(detail_lag=(0.4, 0.4)))
    monkeypatch.setattr(module, "BEHIND", Backoff(0.1, 0.2))
    world.simulator.create({"order_number": "A-1"})
    await world.push()
    async with world.refreshing() as refresher:
        await world.settled()
        world.simulator.advance("A-1", 500)
        await world.push()
        refresher.wake()
        await world.until("SELECT status_id = 500 FROM omisync.orders")
        await world.settled()
    assert world.calls() > 2
    assert await world.inbox_states() == ["done", "done"]


async def test_another_shops_order_is_fetched_once_and_never_again(world: Any) -> None:
    other = next(shop for shop in world.simulator.account.shops.values() if shop.shop_id != world.shop_id)
    world.simulator.create({"order_number": "X-1", "shop_id": other.shop_id})
    (created,) = world.pushes()
    nameless = json.loads(created.body) | {"shop_id": None, "request_id": "r-1"}
    again = nameless | {"request_id": "r-2", "timestamp": 1}
    again["data"] = nameless["data"] | {"status_id": 300, "updated_time": nameless["data"]["updated_time"] + 5}
    async with world.refreshing() as refresher:
        for body in (nameless, again):
            await world.deliver(body)
            refresher.wake()
            await world.settled()
        await world.inbox.add(created)
        refresher.wake()
        await world.settled()
    assert world.calls() == 1
    assert await world.inbox_states() == ["ignored", "ignored", "ignored"]
    assert await world.statuses() == {}


async def test_state_parcels_event_notification_and_hook_come_in_one_transaction(world: Any) -> None:
    await world.sql.execute(
        """CREATE SCHEMA shop;
        CREATE TABLE shop.seen (tx xid8, kind text, parcels bigint, status bigint);
        CREATE FUNCTION shop.changed(event jsonb) RETURNS void LANGUAGE sql AS $$
            INSERT INTO shop.seen SELECT pg_current_xact_id(), event ->> 'kind',
                (SELECT count(*) FROM omisync.parcels), (SELECT status_id FROM omisync.orders)
        $$"""
    )
    world.orders = Orders(world.database, Hooks(world.database, "shop.changed"))
    heard: asyncio.Queue[Any] = asyncio.Queue()
    await world.sql.add_listener("omisync_orders", lambda *args: heard.put_nowait(json.loads(args[3])))
    world.simulator.create({"order_number": "A-1"}, status_id=460)
    await world.push()
    async with world.refreshing():
        await world.settled()
        told = await asyncio.wait_for(heard.get(), 20)
    seen = await world.sql.fetchrow("SELECT tx::text, kind, parcels, status FROM shop.seen")
    event = await world.sql.fetchrow("SELECT xmin::text AS tx, id FROM omisync.order_events")
    order = await world.sql.fetchrow("SELECT xmin::text AS tx FROM omisync.orders")
    assert (seen["kind"], seen["parcels"], seen["status"]) == ("adopted", 1, 460)
    assert seen["tx"] == event["tx"] == order["tx"]
    assert told == {"id": event["id"], "order_number": "A-1", "kind": "adopted", "status_id": 460}


async def test_numbers_written_as_strings_and_an_unknown_status_are_taken(build: Any) -> None:
    world = await build(stringly=True, push=PushConfig())
    world.simulator.create({"order_number": "A-1"}, status_id=4711)
    await world.push()
    async with world.refreshing():
        await world.settled()
    row = await world.order("A-1")
    assert (row["status_id"], row["is_final"]) == (4711, False)


async def test_in_a_crowd_pushes_are_judged_together(world: Any, monkeypatch: Any) -> None:
    judged: list[int] = []
    heard = asyncio.Event()
    route = world.inbox.route

    async def counted(*given: Any, **more: Any) -> Any:
        routed = await route(*given, **more)
        if routed:
            judged.append(sum(each.pushes for each in routed))
            heard.set()
        return routed

    async def push(number: int) -> None:
        data = {"omisell_order_number": f"OS-{number}", "status_id": 460, "updated_time": 1_760_000_000}
        body = {"request_id": f"r-{number}", "event": "order.shipped", "shop_id": world.shop_id + 1, "data": data}
        await world.deliver(body)

    async def hear() -> None:
        await asyncio.wait_for(heard.wait(), 30)
        heard.clear()

    monkeypatch.setattr(module, "CROWD_PAUSE", 1.0)
    monkeypatch.setattr(world.inbox, "route", counted)
    await asyncio.gather(*map(push, range(module.CROWD)))
    async with world.refreshing() as refresher:
        await hear()
        for number in range(100, 105):
            await push(number)
            refresher.wake()
        await hear()
    assert judged == [module.CROWD, 5]


async def test_an_order_that_omisell_does_not_know_is_given_up_and_what_came_meanwhile_is_not(
    world: Any, monkeypatch: Any
) -> None:
    monkeypatch.setattr(module, "FAILED", Backoff(0.01, 0.02))
    order = world.simulator.create({"order_number": "A-1"})
    (created,) = world.pushes()
    gone = json.loads(created.body)
    gone["data"] |= {"omisell_order_number": "OD-NOBODY", "order_number": "N-1"}
    await world.deliver(gone)
    await world.inbox.add(created)
    async with world.refreshing():
        await world.settled()
    assert await world.inbox_states() == ["unhandled", "done"]
    assert await world.statuses() == {order.order_number: 200}
