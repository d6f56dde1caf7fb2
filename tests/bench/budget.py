"""How many orders come out of Omisell's limit: omisync against the guide's own flow, order by order of one run.

Three loads: `steady` (orders come faster than either flow can serve them), `burst` (a sale: all at once, their
lives overlapping), `recovery` (the receiver was away; every push that it missed comes together).
"""

import asyncio
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from omisync.simulator import LifeConfig
from tests.bench.rig import Flow, Limit, Rig, receiver_away, rig
from tests.bench.stranger import Stranger

Load = Literal["steady", "burst", "recovery"]
LOADS: Final[tuple[Load, ...]] = ("steady", "burst", "recovery")

GUIDE_CALLS: Final = 5.0
"""Calls an order of the guide's flow: the add, and a detail for each of created, ready to ship, shipped, completed."""
STEADY_PRESSURE: Final = 2.4
"""Times the guide's capacity at which orders come in the steady load: more than either can carry."""
CANCEL_EVERY: Final = 40
"""One order in so many is cancelled, as soon as Omisell has approved it."""
LOOK_SECONDS: Final = 0.5
TOLD_SECONDS: Final = 0.5
"""A change that was pushed so long ago and is not in our row is work that waits."""
ENOUGH_SECONDS: Final = 1.0
"""Work waits where what waits is as much as the limit lets through in so long: with less nobody can fill it."""
QUIET_SECONDS: Final = 1.0
"""Without a call for so long, a connector has no more to do."""
MOST_MINUTES: Final = 20.0
"""A run that has not come to rest by then is given up, and says so."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one run of one connector measured. Times in seconds."""

    flow: Flow
    load: Load
    orders: int
    seconds: float
    orders_per_minute: float
    calls: int
    calls_per_order: float
    budget_used: float
    throttled: int
    throttled_late: int
    lag_p50: float
    lag_p95: float
    lag_max: float
    cancels: int
    cancel_p50: float
    cancel_p99: float
    different: int
    curve: tuple[tuple[float, int], ...]


@dataclass(slots=True)
class _Watch:
    """What is looked at while a run lasts.

    `used` and `offered` are calls: those that Omisell took while work waited, and those that it would have taken.
    """

    began: float
    curve: list[tuple[float, int]]
    throttled_early: int = 0
    used: float = 0.0
    offered: float = 0.0
    seconds: float = 0.0


def life_of(limit: Limit) -> LifeConfig:
    """An order's life of about 20 s at the scaled limit, in the guide's statuses."""
    factor = 1.0 if limit.scale > 1 else 4.0
    seconds = {200: 1.5, 250: 1.5, 300: 2, 350: 2, 400: 3, 460: 4, 500: 3, 600: 4}
    return LifeConfig(automatic=True, delays={status: each * factor for status, each in seconds.items()}, jitter=0.5)


async def measure(
    flow: Flow, load: Load, limit: Limit, orders: int, *, seed: int, replicas: int = 1, stranger: float = 0.0
) -> Outcome:
    """Run one load through one connector until every order is final, its last detail in our row, and nothing waits.

    The guide's flow has more calls to make when the rows are right already: it cannot know that a push in its queue
    tells nothing new. They are part of what its orders cost, and keep the next ones waiting.

    A stranger, another program of the merchant's, may spend a share of the leak besides.
    """
    async with rig(flow, limit, life_of(limit), seed=seed, replicas=replicas) as this:
        cancels: dict[str, float] = {}
        _cancel_some(this, cancels)
        watch = _Watch(time.monotonic(), [])
        other = Stranger(this, limit, stranger)
        looking = asyncio.create_task(_look(this, watch, orders, limit, other))
        spending = asyncio.create_task(other.spend())
        try:
            if load == "steady":
                await _steadily(this, orders, limit.per_minute / 60 / GUIDE_CALLS * STEADY_PRESSURE)
            elif load == "burst":
                await this.place(orders)
            else:
                await _recovery(this, orders, watch)
            async with asyncio.timeout(MOST_MINUTES * 60):
                await looking
        finally:
            looking.cancel()
            spending.cancel()
        return await _outcome(this, load, orders, watch, cancels, other)


async def _steadily(this: Rig, orders: int, rate: float) -> None:
    began = time.monotonic()
    placed = 0
    while placed < orders:
        due = min(orders, int((time.monotonic() - began) * rate) + 1)
        if due > placed:
            placed += len(await this.place(due - placed))
        await asyncio.sleep(0.1)


async def _recovery(this: Rig, orders: int, watch: _Watch) -> None:
    """The orders are there before the receiver goes away; it comes back when their lives are over.

    Lags and calls are counted from the first order on, the time only from the receiver's return.
    """
    await this.place(orders)
    await _until(lambda: len(this.simulator.orders) >= orders)
    await receiver_away(this, away=True)
    await _until(lambda: len(this.finished()) >= orders)
    watch.began = time.monotonic()
    watch.curve.clear()
    await receiver_away(this, away=False)


async def _until(true: Callable[[], bool]) -> None:
    while not true():  # noqa: ASYNC110 - a measurement, not a test
        await asyncio.sleep(LOOK_SECONDS)


def _cancel_some(this: Rig, cancels: dict[str, float]) -> None:
    """Cancel one order in so many once it is approved; note when the shop committed that."""
    announce = this.simulator.life._announce
    running: set[asyncio.Task[None]] = set()
    seen = 0

    async def cancel(number: str) -> None:
        await this.cancel(number)
        cancels[number] = time.monotonic()

    def heard(order: Any, state: Any, event: str | None) -> None:
        nonlocal seen
        if state.status_id == 300:
            seen += 1
            if seen % CANCEL_EVERY == 0:
                task = asyncio.get_running_loop().create_task(cancel(order.order_number))
                running.add(task)
                task.add_done_callback(running.discard)
        announce(order, state, event)

    this.simulator.life._announce = heard


async def _look(this: Rig, watch: _Watch, orders: int, limit: Limit, other: Stranger) -> None:
    """Until every order is done (final at Omisell, that detail in our row) and no more calls are made for them."""
    calls, quiet_since, before, taken, waited = 0, 0.0, time.monotonic(), 0, False
    enough = ENOUGH_SECONDS * limit.per_minute / 60
    while True:
        await asyncio.sleep(LOOK_SECONDS)
        at = time.monotonic()
        now = at - watch.began
        ledger = this.simulator.ledger
        if now <= 2.0:
            watch.throttled_early = ledger.throttled - other.throttled
        ours, theirs = await this.details(), this.finished()
        done = sum(ours.get(number) == at for number, at in theirs.items())
        watch.curve.append((now, done))
        now_taken = sum(ledger.calls.values()) - ledger.throttled
        waits = this.waiting(ours, TOLD_SECONDS) >= enough
        if before < watch.began:
            # what was before the beginning is not what is measured, but for what had gathered until then
            watch.used, watch.offered = 0.0, limit.size - this.simulator.gate.bucket().used if waits else 0.0
        elif waits and waited:
            watch.used += now_taken - taken
            watch.offered += (at - before) * limit.per_minute / 60
        elif waits:
            watch.offered += limit.size - this.simulator.gate.bucket().used  # what had gathered while nothing waited
        before, taken, waited = at, now_taken, waits
        if (made := sum(ledger.calls.values()) - other.calls) != calls:
            calls, quiet_since = made, now
        if done >= orders and now - quiet_since >= QUIET_SECONDS:
            watch.seconds = quiet_since
            return


async def _outcome(
    this: Rig, load: Load, orders: int, watch: _Watch, cancels: dict[str, float], other: Stranger
) -> Outcome:
    seconds = watch.seconds
    calls = sum(this.simulator.ledger.calls.values()) - other.calls
    throttled = this.simulator.ledger.throttled - other.throttled
    lags = sorted(this.recorder.lags())
    waits = sorted(
        this.recorder.cancelled[number] - at for number, at in cancels.items() if number in this.recorder.cancelled
    )
    details = await this.whole_details()
    different = sum(
        details.get(order.order_number) != this.simulator.detail(order.order_number) for order in this.simulator.orders
    )
    return Outcome(
        flow=this.flow,
        load=load,
        orders=orders,
        seconds=seconds,
        orders_per_minute=_rate(watch.curve, orders) if load == "steady" else orders / seconds * 60,
        calls=calls,
        calls_per_order=calls / orders,
        budget_used=watch.used / watch.offered if watch.offered else float("nan"),
        throttled=throttled,
        throttled_late=throttled - watch.throttled_early,
        lag_p50=_quantile(lags, 0.5),
        lag_p95=_quantile(lags, 0.95),
        lag_max=_quantile(lags, 1.0),
        cancels=len(waits),
        cancel_p50=_quantile(waits, 0.5),
        cancel_p99=_quantile(waits, 0.99),
        different=different,
        curve=tuple(watch.curve),
    )


def _rate(curve: Sequence[tuple[float, int]], orders: int) -> float:
    """Orders a minute between the first tenth and the last: the run-up and the tail say nothing of saturation."""
    first = next(at for at, done in curve if done >= orders * 0.1)
    last = next(at for at, done in curve if done >= orders * 0.9)
    return orders * 0.8 / max(last - first, LOOK_SECONDS) * 60


def _quantile(values: Sequence[float], share: float) -> float:
    if not values:
        return float("nan")
    if len(values) == 1 or share >= 1:
        return values[-1]
    return statistics.quantiles(values, n=1000, method="inclusive")[round(share * 1000) - 1]
