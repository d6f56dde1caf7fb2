"""The way to Postgres: a pool that survives restarts, named queries, errors in our own words."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import asyncpg
import structlog

from omisync.store.errors import StoreError, StoreMisused, StoreUnavailable
from omisync.store.sql import Queries

CONNECT_TIMEOUT = 5.0  # seconds for one connection to come up
ACQUIRE_TIMEOUT = 5.0  # seconds to wait for a free connection of the pool
COMMAND_TIMEOUT = 15.0  # seconds for one statement of the daemon
IDLE_LIFETIME = 300.0  # seconds after which an unused connection is given back to the server

PLAN_SECONDS = 30.0  # for which a connection keeps its plans
PLANNING = {"plan_cache_mode": "force_generic_plan", "enable_seqscan": "off", "jit": "off"}
"""How the named queries are planned: once in `PLAN_SECONDS`, for whatever they are asked, by an index, not compiled.

Left to itself, Postgres may plan a claim anew each time, which takes longer than the claim; or keep a plan that it made
while a table was empty, and read it through from then on. A query that is better planned for what it is asked says so
in its comment.
"""
BY_VALUES = "SET LOCAL plan_cache_mode = auto; SET LOCAL enable_seqscan = on"
"""For the rest of a transaction, or until `PLANNING_RESET`: as Postgres ships it."""
PLANNING_RESET = "RESET plan_cache_mode; RESET enable_seqscan"

Record = Any  # asyncpg.Record, which ships no types

_GONE = (
    OSError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.OperatorInterventionError,  # shutdowns, cancelled statements
    asyncpg.InsufficientResourcesError,  # too many connections, disk full, out of memory
    asyncpg.TransactionRollbackError,  # deadlocks, serialization: the same statement may succeed
    asyncpg.ReadOnlySQLTransactionError,  # a standby: the pool finds the new primary
    asyncpg.LockNotAvailableError,
    asyncpg.ObjectInUseError,
)
_MISUSED = (
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.InsufficientPrivilegeError,
    asyncpg.UndefinedTableError,
    asyncpg.UndefinedColumnError,
    asyncpg.UndefinedFunctionError,
    asyncpg.InvalidSchemaNameError,
)


@contextlib.contextmanager
def in_our_words() -> Iterator[None]:
    """Turns asyncpg's errors into `StoreUnavailable` (later may be better) and `StoreMisused` (it will not)."""
    try:
        yield
    except StoreError:
        raise
    except _MISUSED as error:
        raise StoreMisused(
            f"the database refuses: {_first_line(error)}; check database.dsn, its rights, and `omisync migrate --plan`"
        ) from error
    except _GONE as error:
        raise StoreUnavailable(f"the database cannot be used now: {_first_line(error)}") from error


def _first_line(error: BaseException) -> str:
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0]


class _Session(asyncpg.Connection):  # type: ignore[misc] # asyncpg ships no types
    """A session with Postgres that knows how long its plans are good for."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._plans_until = asyncio.get_running_loop().time() + PLAN_SECONDS

    async def plan_anew(self) -> None:
        """Forgets plans that are old: they were made for tables as large as they were then."""
        now = asyncio.get_running_loop().time()
        if now >= self._plans_until:
            self._plans_until = now + PLAN_SECONDS
            await self.execute("DISCARD PLANS")


class Connection:
    """One connection (often inside a transaction) that runs named queries."""

    def __init__(self, raw: asyncpg.Connection, queries: Queries) -> None:
        self.raw = raw
        self._queries = queries

    async def rows(self, name: str, /, **values: object) -> list[Record]:
        """All rows of the named query. At most `COMMAND_TIMEOUT` seconds."""
        rows: list[Record] = await self._ask(self.raw.fetch, name, values)
        return rows

    async def row(self, name: str, /, **values: object) -> Record | None:
        """The first row of the named query, or None. At most `COMMAND_TIMEOUT` seconds."""
        return await self._ask(self.raw.fetchrow, name, values)

    async def value(self, name: str, /, **values: object) -> Any:
        """The first column of the first row. At most `COMMAND_TIMEOUT` seconds."""
        return await self._ask(self.raw.fetchval, name, values)

    async def _ask(self, ask: Callable[..., Awaitable[Any]], name: str, values: dict[str, object]) -> Any:
        query = self._queries[name]
        if not query.by_values:
            return await ask(query.text, *query.arguments(values))
        async with self.raw.transaction():
            await self.raw.execute(BY_VALUES)
            found = await ask(query.text, *query.arguments(values))
            await self.raw.execute(PLANNING_RESET)
        return found


class Database:
    """A pool on the merchant's Postgres, opened at the first use and again after every outage.

    Every method raises `StoreUnavailable` or `StoreMisused`; nothing else of asyncpg's but errors in the data itself.
    """

    def __init__(self, dsn: str, schema: str = "omisync", pool_size: int = 8, *, name: str = "omisync") -> None:
        self.dsn = dsn
        self.schema = schema
        self.queries = Queries(schema)
        self._size = pool_size
        self._name = name
        self._pool: asyncpg.Pool | None = None
        self._pooled = False
        self._opening = asyncio.Lock()
        self._log = structlog.get_logger("store")

    async def _opened(self) -> asyncpg.Pool:
        if self._pool is None:
            async with self._opening:
                if self._pool is None:
                    self._pool = await self._open()
        return self._pool

    async def _open(self) -> asyncpg.Pool:
        self._pooled = pooled = await self._behind_a_pooler()
        if pooled:
            self._log.info("a connection pooler is in between: statements are not kept prepared")
        return await asyncpg.create_pool(
            self.dsn,
            min_size=0,
            max_size=self._size,
            timeout=CONNECT_TIMEOUT,
            command_timeout=COMMAND_TIMEOUT,
            max_inactive_connection_lifetime=IDLE_LIFETIME,
            statement_cache_size=0 if pooled else 200,
            server_settings={"application_name": self._name} | ({} if pooled else PLANNING),
            reset=_nothing_to_reset,
            connection_class=_Session,
        )

    async def _behind_a_pooler(self) -> bool:
        # A pooler such as PgBouncer hands out a process id of its own at connecting, not the server's; or takes no
        # settings, where every Postgres takes these.
        try:
            raw = await asyncpg.connect(
                self.dsn, timeout=CONNECT_TIMEOUT, statement_cache_size=0, server_settings=PLANNING
            )
        except asyncpg.ProtocolViolationError:
            return True
        try:
            pid = await raw.fetchval("SELECT pg_backend_pid()", timeout=CONNECT_TIMEOUT)
            return bool(pid != raw.get_server_pid())
        finally:
            await raw.close(timeout=CONNECT_TIMEOUT)

    @contextlib.asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """A connection of the pool. Waits at most `ACQUIRE_TIMEOUT` plus `CONNECT_TIMEOUT` seconds."""
        with in_our_words():
            pool = await self._opened()
            async with pool.acquire(timeout=ACQUIRE_TIMEOUT + CONNECT_TIMEOUT) as raw:
                try:
                    if not self._pooled:
                        await raw.plan_anew()
                    yield Connection(raw, self.queries)
                except asyncpg.ReadOnlySQLTransactionError:
                    # a fail-over has made this server a standby: leave it for the new primary
                    await pool.expire_connections()
                    raise

    @contextlib.asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """A connection inside a transaction, committed at the end of the block."""
        async with self.connection() as connection, connection.raw.transaction():
            yield connection

    async def rows(self, name: str, /, **values: object) -> list[Record]:
        """All rows of the named query, in a transaction of its own."""
        async with self.connection() as connection:
            return await connection.rows(name, **values)

    async def row(self, name: str, /, **values: object) -> Record | None:
        """The first row of the named query, in a transaction of its own."""
        async with self.connection() as connection:
            return await connection.row(name, **values)

    async def value(self, name: str, /, **values: object) -> Any:
        """The first value of the named query, in a transaction of its own."""
        async with self.connection() as connection:
            return await connection.value(name, **values)

    async def listen(self, channel: str, wake: Callable[[], None]) -> None:
        """Calls `wake` for each notification, until the connection is lost or the caller is cancelled.

        A connection can go deaf without an error, so this only shortens a wait; polling is the truth.
        """
        lost = asyncio.Event()
        with in_our_words():
            raw = await asyncpg.connect(self.dsn, timeout=CONNECT_TIMEOUT, statement_cache_size=0)
            try:
                raw.add_termination_listener(lambda _: lost.set())
                await raw.add_listener(channel, lambda *_: wake())
                await lost.wait()
            finally:
                raw.terminate()

    async def close(self) -> None:
        """Closes every connection, by force after `CONNECT_TIMEOUT` seconds."""
        pool, self._pool = self._pool, None
        if pool is None:
            return
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT):
                await pool.close()
        except (TimeoutError, *_GONE):
            pool.terminate()


async def _nothing_to_reset(_: asyncpg.Connection) -> None:
    """The daemon keeps no state in a session outside its transactions, so a round trip to reset it is saved."""


def host_name() -> str:
    """This machine's name, for people who look at replicas."""
    return socket.gethostname()
