"""What rows of Omisell's list do to the tables: the status at once, the detail owed, nothing back in time."""

import datetime as dt
import json
from typing import Any

import pytest

from omisync.store import Delivery, Fetch, Hooks, Listed, Orders, Snapshot

SHOP = 21001


def at(seconds: int) -> dt.datetime:
    return dt.datetime.fromtimestamp(seconds, dt.UTC)


def row(status: int | None = 500, updated: int | None = 1001, number: str = "1", **more: Any) -> Listed:
    return Listed(f"OMI-{number}", f"A-{number}", status, updated, **{"status_name": f"status {status}", **more})


def snapshot(fetch: Fetch, status: int | None, updated: int | None, number: str = "1", **more: Any) -> Snapshot:
    told: dict[str, Any] = {
        "order_number": f"A-{number}",
        "shop_id": SHOP,
        "status_name": f"status {status}",
        "is_final": False,
        "created_time": 900,
        "rts_time": None,
        "shipped_time": None,
        "completed_time": None,
        "tracking_numbers": "[]",
        "detail": json.dumps({"status_id": status, "updated_time": updated}),
        "parcels": "[]",
    }
    return Snapshot(fetch=fetch, status_id=status, updated_time=updated, **{**told, **more})


async def fetch_of(house: Any, number: str = "1", wanted: int | None = None) -> Fetch:
    await house.orders.request([(f"OMI-{number}", f"A-{number}", wanted)], "webhook", priority=0)
    (fetch,) = await house.orders.claim(10)
    return fetch  # type: ignore[no-any-return]


async def known(house: Any, status: int = 460, updated: int = 1000, number: str = "1") -> None:
    await house.orders.apply(snapshot(await fetch_of(house, number), status, updated, number))


async def take(house: Any, *rows: Listed, adopting: bool = True) -> list[str]:
    now = await house.sql.fetchval("SELECT clock_timestamp()")
    differences = await house.orders.take_listed(rows, now, source="sweep", adopting=adopting)
    return [difference.kind for difference in differences]


async def refresh(house: Any, number: str = "1") -> Any:
    """Priority, source and wanted time of the fetch that waits."""
    asked = await house.sql.fetchrow(
        "SELECT priority, source, extract(epoch FROM wanted_at)::bigint FROM omisync.refreshes"
        " WHERE omisell_order_number = $1",
        f"OMI-{number}",
    )
    return None if asked is None else tuple(asked)


async def times(house: Any) -> tuple[Any, ...]:
    order = await house.order("A-1")
    return order["status_id"], order["omisell_updated_at"], order["detail_updated_at"]


@pytest.mark.parametrize(("first", "priority"), [(True, 1), (False, 2)])
async def test_a_newer_row_brings_the_status_with_its_event_and_owes_the_detail(
    house: Any, first: bool, priority: int
) -> None:
    await known(house)
    assert await take(house, row(first=first)) == ["status"]
    assert await times(house) == (500, at(1001), at(1000))
    assert (await house.events("A-1"))[-1] == ("status", 460, 500, "sweep")
    occurred = await house.sql.fetchval("SELECT occurred_at FROM omisync.order_events ORDER BY id DESC LIMIT 1")
    assert occurred == at(1001)
    assert await refresh(house) == (priority, "sweep", 1001)
    assert await take(house, row(first=first)) == ["asked"]


async def test_a_newer_row_with_the_same_status_is_no_event(house: Any) -> None:
    await known(house)
    assert await take(house, row(460)) == ["stale"]
    assert [event[0] for event in await house.events("A-1")] == ["adopted"]
    assert await times(house) == (460, at(1001), at(1000))


@pytest.mark.parametrize("told", [row(400, 999), row(460, 1000), row(460, None)])
async def test_an_older_row_and_one_that_says_the_same_change_nothing(house: Any, told: Listed) -> None:
    await known(house)
    assert await take(house, told) == []
    assert await times(house) == (460, at(1000), at(1000))
    assert await refresh(house) is None


@pytest.mark.parametrize("told", [row(400, 1000), row(400, None), row(None, 1001), row(None, None)])
async def test_what_a_row_leaves_open_is_asked_of_the_detail(house: Any, told: Listed) -> None:
    await known(house)
    assert len(await take(house, told)) == 1
    assert await times(house) == (460, at(1000), at(1000))
    assert (await refresh(house))[0] == 1


async def test_a_detail_of_the_lists_own_second_is_applied_and_pays_what_was_owed(house: Any) -> None:
    await known(house)
    await take(house, row())
    (fetch,) = await house.orders.claim(10, owed=True) or await _hurried(house)
    assert fetch.wanted_time == 1001
    applied = await house.orders.apply(snapshot(fetch, 500, 1001))
    assert (applied.applied, applied.event) == (True, None)
    assert await times(house) == (500, at(1001), at(1001))
    assert await refresh(house) is None
    assert await take(house, row()) == []


async def _hurried(house: Any) -> list[Fetch]:
    await house.sql.execute("UPDATE omisync.refreshes SET available_at = now()")
    return await house.orders.claim(10, owed=True)  # type: ignore[no-any-return]


async def test_a_detail_older_than_the_list_but_newer_than_ours_brings_everything_but_the_status(house: Any) -> None:
    await known(house)
    await take(house, row(600, 1005))
    (fetch,) = await _hurried(house)
    parcels = json.dumps([{"package_number": "1", "courier_tracking_number": "T"}])
    applied = await house.orders.apply(
        snapshot(fetch, 500, 1002, parcels=parcels, tracking_numbers='["T"]', retry_delay=0.0)
    )
    assert (applied.applied, applied.event) == (True, "parcels")
    assert await times(house) == (600, at(1005), at(1002))
    assert (await house.order("A-1"))["tracking_numbers"] == ["T"]
    assert (await house.events("A-1"))[-1] == ("parcels", 600, 600, "sweep")
    assert await refresh(house) == (2, "sweep", 1005)


async def test_a_detail_fetched_before_the_list_was_read_does_not_undo_its_status_of_the_same_second(
    house: Any,
) -> None:
    await known(house, 400, 999)
    early = await fetch_of(house)
    await take(house, row(460, 1000))
    applied = await house.orders.apply(snapshot(early, 440, 1000))
    assert applied.applied
    assert (await times(house))[0] == 460
    assert (await refresh(house))[2] == 1000
    (late,) = await house.orders.claim(10)
    await house.orders.apply(snapshot(late, 440, 1000))
    assert (await times(house))[0] == 440


async def test_news_of_the_list_during_a_fetch_makes_it_be_made_again(house: Any) -> None:
    await known(house)
    fetch = await fetch_of(house)
    await take(house, row(500, 1001))
    await house.orders.apply(snapshot(fetch, 460, 1000))
    assert await times(house) == (500, at(1001), at(1000))
    assert await refresh(house) is not None


async def test_what_is_known_already_does_not_make_a_fetch_under_way_be_made_again(house: Any) -> None:
    await known(house)
    fetch = await fetch_of(house, wanted=1001)
    await take(house, row(500, 1001))
    await house.orders.apply(snapshot(fetch, 500, 1001))
    assert await refresh(house) is None


@pytest.mark.parametrize(("adopting", "asked"), [(True, (1, "sweep", 1001)), (False, None)])
async def test_an_unknown_order_is_asked_for_by_sweeps_only(house: Any, adopting: bool, asked: Any) -> None:
    assert await take(house, row(), adopting=adopting) == ["missing"]
    assert await refresh(house) == asked
    assert await house.order("A-1") is None


@pytest.mark.parametrize(
    ("wanted", "first", "source", "priority"),
    [
        (1001, False, "webhook", 2),
        (1001, True, "webhook", 0),
        (1002, False, "webhook", 0),
        (None, False, "webhook", 0),
        (1001, False, "operator", 0),
    ],
)
async def test_a_push_answered_by_the_list_waits_for_an_owed_detail(
    house: Any, wanted: int | None, first: bool, source: Any, priority: int
) -> None:
    await known(house)
    await house.orders.request([("OMI-1", "A-1", wanted)], source, priority=0)
    assert await take(house, row(first=first)) == ["asked"]
    assert (await refresh(house))[0] == priority
    assert (await house.events("A-1"))[-1] == ("status", 460, 500, source)
    assert bool(await house.orders.claim(10)) is (priority == 0)


async def test_a_push_for_an_owed_detail_makes_it_urgent_and_its_age_begins_then(house: Any) -> None:
    await known(house)
    await take(house, row())
    await house.sql.execute("UPDATE omisync.refreshes SET requested_at = now() - interval '1 h'")
    await house.orders.request([("OMI-1", "A-1", 1002)], "webhook", priority=0)
    (fetch,) = await house.orders.claim(10)
    assert (fetch.source, fetch.wanted_time) == ("webhook", 1002)
    assert fetch.waited < 60


async def test_a_push_that_the_list_has_told_already_is_no_fetch(house: Any) -> None:
    await known(house)
    await take(house, row(350, 1001))
    for number, (status, updated) in enumerate([(350, 1001), (300, 1000)]):
        body: dict[str, Any] = {"status_id": status, "updated_time": updated, "request_id": f"r-{number}"}
        await house.inbox.add(
            Delivery(
                "order.x",
                "order",
                handled=True,
                order_number="A-1",
                omisell_order_number="OMI-1",
                shop_id=SHOP,
                authorization="token",
                body=b"{}",
                **body,
            )
        )
    await house.inbox.route(SHOP)
    states = [each["state"] for each in await house.sql.fetch("SELECT state FROM omisync.inbox ORDER BY id")]
    assert states == ["known", "known"]
    assert await house.orders.claim(10) == []


async def test_a_push_told_by_the_list_whose_detail_was_given_up_is_owed_again(house: Any) -> None:
    await known(house)
    await take(house, row(500, 1001, first=True))
    await house.sql.execute("DELETE FROM omisync.refreshes")
    await house.inbox.add(
        Delivery(
            "order.shipped",
            "order",
            handled=True,
            request_id="r",
            order_number="A-1",
            omisell_order_number="OMI-1",
            status_id=500,
            updated_time=1001,
            shop_id=SHOP,
            authorization="token",
            body=b"{}",
        )
    )
    await house.inbox.route(SHOP, firsts=(460, 500))
    assert await refresh(house) == (1, "webhook", 1001)


async def test_rows_of_other_shops_and_second_orders_are_passed_over(house: Any) -> None:
    await house.orders.drop(await fetch_of(house, "9"), "ignored")
    await known(house)
    await house.orders.apply(snapshot(await fetch_of(house, "2"), 200, 1000, number="1"))
    assert await take(house, row(500, 1001, "9"), Listed("OMI-2", "A-1", 500, 1001)) == []
    assert await house.orders.differing([row(500, 1001, "9"), Listed("OMI-2", "A-1", 500, 1001)]) == []


async def test_with_a_hook_each_order_is_a_transaction_of_its_own(house: Any) -> None:
    await house.sql.execute(
        """CREATE SCHEMA shop; CREATE TABLE shop.seen (tx xid8, number text);
        CREATE FUNCTION shop.changed(event jsonb) RETURNS void LANGUAGE sql AS $$
            INSERT INTO shop.seen SELECT pg_current_xact_id(), event ->> 'order_number' $$"""
    )
    await known(house, number="1")
    await known(house, number="2")
    orders = Orders(house.database, Hooks(house.database, "shop.changed"))
    now = await house.sql.fetchval("SELECT now()")
    await orders.take_listed([row(number="1"), row(number="2")], now, source="sweep", adopting=True)
    seen = await house.sql.fetch("SELECT tx::text, number FROM shop.seen ORDER BY number")
    assert [each["number"] for each in seen] == ["A-1", "A-2"]
    assert len({each["tx"] for each in seen}) == 2


async def test_an_order_keeps_its_number_here_however_the_detail_writes_it(house: Any) -> None:
    await known(house)
    applied = await house.orders.apply(snapshot(await fetch_of(house), 500, 1001, order_number="a-1"))
    assert (applied.applied, applied.event) == (True, "status")
    assert await house.order("a-1") is None


async def test_a_detail_without_any_time_is_taken_and_owes_nothing(house: Any) -> None:
    await known(house)
    assert (await house.orders.apply(snapshot(await fetch_of(house), 500, None))).event == "status"
    assert await times(house) == (500, at(1000), at(1000))
    assert await house.orders.owe(10) == 0


async def test_details_behind_are_owed_once_and_only_where_nobody_waits_for_them(house: Any) -> None:
    for number in ("1", "2", "3"):
        await known(house, number=number)
    await take(house, row(number="1"), row(number="2"))
    await house.sql.execute("DELETE FROM omisync.refreshes WHERE omisell_order_number = 'OMI-1'")
    assert await house.orders.owe(10) == 1
    assert await house.orders.owe(10) == 0
    assert await refresh(house, "1") == (2, "sweep", 1001)


async def test_a_push_that_waits_and_is_not_confirmed_is_named_with_its_time(house: Any) -> None:
    await known(house, number="1")
    await known(house, number="2")
    for number, wanted in (("1", 1001), ("2", 1000), ("3", 1001)):
        await house.orders.request([(f"OMI-{number}", f"A-{number}", wanted)], "webhook", priority=0)
    (one,) = await house.orders.unconfirmed(10)
    assert (one.omisell_order_number, one.wanted_time) == ("OMI-1", 1001)


async def test_while_the_list_is_read_only_what_it_can_answer_is_left_to_it(house: Any) -> None:
    await known(house, number="1")
    await known(house, number="2")
    for number, wanted in (("1", 1001), ("2", 1000), ("3", 1001)):
        await house.orders.request([(f"OMI-{number}", f"A-{number}", wanted)], "webhook", priority=0)
    claimed = await house.orders.claim(10, owed=False, confirmed=True)
    # 2: the list has told already what its push tells; 3: the list cannot tell of an order that nobody knows here
    assert sorted(each.omisell_order_number for each in claimed) == ["OMI-2", "OMI-3"]
    (left,) = await house.orders.claim(10, owed=False, confirmed=False)
    assert left.omisell_order_number == "OMI-1"
