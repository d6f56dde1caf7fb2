"""The store's parts on a fresh database, and a way to look at its tables."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import asyncpg
import pytest

from omisync.store import Database, Hooks, Inbox, Leases, Orders, Outbox, Sweeps
from omisync.store.operator import Operator


@dataclass
class House:
    """Everything of the store on one database; `sql` is a connection of the test's own."""

    database: Database
    sql: asyncpg.Connection
    dsn: str

    def __post_init__(self) -> None:
        self.hooks = Hooks(self.database)
        self.outbox = Outbox(self.database, self.hooks)
        self.orders = Orders(self.database, self.hooks)
        self.inbox = Inbox(self.database)
        self.leases = Leases(self.database, "0.0")
        self.sweeps = Sweeps(self.database)
        self.operator = Operator(self.database)

    async def add(self, number: str, **more: object) -> int:
        """Enqueues an add as the shop does."""
        payload = {"order_number": number, "items": [{"sku": "TEE-M", "quantity": 1}], **more}
        outbox_id: int = await self.sql.fetchval("SELECT omisync.add_order($1)", json.dumps(payload))
        return outbox_id

    async def cancel(self, number: str, reason: str | None = None) -> int:
        """Enqueues a cancel as the shop does."""
        outbox_id: int = await self.sql.fetchval("SELECT omisync.cancel_order($1, $2)", number, reason)
        return outbox_id

    async def row(self, outbox_id: int) -> dict[str, Any]:
        """A row of the outbox."""
        return dict(await self.sql.fetchrow("SELECT * FROM omisync.outbox WHERE id = $1", outbox_id))

    async def order(self, number: str) -> dict[str, Any] | None:
        """An order."""
        row = await self.sql.fetchrow("SELECT * FROM omisync.orders WHERE order_number = $1", number)
        return None if row is None else dict(row)

    async def events(self, number: str) -> list[tuple[str, int | None, int | None, str]]:
        """What happened to an order: kind, old and new status, source."""
        rows = await self.sql.fetch(
            "SELECT kind, old_status_id, new_status_id, source FROM omisync.order_events"
            " WHERE order_number = $1 ORDER BY id",
            number,
        )
        return [tuple(row) for row in rows]

    async def expire_leases(self) -> None:
        """As if every worker had died long ago."""
        await self.sql.execute("UPDATE omisync.outbox SET lease_until = now() - interval '1 s' WHERE state = 'sending'")
        await self.sql.execute(
            "UPDATE omisync.refreshes SET lease_until = now() - interval '1 s' WHERE lease_token IS NOT NULL"
        )


@pytest.fixture
async def house(dsn: str) -> AsyncIterator[House]:
    """The store on a fresh database."""
    database = Database(dsn)
    sql = await asyncpg.connect(dsn)
    try:
        yield House(database, sql, dsn)
    finally:
        await sql.close()
        await database.close()
