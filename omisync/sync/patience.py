"""The pace of work that may wait: a share of Omisell's limit, and next to nothing while something urgent waits."""

import asyncio
import math
import time
from collections.abc import Callable

from omisync.omisell import CallClass
from omisync.sync.ports import BudgetView

HANDFUL = 0.25  # seconds of the pace that may be made up for at once


class Pacer:
    """Turns, so many a second, one after another.

    Args:
        ordinary: calls a second.
        slowed: calls a second while something urgent waits.
        clock: seconds, never going back.
    """

    def __init__(self, ordinary: float, slowed: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._rates = {False: ordinary, True: min(slowed, ordinary)}
        self._clock = clock
        self._credit = 1.0
        self._at = clock()
        self._turn = asyncio.Lock()
        self._changed = asyncio.Event()
        self.slowed = False

    @property
    def rate(self) -> float:
        """Calls a second as of now."""
        return self._rates[self.slowed]

    def slow(self, urgent_waits: bool) -> None:
        """Something urgent waits, or does not any more."""
        self._accrue()
        if self.slowed != urgent_waits:
            self.slowed = urgent_waits
            self._changed.set()

    async def turns(self, most: int = 1) -> int:
        """Waits for a turn; returns how many there are, up to `most`, and takes them."""
        async with self._turn:
            while True:
                self._changed.clear()
                self._accrue()
                if self._credit >= 1:
                    taken = min(most, math.floor(self._credit))
                    self._credit -= taken
                    return taken
                try:
                    async with asyncio.timeout((1 - self._credit) / self.rate):
                        await self._changed.wait()
                except TimeoutError:
                    self._accrue()
                    self._credit = max(self._credit, 1.0)  # a timer's rounding is not waited for again

    def give_back(self, turns: int) -> None:
        """Turns that were not used."""
        self._credit += turns

    def _accrue(self) -> None:
        now = self._clock()
        self._credit = min(self._credit + (now - self._at) * self.rate, max(1.0, self.rate * HANDFUL))
        self._at = now


class PacedBudget:
    """The budget, no faster than a pacer lets it.

    Args:
        budget: what is asked once it is our turn.
        pacer: whose turns.
    """

    def __init__(self, budget: BudgetView, pacer: Pacer) -> None:
        self._budget = budget
        self._pacer = pacer

    async def wait_available(self, cls: CallClass) -> int:
        """Waits until a call of the class could start and it is its turn; how many could."""
        free = await self._budget.wait_available(cls)
        self._budget.brings(cls, 0)  # no place is kept while our turn is waited for
        turns = await self._pacer.turns(free)
        free = min(turns, await self._budget.wait_available(cls))
        self._budget.brings(cls, free)  # the other places are not for this turn
        self._pacer.give_back(turns - free)
        return free

    def brings(self, cls: CallClass, calls: int) -> None:
        """All calls that there are come now, fewer than were told."""
        self._budget.brings(cls, calls)
