"""Omisell for a command that runs once: the daemon's token where there is one, its own where not."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable

import aiohttp

from omisync import __version__
from omisync.config import OmisellSettings, Settings
from omisync.omisell import Budget, OmisellClient, Pickup, SharedPool, Shop, StoredToken, TokenStore, connect
from omisync.store import Database, Hooks, Leases, Orders, StoreError, Sweeps, TokenTable
from omisync.store.bucket import SharedBucket
from omisync.store.comparison import Comparison
from omisync.sync.budget import SharedBudget
from omisync.sync.comparing import Named, duplicates, missing_there, named, parcels_apart
from omisync.sync.sweeper import Sweeper
from omisync.sync.tally import Swept
from omisync.sync.tokens import SharedTokens

POOL = 2
"""Connections of a command: one for work, one for a token that is renewed meanwhile."""


class OwnToken:
    """A token of this process alone, for when no database keeps one."""

    def __init__(self) -> None:
        self._token: StoredToken | None = None

    async def load(self) -> StoredToken | None:
        """What was saved last."""
        return self._token

    async def save(self, token: StoredToken) -> None:
        """Keeps it until the process ends."""
        self._token = token

    @contextlib.asynccontextmanager
    async def exclusive(self) -> AsyncIterator[None]:
        """Nobody else uses it."""
        yield


class Uncounted:
    """Stands where the daemon counts: a command that runs once has nobody who reads its metrics."""

    def request(self, endpoint: str, status: str, seconds: float) -> None:
        """A call was answered."""

    def outbox_done(self, kind: str, outcome: str) -> None:
        """An outbox row has ended well."""

    def sweep_repair(self, kind: str) -> None:
        """A sweep has found a difference."""


@contextlib.asynccontextmanager
async def open_database(settings: Settings) -> AsyncIterator[Database]:
    """The database for the time of the block; it is connected to at the first use."""
    dsn = settings.database.dsn.get_secret_value()
    database = Database(dsn, settings.database.schema, POOL, name="omisync command")
    try:
        yield database
    finally:
        await database.close()


@contextlib.asynccontextmanager
async def open_omisell(
    settings: OmisellSettings, tokens: TokenStore, pool: SharedPool | None = None
) -> AsyncIterator[OmisellClient]:
    """A client for the time of the block.

    Args:
        settings: of the account.
        tokens: where its token is kept.
        pool: the budget shared with the daemon; without it one of its own, corrected by Omisell's header alone.
    """
    budget = Budget(settings.bucket_size, settings.leak_per_minute, pool=pool)
    async with aiohttp.ClientSession() as session:
        try:
            yield connect(settings, session=session, token_store=tokens, budget=budget, observer=Uncounted())
        finally:
            await budget.close()


async def tokens_of(database: Database) -> TokenStore:
    """Where to take the token from: the database if it is there and migrated, else a token of our own.

    A new token might end the daemon's (UNKNOWN in omisell-api.md 2.3), so the shared one goes first.
    """
    table = TokenTable(database, Leases(database, __version__))
    try:
        await table.load()
    except StoreError:
        return OwnToken()
    return SharedTokens(table)


def pool_of(database: Database, tokens: TokenStore) -> SharedPool | None:
    """The budget that is shared with the daemon, where the token is; else None."""
    return None if isinstance(tokens, OwnToken) else SharedBudget(SharedBucket(database))


async def list_shops(settings: Settings) -> list[Shop]:
    """The account's shops.

    Raises:
        OmisellError: they could not be had.
    """
    async with open_database(settings) as database:
        tokens = await tokens_of(database)
        async with open_omisell(settings.omisell, tokens, pool_of(database, tokens)) as omisell:
            return await omisell.shops()


async def list_pickups(settings: Settings) -> list[Pickup]:
    """The account's warehouses.

    Raises:
        OmisellError: they could not be had.
    """
    async with open_database(settings) as database:
        tokens = await tokens_of(database)
        async with open_omisell(settings.omisell, tokens, pool_of(database, tokens)) as omisell:
            return await omisell.pickups()


async def sweep_now(
    settings: Settings, since: float, *, dry_run: bool = False, on_page: Callable[[int, int], None] | None = None
) -> Swept:
    """A sweep over everything that changed in the last `since` seconds.

    The differences are asked for, the daemon fetches them; with `dry_run` they are only returned.

    Raises:
        OmisellError, Incomplete, StoreError: it could not be done.
    """
    async with _open_sweeper(settings) as (_, sweeper, _):
        return await sweeper.manual(since, dry_run=dry_run, on_page=on_page)


async def compare_now(
    settings: Settings, since: float, *, parcels: bool, on_progress: Callable[[int, int], None]
) -> tuple[int, list[Named]]:
    """How many orders changed in the last `since` seconds at Omisell, and every difference to our tables, by name.

    Args:
        settings: the configuration.
        since: seconds.
        parcels: compare the parcels as well, at a call an order.
        on_progress: told how many orders were read, and of how many.

    Raises:
        OmisellError, Incomplete, StoreError: it could not be done.
    """
    async with _open_sweeper(settings) as (omisell, sweeper, database):
        comparison = Comparison(database)
        compared = await sweeper.compare(since, on_page=on_progress)
        found = [named(difference) for difference in compared.differences]
        # whether the list includes the first second of its window is not known
        found += await missing_there(comparison, compared.listed, compared.begin + 1, settings.omisell.shop_id)
        found += duplicates(compared.listed)
        if parcels:
            found += await parcels_apart(omisell, comparison, compared.listed, on_progress)
        return len(compared.listed), found


@contextlib.asynccontextmanager
async def _open_sweeper(settings: Settings) -> AsyncIterator[tuple[OmisellClient, Sweeper, Database]]:
    async with open_database(settings) as database:
        tokens = SharedTokens(TokenTable(database, Leases(database, __version__)))
        await tokens.load()  # without the tables a sweep is of no use: say so before Omisell is asked
        hooks = Hooks(database, settings.hooks.on_change, settings.hooks.timeout)
        async with open_omisell(settings.omisell, tokens, pool_of(database, tokens)) as omisell:
            sweeper = Sweeper(
                omisell,
                Orders(database, hooks),
                Sweeps(database),
                Uncounted(),
                shop_id=settings.omisell.shop_id,
                overlap=settings.reconcile.overlap,
            )
            yield omisell, sweeper, database
