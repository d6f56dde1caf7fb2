"""Who may call Omisell next, and when: the queue before the bucket that all calls share."""

import asyncio
import math
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from types import MappingProxyType
from typing import Final

from omisync.omisell.ledger import Flight, Ledger
from omisync.omisell.shares import CallClass

PROMISE: Final = 0.25
"""Seconds for which one place is kept for a class that was told to come; about a claim from the database."""


class Call:
    """A place in the bucket that was given to one call, until that call is over."""

    __slots__ = ("_budget", "_flight")

    def __init__(self, budget: "Budget", flight: Flight) -> None:
        self._budget = budget
        self._flight = flight

    def observe(self, used: int, size: int) -> None:
        """Tell what this call's answer said in `X-Omisell-Api-Call-Limit: used/size`."""
        self._budget.observe(used, size, self._flight)

    def unsent(self) -> None:
        """Give the place back: the call was not made after all."""
        self._budget.land(self._flight, refund=True)


class Budget:
    """Lets calls through as fast as Omisell's bucket takes them, the most urgent class first, FIFO within it.

    Safe to cancel at any await. Nothing polls: one timer stands at the next moment at which somebody can go.

    Args:
        bucket_size: calls the bucket holds, until an answer's header says otherwise.
        leak_per_minute: calls a minute that run out.
        clock: seconds, never going back, at the pace of the event loop's own timers.
    """

    def __init__(self, bucket_size: float, leak_per_minute: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._ledger = Ledger(bucket_size, leak_per_minute / 60)
        self._clock = clock
        self._queues: dict[CallClass, deque[_Waiter]] = {cls: deque() for cls in CallClass}
        self._watchers: dict[CallClass, set[asyncio.Future[int]]] = {cls: set() for cls in CallClass}
        self._promised: dict[CallClass, float] = {}
        self._timer: asyncio.TimerHandle | None = None

    # What callers ask for

    async def acquire(self, cls: CallClass) -> None:
        """Wait for a place in the bucket and take it, for a call that reaches Omisell at once."""
        await self._wait(cls, tracked=False)

    @asynccontextmanager
    async def call(self, cls: CallClass) -> AsyncIterator[Call]:
        """Wait for a place and take it; the call is in flight as long as the block lasts."""
        flight = await self._wait(cls, tracked=True)
        try:
            yield Call(self, flight)
        finally:
            self.land(flight)

    async def wait_available(self, cls: CallClass) -> int:
        """Wait until a call of this class could start, and return how many could; takes nothing.

        Whoever had to wait is kept one place for `PROMISE` seconds: else a less urgent class that is waiting
        already would take every place before this one's work is at hand.
        """
        if free := self._free(cls):
            return free
        watcher: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._watchers[cls].add(watcher)
        self._pump()
        try:
            return await watcher
        finally:
            self._watchers[cls].discard(watcher)
            self._pump()

    # What answers tell

    def observe(self, used: int, size: int, flight: Flight | None = None) -> None:
        """Correct our copy of the bucket, both ways, by an answer's `X-Omisell-Api-Call-Limit: used/size`."""
        self._ledger.observe(used, size, self._clock(), flight)
        self._pump()

    def throttled(self, retry_after: float | None) -> float:
        """Stop all calls for that many seconds: Omisell refused one as too many.

        Returns:
            The seconds to wait; of the budget's own choice if `retry_after` is None.
        """
        wait = self._ledger.throttled(retry_after, self._clock())
        self._pump()
        return wait

    def land(self, flight: Flight, *, refund: bool = False) -> None:
        """The call is over; with `refund` it was not made after all."""
        self._ledger.land(flight, self._clock(), refund=refund)
        self._pump()

    # What is shown

    @property
    def used_ratio(self) -> float:
        """How full the bucket is, 0 to 1."""
        return min(1.0, self._ledger.level(self._clock()) / self._ledger.size)

    @property
    def waiting(self) -> Mapping[CallClass, int]:
        """How many calls of each class wait for a place."""
        return MappingProxyType({cls: len(queue) for cls, queue in self._queues.items()})

    @property
    def blocked_for(self) -> float:
        """Seconds for which nothing goes because Omisell throttled us; 0 if it did not."""
        return max(0.0, self._ledger.blocked_until - self._clock())

    # The queue

    async def _wait(self, cls: CallClass, *, tracked: bool) -> Flight:
        waiter = _Waiter(asyncio.get_running_loop().create_future(), tracked=tracked)
        self._queues[cls].append(waiter)
        self._pump()
        try:
            return await waiter.future
        except asyncio.CancelledError:
            if waiter.future.cancelled():
                with suppress(ValueError):  # dropped from the queue already
                    self._queues[cls].remove(waiter)
                self._pump()
            else:  # the place was given in the same moment in which the caller was cancelled
                self.land(waiter.future.result(), refund=True)
            raise

    def _pump(self) -> None:
        """Let go whoever can, most urgent first, and set the timer for the next one."""
        now = self._clock()
        self._promised = {cls: until for cls, until in self._promised.items() if until > now}
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for cls in CallClass:
            queue = self._queues[cls]
            while queue and self._goes_at(cls, now) <= now:
                if not (waiter := queue.popleft()).future.done():
                    self._promised.pop(cls, None)
                    waiter.future.set_result(self._ledger.take(now, tracked=waiter.tracked))
            if self._watchers[cls] and (free := self._free(cls)):
                for watcher in self._watchers[cls]:
                    if not watcher.done():
                        watcher.set_result(free)
                self._watchers[cls].clear()
                self._promised[cls] = now + PROMISE
            if queue or self._watchers[cls]:
                due = min([self._goes_at(cls, now), *self._promised.values()])
                self._timer = asyncio.get_running_loop().call_later(max(0.0, due - now), self._pump)
                return  # nobody less urgent may pass

    def _goes_at(self, cls: CallClass, now: float) -> float:
        return self._ledger.goes_at(self._kept_for_better(cls, now), now)

    def _free(self, cls: CallClass) -> int:
        """How many calls of this class could go now."""
        now = self._clock()
        if self._goes_at(cls, now) > now or any(self._queues[other] for other in CallClass if other <= cls):
            return 0
        return max(1, math.floor(self._ledger.room(now) - self._kept_for_better(cls, now) + 1e-6))

    def _kept_for_better(self, cls: CallClass, now: float) -> int:
        return sum(1 for other, until in self._promised.items() if other < cls and until > now)


class _Waiter:
    __slots__ = ("future", "tracked")

    def __init__(self, future: "asyncio.Future[Flight]", *, tracked: bool) -> None:
        self.future = future
        self.tracked = tracked
