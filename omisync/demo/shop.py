"""The sample shop: writes order and outbox row in one transaction, cancels, and reads the states back."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self

import aiosql
import asyncpg

from omisync.demo.errors import DemoError
from omisync.demo.people import Order

LOGIN: Final = "shop_app"
"""The shop's database user; it has the role omisync_app and nothing else of omisync's."""
CHANNEL: Final = "omisync_orders"
STATEMENT_SECONDS: Final = 10.0
"""One statement of the shop: milliseconds, but a restart of Postgres may be in its way."""
PATIENCE_SECONDS: Final = 60.0
"""How long the shop tries to get a transaction through while the database is away."""
AGAIN_SECONDS: Final = 0.1
LOOK_SECONDS: Final = 1.0
"""Without a notification the shop looks for changes this often: a LISTEN may have gone deaf."""

DATABASE_AWAY = (
    OSError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # asyncpg's word for a connection lost while it was cancelling a statement
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,  # no connection is free
    asyncpg.ReadOnlySQLTransactionError,  # the server has become a standby
    asyncpg.TransactionRollbackError,  # a deadlock, of which ours was the victim
)


@dataclass(frozen=True, slots=True)
class Change:
    """A state that the shop has just read back."""

    order_number: str
    status_id: int | None


@dataclass(frozen=True, slots=True)
class Counts:
    """How many of what, at one moment.

    `outbox` by state, `orders` by status id with its name.
    """

    placed: int = 0
    cancelled: int = 0
    annulled: int = 0
    outbox: Mapping[str, int] = field(default_factory=dict)
    orders: Mapping[int, tuple[str, int]] = field(default_factory=dict)


def _statements() -> Any:
    return aiosql.from_path(Path(__file__).with_name("shop.sql"), "asyncpg")


@contextlib.asynccontextmanager
async def _connected(dsn: str) -> AsyncIterator[Any]:
    connection = await asyncpg.connect(dsn, timeout=STATEMENT_SECONDS, command_timeout=STATEMENT_SECONDS)
    try:
        yield connection
    finally:
        await connection.close(timeout=STATEMENT_SECONDS)


async def create_login(admin_dsn: str, login: str, password: str, *, role: str) -> None:
    """Create a database user that has one role and nothing else."""
    sql = _statements()
    async with _connected(admin_dsn) as connection:
        await connection.execute(await sql.create_login(connection, login=login, password=password, role=role))


class Shop:
    """A merchant's application: what its checkout and its back office do in the database.

    The database may go away at any moment. A commit whose answer was lost is looked for before it is
    repeated.
    """

    def __init__(self, pool: "asyncpg.Pool[asyncpg.Record]", dsn: str) -> None:
        self._pool = pool
        self._dsn = dsn
        self._sql = _statements()

    @classmethod
    async def install(cls, admin_dsn: str, password: str) -> None:
        """Create the shop's user and its tables; once, after `omisync migrate` has made the roles."""
        await create_login(admin_dsn, LOGIN, password, role="omisync_app")
        sql = _statements()
        async with _connected(admin_dsn) as connection:
            await sql.create_tables(connection)

    @classmethod
    @contextlib.asynccontextmanager
    async def opened(cls, dsn: str) -> AsyncIterator[Self]:
        """Connect as the shop's own user."""
        pool = await asyncpg.create_pool(
            dsn, min_size=0, max_size=4, timeout=STATEMENT_SECONDS, command_timeout=STATEMENT_SECONDS
        )
        try:
            yield cls(pool, dsn)
        finally:
            pool.terminate()

    async def place(self, order: Order) -> None:
        """Write the order and hand it to omisync, both or neither."""

        async def transaction(connection: Any) -> None:
            customer = order.customer
            customer_id = await self._sql.insert_customer(
                connection,
                fullname=customer.fullname,
                phone=customer.phone,
                email=customer.email,
                address=customer.address,
                subdistrict=customer.place.subdistrict,
                district=customer.place.district,
                province=customer.place.province,
            )
            await self._sql.insert_order(
                connection,
                order_number=order.order_number,
                customer_id=customer_id,
                payment=order.payment,
                shipping_fee=order.shipping_fee,
                note=order.note,
            )
            await self._sql.insert_line(
                connection,
                [
                    {
                        "order_number": order.order_number,
                        "line": line,
                        "sku": item.product.sku,
                        "quantity": item.quantity,
                        "price": item.price,
                    }
                    for line, item in enumerate(order.lines, 1)
                ],
            )
            await self._sql.hand_over(connection, payload=json.dumps(order.payload(), ensure_ascii=False))

        async def written(connection: Any) -> bool:
            return bool(await self._sql.order_exists(connection, order_number=order.order_number))

        await self._commit(transaction, written)

    async def cancel(self, order_number: str, reason: str) -> None:
        """Mark the order cancelled and ask omisync to cancel it, both or neither."""

        async def transaction(connection: Any) -> None:
            await self._sql.mark_cancelled(connection, order_number=order_number)
            await self._sql.call_off(connection, order_number=order_number, reason=reason)

        async def written(connection: Any) -> bool:
            return bool(await self._sql.cancel_exists(connection, order_number=order_number))

        await self._commit(transaction, written)

    async def read_states(self) -> Sequence[Change]:
        """Take over what has changed at Omisell since the last look."""
        rows = await self._read(self._sql.read_states)
        return [Change(row["order_number"], row["status_id"]) for row in rows]

    async def counts(self) -> Counts:
        """Count for the live table."""
        rows = await self._read(self._sql.counts)
        shop = {row["word"]: row["number"] for row in rows if row["what"] == "shop"}
        return Counts(
            placed=shop.get("placed", 0),
            cancelled=shop.get("cancelled", 0),
            annulled=next((row["number"] for row in rows if row["what"] == "annulled"), 0),
            outbox={row["word"]: row["number"] for row in rows if row["what"] == "outbox"},
            orders={row["status_id"] or 0: (row["word"], row["number"]) for row in rows if row["what"] == "orders"},
        )

    async def ledgers(self) -> Sequence[Mapping[str, Any]]:
        """What the shop committed beside what omisync says of it; one row an order number."""
        return [dict(row) for row in await self._read(self._sql.ledgers)]

    async def changes(self) -> AsyncGenerator[Sequence[Change], None]:
        """Read states back for ever: at every notification, and now and then without one."""
        told = asyncio.Event()
        listener: Any = None
        try:
            while True:
                try:
                    if listener is None or listener.is_closed():
                        listener = await asyncpg.connect(self._dsn, timeout=STATEMENT_SECONDS)
                        await listener.add_listener(CHANNEL, lambda *_: told.set())
                    told.clear()  # before looking: what is told meanwhile wakes us again
                    changes = await self.read_states()
                except DATABASE_AWAY:
                    await asyncio.sleep(AGAIN_SECONDS)
                    continue
                if changes:
                    yield changes
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(LOOK_SECONDS):
                        await told.wait()
        finally:
            if listener is not None:
                listener.terminate()

    async def _read(self, query: Callable[[Any], Any]) -> Sequence[Any]:
        async with self._pool.acquire(timeout=STATEMENT_SECONDS) as connection:
            return [row async for row in query(connection)]

    async def _commit(
        self, transaction: Callable[[Any], Awaitable[None]], written: Callable[[Any], Awaitable[bool]]
    ) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        uncertain = False
        while True:
            try:
                async with self._pool.acquire(timeout=STATEMENT_SECONDS) as connection:
                    if uncertain and await written(connection):
                        return
                    uncertain = True
                    async with connection.transaction():
                        await transaction(connection)
            except DATABASE_AWAY as error:
                if time.monotonic() > deadline:
                    raise DemoError(f"the shop's database stayed away for {PATIENCE_SECONDS:.0f} s: {error}") from error
                await asyncio.sleep(AGAIN_SECONDS)
            else:
                return
