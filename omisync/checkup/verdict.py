"""What one check has found, and what to do about it."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """How a check ended."""

    OK = "ok"
    WARNING = "warning"
    """The daemon works, but somebody should look at it."""
    FAILED = "failed"
    UNREACHABLE = "unreachable"
    """The database or Omisell does not answer."""
    SKIPPED = "skipped"
    """Not looked at: what it needs is not there, or was not asked for."""


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the doctor's report; never holds a secret.

    Attributes:
        name: what was looked at.
        state: how that ended.
        says: what was found.
        advice: what to do about it; empty where nothing is to be done.
    """

    name: str
    state: State
    says: str
    advice: str = ""


Tell = Callable[[Check], None]
"""Hears of each check as soon as it is made."""

CLOCK_WARNING = 5.0
"""Seconds between two clocks that are worth a word; Omisell tells its own to the second only."""
CLOCK_FAILURE = 60.0
"""Seconds from which the times of orders, tokens and logs cannot be compared any more."""


def clock(name: str, whose: str, ahead: float) -> Check:
    """Judges a clock.

    Args:
        name: the check's.
        whose: the other clock's owner.
        ahead: seconds that this machine's clock is ahead of it.
    """
    off = abs(ahead)
    if off < CLOCK_WARNING:
        return Check(name, State.OK, f"agrees with this machine's within {CLOCK_WARNING:g} s")
    direction = "ahead of" if ahead > 0 else "behind"
    return Check(
        name,
        State.FAILED if off >= CLOCK_FAILURE else State.WARNING,
        f"this machine is {off:.0f} s {direction} {whose}",
        "let both keep time: `timedatectl set-ntp true`, or chrony",
    )
