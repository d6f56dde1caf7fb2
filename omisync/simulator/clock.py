"""Time as the simulator sees it: the machine's, or one that a test moves by hand."""

import asyncio
import heapq
import itertools
import time
from collections.abc import Callable
from typing import Protocol


class Cancellable(Protocol):
    """Something arranged for later that can still be called off."""

    def cancel(self) -> None:
        """Call it off; harmless when it has happened already."""
        ...


class Clock(Protocol):
    """Where the simulator takes all time from."""

    def time(self) -> float:
        """Unix seconds, as Omisell's own clock shows them."""
        ...

    def monotonic(self) -> float:
        """Seconds that only go forward."""
        ...

    def call_later(self, delay: float, callback: Callable[[], object]) -> Cancellable:
        """Call back after `delay` seconds, from the event loop."""
        ...


class SystemClock:
    """The machine's clock.

    Args:
        offset: Seconds that Omisell's clock is ahead of the machine's; negative when behind.
    """

    def __init__(self, offset: float = 0.0) -> None:
        self.offset = offset

    def time(self) -> float:
        """Unix seconds, shifted by the offset."""
        return time.time() + self.offset

    def monotonic(self) -> float:
        """The machine's monotonic seconds."""
        return time.monotonic()

    def call_later(self, delay: float, callback: Callable[[], object]) -> Cancellable:
        """Arrange a call with the running event loop."""
        return asyncio.get_running_loop().call_later(delay, callback)


class _Timer:
    __slots__ = ("callback",)

    def __init__(self, callback: Callable[[], object]) -> None:
        self.callback: Callable[[], object] | None = callback

    def cancel(self) -> None:
        self.callback = None


class ManualClock:
    """A clock that stands still until `advance` is called; for tests.

    Args:
        start: Unix seconds at the beginning.
    """

    def __init__(self, start: float = 1_790_000_000.0) -> None:
        self._start = start
        self._elapsed = 0.0
        self._timers: list[tuple[float, int, _Timer]] = []
        self._order = itertools.count()

    def time(self) -> float:
        """Unix seconds."""
        return self._start + self._elapsed

    def monotonic(self) -> float:
        """Seconds since the clock was made."""
        return self._elapsed

    def call_later(self, delay: float, callback: Callable[[], object]) -> Cancellable:
        """Call back once the clock was advanced so far."""
        timer = _Timer(callback)
        heapq.heappush(self._timers, (self._elapsed + max(delay, 0.0), next(self._order), timer))
        return timer

    def advance(self, seconds: float) -> None:
        """Move on, calling back what falls due on the way, in order, each at its own time."""
        until = self._elapsed + seconds
        while self._timers and self._timers[0][0] <= until:
            due, _, timer = heapq.heappop(self._timers)
            self._elapsed = max(self._elapsed, due)
            if timer.callback is not None:
                timer.callback()
        self._elapsed = until

    def step(self, seconds: float) -> None:
        """Set the wall clock forward or back, as an administrator would; nothing falls due."""
        self._start += seconds

    @property
    def next_due(self) -> float | None:
        """Seconds until the next call, if one is arranged."""
        waiting = [due for due, _, timer in self._timers if timer.callback is not None]
        return min(waiting) - self._elapsed if waiting else None


async def sleep(clock: Clock, seconds: float) -> None:
    """Wait by that clock."""
    if seconds <= 0:
        return
    waiter = asyncio.get_running_loop().create_future()

    def wake() -> None:
        if not waiter.done():
            waiter.set_result(None)

    timer = clock.call_later(seconds, wake)
    try:
        await waiter
    finally:
        timer.cancel()
