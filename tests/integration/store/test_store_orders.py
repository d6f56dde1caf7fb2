"""Pushes judged, fetches claimed, details applied: one fetch for all, never back in time."""

import asyncio
import datetime as dt
import json
from typing import Any

import asyncpg
import pytest

from omisync.store import Delivery, Ending, Fetch, Inbox, Listed, Reached, Snapshot, StoreUnavailable

SHOP = 21001


def push(request_id: str | None = "r-1", **more: Any) -> Delivery:
    told: dict[str, Any] = {
        "event": "order.shipped",
        "category": "order",
        "handled": True,
        "order_number": "A-1",
        "omisell_order_number": "OMI-1",
        "status_id": 500,
        "updated_time": 1000,
        "shop_id": SHOP,
        "authorization": "token",
        "body": b"{}",
    }
    return Delivery(request_id=request_id, **{**told, **more})


def snapshot(fetch: Fetch, status: int = 500, updated: int | None = 1000, **more: Any) -> Snapshot:
    told: dict[str, Any] = {
        "order_number": "A-1",
        "shop_id": SHOP,
        "status_name": f"status {status}",
        "is_final": status >= 700,
        "created_time": 900,
        "rts_time": None,
        "shipped_time": None,
        "completed_time": None,
        "tracking_numbers": "[]",
        "detail": json.dumps({"status_id": status}),
        "parcels": "[]",
    }
    return Snapshot(fetch=fetch, status_id=status, updated_time=updated, **{**told, **more})


def parcel(number: str = "1", tracking: str | None = "TRK1", status: int = 220) -> dict[str, Any]:
    return {
        "package_number": number,
        "courier_name": "Demo Express",
        "courier_tracking_number": tracking,
        "shipment_status": status,
        "shipment_status_name": "Ready",
        "pickup_id": 167,
        "items": [{"catalogue_sku": "TEE-M"}],
    }


async def fetch_one(house: Any, number: str = "OMI-1") -> Fetch:
    await house.orders.request([(number, None, None)], "webhook", priority=0)
    (fetch,) = await house.orders.claim(10)
    return fetch  # type: ignore[no-any-return]


async def states(house: Any) -> list[str]:
    return [row["state"] for row in await house.sql.fetch("SELECT state FROM omisync.inbox ORDER BY id")]


async def test_many_pushes_of_one_order_are_one_fetch_and_are_done_together(house: Any) -> None:
    for number in range(5):
        assert await house.inbox.add(push(f"r-{number}", status_id=400 + number, updated_time=1000 + number))
    (routed,) = await house.inbox.route(SHOP)
    assert (routed.verdict, routed.event, routed.pushes) == ("waiting", "order.shipped", 5)
    (fetch,) = await house.orders.claim(10)
    assert (fetch.omisell_order_number, fetch.wanted_time, fetch.source) == ("OMI-1", 1004, "webhook")
    applied = await house.orders.apply(snapshot(fetch, updated=1004))
    assert (applied.applied, applied.event) == (True, "adopted")
    assert await states(house) == ["done"] * 5
    assert await house.orders.claim(10) == []


async def test_a_push_during_the_fetch_is_fetched_again(house: Any) -> None:
    await house.inbox.add(push("r-1"))
    await house.inbox.route(SHOP)
    (fetch,) = await house.orders.claim(10)
    await house.inbox.add(push("r-2", status_id=600, updated_time=1001))
    await house.inbox.route(SHOP)
    await house.orders.apply(snapshot(fetch))
    assert await states(house) == ["waiting", "waiting"]
    (again,) = await house.orders.claim(10)
    await house.orders.apply(snapshot(again, 600, 1001))
    assert await states(house) == ["done", "done"]
    assert await house.events("A-1") == [("adopted", None, 500, "webhook"), ("status", 500, 600, "webhook")]


async def test_a_repeat_is_stored_once_even_within_one_batch(house: Any) -> None:
    answers = await asyncio.gather(*(house.inbox.add(push()) for _ in range(4)))
    assert sorted(answers) == [False, False, False, True]
    assert await house.inbox.add(push()) is False
    assert await states(house) == ["new"]


async def test_a_database_that_does_not_store_in_time_is_told_and_the_push_may_come_again(house: Any) -> None:
    inbox = Inbox(house.database, store_seconds=0.1)
    async with house.sql.transaction():
        await house.sql.execute("LOCK TABLE omisync.inbox IN EXCLUSIVE MODE")
        with pytest.raises(StoreUnavailable, match=r"the database did not answer within 0\.1 s"):
            await asyncio.wait_for(inbox.add(push()), 5)
    assert await asyncio.wait_for(inbox.add(push()), 5) is False  # it was at the database already
    assert await house.sql.fetchval("SELECT count(*) FROM omisync.inbox") == 1


async def test_pushes_without_any_identity_are_known_by_their_body(house: Any) -> None:
    nameless: dict[str, Any] = {"request_id": None, "omisell_order_number": None, "handled": False}
    assert await house.inbox.add(push(**nameless, body=b"one"))
    assert await house.inbox.add(push(**nameless, body=b"two"))
    assert await house.inbox.add(push(**nameless, body=b"two")) is False
    assert await states(house) == ["unhandled", "unhandled"]


async def test_another_shops_push_is_no_fetch(house: Any) -> None:
    await house.inbox.add(push(shop_id=5))
    await house.inbox.route(SHOP)
    assert await states(house) == ["ignored"]
    assert await house.orders.claim(10) == []


async def test_a_push_that_says_nothing_newer_is_no_fetch(house: Any) -> None:
    await house.inbox.add(push("r-1"))
    await house.inbox.route(SHOP)
    (fetch,) = await house.orders.claim(10)
    await house.orders.apply(snapshot(fetch))
    await house.inbox.add(push("late", status_id=460, updated_time=999))
    await house.inbox.add(push("repeat-under-another-id"))
    await house.inbox.route(SHOP)
    assert await states(house) == ["done", "known", "known"]
    assert await house.orders.claim(10) == []


async def test_a_second_change_within_the_same_second_is_fetched(house: Any) -> None:
    await house.orders.apply(snapshot(await fetch_one(house), 460))
    await house.inbox.add(push(status_id=500, updated_time=1000))
    await house.inbox.route(SHOP)
    assert await states(house) == ["waiting"]


async def test_an_older_detail_never_overwrites_a_newer_one(house: Any) -> None:
    await house.orders.apply(snapshot(await fetch_one(house), 600, 2000))
    applied = await house.orders.apply(snapshot(await fetch_one(house), 500, 1999))
    assert (applied.applied, applied.event) == (False, None)
    assert (await house.order("A-1"))["status_id"] == 600
    assert await house.orders.claim(10) == []


async def test_of_two_details_of_one_second_the_later_fetch_is_kept(house: Any) -> None:
    early = await fetch_one(house)
    await house.expire_leases()
    (late,) = await house.orders.claim(10)
    assert late.fetched_at > early.fetched_at
    await house.orders.apply(snapshot(late, 600))
    assert (await house.orders.apply(snapshot(early, 500))).applied is False
    assert (await house.order("A-1"))["status_id"] == 600


async def test_a_fetch_whose_lease_has_gone_changes_nothing(house: Any) -> None:
    gone = await fetch_one(house)
    await house.expire_leases()
    await house.orders.claim(10)
    assert (await house.orders.apply(snapshot(gone))).applied is False
    assert await house.order("A-1") is None


async def test_a_lower_status_with_a_newer_time_is_applied(house: Any) -> None:
    await house.orders.apply(snapshot(await fetch_one(house), 440, 1000))
    await house.orders.apply(snapshot(await fetch_one(house), 400, 1001))
    assert await house.events("A-1") == [("adopted", None, 440, "webhook"), ("status", 440, 400, "webhook")]


async def test_parcels_follow_the_detail_and_a_change_of_tracking_alone_is_an_event(house: Any) -> None:
    both = json.dumps([parcel("1"), parcel("2", "TRK2")])
    await house.orders.apply(
        snapshot(await fetch_one(house), 460, 1000, parcels=both, tracking_numbers='["TRK1", "TRK2"]')
    )
    order = await house.order("A-1")
    assert order["tracking_numbers"] == ["TRK1", "TRK2"]
    moved = json.dumps([parcel("1", "TRK9")])
    applied = await house.orders.apply(
        snapshot(await fetch_one(house), 460, 1001, parcels=moved, tracking_numbers='["TRK9"]')
    )
    assert applied.event == "parcels"
    rows = await house.sql.fetch("SELECT package_number, courier_tracking_number FROM omisync.parcels")
    assert [tuple(row) for row in rows] == [("1", "TRK9")]
    applied = await house.orders.apply(
        snapshot(await fetch_one(house), 460, 1002, parcels=moved, tracking_numbers='["TRK9"]')
    )
    assert (applied.applied, applied.event) == (True, None)


async def test_times_of_omisell_become_timestamps(house: Any) -> None:
    fetch = await fetch_one(house)
    await house.orders.apply(snapshot(fetch, 900, 1003, rts_time=1001, shipped_time=1002, completed_time=1003))
    order = await house.order("A-1")
    assert [order[name].timestamp() for name in ("omisell_created_at", "rts_at", "shipped_at", "completed_at")] == [
        900,
        1001,
        1002,
        1003,
    ]
    assert order["is_final"]
    assert order["synced_at"] == fetch.fetched_at


async def test_a_detail_behind_the_push_is_applied_and_fetched_again_after_its_delay(house: Any) -> None:
    await house.inbox.add(push(updated_time=1005))
    await house.inbox.route(SHOP)
    (fetch,) = await house.orders.claim(10)
    applied = await house.orders.apply(snapshot(fetch, 460, 1000, retry_delay=30.0))
    assert applied.applied
    assert await states(house) == ["waiting"]
    assert await house.orders.claim(10) == []
    await house.sql.execute("UPDATE omisync.refreshes SET available_at = now()")
    (again,) = await house.orders.claim(10)
    assert (again.attempts, again.wanted_time) == (1, 1005)


async def test_a_push_settles_an_add_whose_outcome_was_not_known(house: Any) -> None:
    outbox_id = await house.add("A-1")
    (claim,) = await house.outbox.claim("order.add", 1)
    await house.outbox.finish(
        Ending(claim, "pending", error="time-out", reached=Reached.MAYBE, settling=True, delay=5.0)
    )
    applied = await house.orders.apply(snapshot(await fetch_one(house), 200))
    assert (applied.event, applied.adopted) == ("adopted", True)
    row = await house.row(outbox_id)
    assert (row["state"], row["outcome"]) == ("done", "adopted")
    assert await house.events("A-1") == [("adopted", None, 200, "webhook")]


async def test_an_order_that_a_push_brought_while_its_add_was_looked_for_is_told_once(house: Any) -> None:
    await house.add("A-1")
    fetch = await fetch_one(house)
    (claim,) = await house.outbox.claim("order.add", 1)
    assert (await house.orders.apply(snapshot(fetch, 200))).event == "adopted"
    assert await house.outbox.finish(
        Ending(claim, "done", "adopted", event="adopted", omisell_order_number="OMI-1", status_id=200)
    )
    assert await house.events("A-1") == [("adopted", None, 200, "webhook")]


async def test_an_order_that_a_push_brought_while_its_add_was_lost_is_told_once_though_the_add_is_settled_later(
    house: Any,
) -> None:
    outbox_id = await house.add("A-1")
    fetch = await fetch_one(house)
    (claim,) = await house.outbox.claim("order.add", 1)
    assert (await house.orders.apply(snapshot(fetch, 500, 1000))).event == "adopted"
    await house.outbox.finish(
        Ending(claim, "pending", error="time-out", reached=Reached.MAYBE, settling=True, delay=5.0)
    )
    await house.inbox.add(push("r-2", event="order.completed", status_id=900, updated_time=1001))
    await house.inbox.route(SHOP)
    (fetch,) = await house.orders.claim(10)
    applied = await house.orders.apply(snapshot(fetch, 900, 1001))
    assert (applied.event, applied.adopted) == ("status", True)
    row = await house.row(outbox_id)
    assert (row["state"], row["outcome"]) == ("done", "adopted")
    assert await house.events("A-1") == [("adopted", None, 500, "webhook"), ("status", 500, 900, "webhook")]


async def test_an_order_whose_add_is_being_sent_is_not_fetched_until_that_call_has_ended(house: Any) -> None:
    await house.add("A-1")
    (claim,) = await house.outbox.claim("order.add", 1)
    await house.inbox.add(push(event="order.ready_to_ship", status_id=460))
    await house.inbox.route(SHOP)
    assert await house.orders.claim(10) == []
    await house.outbox.finish(
        Ending(claim, "done", "added", event="added", omisell_order_number="OMI-1", status_id=200, spent=1)
    )
    (fetch,) = await house.orders.claim(10)
    await house.orders.apply(snapshot(fetch, 460))
    assert await house.events("A-1") == [("added", None, 200, "outbox"), ("status", 200, 460, "webhook")]


async def test_the_push_that_overtakes_the_answer_to_our_own_add_is_no_fetch_but_its_detail_is_owed(house: Any) -> None:
    await house.add("A-1")
    (claim,) = await house.outbox.claim("order.add", 1)
    await house.inbox.add(push(event="order.created", status_id=200))
    await house.inbox.route(SHOP)
    await house.outbox.finish(
        Ending(claim, "done", "added", event="added", omisell_order_number="OMI-1", status_id=200, spent=1)
    )
    assert await states(house) == ["known"]
    assert await house.orders.claim(10) == []
    await house.sql.execute("UPDATE omisync.refreshes SET available_at = now()")
    (fetch,) = await house.orders.claim(10, owed=True)
    assert fetch.wanted_time == 1000


async def test_a_fetch_that_is_given_back_waits_and_remembers_why(house: Any) -> None:
    fetch = await fetch_one(house)
    await house.orders.release(fetch, 60.0, spent=1, error="time-out")
    assert await house.orders.claim(10) == []
    row = await house.sql.fetchrow("SELECT attempts, error, lease_token FROM omisync.refreshes")
    assert tuple(row) == (1, "time-out", None)


async def test_another_shops_order_is_remembered_and_no_sweep_asks_again(house: Any) -> None:
    await house.orders.drop(await fetch_one(house), "ignored")
    assert await house.orders.differing([Listed("OMI-1", "A-1", 300, 1000)]) == []


async def test_a_fetch_renewed_is_not_taken_over(house: Any) -> None:
    fetch = await fetch_one(house)
    await house.expire_leases()
    assert await house.orders.renew([fetch.lease_token]) == {"OMI-1"}
    assert await house.orders.claim(10) == []


async def test_a_sweep_sees_what_is_missing_stale_or_of_another_status(house: Any) -> None:
    for number, status, updated in (
        ("1", 300, 1000),
        ("2", 300, 1000),
        ("3", 300, 1000),
        ("4", 300, 1000),
        ("7", 300, 1000),
    ):
        await house.orders.apply(
            snapshot(await fetch_one(house, f"OMI-{number}"), status, updated, order_number=f"A-{number}")
        )
    await house.orders.request([("OMI-6", None, None)], "webhook", priority=0)
    await house.sql.execute(
        "UPDATE omisync.orders SET omisell_updated_at = to_timestamp(1001) WHERE order_number = 'A-7'"
    )
    differences = await house.orders.differing(
        [
            Listed("OMI-7", "A-7", 300, 1001),
            Listed("OMI-1", "A-1", 300, 1000),
            Listed("OMI-2", "A-2", 300, 1001),
            Listed("OMI-3", "A-3", 460, 1000),
            Listed("OMI-4", "A-4", 200, 999),
            Listed("OMI-5", "A-5", 200, 1000),
            Listed("OMI-6", "A-6", 200, 1000),
        ]
    )
    assert {(d.omisell_order_number, d.kind) for d in differences} == {
        ("OMI-2", "stale"),
        ("OMI-3", "status"),
        ("OMI-5", "missing"),
        ("OMI-6", "asked"),
        ("OMI-7", "detail"),
    }


async def test_open_orders_are_walked_page_by_page(house: Any) -> None:
    assert await house.orders.open_windows(86_400) == []
    for number, status in ((1, 300), (2, 900), (3, 460)):
        await house.orders.apply(
            snapshot(await fetch_one(house, f"OMI-{number}"), status, 1000 + number, order_number=f"A-{number}")
        )
    assert await house.orders.open_windows(86_400) == [(0, 2)]
    assert await house.orders.open_windows(2) == [(1002, 1), (1000, 1)]
    assert await house.orders.open_after("", 1) == [("A-1", "OMI-1")]
    assert await house.orders.open_after("A-1", 9) == [("A-3", "OMI-3")]


async def test_one_detail_that_cannot_be_stored_spoils_no_other(house: Any) -> None:
    await house.orders.request([("OMI-1", None, None), ("OMI-2", None, None)], "webhook")
    one, two = sorted(await house.orders.claim(10), key=lambda fetch: fetch.omisell_order_number)
    results: tuple[Any, ...] = await asyncio.gather(
        house.orders.apply(snapshot(one, detail="{not json")),
        house.orders.apply(snapshot(two, order_number="A-2")),
        return_exceptions=True,
    )
    assert isinstance(results[0], asyncpg.PostgresError)
    assert results[1].applied


async def test_handled_pushes_are_purged_when_old(house: Any) -> None:
    await house.inbox.add(push("r-1"))
    await house.inbox.add(push("r-2", handled=False))
    await house.sql.execute("UPDATE omisync.inbox SET received_at = now() - interval '31 days'")
    assert await house.inbox.purge(30 * 86_400, 10) == 1
    assert await states(house) == ["new"]


async def test_a_request_again_keeps_the_most_urgent_and_the_newest(house: Any) -> None:
    await house.orders.request([("OMI-1", "A-1", 1000)], "sweep", priority=2)
    await house.orders.request([("OMI-1", None, 900)], "operator", priority=0)
    row = await house.sql.fetchrow("SELECT priority, order_number, wanted_at, generation FROM omisync.refreshes")
    assert tuple(row) == (0, "A-1", dt.datetime.fromtimestamp(1000, dt.UTC), 1)


@pytest.mark.parametrize("number", ["OMI-1", "A-1"])
async def test_an_operator_may_ask_for_an_order_by_either_number(house: Any, number: str) -> None:
    await house.orders.apply(snapshot(await fetch_one(house)))
    assert await house.operator.request_refresh([number, "unknown"], "anna") == 1
    (fetch,) = await house.orders.claim(10)
    assert (fetch.omisell_order_number, fetch.source) == ("OMI-1", "operator")


async def test_the_push_that_answers_our_own_add_is_no_fetch_but_its_detail_is_owed(house: Any) -> None:
    await house.add("A-1")
    (claim,) = await house.outbox.claim("order.add", 1)
    await house.outbox.finish(
        Ending(claim, "done", "added", event="added", omisell_order_number="OMI-1", status_id=200, spent=1)
    )
    await house.inbox.add(push(event="order.created", status_id=200))
    await house.inbox.route(SHOP)
    assert await states(house) == ["known"]
    assert await house.orders.claim(10) == []
    assert await house.orders.claim(10, owed=True) == []
    (asked,) = await house.orders.differing([Listed("OMI-1", "A-1", 200, 1000)])
    assert asked.kind == "asked"
    await house.sql.execute("UPDATE omisync.refreshes SET available_at = now()")
    (fetch,) = await house.orders.claim(10, owed=True)
    await house.orders.apply(snapshot(fetch, 200))
    assert (await house.order("A-1"))["detail"] is not None


async def test_a_detail_owed_is_fetched_with_the_next_push(house: Any) -> None:
    await house.add("A-1")
    (claim,) = await house.outbox.claim("order.add", 1)
    await house.outbox.finish(
        Ending(claim, "done", "added", event="added", omisell_order_number="OMI-1", status_id=200, spent=1)
    )
    await house.inbox.add(push("r-1", event="order.created", status_id=200))
    await house.inbox.route(SHOP)
    await house.inbox.add(push("r-2", event="order.ready_to_ship", status_id=460, updated_time=1001))
    await house.inbox.route(SHOP)
    (fetch,) = await house.orders.claim(10)
    assert fetch.wanted_time == 1001
    await house.orders.apply(snapshot(fetch, 460, 1001))
    assert await house.orders.claim(10, owed=True) == []
