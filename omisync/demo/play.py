"""What goes on upon the stage: looking, striking, and waiting until all has come to rest."""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Final

import aiohttp

from omisync.demo.live import Gauges, Screen, Snapshot, read_gauges
from omisync.demo.proof import Entry, Verdict, judge
from omisync.demo.shop import DATABASE_AWAY
from omisync.demo.stage import Stage, in_thread
from omisync.demo.trade import Trade
from omisync.demo.trouble import DOWN_SECONDS, Kind, plan, strike

LOOK_SECONDS: Final = 0.5
"""Between two looks at whether all has come to rest."""
METRICS_SECONDS: Final = 1.0
"""The daemon answers within milliseconds, or it is down."""


class Looks:
    """Fetches what the live table shows; what cannot be learned just now stays as it was.

    Args:
        stage: Where to look.
    """

    def __init__(self, stage: Stage) -> None:
        self._stage = stage

    async def __call__(self, before: Snapshot) -> Snapshot:
        """Look once, given what was seen before."""
        counts = before.counts
        with contextlib.suppress(*DATABASE_AWAY):
            counts = await self._stage.shop.counts()
        return replace(before, counts=counts, omisell=await self._stage.omisell.figures(), gauges=await self._gauges())

    async def _gauges(self) -> Gauges:
        with contextlib.suppress(aiohttp.ClientError, TimeoutError, OSError):
            async with self._stage.session.get(
                f"{self._stage.admin_url}/metrics", timeout=aiohttp.ClientTimeout(total=METRICS_SECONDS)
            ) as answer:
                return read_gauges(await answer.text())
        return Gauges()


async def trouble(stage: Stage, seconds: float, screen: Screen) -> None:
    """Kill the daemon and restart Postgres now and then, for so many seconds."""

    async def kill() -> str:
        pid = stage.daemon.pid
        await stage.daemon.kill()
        await asyncio.sleep(DOWN_SECONDS)
        await stage.daemon.start()
        return f"daemon {pid} killed (SIGKILL), and started again as {stage.daemon.pid}"

    async def restart() -> str:
        await in_thread(stage.postgres.restart)
        return "Postgres restarted"

    async def crash() -> str:
        await in_thread(lambda: stage.postgres.restart("immediate"))
        return "Postgres crashed, and recovered"

    hands: Mapping[Kind, Callable[[], Awaitable[str]]] = {"kill": kill, "restart": restart, "crash": crash}
    await strike(plan(seconds), hands, screen.happened, clock=time.monotonic)


async def compare(stage: Stage, *, full: bool = True) -> Verdict:
    """Fetch the three ledgers and judge."""
    applied = await stage.omisell.applied(full=full)
    return judge((Entry.of(row) for row in await stage.shop.ledgers()), applied)


async def settle(stage: Stage, trade: Trade, seconds: float) -> Verdict:
    """Compare again and again until all has come to rest and agrees, at most for so many seconds.

    Raises:
        DemoError: The daemon has ended by itself meanwhile.
    """
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        stage.daemon.check()
        with contextlib.suppress(*DATABASE_AWAY):
            if _at_rest(await compare(stage, full=False), trade):
                verdict = await compare(stage)
                if _at_rest(verdict, trade):
                    return verdict
        await asyncio.sleep(LOOK_SECONDS)
    return await compare(stage)


def _at_rest(verdict: Verdict, trade: Trade) -> bool:
    return verdict.holds and not (verdict.moving or verdict.waiting or trade.to_cancel)
