"""The whole check-up, in the order in which one would look for a fault."""

import asyncio

import aiohttp

from omisync.checkup.budget import examine_budget
from omisync.checkup.database import examine_database
from omisync.checkup.lists import NAME as LISTS
from omisync.checkup.lists import examine_lists
from omisync.checkup.omisell import NAMES, examine_omisell
from omisync.checkup.tls import examine_clients, examine_tls
from omisync.checkup.verdict import Check, State, Tell
from omisync.checkup.webhook import (
    LISTENERS,
    examine_admin_listener,
    examine_signature,
    examine_webhook_listener,
)
from omisync.config import Settings
from omisync.omisell import Budget, connect
from omisync.remote import OwnToken, Uncounted, open_database, pool_of, tokens_of
from omisync.store import Database

OMISELL_SECONDS = 300.0
"""For all calls together: each may take a minute, and in a full bucket each waits for its place."""


async def examine(settings: Settings, tell: Tell, *, offline: bool = False) -> None:
    """Looks at everything.

    Args:
        settings: the configuration, which is good, or it would not be here.
        tell: hears of each check as soon as it is made.
        offline: what matters before a start: asks nothing of Omisell, takes a database that is away as one that will
            come, and leaves the listeners to the start: systemd may hold their port, and nobody answers there yet.
    """
    tell(Check("configuration", State.OK, "every key is known, and every value usable"))
    async with open_database(settings) as database:
        status = await examine_database(settings, database, tell, offline=offline)
        if offline:
            for name in NAMES:
                tell(Check(name, State.SKIPPED, "--offline asks nothing of Omisell"))
            used = None
        else:
            used = await _ask_omisell(settings, database, tell, shared=status is not None)
    if status is None:
        tell(Check(LISTS, State.SKIPPED, "needs the schema"))
    else:
        for one in examine_lists(settings.checks, settings.omisell.paths, status.lists):
            tell(one)
    tell(examine_signature(settings.webhook))
    for one in await examine_tls(settings.webhook, asks=not offline):
        tell(one)
    tell(examine_clients(settings.webhook))
    if offline:
        for name in LISTENERS:
            tell(Check(name, State.SKIPPED, "--offline leaves it to the start, which opens it"))
    else:
        running = status is not None and bool(status.replicas)
        tell(await examine_webhook_listener(settings.webhook, running=running))
        tell(await examine_admin_listener(settings.admin.listen, running=running))
    tell(examine_budget(settings.omisell, used))


async def _ask_omisell(settings: Settings, database: Database, tell: Tell, *, shared: bool) -> float | None:
    """Looks at Omisell; returns how full the bucket is then, 0 to 1, if Omisell has answered."""
    tokens = await tokens_of(database) if shared else OwnToken()
    omisell = settings.omisell
    budget = Budget(omisell.bucket_size, omisell.leak_per_minute, pool=pool_of(database, tokens))
    async with aiohttp.ClientSession() as session:
        client = connect(omisell, session=session, token_store=tokens, budget=budget, observer=Uncounted())
        try:
            async with asyncio.timeout(OMISELL_SECONDS):
                answered = await examine_omisell(omisell, client, tell, shared=not isinstance(tokens, OwnToken))
        except TimeoutError:
            says = f"the budget gave no place for a call within {OMISELL_SECONDS:g} s: others use it up"
            tell(
                Check(NAMES[0], State.UNREACHABLE, says, "see `omisync status`; try again when the backlog is smaller")
            )
            return None
        else:
            return budget.used_ratio if answered else None
        finally:
            await budget.close()
