"""What a call to Omisell is for, and whose turn it is: the more urgent first, and nobody starved."""

from collections.abc import Collection
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

AHEAD_OF_CANCELS: Final = 2.0
"""Calls that a class must have been owed to go before a cancel: once what it takes to go before an add.

So one cancel never waits for somebody's share, and a flood of cancels still leaves every class its share.
"""

MOST_OWED: Final = 3.0
"""Calls that a class is owed at most, however long it waited: a share is not saved up for a burst."""

_SLIP: Final = 1e-9
"""Of adding up shares."""


class CallClass(IntEnum):
    """What a call is for; a smaller one goes first [contract, promise 6]."""

    TOKEN = 0
    CANCEL = 1
    ADD = 2
    REFRESH = 3
    SWEEP = 4


CLASSES: Final = tuple(CallClass)
"""To go through them for each call: the enum itself makes a generator each time."""


@dataclass(frozen=True, slots=True)
class Shares:
    """The part of the budget that each class gets at least while it waits; the others use what it leaves.

    Raises:
        ValueError: a share is negative, or nothing is left for tokens and cancels.
    """

    add: float = 0.1
    refresh: float = 0.1
    sweep: float = 0.02

    def __post_init__(self) -> None:
        parts = (self.add, self.refresh, self.sweep)
        if min(parts) < 0 or sum(parts) >= 1:
            raise ValueError("shares are parts of the budget, 0 or more, and less than 1 together")

    def of(self, cls: CallClass) -> float:
        """The least part of the budget for a class; 0 for tokens and cancels, which go first anyway."""
        return {CallClass.ADD: self.add, CallClass.REFRESH: self.refresh, CallClass.SWEEP: self.sweep}.get(cls, 0.0)


class Turns:
    """Counts what each waiting class is owed of its share, call by call, and so needs no clock."""

    def __init__(self, shares: Shares) -> None:
        self._shares = {cls: share for cls in CallClass if (share := shares.of(cls)) > 0}
        self._owed = dict.fromkeys(self._shares, 0.0)

    def order(self, waiting: Collection[CallClass]) -> list[CallClass]:
        """The classes that wait, in the order in which they may go."""
        return sorted(waiting, key=lambda cls: (self._rank(cls), cls))

    def before(self, first: CallClass, other: CallClass) -> bool:
        """Whether the one class goes before the other as things stand."""
        return (self._rank(first), first) < (self._rank(other), other)

    def went(self, cls: CallClass, waiting: Collection[CallClass]) -> None:
        """A call of that class went while these classes waited; its own is taken as one of them."""
        for owed, share in self._shares.items():
            if owed is cls or owed in waiting:
                self._owed[owed] = min(self._owed[owed] + share, MOST_OWED)
        if cls in self._owed:
            self._owed[cls] = max(0.0, self._owed[cls] - 1.0)

    def _rank(self, cls: CallClass) -> float:
        owed = self._owed.get(cls, 0.0) + _SLIP
        if cls is CallClass.TOKEN:
            return 0
        if cls > CallClass.CANCEL and owed >= AHEAD_OF_CANCELS:
            return 1
        if cls is CallClass.CANCEL:
            return 2
        return 3 if owed >= 1 else 4
