"""Every named query, explained against large tables: none reads through a table, or through an index, as a whole.

Each is looked at as Postgres plans it for given values, which is how it comes through a connection pooler; and as the
daemon's own connections have it planned, once and for any values.
"""

import datetime as dt
import json
import uuid
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any, Final

import asyncpg
import pytest
import pytest_asyncio

from omisync.store.database import PLANNING
from omisync.store.migrations import migrate
from omisync.store.sql import Queries
from tests.conftest import administer, with_database

QUERIES: Final = Queries("omisync")

LARGE: Final = frozenset({"outbox", "orders", "inbox", "refreshes", "order_events"})
ROWS: Final = 20_000
BACKLOG: Final = 3_000
"""Rows waiting in each of the hot states, and known to Postgres's statistics: what a plan made for none falls over."""

FILLED: Final = """
INSERT INTO omisync.outbox (kind, order_number, payload, state, outcome, finished_at)
SELECT 'order.add', 'N-' || n, jsonb_build_object('order_number', 'N-' || n, 'items', jsonb_build_array(n)),
       CASE WHEN n > :old THEN 'pending' ELSE 'done' END, CASE WHEN n <= :old THEN 'added' END,
       CASE WHEN n <= :old THEN now() END FROM generate_series(1, :rows) AS n;
INSERT INTO omisync.orders (order_number, omisell_order_number, shop_id, status_id, is_final, omisell_updated_at,
                            detail, detail_updated_at, synced_at)
SELECT 'N-' || n, 'OS-' || n, 1, 300, n <= :old, to_timestamp(1760000000 + n), '{}', to_timestamp(1760000000 + n), now()
FROM generate_series(1, :rows) AS n;
INSERT INTO omisync.inbox (dedup_key, event, category, order_number, omisell_order_number, status_id, updated_time,
                           shop_id, authorization_form, state, body)
SELECT md5(n::text)::uuid, 'order.shipped', 'order', 'N-' || n, 'OS-' || n, 460, 1760000000 + n, 1, 'token',
       CASE WHEN n <= :old THEN 'done' WHEN n % 2 = 0 THEN 'new' ELSE 'waiting' END, '{}'
FROM generate_series(1, :rows) AS n;
INSERT INTO omisync.refreshes (omisell_order_number, order_number, source, priority, wanted_at)
SELECT 'OS-' || n, 'N-' || n, 'webhook', n % 3, to_timestamp(1760000000 + n) FROM generate_series(1, :rows) AS n;
INSERT INTO omisync.order_events (order_number, omisell_order_number, kind, new_status_id, source)
SELECT 'N-' || n, 'OS-' || n, 'added', 300, 'outbox' FROM generate_series(1, :rows) AS n;
INSERT INTO omisync.returns (order_number, returned_at) SELECT 'N-' || n, now() FROM generate_series(1, :rows, 20) AS n;
VACUUM ANALYZE
""".replace(":rows", str(ROWS)).replace(":old", str(ROWS - BACKLOG))

THROUGHOUT: Final[Mapping[str, str]] = {
    "checkup.pending_adds": "omisync check, by hand",
    "comparison.changed_since": "omisync reconcile --dry-run, by hand",
    "history.orders_by_the_hour": "the page's history: a window of time, cached by the page",
    "history.pushes_by_the_hour": "the same",
    "history.repairs": "the same",
    "imports.up_to_date": "omisync import --dry-run, by hand",
    "operator.depths": "counts the backlog of fetches, all of which are in the hot table",
    "operator.orders_list": "omisync orders list, by hand",
    "operator.retry": "by hand, of few rows",
    "orders.open_windows": "the daily sweep reads every open order",
    "orders.open_after": "the same",
    "orders.owe": "the daily sweep's own",
}
"""Queries that may read through a table, and why."""


JOINS: Final = frozenset({"Nested Loop", "Hash Join", "Merge Join"})

NAMES: Final = [name for name in QUERIES if name not in THROUGHOUT]

HOT: Final = [name for name in QUERIES if name.partition(".")[0] in {"outbox", "inbox", "refreshes", "orders", "hooks"}]
POOLED: Final[Mapping[str, str]] = {"plan_cache_mode": "force_custom_plan"}
OWN: Final = PLANNING
COMPILED_FROM: Final = 10_000
"""A tenth of jit_above_cost as Postgres ships it, from which on each run is compiled first, which takes a second: so
that a backlog ten times as large is no reason either. The daemon's own connections never do; through a pooler they
are as Postgres ships them."""


def values(query: str, parameter: str) -> Any:
    """A likely value of a parameter."""
    some = range(1, 51)
    now = dt.datetime.now(dt.UTC)
    known: dict[str, Any] = {
        "kind": "order.add",
        "most": 50,
        "since": 1_760_000_000.0,
        "lease_token": uuid.UUID(int=1),
        "lease_tokens": [uuid.UUID(int=1) for _ in some],
        "lease_seconds": 15.0,
        "keep_seconds": 86400.0 * 90,
        "ids": list(some),
        "event_ids": list(some),
        "id": uuid.UUID(int=7) if query.startswith("leases.") else 7,
        "event_id": 7,
        "state": "{}" if query == "leases.beat" else "failed",
        "states": ["done" for _ in some],
        "outcomes": ["added" for _ in some],
        "errors": [None for _ in some],
        "spent": [1 for _ in some],
        "delays": [1.0 for _ in some],
        "retry_delays": [None for _ in some],
        "reached": ["yes" for _ in some],
        "settlings": [False for _ in some],
        "events": ["added" for _ in some],
        "sources": ["outbox" for _ in some],
        "source": "webhook",
        "event_data": ["{}" for _ in some],
        "order_numbers": [f"N-{n}" for n in some],
        "omisell_order_numbers": [f"OS-{n}" for n in some],
        "numbers": [f"N-{n}" for n in some],
        "number": "N-7",
        "order_number": "N-7",
        "omisell_order_number": "OS-7",
        "status_id": 300,
        "status_ids": [300 for _ in some],
        "status_names": ["Approved" for _ in some],
        "finals": [False for _ in some],
        "generations": [1 for _ in some],
        "shop_id": 1,
        "shop_ids": [1 for _ in some],
        "tracking_numbers": ["[]" for _ in some],
        "details": ["{}" for _ in some],
        "parcels": ["[]" for _ in some],
        "fetched_ats": [now for _ in some],
        "read_at": now,
        "dedup_keys": [uuid.UUID(int=n) for n in some],
        "categories": ["order" for _ in some],
        "handled": [True for _ in some],
        "request_ids": [f"R-{n}" for n in some],
        "authorization_forms": ["token" for _ in some],
        "bodies": [b"{}" for _ in some],
        "firsts": [False for _ in some] if query == "orders.take_listed" else [200],
        "omisell_now": 1_760_000_000.0,
        "owed_delay": 60.0,
        "settled": 5.0,
        "owed": False,
        "adopting": True,
        "priority": 0,
        "inbox_state": "ignored",
        "after": "N-7",
        "width": 3600,
        "hours": 24,
        "kinds": ["returned" for _ in some],
        "occurred_ats": [now for _ in some],
        "return_data": ["{}" for _ in some],
        "open_only": True,
        "all_failed": False,
        "error": None,
        "seconds": 1.0,
        "holder": uuid.UUID(int=1),
        "begin": 1_760_000_000,
        "fresh": 60.0,
        "page_size": 100,
        "since_seconds": 86400,
        "window_from": 1_760_000_000,
        "others": [False for _ in some],
        "counted": 50,
        "unread": 0,
        "ended": True,
    }
    if parameter.endswith("_times"):
        return [1_760_000_000 for _ in some]
    return known.get(parameter)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def large(postgres_dsn: str) -> AsyncIterator[asyncpg.Connection]:
    """A database whose tables are large and analysed."""
    name = f"omisync_plans_{uuid.uuid4().hex[:8]}"
    await administer(postgres_dsn, f"CREATE DATABASE {name}")
    dsn = with_database(postgres_dsn, name)
    try:
        await migrate(dsn)
        await administer(dsn, *FILLED.split(";\n"))
        connection = await asyncpg.connect(dsn, timeout=30, command_timeout=30)
        try:
            yield connection
        finally:
            await connection.close(timeout=30)
    finally:
        await administer(postgres_dsn, f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.asyncio(loop_scope="module")
async def test_a_query_reads_no_large_table_as_a_whole(large: asyncpg.Connection, name: str) -> None:
    assert whole_reads(await plan(large, name, POOLED), await total_indexes(large)) == []


@pytest.mark.parametrize("name", [name for name in NAMES if not QUERIES[name].by_values])
@pytest.mark.asyncio(loop_scope="module")
async def test_nor_does_it_if_it_is_planned_for_any_values(large: asyncpg.Connection, name: str) -> None:
    assert whole_reads(await plan(large, name, OWN), await total_indexes(large)) == []


@pytest.mark.parametrize("name", HOT)
@pytest.mark.asyncio(loop_scope="module")
async def test_a_hot_query_is_not_thought_worth_compiling(large: asyncpg.Connection, name: str) -> None:
    assert (await plan(large, name, POOLED))["Total Cost"] < COMPILED_FROM


@pytest.mark.asyncio(loop_scope="module")
async def test_the_guard_sees_a_table_and_an_index_that_are_read_as_a_whole(large: asyncpg.Connection) -> None:
    indexes = await total_indexes(large)
    by_table = await large.fetchval("EXPLAIN (FORMAT JSON) SELECT id FROM omisync.outbox WHERE attempts = 7")
    by_index = await large.fetchval(
        "EXPLAIN (FORMAT JSON) SELECT id FROM omisync.inbox WHERE status_id = 460 ORDER BY id LIMIT 5"
    )
    assert whole_reads(json.loads(by_table)[0]["Plan"], indexes) == ["Seq Scan of outbox"]
    assert whole_reads(json.loads(by_index)[0]["Plan"], indexes) == ["all of inbox_pkey, for a filter"]


@pytest.mark.parametrize("how", [POOLED, OWN], ids=["pooled", "own"])
@pytest.mark.asyncio(loop_scope="module")
async def test_an_ending_is_looked_for_by_its_id_however_few_rows_are_said_to_be_sent(
    large: asyncpg.Connection, how: Mapping[str, str]
) -> None:
    nodes = list(all_nodes(await plan(large, "outbox.finish", how)))
    assert {node["Index Name"] for node in nodes if node.get("Alias") == "o" and "Index Name" in node} == {
        "outbox_pkey"
    }


@pytest.mark.parametrize("name", ["outbox.claim", "due.anything"])
@pytest.mark.parametrize("how", [POOLED, OWN], ids=["pooled", "own"])
@pytest.mark.asyncio(loop_scope="module")
async def test_adds_are_looked_for_from_where_it_is_said_on(
    large: asyncpg.Connection, name: str, how: Mapping[str, str]
) -> None:
    nodes = all_nodes(await plan(large, name, how))
    where = [node["Index Cond"] for node in nodes if node.get("Index Name") == "outbox_due"]
    assert any("available_at >= COALESCE(" in each or "available_at >= '" in each for each in where), where


@pytest.mark.asyncio(loop_scope="module")
async def test_the_depths_are_counted_without_the_archive(large: asyncpg.Connection) -> None:
    found = whole_reads(await plan(large, "operator.depths", {}), await total_indexes(large))
    assert set(found) <= {"Seq Scan of refreshes"}


def test_a_query_that_may_read_through_a_table_is_planned_for_its_values() -> None:
    assert {name for name in THROUGHOUT if not QUERIES[name].by_values} == set()


async def plan(connection: asyncpg.Connection, name: str, how: Mapping[str, str]) -> Mapping[str, Any]:
    """How Postgres would run the query, with these settings."""
    query = QUERIES[name]
    async with connection.transaction():
        for setting, value in how.items():
            await connection.execute(f"SET LOCAL {setting} = {value}")
        if how is OWN:  # as it is kept, for any values: those are null here
            statement = await connection.prepare(query.text)
            nulls = ", ".join("NULL" for _ in query.parameters)
            found = json.loads(
                await connection.fetchval(
                    f"EXPLAIN (FORMAT JSON) EXECUTE {statement.get_name()}" + (f" ({nulls})" if nulls else "")
                )
            )
        else:
            statement = await connection.prepare(query.text)
            found = await statement.explain(*(values(name, parameter) for parameter in query.parameters))
    whole: Mapping[str, Any] = found[0]["Plan"]
    return whole


def all_nodes(node: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The plan's nodes, from the top."""
    yield node
    for child in node.get("Plans", ()):
        yield from all_nodes(child)


async def total_indexes(connection: asyncpg.Connection) -> set[str]:
    """Indexes that hold every row of a large table."""
    rows = await connection.fetch(
        "SELECT i.indexrelid::regclass::text AS name FROM pg_index AS i JOIN pg_class AS t ON t.oid = i.indrelid"
        " WHERE i.indpred IS NULL AND t.relname = ANY($1) AND t.relnamespace = 'omisync'::regnamespace",
        list(LARGE),
    )
    return {row["name"].removeprefix("omisync.") for row in rows}


def whole_reads(node: Mapping[str, Any], total: set[str]) -> list[str]:
    """The places where a plan reads a whole large table, or a whole index of one in search of something."""
    found = []
    if node["Node Type"] == "Seq Scan" and node["Relation Name"] in LARGE:
        found.append(f"Seq Scan of {node['Relation Name']}")
    index = node.get("Index Name")
    if index in total and "Index Cond" not in node and "Filter" in node:
        found.append(f"all of {index}, for a filter")
    if node["Node Type"] in JOINS:
        found += [
            f"all of {child['Index Name']}, for a join"
            for child in node["Plans"]
            if child.get("Index Name") in total and "Index Cond" not in child
        ]
    return found + list(_below(node, total))


def _below(node: Mapping[str, Any], total: set[str]) -> Iterator[str]:
    for child in node.get("Plans", ()):
        yield from whole_reads(child, total)
