"""The import of the shop's existing orders for a command that runs once: its parts put together."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable

import aiohttp

from omisync import __version__
from omisync.config import Settings
from omisync.omisell import Budget, connect
from omisync.remote import Uncounted, pool_of
from omisync.store import Database, Hooks, Inbox, Leases, Orders, TokenTable
from omisync.store.imports import Imports
from omisync.sync.breaker import Breaker
from omisync.sync.importer import Forecast, Imported, Importer, Progress
from omisync.sync.patience import PacedBudget, Pacer
from omisync.sync.refresher import Refresher
from omisync.sync.tokens import SharedTokens

POOL = 4
"""Connections: details are applied beside the looks at how far it is."""
LOOK_EVERY = 0.1
"""Seconds between looks for a detail that is asked for."""


async def forecast(settings: Settings, since: int, share: float) -> Forecast:
    """What an import would do; it asks Omisell for one page of the list.

    Args:
        settings: the configuration.
        since: seconds that it reaches back.
        share: of Omisell's limit, at most 1.

    Raises:
        OmisellError, StoreError: it cannot be told.
    """
    async with _importer(settings, share) as importer:
        return await importer.forecast(since)


async def import_orders(
    settings: Settings, since: int, share: float, on_progress: Callable[[Progress], None]
) -> Imported:
    """Adopts the orders changed in the last `since` seconds, or goes on with that; see `Importer.run`.

    Raises:
        OmisellError, Incomplete, GaveUp, StoreError, TakenOver: see there.
    """
    async with _importer(settings, share) as importer:
        return await importer.run(since, on_progress)


@contextlib.asynccontextmanager
async def _importer(settings: Settings, share: float) -> AsyncIterator[Importer]:
    account = settings.omisell
    dsn = settings.database.dsn.get_secret_value()
    database = Database(dsn, settings.database.schema, POOL, name="omisync import")
    tokens = SharedTokens(TokenTable(database, Leases(database, __version__)))
    budget = Budget(account.bucket_size, account.leak_per_minute, pool=pool_of(database, tokens))
    limit = account.leak_per_minute / 60
    pacer = Pacer(limit * share, limit * account.shares.sweep)
    try:
        await tokens.load()  # without the tables an import is of no use: say so before Omisell is asked
        async with aiohttp.ClientSession() as session:
            omisell = connect(account, session=session, token_store=tokens, budget=budget, observer=Uncounted())
            breaker = Breaker(omisell)
            refresher = Refresher(
                Inbox(database),
                Orders(database, Hooks(database, settings.hooks.on_change, settings.hooks.timeout)),
                omisell,
                breaker,
                PacedBudget(budget, pacer),
                shop_id=account.shop_id,
                concurrency=settings.outbox.concurrency,
                interval=LOOK_EVERY,
                owed_alone=True,
            )
            yield Importer(
                omisell,
                Imports(database),
                refresher,
                breaker,
                pacer,
                shop_id=account.shop_id,
                page_size=account.page_size,
            )
    finally:
        await budget.close()
        await database.close()
