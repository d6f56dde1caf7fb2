"""Shipments, returns, money: the simulator's pushes become parcels, a return, and events of their own."""

import json
from collections.abc import Callable
from typing import Any

from omisync.simulator import PushConfig
from omisync.store import Notices
from omisync.sync.teller import Teller

ALL = {"push": PushConfig(categories=("order", "shipment", "return"))}


async def told(world: Any) -> None:
    """What waits to be told is told, as the daemon does it."""
    assert not await Teller(Notices(world.database, world.hooks)).tell()


async def kinds(world: Any, number: str = "A-1") -> list[str]:
    return [event[0] for event in await world.events(number)]


async def the_return(world: Any) -> dict[str, Any]:
    row = await world.sql.fetchrow("SELECT * FROM omisync.returns WHERE order_number = 'A-1'")
    return {} if row is None else {**dict(row), "data": json.loads(row["data"])}


async def completed(world: Any) -> None:
    """An order that is completed, here too."""
    world.simulator.create({"order_number": "A-1", "items": [{"sku": "TEE-M", "quantity": 2}]})
    world.simulator.advance("A-1", 500)
    world.simulator.advance("A-1", 900)
    await world.push()
    await world.settled()


async def its_end(world: Any, step: Callable[[], object]) -> None:
    """Something happens to an order, its push comes, is followed up and told."""
    step()
    assert await world.push() == 1
    await world.settled()
    await told(world)


async def test_a_completed_order_that_comes_back_is_told_by_events_of_its_own(build: Any) -> None:
    world = await build()
    async with world.refreshing():
        await completed(world)
        await its_end(world, lambda: world.simulator.event("A-1", "order.reconciled"))
        await its_end(world, lambda: world.simulator.advance("A-1", 800))
        await its_end(world, lambda: world.simulator.event("A-1", "order.return_receive"))
    events = [event for event in await world.events("A-1") if event[0] != "adopted"]
    assert events == [
        ("reconciled", 900, 900, "webhook"),
        ("status", 900, 800, "webhook"),
        ("returned", 800, 800, "webhook"),
        ("return_receive", 800, 800, "webhook"),
    ]
    history = world.simulator.orders.find("A-1").history
    kept = await the_return(world)
    assert [kept["returned_at"].timestamp(), kept["received_at"].timestamp()] == [
        history[-2].updated_time,
        history[-1].updated_time,
    ]
    assert await world.differences() == []
    times = await world.sql.fetch(
        "SELECT occurred_at FROM omisync.order_events WHERE kind IN ('reconciled', 'returned', 'return_receive')"
        " ORDER BY id"
    )
    assert [row["occurred_at"].timestamp() for row in times] == [state.updated_time for state in history[-3:]]


async def test_a_push_is_told_once_and_the_same_change_not_again(build: Any) -> None:
    world = await build()
    async with world.refreshing():
        await completed(world)
        world.simulator.event("A-1", "order.reconciled")
        (push,) = [delivery for delivery in world.pushes() if delivery.event == "order.reconciled"]
        body = json.loads(push.body)
        assert await world.deliver(body)
        assert not await world.deliver(body)
        for request_id in ("another", "and-another"):
            assert await world.deliver({**body, "request_id": request_id})
        await world.settled()
        await told(world)
        await told(world)
    assert (await kinds(world)).count("reconciled") == 1


async def test_nothing_is_told_before_the_order_is_as_new_as_the_push(world: Any) -> None:
    order = world.simulator.create({"order_number": "A-1"})
    world.simulator.advance("A-1", 800)
    await world.push()
    await world.inbox.route(world.shop_id)
    await told(world)
    assert await kinds(world) == []
    async with world.refreshing():
        await world.settled()
    await told(world)
    assert await kinds(world) == ["adopted", "returned"]
    assert (await world.order("A-1"))["omisell_order_number"] == order.omisell_order_number


async def test_a_return_that_only_a_sweep_has_seen_is_a_return_too(world: Any) -> None:
    async with world.refreshing():
        await completed(world)
        world.simulator.advance("A-1", 800)
        world.lose_pushes()
        await world.sweeper().incremental()
        await world.settled()
    state = world.simulator.orders.find("A-1").state
    assert (await the_return(world))["returned_at"].timestamp() == state.updated_time
    assert ("status", 900, 800, "sweep") in await world.events("A-1")


async def test_a_shipment_push_brings_the_parcels_up_to_date_and_keeps_what_has_no_column(build: Any) -> None:
    world = await build(push=PushConfig(categories=("shipment",)))
    async with world.refreshing():
        world.simulator.create({"order_number": "A-1", "items": [{"sku": "TEE-M", "quantity": 2}]})
        world.simulator.advance("A-1", 300)
        assert await world.push() == 1
        await world.settled()
        before = await world.sql.fetchrow("SELECT * FROM omisync.parcels")
        world.simulator.advance("A-1", 500)
        assert await world.push() == 1
        await world.settled()
        after = await world.sql.fetchrow("SELECT * FROM omisync.parcels")
    assert (before["shipment_status"], before["courier_tracking_number"]) == (205, None)
    (parcel,) = world.simulator.detail("A-1")["parcels"]
    assert (after["shipment_status"], after["courier_tracking_number"]) == (300, parcel["courier_tracking_number"])
    assert json.loads(after["data"]) == {
        name: parcel[name]
        for name in ("omisell_shipment_number", "wms_order_number", "courier_service", "inventory_items")
    }


async def test_a_return_push_refreshes_the_order_and_is_kept_whole(build: Any) -> None:
    world = await build(**ALL)
    async with world.refreshing():
        await completed(world)
        world.simulator.advance("A-1", 800)
        pushed = [json.loads(each.body) for each in world.pushes() if each.event == "return.updated"]
        assert await world.deliver(pushed[0])
        await world.settled()
        await told(world)
        assert (await world.order("A-1"))["status_id"] == 800
        kept = await the_return(world)
        assert kept["data"] == pushed[0]["data"]
        assert (kept["event"], kept["status_id"], kept["status_name"]) == ("return.updated", 800, "Returned")
        # an older one that comes late sets nothing back
        old = {**pushed[0], "request_id": "late", "event": "return.created"}
        old["data"] = {**pushed[0]["data"], "updated_time": pushed[0]["data"]["updated_time"] - 60, "is_received": None}
        assert await world.deliver(old)
        await world.settled()
        await told(world)
    assert (await the_return(world))["event"] == "return.updated"
    events = await world.sql.fetch("SELECT data FROM omisync.order_events WHERE kind = 'return' ORDER BY id")
    assert [json.loads(row["data"])["event"] for row in events] == ["return.updated", "return.created"]


async def test_many_pushes_of_one_order_in_one_telling_are_told_in_their_order(build: Any) -> None:
    world = await build(**ALL)
    async with world.refreshing():
        await completed(world)
        world.simulator.advance("A-1", 800)
        world.simulator.event("A-1", "order.return_receive")
        await world.push()
        await world.settled()
        await told(world)
    own = [kind for kind in await kinds(world) if kind in {"returned", "return", "return_receive"}]
    assert own == ["returned", "return", "return_receive", "return"]
    assert (await the_return(world))["data"]["is_received"] is True


async def test_a_push_is_told_also_when_its_fetch_was_given_up(world: Any) -> None:
    async with world.refreshing():
        await completed(world)
    world.simulator.event("A-1", "order.reconciled")
    await world.push()
    await world.inbox.route(world.shop_id)
    (fetch,) = await world.orders.claim(10)
    await world.orders.drop(fetch, "unhandled")
    await told(world)
    assert (await kinds(world))[-1] == "reconciled"


async def test_a_push_of_another_shop_or_of_an_order_that_omisell_does_not_know_is_never_told(world: Any) -> None:
    body = {"event": "order.returned", "shop_id": 1, "data": {"omisell_order_number": "OMI-9", "status_id": 800}}
    await world.deliver(body)
    await world.inbox.route(world.shop_id)
    await told(world)
    assert await world.inbox_states() == ["ignored"]
    assert await world.sql.fetchval("SELECT count(*) FROM omisync.order_events") == 0
