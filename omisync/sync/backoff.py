"""Exponential backoff with full jitter."""

import random
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Backoff:
    """Delays in seconds that double from `base` up to `cap`, each taken at random below its bound."""

    base: float
    cap: float

    def bound(self, attempts: int) -> float:
        """The longest delay after so many attempts."""
        return min(self.cap, self.base * 2.0 ** min(attempts, 60))

    def delay(self, attempts: int) -> float:
        """A delay after so many attempts: full jitter, but never less than a tenth of the bound."""
        bound = self.bound(attempts)
        return random.uniform(bound / 10, bound)  # noqa: S311 - jitter is no secret
