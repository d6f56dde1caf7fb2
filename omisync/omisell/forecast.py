"""What a backlog will take, and what a limit can carry: arithmetic for people, from numbers given to it."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from omisync.omisell.shares import CallClass, Shares

MINUTES_A_DAY: Final = 1440

FIXED_CALLS_A_DAY: Final = 300
"""Calls a day that no order causes: a page or two for each of 144 sweeps, the daily sweep, tokens."""

SAVED_BY_KNOWING: Final = 1
"""Pushes an order that cost omisync no call of their own: `order.created` answers our own add, which told the same."""


@dataclass(frozen=True, slots=True)
class Clearing:
    """Calls that are to be made, and in how many seconds the last of them is; infinite for "never"."""

    calls: int
    seconds: float

    def __str__(self) -> str:
        if not self.calls:
            return "nothing to do"
        calls = "1 call" if self.calls == 1 else f"{self.calls:,} calls"
        return f"{calls}, {'never clear' if math.isinf(self.seconds) else 'clear in ' + _span(self.seconds)}"


@dataclass(frozen=True, slots=True)
class Forecast:
    """When a backlog is cleared, if nothing is added to it: as a whole, and class by class."""

    total: Clearing
    classes: Mapping[CallClass, Clearing]


def forecast(
    backlog: Mapping[CallClass, int],
    leak_per_minute: float,
    *,
    shares: Shares | None = None,
    room: float = 0.0,
    blocked: float = 0.0,
) -> Forecast:
    """When each class of a backlog will be cleared by the order of service that the budget keeps.

    Args:
        backlog: calls that wait, by class.
        leak_per_minute: calls a minute that Omisell takes; what strangers spend of them left out.
        shares: the least part of the budget for each class; the defaults if None.
        room: calls that fit into the bucket at once.
        blocked: seconds for which nothing goes, because Omisell throttled us.
    """
    shares = shares or Shares()
    left = {cls: float(backlog.get(cls, 0)) for cls in CallClass}
    done = dict.fromkeys(CallClass, 0.0)
    for cls in CallClass:
        at_once = min(left[cls], max(0.0, room))
        left[cls] -= at_once
        room -= at_once
        done[cls] = blocked if backlog.get(cls, 0) > 0 else 0.0
    now = blocked
    while waiting := [cls for cls in CallClass if left[cls] > 1e-9]:
        rates = _rates(waiting, leak_per_minute / 60, shares)
        step = min((left[cls] / rate for cls, rate in rates.items() if rate > 0), default=math.inf)
        now += step
        for cls in waiting:
            left[cls] = 0.0 if math.isinf(step) else left[cls] - rates[cls] * step
            done[cls] = now
    classes = {cls: Clearing(backlog.get(cls, 0), done[cls]) for cls in CallClass}
    total = Clearing(sum(one.calls for one in classes.values()), max(done.values()))
    return Forecast(total, MappingProxyType(classes))


def _rates(waiting: list[CallClass], leak: float, shares: Shares) -> dict[CallClass, float]:
    """Calls a second for each class: its share, and for the most urgent one all that is left besides."""
    rates = {cls: shares.of(cls) * leak for cls in waiting}
    rates[waiting[0]] = leak - sum(rate for cls, rate in rates.items() if cls is not waiting[0])
    return rates


@dataclass(frozen=True, slots=True)
class Capacity:
    """How many orders a day a limit carries, when each causes so many pushes.

    Attributes:
        leak_per_minute: Omisell's limit, calls a minute.
        pushes: that one order causes in its life.
        calls: that omisync makes for one order at most; fewer when it reads in bulk.
        orders: a day.
        orders_by_the_guide: a day, with an add and a fetch for each push.
    """

    leak_per_minute: float
    pushes: int
    calls: float
    orders: int
    orders_by_the_guide: int


def calls_an_order(pushes: int) -> int:
    """Calls that an order costs at most: its add, and a fetch for each push that says something new.

    Also an order that is never pushed again is fetched once, so that its detail is known.
    """
    return 1 + max(1, pushes - SAVED_BY_KNOWING)


def orders_a_day(leak_per_minute: float, calls: float, fixed: float = FIXED_CALLS_A_DAY) -> int:
    """Orders a day that a limit carries if each costs so many calls, with `fixed` calls a day for all else."""
    return max(0, math.floor((leak_per_minute * MINUTES_A_DAY - fixed) / calls))


def capacity(leak_per_minute: float, pushes: int, *, calls: float | None = None) -> Capacity:
    """How many orders a day this limit carries.

    Args:
        leak_per_minute: Omisell's limit, calls a minute.
        pushes: that one order causes.
        calls: that one order costs, where it was measured; else the most that it can cost.
    """
    calls = float(calls_an_order(pushes)) if calls is None else calls
    return Capacity(
        leak_per_minute=leak_per_minute,
        pushes=pushes,
        calls=calls,
        orders=orders_a_day(leak_per_minute, calls),
        orders_by_the_guide=orders_a_day(leak_per_minute, 1 + pushes),
    )


def capacity_table(limits: Iterable[float], pushes: Iterable[int]) -> list[Capacity]:
    """The capacity for every limit (calls a minute) and number of pushes an order, row by row."""
    columns = list(pushes)
    return [capacity(limit, count) for limit in limits for count in columns]


def _span(seconds: float) -> str:
    """A time in the largest unit that still tells: "40 s", "13 min", "2 h 5 min", "3 d 4 h"; never less than it is."""
    if seconds < 90:
        return f"{max(1, math.ceil(seconds))} s"
    minutes = math.ceil(seconds / 60)
    if minutes < 90:
        return f"{minutes} min"
    if minutes < 48 * 60:
        return f"{minutes // 60} h {minutes % 60} min"
    return f"{minutes // MINUTES_A_DAY} d {minutes % MINUTES_A_DAY // 60} h"
