"""The leaky bucket that limits calls, exact to the call."""

import math
from collections.abc import Callable


class Bucket:
    """One account's (or shop's) bucket [doc-968943].

    A call adds one; the bucket leaks all the time; a call that would overflow it is turned away and adds
    nothing. A stranger can spend from it too: somebody else's script with the same account.

    Args:
        size: Calls it holds.
        leak_per_minute: Calls that leak out in a minute.
        monotonic: The clock, in seconds.
        stranger: Calls a minute that somebody else makes, at this moment.
    """

    def __init__(
        self,
        size: float,
        leak_per_minute: float,
        monotonic: Callable[[], float],
        stranger: Callable[[], float] = lambda: 0.0,
    ) -> None:
        self.size = size
        self.leak_per_minute = leak_per_minute
        self._monotonic = monotonic
        self._stranger = stranger
        self._level = 0.0
        self._at = monotonic()

    def set_limits(self, size: float, leak_per_minute: float) -> None:
        """Take over other limits from now on."""
        if (size, leak_per_minute) != (self.size, self.leak_per_minute):
            level = self.level
            self.size, self.leak_per_minute = size, leak_per_minute
            self._level = min(level, size)

    @property
    def level(self) -> float:
        """How full it is now, in calls."""
        now = self._monotonic()
        change = (self._stranger() - self.leak_per_minute) / 60 * (now - self._at)
        self._level = min(max(self._level + change, 0.0), self.size)
        self._at = now
        return self._level

    @property
    def used(self) -> int:
        """The fill as the header gives it: whole calls, rounded up."""
        return math.ceil(self.level - 1e-9)

    def take(self) -> bool:
        """Count a call; False if it overflows the bucket and must be turned away."""
        level = self.level
        if level + 1 > self.size + 1e-9:
            return False
        self._level = level + 1
        return True

    def retry_after(self) -> int:
        """Whole seconds until a call would be taken, at least one."""
        over = self.level + 1 - self.size
        leak = max(self.leak_per_minute - self._stranger(), 1e-3) / 60
        return min(max(math.ceil(over / leak - 1e-9), 1), 3600)

    def empty(self) -> None:
        """Forget all calls."""
        self._level = 0.0
        self._at = self._monotonic()
