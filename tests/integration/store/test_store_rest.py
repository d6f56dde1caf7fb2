"""Hooks, leases, tokens, the sweeps' diary, the operator, migrations, and the way to Postgres itself."""

import asyncio
import datetime as dt
import json
from typing import Any

import asyncpg
import pytest

from omisync.store import Database, Ending, Hooks, Leases, Listed, Orders, Outbox, Reached, TokenRow, TokenTable
from omisync.store.database import CONNECT_TIMEOUT
from omisync.store.errors import SchemaError, StoreMisused, StoreUnavailable
from omisync.store.migrations import Plan, migrate, plan, require_current, shipped
from omisync.store.operator import open_operator
from omisync.store.sql import Queries, in_schema
from omisync.store.tokens import TOKEN_LEASE

HOOK = """
CREATE SCHEMA shop;
CREATE TABLE shop.seen (id serial PRIMARY KEY, event jsonb);
CREATE TABLE shop.trouble (order_number text, what text);
CREATE FUNCTION shop.changed(event jsonb) RETURNS void LANGUAGE plpgsql AS $$
DECLARE wrong text := (SELECT what FROM shop.trouble t WHERE t.order_number = event ->> 'order_number');
BEGIN
    IF wrong = 'raises' THEN RAISE EXCEPTION 'no, %', event ->> 'order_number'; END IF;
    IF wrong = 'slow' THEN PERFORM pg_sleep(30); END IF;
    INSERT INTO shop.seen (event) VALUES (event);
END $$;
"""


ASLEEP = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE wait_event = 'PgSleep')"


async def added(house: Any, outbox: Outbox, number: str) -> None:
    await house.add(number)
    claims = await outbox.claim("order.add", 10)
    for claim in claims:
        assert await outbox.finish(
            Ending(claim, "done", "added", event="added", omisell_order_number=f"OMI-{number}", status_id=200, spent=1)
        )


async def seen(house: Any) -> list[tuple[str, str]]:
    rows = await house.sql.fetch("SELECT event ->> 'order_number', event ->> 'kind' FROM shop.seen ORDER BY id")
    return [tuple(row) for row in rows]


async def cancel_event(house: Any, outbox: Outbox, number: str) -> None:
    await house.cancel(number)
    (claim,) = await outbox.claim("order.cancel", 1)
    await outbox.finish(Ending(claim, "done", "cancelled", event="cancel_requested", spent=1))


async def test_the_hook_sees_each_event_once_with_the_columns_names(house: Any) -> None:
    await house.sql.execute(HOOK)
    await added(house, Outbox(house.database, Hooks(house.database, "shop.changed")), "A-1")
    event = json.loads(await house.sql.fetchval("SELECT event FROM shop.seen"))
    assert (event["order_number"], event["kind"], event["new_status_id"], event["source"]) == (
        "A-1",
        "added",
        200,
        "outbox",
    )
    assert set(event) >= {"id", "omisell_order_number", "old_status_id", "data", "occurred_at", "recorded_at"}


@pytest.mark.parametrize(("what", "why"), [("raises", "P0001: RaiseError"), ("slow", "57014: QueryCanceledError")])
async def test_a_failing_hook_undoes_only_itself_and_is_called_again_in_order(house: Any, what: str, why: str) -> None:
    await house.sql.execute(HOOK)
    await house.sql.execute("INSERT INTO shop.trouble VALUES ('A-1', $1)", what)
    hooks = Hooks(house.database, "shop.changed", timeout=0.1)
    outbox = Outbox(house.database, hooks)
    await added(house, outbox, "A-1")
    assert (await house.order("A-1"))["status_id"] == 200
    await house.sql.execute("DELETE FROM shop.trouble")
    await cancel_event(house, outbox, "A-1")
    await added(house, outbox, "B-1")
    assert await seen(house) == [("B-1", "added")]
    rows = await house.sql.fetch("SELECT attempts, error FROM omisync.hook_calls ORDER BY event_id")
    assert [tuple(row) for row in rows] == [(1, why), (0, None)]
    assert (await house.operator.status()).hooks_waiting == 2
    assert await hooks.retry_due() == 0
    await house.sql.execute("UPDATE omisync.hook_calls SET available_at = now()")
    assert [await hooks.retry_due() for _ in range(2)] == [2, 0]
    assert await seen(house) == [("B-1", "added"), ("A-1", "added"), ("A-1", "cancel_requested")]


async def test_a_slow_call_is_not_overtaken_by_that_of_a_later_event_of_the_order(house: Any) -> None:
    await house.sql.execute(HOOK.replace("IF wrong = 'slow'", "IF event ->> 'kind' = 'cancel_requested'"))
    hooks = Hooks(house.database, "shop.changed", timeout=1.0)
    outbox, orders = Outbox(house.database, hooks), Orders(house.database, hooks)
    await added(house, outbox, "A-1")
    await house.cancel("A-1")
    (claim,) = await outbox.claim("order.cancel", 1)
    slow = asyncio.ensure_future(outbox.finish(Ending(claim, "done", "cancelled", event="cancel_requested")))
    async with asyncio.timeout(10):
        while not await house.sql.fetchval(ASLEEP):  # noqa: ASYNC110 - it happens in the server
            await asyncio.sleep(0.01)
    now = await house.sql.fetchval("SELECT now()")
    listed = Listed("OMI-A-1", "A-1", 700, 2_000_000_000, is_final=True)
    await orders.take_listed([listed], now, source="sweep", adopting=False)
    await slow
    assert await seen(house) == [("A-1", "added")]
    assert await house.sql.fetchval("SELECT count(*) FROM omisync.hook_calls") == 2


async def test_a_retry_that_fails_waits_longer(house: Any) -> None:
    await house.sql.execute(HOOK)
    await house.sql.execute("INSERT INTO shop.trouble VALUES ('A-1', 'raises')")
    hooks = Hooks(house.database, "shop.changed")
    await added(house, Outbox(house.database, hooks), "A-1")
    await house.sql.execute("UPDATE omisync.hook_calls SET available_at = now(), attempts = 20")
    assert await hooks.retry_due() == 0
    wait = await house.sql.fetchval("SELECT extract(epoch FROM available_at - now())::float8 FROM omisync.hook_calls")
    assert 55 < wait <= 60


async def test_a_hook_in_a_deadlock_with_the_shop_is_the_one_that_yields(house: Any) -> None:
    await house.sql.execute(HOOK)
    hooks = Hooks(house.database, "shop.changed")
    outbox = Outbox(house.database, hooks)
    async with house.sql.transaction():
        await house.sql.execute("LOCK TABLE shop.seen IN ACCESS EXCLUSIVE MODE")
        other = await asyncpg.connect(house.dsn)
        await other.execute('SELECT omisync.add_order(\'{"order_number": "A-1", "items": [{}]}\')')
        await other.close()
        (claim,) = await outbox.claim("order.add", 1)
        assert await outbox.finish(
            Ending(claim, "done", "added", event="added", omisell_order_number="OMI-1", status_id=200)
        )
    assert (await house.order("A-1"))["status_id"] == 200
    assert await house.sql.fetchval("SELECT error FROM omisync.hook_calls") == "55P03: LockNotAvailableError"


def test_a_hook_must_be_a_functions_name(house: Any) -> None:
    with pytest.raises(ValueError, match="not the name of a function"):
        Hooks(house.database, "shop.changed(); DROP TABLE x")


async def test_without_a_hook_nothing_is_retried(house: Any) -> None:
    assert await house.hooks.retry_due() == 0


async def test_one_replica_leads_until_it_resigns(house: Any) -> None:
    other = Leases(house.database, "0.0")
    assert await house.leases.lead()
    assert not await other.lead()
    assert await house.leases.lead()
    await house.leases.beat({"budget_used_ratio": 0.25})
    status = await house.operator.status()
    assert (status.leader, status.budget_used_ratio, len(status.replicas)) == (status.replicas[0].name, 0.25, 1)
    await house.leases.resign()
    assert await other.lead()


async def test_a_dead_leader_is_followed_when_its_lease_has_run_out(house: Any) -> None:
    assert await house.leases.lead()
    await house.sql.execute("UPDATE omisync.leases SET until = now() - interval '1 s'")
    assert await Leases(house.database, "0.0").lead()
    assert not await house.leases.lead()


async def test_one_token_for_all_replicas_and_one_holder_at_a_time(house: Any) -> None:
    mine = TokenTable(house.database, house.leases)
    theirs = TokenTable(house.database, Leases(house.database, "0.0"))
    assert await mine.load() is None
    order: list[str] = []

    async def renew(table: TokenTable, name: str) -> None:
        async with table.exclusive():
            order.append(f"{name} in")
            await table.save(TokenRow(name, None, "r", 99, 12.5))
            order.append(f"{name} out")

    await asyncio.gather(renew(mine, "tok-a"), renew(theirs, "tok-b"))
    assert order in (
        ["tok-a in", "tok-a out", "tok-b in", "tok-b out"],
        ["tok-b in", "tok-b out", "tok-a in", "tok-a out"],
    )
    token = await theirs.load()
    assert token == TokenRow(order[-1].split()[0], None, "r", 99, 12.5)
    assert "tok-" not in repr(token)


async def test_a_named_lease_outlasts_itself_while_it_is_held_and_a_dead_holders_ends_soon(house: Any) -> None:
    mine, theirs = Leases(house.database, "0.0"), Leases(house.database, "0.0")
    until = "SELECT until FROM omisync.leases WHERE name = 'token'"
    async with mine.exclusive("token", 0.3):
        first = await house.sql.fetchval(until)
        async with asyncio.timeout(10):
            while await house.sql.fetchval(until) - first < dt.timedelta(seconds=0.5):  # noqa: ASYNC110 - in the server
                await asyncio.sleep(0.02)
        with pytest.raises(StoreUnavailable, match="another replica holds the lease"):
            async with theirs.exclusive("token", 0.3):
                raise AssertionError
    assert await house.sql.fetchval(until) is None
    assert TOKEN_LEASE <= 15


async def test_the_sweeps_go_on_from_the_last_good_one(house: Any) -> None:
    assert await house.sweeps.cursor() is None
    good, _ = await house.sweeps.begin("incremental", 100, 200)
    assert await house.sweeps.cursor() is None
    await house.sweeps.end(good, pages=1, seen=5, repaired=1)
    bad, _ = await house.sweeps.begin("incremental", 150, 300)
    await house.sweeps.end(bad, pages=0, seen=0, repaired=0, error="time-out")
    assert await house.sweeps.cursor() == 200
    assert await house.sweeps.last_full() is None
    whole, _ = await house.sweeps.begin("full", 0, 300)
    await house.sweeps.end(whole, pages=1, seen=5, repaired=0)
    assert 0 <= await house.sweeps.last_full() < 60
    await house.sql.execute("UPDATE omisync.sweeps SET started_at = now() - interval '40 days' WHERE error IS NOT NULL")
    assert await house.sweeps.purge(30 * 86_400, 10) == 1
    runs = (await house.operator.status()).sweeps
    assert [(run.kind, run.seen) for run in runs] == [("full", 5), ("incremental", 5)]


async def failed_row(house: Any, number: str) -> int:
    outbox_id: int = await house.add(number)
    (claim,) = await house.outbox.claim("order.add", 1)
    await house.outbox.finish(Ending(claim, "failed", error="unknown sku", reached=Reached.NO, spent=1))
    return outbox_id


async def test_an_operator_retries_and_discards_and_is_told_what_changed(house: Any) -> None:
    one, two, three = [await failed_row(house, number) for number in ("A", "B", "C")]
    await house.add("C", order_note="mended")
    dry = await house.operator.retry(all_failed=True, dry_run=True, by="anna")
    assert [change.result for change in dry] == [
        "pending again",
        "pending again",
        "left alone: a later row for this order has taken its place",
    ]
    assert (await house.row(one))["state"] == "failed"
    assert [c.result for c in await house.operator.retry([one, 999], by="anna")] == [
        "pending again",
        "there is no such row",
    ]
    row = await house.row(one)
    assert (row["state"], row["attempts"]) == ("pending", 0)
    assert (await house.operator.retry([one], by="anna"))[0].result.startswith("left alone: it is pending")
    assert [c.result for c in await house.operator.discard([two], by="anna")] == ["discarded"]
    assert (await house.operator.discard([two], by="anna"))[0].result.startswith("left alone: it is discarded")
    assert [row.id for row in await house.operator.outbox_list("failed")] == [three]
    audit = await house.sql.fetch("SELECT who, action, subject FROM omisync.audit ORDER BY id")
    assert [tuple(row) for row in audit] == [("anna", "retry", str(one)), ("anna", "discard", str(two))]


async def test_status_counts_the_hot_rows_and_ages(house: Any) -> None:
    await house.add("A")
    await house.operator.pause(None, "stock count", "anna")
    status = await house.operator.status()
    assert status.outbox == {"pending": 1, "sending": 0, "failed": 0}
    assert status.oldest_pending_seconds >= 0
    assert [(pause.kind, pause.reason) for pause in status.pauses] == [
        ("order.add", "stock count"),
        ("order.cancel", "stock count"),
    ]
    assert (status.leader, status.token_expires_seconds, status.schema_version) == (None, None, shipped()[-1].name)


async def test_an_order_is_shown_with_its_timeline_and_only_one_row_shows_its_payload(house: Any) -> None:
    await added(house, house.outbox, "A-1")
    for number in ("A-1", "OMI-A-1"):
        view = await house.operator.order_show(number)
        assert (view.order_number, view.order.status_id, [event["kind"] for event in view.events]) == (
            "A-1",
            200,
            ["added"],
        )
        assert view.outbox[0].payload is None
        assert "TEE-M" in (await house.operator.outbox_show(view.outbox[0].id)).payload
    assert await house.operator.outbox_show(999) is None
    assert await house.operator.order_show("nobody") is None
    await house.add("B-1")
    assert (await house.operator.order_show("B-1")).order is None
    assert [row.order_number for row in await house.operator.orders_list(200, open_only=True)] == ["A-1"]


async def test_the_operators_role_can_do_all_of_that(house: Any) -> None:
    row = await failed_row(house, "A")
    await house.sql.execute("CREATE ROLE op_test LOGIN PASSWORD 'x' IN ROLE omisync_operator")
    try:
        dsn = house.dsn.split("@")
        async with open_operator(f"postgresql://op_test:x@{dsn[1]}") as operator:
            assert (await operator.status()).failed == 1
            assert (await operator.retry([row], by="anna"))[0].result == "pending again"
            assert (await operator.discard([row], by="anna"))[0].result == "discarded"
            await operator.pause("order.add", "x", "anna")
            assert await operator.resume("order.add", "anna") == 1
            assert await operator.request_refresh(["A"], "anna") == 0
    finally:
        await house.sql.execute("DROP OWNED BY op_test; DROP ROLE op_test")


async def test_every_query_of_the_daemon_is_one_that_postgres_understands(house: Any) -> None:
    for name in Queries("omisync"):
        await house.sql.prepare(house.database.queries[name].text)


async def test_migrating_twice_at_once_applies_everything_once(empty_dsn: str) -> None:
    names = [migration.name for migration in shipped()]
    assert await plan(empty_dsn) == Plan(tuple(names))
    with pytest.raises(SchemaError, match="run `omisync migrate`"):
        await require_current(empty_dsn)
    both = await asyncio.gather(migrate(empty_dsn), migrate(empty_dsn))
    assert sorted(both[0] + both[1]) == names
    assert await migrate(empty_dsn) == []
    await require_current(empty_dsn)


async def test_a_schema_of_another_name_stands_beside_the_first(house: Any) -> None:
    await migrate(house.dsn, "second_shop")
    await house.sql.execute('SELECT second_shop.add_order(\'{"order_number": "S-1", "items": [{}]}\')')
    database = Database(house.dsn, "second_shop")
    (claim,) = await Outbox(database, Hooks(database)).claim("order.add", 5)
    assert claim.order_number == "S-1"
    await database.close()
    assert await house.outbox.claim("order.add", 5) == []


async def test_notify_is_installed_and_removed_by_the_setting(house: Any) -> None:
    triggers = "SELECT count(*) FROM pg_trigger WHERE tgname = 'outbox_notify'"
    await migrate(house.dsn, notify=True)
    assert await house.sql.fetchval(triggers) == 1
    await migrate(house.dsn, notify=False)
    assert await house.sql.fetchval(triggers) == 0


async def test_an_edited_or_unknown_migration_is_refused(house: Any) -> None:
    await house.sql.execute("UPDATE omisync.migrations SET checksum = 'x' WHERE version = 1")
    with pytest.raises(SchemaError, match="0001_outbox was applied with another text"):
        await migrate(house.dsn)
    await house.sql.execute("INSERT INTO omisync.migrations VALUES (9999, '9999_future', 'x')")
    with pytest.raises(SchemaError, match="9999_future, which this version does not know"):
        await plan(house.dsn)


def test_a_schemas_name_must_be_plain() -> None:
    with pytest.raises(ValueError, match="not a plain lower-case name"):
        in_schema("omisync.x", 'a"b')


async def test_a_database_that_is_not_there_is_unavailable() -> None:
    database = Database("postgresql://nobody@127.0.0.1:1/none")
    with pytest.raises(StoreUnavailable, match="cannot be used now"):
        await database.rows("operator.pauses")
    await database.close()
    assert CONNECT_TIMEOUT == 5.0


async def test_a_missing_schema_is_misuse_that_names_the_command(empty_dsn: str) -> None:
    database = Database(empty_dsn)
    with pytest.raises(StoreMisused, match="omisync migrate"):
        await database.rows("operator.pauses")
    await database.close()


async def test_a_killed_connection_is_unavailable_once_and_then_replaced(house: Any) -> None:
    await house.operator.status()
    await house.sql.execute(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    for _ in range(3):
        try:
            await house.operator.status()
            break
        except StoreUnavailable:
            continue
    assert (await house.operator.status()).failed == 0
