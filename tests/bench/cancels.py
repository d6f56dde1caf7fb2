"""At Omisell's true limit, with a long backlog of adds: how soon does a cancel go out, and is the budget used up?"""

import asyncio
import time
from dataclasses import dataclass
from typing import Final

from omisync.simulator import LifeConfig
from tests.bench.budget import _quantile
from tests.bench.rig import Limit, rig

RUN_SECONDS: Final = 600.0
CANCEL_SECONDS: Final = 6.0
"""One cancel in so many seconds: a hundred in ten minutes."""


@dataclass(frozen=True, slots=True)
class Cancels:
    """What was measured; times in seconds."""

    backlog: int
    seconds: float
    adds: int
    calls: int
    budget_used: float
    throttled: int
    cancels: int
    cancel_p50: float
    cancel_p99: float
    cancel_max: float


async def measure_cancels(limit: Limit, *, backlog: int, short: bool) -> Cancels:
    """Commit the backlog, then cancel an added order every few seconds."""
    run = 20.0 if short else RUN_SECONDS
    async with rig("omisync", limit, LifeConfig(), seed=1) as this:
        began = time.monotonic()
        await this.place(backlog)
        asked: dict[str, float] = {}
        while time.monotonic() - began < run:
            await asyncio.sleep(2.0 if short else CANCEL_SECONDS)
            mapped = await this.mapped()
            free = [order.order_number for order in this.simulator.orders if order.order_number in mapped - set(asked)]
            if free:
                await this.cancel(free[-1])
                asked[free[-1]] = time.monotonic()
        seconds = time.monotonic() - began
        ledger = this.simulator.ledger
        calls, throttled = sum(ledger.calls.values()), ledger.throttled
        adds = sum(ledger.adds_applied.values())
        await asyncio.sleep(3.0)  # the last cancel's turn
        waits = sorted(
            this.recorder.cancelled[number] - at for number, at in asked.items() if number in this.recorder.cancelled
        )
        return Cancels(
            backlog=backlog,
            seconds=seconds,
            adds=adds,
            calls=calls,
            budget_used=min(1.0, calls / (limit.size + limit.per_minute / 60 * seconds)),
            throttled=throttled,
            cancels=len(waits),
            cancel_p50=_quantile(waits, 0.5),
            cancel_p99=_quantile(waits, 0.99),
            cancel_max=_quantile(waits, 1.0),
        )
