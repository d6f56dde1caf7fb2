"""The receiving half on real parts: a database, Omisell's simulator, the client between them."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import asyncpg
import pytest

from omisync.config import OmisellSettings
from omisync.omisell import Budget, OmisellClient, connect, parse_push
from omisync.remote import OwnToken, Uncounted
from omisync.simulator import BucketConfig, ListConfig, Simulator, SimulatorConfig
from omisync.store import Database, Delivery, Hooks, Inbox, Orders, Outbox, Sweeps
from omisync.store.operator import Operator
from omisync.sync.breaker import Breaker
from omisync.sync.refresher import Refresher
from omisync.sync.sweeper import Sweeper

SECONDS = 60.0
"""For what is waited for; it comes in milliseconds, but the machine may be busy."""


@dataclass
class Counted:
    """Counts repairs."""

    repairs: list[str] = field(default_factory=list)

    def outbox_done(self, kind: str, outcome: str) -> None:
        """An outbox row has ended well."""

    def sweep_repair(self, kind: str) -> None:
        self.repairs.append(kind)


@dataclass
class World:
    """Everything that receives; `sql` is a connection of the test's own."""

    database: Database
    sql: asyncpg.Connection
    simulator: Simulator
    omisell: OmisellClient
    budget: Budget

    def __post_init__(self) -> None:
        self.hooks = Hooks(self.database)
        self.inbox = Inbox(self.database)
        self.orders = Orders(self.database, self.hooks)
        self.outbox = Outbox(self.database, self.hooks)
        self.sweeps = Sweeps(self.database)
        self.operator = Operator(self.database)
        self.breaker = Breaker(self.omisell)
        self.counted = Counted()
        self.shop_id = next(self.simulator.account.custom_shops()).shop_id
        self._pushed = 0

    def refresher(self, **more: Any) -> Refresher:
        """A refresher that looks often."""
        options = {"shop_id": self.shop_id, "concurrency": 8, "interval": 0.02, **more}
        return Refresher(self.inbox, self.orders, self.omisell, self.breaker, self.budget, **options)

    def sweeper(self, overlap: float = 600.0) -> Sweeper:
        """A sweeper."""
        return Sweeper(self.omisell, self.orders, self.sweeps, self.counted, shop_id=self.shop_id, overlap=overlap)

    @asynccontextmanager
    async def refreshing(self, **more: Any) -> AsyncIterator[Refresher]:
        """A refresher at work for the time of the block."""
        refresher = self.refresher(**more)
        work = asyncio.create_task(refresher.run(SECONDS))
        try:
            yield refresher
        finally:
            refresher.stop()
            await asyncio.wait_for(work, SECONDS)

    async def settled(self) -> None:
        """Waits until nothing is waited for but what is owed, and pushes are judged."""
        await self.until(
            "SELECT NOT EXISTS (SELECT FROM omisync.refreshes WHERE priority < 2 OR lease_token IS NOT NULL)"
            " AND NOT EXISTS (SELECT FROM omisync.inbox WHERE state = 'new')"
        )

    async def paid(self) -> None:
        """Waits until every detail owed has come."""
        await self.sql.execute("UPDATE omisync.refreshes SET available_at = now() WHERE priority = 2")
        await self.until(
            "SELECT NOT EXISTS (SELECT FROM omisync.refreshes)"
            " AND NOT EXISTS (SELECT FROM omisync.inbox WHERE state IN ('new', 'waiting'))"
        )

    async def until(self, question: str) -> None:
        """Waits until a query answers true."""
        async with asyncio.timeout(SECONDS):
            while not await self.sql.fetchval(question):  # noqa: ASYNC110 - the database tells nobody
                await asyncio.sleep(0.01)

    def pushes(self) -> list[Delivery]:
        """What the simulator has pushed since the last call, as the listener would store it."""
        log = list(self.simulator.pushes)
        fresh, self._pushed = log[self._pushed :], len(log)
        return [delivery(push.body) for push in fresh]

    async def push(self) -> int:
        """Stores what the simulator has pushed since the last call."""
        fresh = self.pushes()
        for each in fresh:
            await self.inbox.add(each)
        return len(fresh)

    async def deliver(self, body: Mapping[str, Any]) -> bool:
        """Stores a push of the test's own making; False for a repeat."""
        return await self.inbox.add(delivery(json.dumps(body).encode()))

    def lose_pushes(self) -> None:
        """What the simulator has pushed never comes."""
        self.pushes()

    def calls(self, endpoint: str = "order.detail") -> int:
        """How many calls of an endpoint the simulator has had."""
        return self.simulator.ledger.calls[endpoint]

    async def order(self, number: str) -> dict[str, Any]:
        """Our row of an order."""
        row = await self.sql.fetchrow("SELECT * FROM omisync.orders WHERE order_number = $1", number)
        return {} if row is None else dict(row)

    async def events(self, number: str) -> list[tuple[Any, ...]]:
        """What happened to an order: kind, old and new status, source."""
        rows = await self.sql.fetch(
            "SELECT kind, old_status_id, new_status_id, source FROM omisync.order_events"
            " WHERE order_number = $1 ORDER BY id",
            number,
        )
        return [tuple(row) for row in rows]

    async def inbox_states(self) -> list[str]:
        """The pushes, in the order in which they came."""
        return [row["state"] for row in await self.sql.fetch("SELECT state FROM omisync.inbox ORDER BY id")]

    async def statuses(self) -> dict[str, int]:
        """Our orders' statuses."""
        rows = await self.sql.fetch("SELECT order_number, status_id FROM omisync.orders")
        return {row["order_number"]: row["status_id"] for row in rows}

    async def differences(self) -> list[str]:
        """Orders of the shop that are not here as they are at Omisell, detail included."""
        rows = await self.sql.fetch("SELECT order_number, status_id, detail::text AS detail FROM omisync.orders")
        ours = {row["order_number"]: (row["status_id"], json.loads(row["detail"] or "null")) for row in rows}
        return [
            order.order_number
            for order in self.simulator.orders
            if order.shop.shop_id == self.shop_id
            and ours.get(order.order_number) != (order.status_id, self.simulator.detail(order.order_number))
        ]


def delivery(body: bytes) -> Delivery:
    """A push as the listener stores it."""
    push = parse_push(body)
    return Delivery(
        event=push.event,
        category=push.category,
        handled=push.handled,
        request_id=push.request_id,
        order_number=push.order_number,
        omisell_order_number=push.omisell_order_number,
        status_id=push.status_id,
        updated_time=push.updated_time,
        shop_id=push.shop_id,
        authorization="token",
        body=body,
    )


@pytest.fixture
async def build(dsn: str) -> AsyncIterator[Any]:
    """Builds worlds: the simulator's options are given, lags and limits are out of the way."""
    async with AsyncExitStack() as stack:

        async def make(**options: Any) -> World:
            quick: Mapping[str, Any] = {"lists": ListConfig(lag=(0, 0)), "bucket": BucketConfig(size=100_000)}
            simulator = Simulator(SimulatorConfig(**{"seed": 7, **quick, **options}))
            await simulator.start()
            stack.push_async_callback(simulator.stop)
            database = Database(dsn)
            stack.push_async_callback(database.close)
            sql = await asyncpg.connect(dsn)
            stack.push_async_callback(sql.close)
            session = await stack.enter_async_context(aiohttp.ClientSession())
            account = simulator.config.account
            settings = OmisellSettings(
                base_url=simulator.url,
                api_key=account.api_key,
                api_secret=account.api_secret,
                seller_id=account.seller_id,
                country=account.country,
                shop_id=next(simulator.account.custom_shops()).shop_id,
                timeout=SECONDS,
            )
            budget = Budget(100_000, 6_000_000)
            omisell = connect(settings, session=session, token_store=OwnToken(), budget=budget, observer=Uncounted())
            await omisell.ping()
            return World(database, sql, simulator, omisell, budget)

        yield make


@pytest.fixture
async def world(build: Any) -> World:
    """One world with the simulator's other options at their defaults."""
    made: World = await build()
    return made
