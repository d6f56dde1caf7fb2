"""How far an import is, kept in the database."""

import json
from collections.abc import AsyncIterator

import asyncpg
import pytest

from omisync.store import Database
from omisync.store.imports import Import, Imports, PageOrder, TakenOver

DAY = 86_400
NOW = 1_790_000_000


@pytest.fixture
async def database(dsn: str) -> AsyncIterator[Database]:
    made = Database(dsn, "omisync", 2)
    yield made
    await made.close()


def order(number: str, *, other: bool = False, time: int = NOW) -> PageOrder:
    return PageOrder(f"O-{number}", number, time, 300, other)


async def page(imports: Imports, entry: Import, *numbers: str, counted: int, ended: bool = False) -> Import:
    return await imports.take_page(entry, [order(one) for one in numbers], counted=counted, unread=0, ended=ended)


async def test_the_same_again_goes_on_where_another_process_left_off(database: Database) -> None:
    first = Imports(database)
    entry = await first.open(90 * DAY, NOW - 90 * DAY, 2)
    assert (entry.next_page, entry.seen, entry.pass_number) == (1, 0, 1)
    entry = await page(first, entry, "A", "B", counted=5)
    second = Imports(database)
    taken = await second.open(90 * DAY, NOW - 90 * DAY + 600, 2)
    assert (taken.id, taken.next_page, taken.seen) == (entry.id, 2, 2)
    assert taken.window_from == NOW - 90 * DAY  # as it was begun
    with pytest.raises(TakenOver):
        await page(first, entry, "C", counted=5)
    with pytest.raises(TakenOver):
        await first.finish(entry)
    assert (await page(second, taken, "B", "C", counted=5)).seen == 3


async def test_pages_of_another_size_are_read_from_the_first_and_what_was_seen_stays(database: Database) -> None:
    imports = Imports(database)
    entry = await page(imports, await imports.open(DAY, NOW, 2), "A", "B", counted=3)
    assert entry.next_page == 2
    again = await Imports(database).open(DAY, NOW, 100)
    assert (again.next_page, again.seen, again.page_size) == (1, 2, 100)


async def test_another_reach_takes_the_place_of_the_unfinished_one(database: Database, dsn: str) -> None:
    imports = Imports(database)
    old = await page(imports, await imports.open(DAY, NOW, 2), "A", counted=1)
    new = await imports.open(2 * DAY, NOW - DAY, 2)
    assert new.id != old.id
    assert new.seen == 0
    connection = await asyncpg.connect(dsn)
    assert await connection.fetchval("SELECT abandoned FROM omisync.imports WHERE id = $1", old.id)
    assert await connection.fetchval("SELECT count(*) FROM omisync.import_orders") == 0
    await connection.close()


async def test_readings_of_the_list_are_counted_and_one_that_shows_nothing_new_is_told(database: Database) -> None:
    imports = Imports(database)
    entry = await imports.open(DAY, NOW, 2)
    entry = await page(imports, entry, "A", "B", counted=0)
    entry = await page(imports, entry, "C", counted=0, ended=True)
    assert (entry.pass_number, entry.next_page, entry.pages, entry.quiet) == (2, 1, 2, False)
    entry = await page(imports, entry, "A", "C", counted=0)
    assert not entry.quiet
    entry = await page(imports, entry, "B", counted=0, ended=True)
    assert entry.quiet
    entry = await imports.again(entry)
    assert (entry.pass_number, entry.next_page, entry.seen) == (1, 1, 3)


async def test_each_order_is_fetched_or_known_or_anothers_or_lost(database: Database, dsn: str) -> None:
    sql = await asyncpg.connect(dsn)
    detail = json.dumps({})
    insert = (
        "INSERT INTO omisync.orders (order_number, omisell_order_number, status_id, omisell_updated_at, detail,"
        " detail_updated_at) VALUES ($1, $2, 300, to_timestamp($3), $4, to_timestamp($3))"
    )
    await sql.execute(insert, "KNOWN", "O-KNOWN", NOW, detail)
    imports = Imports(database)
    entry = await imports.open(DAY, NOW - DAY, 10)
    orders = [order("KNOWN"), order("NEW", time=NOW - 5), order("GONE", time=NOW - 9), order("THEIRS", other=True)]
    entry = await imports.take_page(entry, orders, counted=4, unread=0, ended=True)
    assert (entry.seen, entry.others) == (4, 1)
    entry = await imports.listed(entry)
    entry = await imports.ask(entry, 2)
    assert (entry.known, await imports.asked()) == (1, 1)
    entry = await imports.ask(entry, 2)
    assert await imports.asked() == 2
    wanted = await sql.fetch("SELECT order_number, priority, source FROM omisync.refreshes ORDER BY 1")
    assert [tuple(row) for row in wanted] == [("GONE", 2, "sweep"), ("NEW", 2, "sweep")]
    assert (await imports.settle(entry)).settled == 2
    await sql.execute(insert, "NEW", "O-NEW", NOW - 5, detail)
    await sql.execute("DELETE FROM omisync.refreshes")
    entry = await imports.settle(entry)
    assert (entry.fetched, entry.lost, entry.settled) == (1, 1, 4)
    entry, lost = await imports.finish(entry)
    assert lost == [("O-GONE", "GONE")]
    assert entry.finished_at is not None
    assert await imports.unfinished() is None
    assert await sql.fetchval("SELECT count(*) FROM omisync.import_orders") == 0
    assert await imports.up_to_date(NOW - 1) == 1
    await sql.close()


async def test_what_waits_is_urgent_only_while_a_daemon_lives_that_would_do_it(database: Database, dsn: str) -> None:
    sql = await asyncpg.connect(dsn)
    imports = Imports(database)
    await sql.execute("SELECT omisync.add_order($1)", json.dumps({"order_number": "A-1", "items": [{"sku": "X"}]}))
    assert not await imports.live_waits()
    await sql.execute("INSERT INTO omisync.replicas (id, name, version) VALUES (gen_random_uuid(), 'one', '1')")
    assert await imports.live_waits()
    await sql.execute("INSERT INTO omisync.pauses (kind, paused_by) VALUES ('order.add', 'me')")
    assert not await imports.live_waits()
    await sql.execute(
        "INSERT INTO omisync.refreshes (omisell_order_number, source, priority) VALUES ('O-1', 'sweep', 2)"
    )
    assert not await imports.live_waits()
    await sql.execute("UPDATE omisync.refreshes SET priority = 0")
    assert await imports.live_waits()
    await sql.execute("UPDATE omisync.replicas SET seen_at = now() - interval '1 minute'")
    assert not await imports.live_waits()
    await sql.close()
