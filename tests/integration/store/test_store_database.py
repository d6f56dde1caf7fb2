"""The way to Postgres: notifications, a fail-over, a pooler in between, a lock that is held, closing by force."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Final

import asyncpg
import pytest

from omisync.store import Database, StoreMisused, StoreUnavailable, migrations
from omisync.store import database as module
from omisync.store.database import host_name, in_our_words
from omisync.store.operator import Operator

SECONDS = 20


@pytest.fixture
async def database(dsn: str) -> AsyncIterator[Database]:
    opened = Database(dsn, name="omisync test")
    yield opened
    await opened.close()


@pytest.fixture
async def sql(dsn: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(dsn)
    yield connection
    await connection.close()


async def listener(sql: asyncpg.Connection) -> int:
    """The process that listens, once there is one."""
    async with asyncio.timeout(SECONDS):
        while True:
            pid: int | None = await sql.fetchval(
                "SELECT pid FROM pg_stat_activity"
                " WHERE datname = current_database() AND state = 'idle' AND query ILIKE 'listen %'"
            )
            if pid is not None:
                return pid
            await asyncio.sleep(0.01)


async def test_a_notification_wakes_until_the_connection_is_lost(database: Database, sql: asyncpg.Connection) -> None:
    woken = asyncio.Event()
    listening = asyncio.create_task(database.listen("omisync_outbox", woken.set))
    pid = await listener(sql)
    await sql.execute("NOTIFY omisync_outbox")
    await asyncio.wait_for(woken.wait(), SECONDS)
    await sql.execute("SELECT pg_terminate_backend($1)", pid)
    await asyncio.wait_for(listening, SECONDS)


async def test_listening_to_a_database_that_is_away_is_unavailable() -> None:
    with pytest.raises(StoreUnavailable, match="the database cannot be used now: "):
        await Database("postgresql://127.0.0.1:9/shop").listen("omisync_outbox", lambda: None)


async def test_after_a_fail_over_the_connections_are_left_for_the_new_primary(
    database: Database, sql: asyncpg.Connection
) -> None:
    name = await sql.fetchval("SELECT current_database()")
    await sql.execute(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
    operator = Operator(database)
    with pytest.raises(StoreUnavailable, match="read-only transaction"):
        await operator.pause(None, None, "an@shop")
    await sql.execute("SET default_transaction_read_only = off")
    await sql.execute(f'ALTER DATABASE "{name}" RESET default_transaction_read_only')
    await operator.pause(None, None, "an@shop")
    assert await sql.fetchval("SELECT count(*) FROM omisync.pauses") == 2


async def test_behind_a_pooler_no_statement_is_kept_prepared(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asyncpg.Connection, "get_server_pid", lambda _: 1)
    await database.value("checkup.clock")
    async with database.connection() as connection:
        await connection.value("checkup.clock")
        assert await connection.raw.fetchval("SELECT count(*) FROM pg_prepared_statements WHERE NOT from_sql") == 0


async def test_a_pooler_that_takes_no_settings_is_noticed_as_well(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect = asyncpg.connect

    async def refusing(*where: Any, **options: Any) -> Any:
        if "plan_cache_mode" in options.get("server_settings", {}):
            raise asyncpg.ProtocolViolationError("unsupported startup parameter: plan_cache_mode")
        return await connect(*where, **options)

    monkeypatch.setattr(asyncpg, "connect", refusing)
    async with database.connection() as connection:
        await connection.value("checkup.clock")
        assert tuple(await connection.raw.fetchrow(SETTINGS)) == ("auto", "on")
        assert await connection.raw.fetchval("SELECT count(*) FROM pg_prepared_statements WHERE NOT from_sql") == 0


PLANS: Final = "SELECT generic_plans FROM pg_prepared_statements WHERE statement = $1"
SETTINGS: Final = "SELECT current_setting('plan_cache_mode'), current_setting('enable_seqscan')"


async def test_a_named_query_is_planned_once_and_by_an_index(database: Database) -> None:
    async with database.connection() as connection:
        for _ in range(3):
            await connection.value("outbox.is_due", kind="order.add")
        query = database.queries["outbox.is_due"]
        assert await connection.raw.fetchval(PLANS, query.text) == 3
        assert tuple(await connection.raw.fetchrow(SETTINGS)) == ("force_generic_plan", "off")


async def test_a_query_that_wants_it_is_planned_for_its_values_alone(database: Database) -> None:
    async with database.connection() as connection:
        for _ in range(3):
            await connection.rows("operator.outbox_list", state="failed", order_number=None, most=5)
        query = database.queries["operator.outbox_list"]
        assert await connection.raw.fetchval(PLANS, query.text) == 0
        assert tuple(await connection.raw.fetchrow(SETTINGS)) == ("force_generic_plan", "off")


async def test_it_may_fail_and_the_settings_are_as_before(database: Database) -> None:
    async with database.transaction() as connection:
        with pytest.raises(asyncpg.DataError):
            await connection.rows("operator.outbox_list", state="failed", order_number=None, most="five")
        assert tuple(await connection.raw.fetchrow(SETTINGS)) == ("force_generic_plan", "off")


async def test_a_plan_that_is_old_is_made_anew(
    database: Database, sql: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    monkeypatch.setattr(module, "PLAN_SECONDS", 0.0)
    async with database.connection() as connection:
        connection.raw.add_query_logger(lambda record: said.append(record.query))
        await connection.value("outbox.is_due", kind="order.add")
    async with database.connection() as connection:
        await connection.value("outbox.is_due", kind="order.add")
    assert said.count("DISCARD PLANS") == 1
    monkeypatch.setattr(module, "PLAN_SECONDS", 3600.0)
    for _ in range(2):
        async with database.connection() as connection:
            await connection.value("outbox.is_due", kind="order.add")
    assert said.count("DISCARD PLANS") == 2


async def test_the_first_users_share_one_pool(database: Database, sql: asyncpg.Connection) -> None:
    opened: list[int] = []
    look = database._behind_a_pooler

    async def counted() -> bool:
        opened.append(1)
        return await look()

    database._behind_a_pooler = counted  # type: ignore[method-assign] # to count
    await asyncio.gather(*(database.value("checkup.clock") for _ in range(4)))
    assert opened == [1]


async def test_closing_does_not_wait_for_ever_for_a_connection_in_use(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CONNECT_TIMEOUT", 0.1)

    async def closed_in_use() -> None:
        async with database.connection() as connection:
            await database.close()
            await connection.value("checkup.clock")

    with pytest.raises(StoreUnavailable):
        await asyncio.wait_for(closed_in_use(), SECONDS)


async def test_what_was_never_opened_is_closed_without_a_word() -> None:
    await Database("postgresql://127.0.0.1:9/shop").close()


async def test_a_plan_does_not_wait_for_ever_for_a_lock(
    dsn: str, sql: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrations, "COMMAND_TIMEOUT", 0.2)
    async with sql.transaction():
        await sql.execute("LOCK TABLE omisync.migrations")
        with pytest.raises(StoreUnavailable, match="the database cannot be used now: TimeoutError"):
            await asyncio.wait_for(migrations.plan(dsn), SECONDS)


def test_an_error_in_our_words_stays_as_it_is() -> None:
    with pytest.raises(StoreMisused, match="a right is missing"), in_our_words():
        raise StoreMisused("a right is missing")


def test_an_error_in_the_data_is_nobodys_outage() -> None:
    with pytest.raises(asyncpg.CheckViolationError), in_our_words():
        raise asyncpg.CheckViolationError("no items")


def test_this_machine_has_a_name() -> None:
    assert host_name()
