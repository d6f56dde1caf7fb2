"""A backlog that never gets short: orders in bulk, so that what is measured is the daemon and never the shop."""

import asyncio
import contextlib
import json
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import asyncpg

from omisync.demo.people import Order
from omisync.demo.shop import DATABASE_AWAY
from tests.chaos.servers import STATEMENT_SECONDS
from tests.chaos.stage import Stage

WAITING: Final = 2_000
"""Rows that wait at any time: more than is sent in a phase's recovery."""
BATCH: Final = 500
LOOK_SECONDS: Final = 0.5

ENQUEUE: Final = """
    INSERT INTO omisync.outbox (kind, order_number, payload)
    SELECT 'order.add', p ->> 'order_number', p FROM jsonb_array_elements($1::jsonb) AS p
    ON CONFLICT DO NOTHING
"""
DUE: Final = "SELECT count(*) FROM omisync.outbox WHERE state = 'pending'"
UNKNOWN: Final = """
    SELECT count(*) FROM omisync.outbox
    WHERE state = 'pending' AND maybe_sent_at IS NOT NULL
       OR state = 'sending' AND maybe_sent_at < now() - interval '3 s'
"""
"""What a fault leaves: each of these is looked for in Omisell's list, which spends from the same limit. What a worker
has is being looked for if it is older than a first attempt can be."""
LEFT: Final = "SELECT count(*) FROM omisync.outbox WHERE state IN ('pending', 'sending')"


class Backlog:
    """Enqueues.

    Args:
        stage: Whose outbox.
        orders: What is ordered, without end.
    """

    def __init__(self, stage: Stage, orders: Iterator[Order]) -> None:
        self._stage = stage
        self._orders = orders
        self._extra = 0
        self.placed: list[str] = []

    def hurry(self, orders: int) -> None:
        """So many more at the next look, in one transaction."""
        self._extra += orders

    async def keep(self) -> None:
        """Keep it as long as it is, for ever; the database may go away meanwhile."""
        while True:
            with contextlib.suppress(*DATABASE_AWAY, asyncpg.PostgresError):
                async with self._connected() as connection:
                    while True:
                        await self._top_up(connection)
                        await asyncio.sleep(LOOK_SECONDS)
            await asyncio.sleep(LOOK_SECONDS)

    async def _top_up(self, connection: Any) -> None:
        missing = WAITING - await connection.fetchval(DUE)
        while missing > 0 or self._extra:
            many = self._extra or BATCH
            orders = [next(self._orders).payload() for _ in range(many)]
            await self._enqueue(connection, orders)
            self._extra = 0
            missing -= many

    async def _enqueue(self, connection: Any, orders: Sequence[Mapping[str, object]]) -> None:
        """A batch whose commit was not answered is enqueued again: who is there already stays."""
        text = json.dumps(orders, ensure_ascii=False)
        numbers = [str(order["order_number"]) for order in orders]
        try:
            await connection.execute(ENQUEUE, text)
        except (*DATABASE_AWAY, asyncpg.PostgresError):
            while True:
                with contextlib.suppress(*DATABASE_AWAY, asyncpg.PostgresError):
                    async with self._connected() as another:
                        await another.execute(ENQUEUE, text)
                    break
                await asyncio.sleep(LOOK_SECONDS)
            self.placed += numbers
            raise
        self.placed += numbers

    async def worked_off(self, seconds: float) -> bool:
        """Wait until nothing is left; whether it came so far in time."""
        deadline = time.monotonic() + seconds
        async with self._connected() as connection:
            while await connection.fetchval(LEFT):
                if time.monotonic() > deadline:
                    return False
                await asyncio.sleep(LOOK_SECONDS)
        return True

    async def settled(self, seconds: float) -> None:
        """Wait until no outcome is unknown, but no longer than this; the database may be away meanwhile."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            with contextlib.suppress(*DATABASE_AWAY, asyncpg.PostgresError):
                async with self._connected() as connection:
                    if not await connection.fetchval(UNKNOWN):
                        return
            await asyncio.sleep(LOOK_SECONDS)

    async def proof(self) -> Mapping[str, int]:
        """What was placed against what Omisell has: lost and double ones."""
        there = Counter(order.order_number for order in await self._stage.omisell.applied(full=False))
        return {
            "placed": len(self.placed),
            "lost": sum(number not in there for number in self.placed),
            "double": sum(many > 1 for many in there.values()),
        }

    @contextlib.asynccontextmanager
    async def _connected(self) -> Any:
        connection = await asyncpg.connect(
            self._stage.servers.admin_dsn, timeout=STATEMENT_SECONDS, command_timeout=STATEMENT_SECONDS
        )
        try:
            yield connection
        finally:
            connection.terminate()
