"""The arithmetic of a leaky bucket, and nothing else: no clock, no waiting, no state that changes.

A bucket is one number besides its shape, the moment at which it will be empty. That is all a shared bucket
would have to keep, and no rounding adds up in it however many calls are counted.
"""

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class LeakyBucket:
    """A leaky bucket as Omisell has it: every call adds one, `leak` a second run out [doc-968943].

    Times are seconds of any one clock that never goes back; levels and sizes are calls.

    Attributes:
        size: how many calls it holds; one more would be refused.
        leak: calls a second that run out.
        empty_at: when it will be empty if nothing is added; in the past if it is empty already.
    """

    size: float
    leak: float
    empty_at: float = float("-inf")

    def __post_init__(self) -> None:
        if self.size < 1 or self.leak <= 0:
            raise ValueError(f"a bucket of {self.size:g} that leaks {self.leak:g} a second lets no call through")

    def level(self, now: float) -> float:
        """How many calls are in it."""
        return max(0.0, self.empty_at - now) * self.leak

    def added(self, calls: float, now: float) -> "LeakyBucket":
        """With so many calls more; fewer if `calls` is negative, as for a call that was not made after all."""
        return replace(self, empty_at=max(self.empty_at, now) + calls / self.leak)

    def at_least(self, level: float, now: float) -> "LeakyBucket":
        """With its level raised to `level`, if it is lower."""
        return replace(self, empty_at=max(self.empty_at, now + level / self.leak))

    def at_most(self, level: float, now: float) -> "LeakyBucket":
        """With its level lowered to `level`, if it is higher."""
        return replace(self, empty_at=min(self.empty_at, now + level / self.leak))

    def resized(self, size: float) -> "LeakyBucket":
        """With another size and the same level."""
        return replace(self, size=size)

    def fits_at(self, calls: float) -> float:
        """The moment from which on so many calls fit in; may be in the past.

        Raises:
            ValueError: it can never hold so many.
        """
        if calls > self.size:
            raise ValueError(f"{calls:g} calls do not fit into a bucket of {self.size:g}")
        return self.empty_at - (self.size - calls) / self.leak
