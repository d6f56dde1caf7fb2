"""The past as the operator's page shows it, on a real database."""

import datetime as dt
from typing import Any

from omisync.store.history import SHOWN, ByHand, History
from omisync.store.outbox import Ending, Reached

EVENT = (
    "INSERT INTO omisync.order_events (order_number, kind, source, old_status_id, new_status_id, recorded_at)"
    " VALUES ($1, $2, $3, $4, $5, now() - make_interval(secs => $6))"
)
PUSH = (
    "INSERT INTO omisync.inbox (dedup_key, event, category, omisell_order_number, status_id, authorization_form, body,"
    " received_at) VALUES (gen_random_uuid(), 'order.shipped', 'order', $1, 500, 'hmac-body', '{}',"
    " now() - make_interval(secs => $2))"
)
HOUR = 3600.0


THIS_HOUR = "SELECT date_trunc('hour', now(), 'UTC')"


async def test_a_day_has_twenty_four_hours_by_the_clock_the_oldest_first(house: Any) -> None:
    before = await house.sql.fetchval(THIS_HOUR)
    hours = (await History(house.database).last_day()).hours
    assert hours[-1].hour in {before, await house.sql.fetchval(THIS_HOUR)}  # a test may run across the full hour
    assert [hour.hour for hour in hours] == [hours[-1].hour - dt.timedelta(hours=ago) for ago in range(23, -1, -1)]
    assert {(hour.sent, hour.failed, hour.pushes) for hour in hours} == {(0, 0, 0)}


async def test_each_hour_counts_what_went_out_failed_and_was_pushed(house: Any) -> None:
    into = await house.sql.fetchval("SELECT extract(epoch FROM now() - date_trunc('hour', now(), 'UTC'))::float8")
    last = (await house.sql.fetchval(THIS_HOUR)) - dt.timedelta(hours=1)
    for number, kind, ago in (
        ("A", "added", into + 100),
        ("B", "adopted", into + 100),
        ("C", "failed", into + 100),
        ("A", "status", into + 100),
        ("D", "added", into + HOUR + 100),
        ("E", "added", 30 * HOUR),
    ):
        await house.sql.execute(EVENT, number, kind, "outbox", None, 200, ago)
    await house.sql.execute(PUSH, "OMI-1", into + 100)
    await house.sql.execute(PUSH, "OMI-1", 30 * HOUR)
    hours = (await History(house.database).last_day()).hours
    told = {hour.hour: (hour.sent, hour.failed, hour.pushes) for hour in hours if hour.sent}
    assert told == {last: (2, 1, 1), last - dt.timedelta(hours=1): (1, 0, 0)}
    assert sum(hour.pushes for hour in hours) == 1


async def test_the_largest_tables_are_told_with_what_they_take(house: Any) -> None:
    await house.sql.execute(
        "INSERT INTO omisync.order_events (order_number, kind, source)"
        " SELECT 'N' || n, 'added', 'outbox' FROM generate_series(1, 5000) AS n"
    )
    await house.sql.execute("ANALYZE omisync.order_events")
    tables = (await History(house.database).last_day()).tables
    assert (tables[0].name, tables[0].rows, tables[0].dead) == ("order_events", 5000, 0)
    size = await house.sql.fetchval("SELECT pg_total_relation_size('omisync.order_events')")
    assert tables[0].bytes == size
    assert [table.bytes for table in tables] == sorted((table.bytes for table in tables), reverse=True)


async def test_a_table_tells_when_it_was_vacuumed(house: Any) -> None:
    def orders(status: Any) -> Any:
        return next(table for table in status.tables if table.name == "orders")

    assert orders(await house.operator.status(space=True)).clean_since is None
    await house.sql.execute("VACUUM omisync.orders")
    vacuumed = await house.sql.fetchval(
        "SELECT last_vacuum FROM pg_stat_all_tables WHERE relid = 'omisync.orders'::regclass"
    )
    assert orders(await house.operator.status(space=True)).clean_since == vacuumed
    assert list((await house.operator.status()).tables) == []


async def test_what_a_sweep_made_good_is_told_the_newest_first_and_only_of_the_last_day(house: Any) -> None:
    for number, source, ago in (
        ("A", "sweep", 60.0),
        ("B", "sweep", 30.0),
        ("C", "webhook", 1.0),
        ("D", "sweep", 25 * HOUR),
    ):
        await house.sql.execute(EVENT, number, "status", source, 200, 500, ago)
    repairs = (await History(house.database).last_day()).repairs
    assert [(one.order_number, one.kind, one.old_status_id, one.new_status_id) for one in repairs] == [
        ("B", "status", 200, 500),
        ("A", "status", 200, 500),
    ]


async def test_the_last_pushes_come_without_their_bodies_and_no_more_than_are_shown(house: Any) -> None:
    for number in range(SHOWN + 5):
        await house.sql.execute(PUSH, f"OMI-{number}", 1.0)
    pushes = (await History(house.database).latest()).pushes
    assert len(pushes) == SHOWN
    assert (pushes[0].omisell_order_number, pushes[0].authorization_form, pushes[0].state) == (
        f"OMI-{SHOWN + 4}",
        "hmac-body",
        "new",
    )


async def test_what_was_done_by_hand_stands_in_the_list_and_in_the_orders_story(house: Any) -> None:
    row = await house.add("A")
    (claim,) = await house.outbox.claim("order.add", 1)
    await house.outbox.finish(Ending(claim, "failed", error="unknown sku", reached=Reached.NO, spent=1))
    await house.operator.retry([row], by="admin page")
    await house.operator.pause("order.add", "stock count", "anna")
    told = (await house.operator.latest()).by_hand
    assert [(one.who, one.action, one.subject) for one in told] == [
        ("anna", "pause", "order.add"),
        ("admin page", "retry", str(row)),
    ]
    view = await house.operator.order_show("A")
    assert view.by_hand == [ByHand(told[1].at, "admin page", "retry", str(row))]


async def test_status_tells_when_the_last_push_came_and_the_last_sweep_ended_well(house: Any) -> None:
    status = await house.operator.status()
    assert (status.last_push_at, status.last_sweep_at) == (None, None)
    await house.sql.execute(PUSH, "OMI-1", 60.0)
    good, _ = await house.sweeps.begin("incremental", 0, 100)
    await house.sweeps.end(good, pages=1, seen=1, repaired=0)
    bad, _ = await house.sweeps.begin("incremental", 100, 200)
    await house.sweeps.end(bad, pages=0, seen=0, repaired=0, error="time-out")
    await house.sweeps.begin("full", 0, 300)
    status = await house.operator.status()
    ended = await house.sql.fetchval("SELECT finished_at FROM omisync.sweeps WHERE id = $1", good)
    assert status.last_sweep_at == ended
    assert dt.timedelta(seconds=59) < dt.datetime.now(dt.UTC) - status.last_push_at < dt.timedelta(seconds=90)


async def test_a_day_is_found_by_an_index_where_there_are_many(house: Any) -> None:
    await house.sql.execute(
        "INSERT INTO omisync.order_events (order_number, kind, source, recorded_at)"
        " SELECT 'N' || n, 'added', 'outbox', now() - make_interval(mins => 60000 - n)"
        " FROM generate_series(1, 60000) AS n"
    )
    await house.sql.execute("VACUUM ANALYZE omisync.order_events")
    query = house.database.queries["history.orders_by_the_hour"]
    plan = "\n".join(row[0] for row in await house.sql.fetch("EXPLAIN " + query.text, 24))
    assert "order_events_recorded" in plan
