"""The bucket that all replicas of an account share: one small state, and what a replica's report does to it.

Only arithmetic: where the state is kept, and by whose clock, is the business of who calls `settle`. The state
counts a call when it is granted, before it is made, so it never shows less than Omisell's own bucket holds of
our calls; what strangers put into it is learned from the headers that replicas report.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final, Protocol, TypeVar

from omisync.omisell.ledger import MAX_SLACK

HOLDER_LIFE: Final = 12.0
"""Seconds after its last report at which a replica is taken for dead, and its calls for made or never made.

Until then its calls hold their places, so a replica that is killed again and again must not hold many.
"""

FRESH: Final = 15.0
"""Seconds since the last header within which a surprising one tells of a stranger, not of our own long silence."""

SPARE: Final = 0.03
"""Part of the bucket that is never filled: headers are whole numbers, and a moment old."""

LEARNING: Final = 0.5
"""Time in which a stranger's pace is learned, as part of the time in which a full bucket runs empty."""

UNSURE: Final = 0.1
"""Part of the bucket that is kept free besides at the beginning, until it is known whether there are strangers."""

MAX_DRIFT: Final = 0.5
"""Part of the leak that a stranger is taken to spend at most; of more every header tells anyway."""

MAX_FLOOR: Final = 0.75
"""Part of the bucket that calls in flight hold at most, so that slow answers never stop all others."""

SLACK_HALF_LIFE: Final = 180.0
"""Seconds in which the places kept free for a stranger become half as many, if none is seen to need them."""

NO_DRIFT: Final = 0.01
"""Part of the leak up to which a stranger's pace is taken for an error of measurement."""

HANDFUL: Final = 1 / 8
"""Part of the bucket that is asked for at once at most, so that no replica holds much of it."""

T = TypeVar("T")


class PoolAway(Exception):
    """The shared state cannot be reached now."""


@dataclass(frozen=True, slots=True)
class Holder:
    """One replica, as the others see it.

    Attributes:
        held: calls that were granted to it and are neither over nor given back.
        urgent: tokens and cancels that wait there for a place.
        until: when it is forgotten, unless it reports again.
    """

    held: int
    urgent: int
    until: float


@dataclass(frozen=True, slots=True)
class Pool:
    """The shared state. Times in seconds of the one clock that all replicas share.

    Attributes:
        at: when it was as it is here.
        level: calls in the bucket then.
        drift: calls a second that strangers add, as learned from headers.
        granted: calls that were granted to anybody, ever.
        slack: places kept free for a stranger's calls, at `slack_at`.
        heard_at: when a header was last reported.
        blocked_until: nobody calls before; Omisell said so.
        holders: the replicas by their names.
    """

    at: float
    level: float
    drift: float
    granted: int
    slack: float
    slack_at: float
    heard_at: float
    blocked_until: float
    holders: Mapping[str, Holder]


class SharedPool(Protocol):
    """Where the state is kept for all replicas."""

    async def settle(self, work: Callable[[Pool, float], tuple[Pool, T]]) -> T:
        """Put what `work` makes of the state and of the time now in its place, as if nobody else were there.

        Raises:
            PoolAway: it cannot be reached.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a replica tells, and what it asks for.

    Attributes:
        replica: its name.
        size: calls that the bucket holds, as the replica knows.
        leak: calls a second that run out.
        held: calls granted to it before that are neither over nor given back.
        unused: calls given back with this.
        owed: calls it made on its own while the state was away.
        want: calls it asks for.
        urgent: tokens and cancels among these.
        least: what a header says is in the bucket now at least.
        most: what a header says is in it now at most, but for calls that it may have missed.
        counted: of the calls ever granted, how many that header surely did not miss.
        blocked: seconds for which Omisell said that nobody calls.
        leaving: whether this replica ends.
    """

    replica: str
    size: float
    leak: float
    held: int = 0
    unused: int = 0
    owed: int = 0
    want: int = 0
    urgent: int = 0
    least: float | None = None
    most: float | None = None
    counted: int = 0
    blocked: float | None = None
    leaving: bool = False


@dataclass(frozen=True, slots=True)
class Grant:
    """What a replica got.

    Attributes:
        calls: that it may make.
        level: calls in the bucket or on their way to it, after that.
        room: places left for tokens and cancels; below 1 for none.
        kept: places of these that others are to leave to the urgent calls of another replica.
        counted: of the calls ever granted, how many are over.
        blocked: seconds for which nobody calls.
        replicas: that live, this one among them.
        leak: calls a second that run out and are not a stranger's.
    """

    calls: int
    level: float
    room: float
    kept: float
    counted: int
    blocked: float
    replicas: int
    leak: float


def settle(pool: Pool, report: Report, now: float) -> tuple[Pool, Grant]:
    """The state after a report, and what the replica gets."""
    others = {name: one for name, one in pool.holders.items() if one.until > now and name != report.replica}
    mine = pool.holders.get(report.replica)
    elsewhere = sum(one.held for one in others.values())
    pool = _leaked(pool, report, elsewhere + (mine.held if mine is not None else 0), now)
    pool = _learned(pool, _blocked(_heard(pool, report, elsewhere + report.held), report), report)

    floor = _floor(elsewhere + report.held, report.size)
    most = report.size - 1 - floor
    slack = min(_slack(pool) + _spare(pool, report), MAX_SLACK * report.size, most)
    room = report.size - max(pool.level, floor) - slack
    kept = min(float(sum(one.urgent for one in others.values())), most - slack)
    blocked = max(0.0, pool.blocked_until - now)
    urgent = 0 if blocked else _whole(min(float(report.urgent), room))
    calls = 0 if blocked else urgent + _whole(min(float(report.want - report.urgent), room - urgent - kept))

    if not report.leaving:
        others[report.replica] = Holder(report.held + calls, report.urgent - urgent, now + HOLDER_LIFE)
    pool = replace(pool, level=pool.level + calls, granted=pool.granted + calls, holders=others)
    return pool, Grant(
        calls=calls,
        level=max(pool.level, floor),
        room=room - calls,
        kept=kept,
        counted=pool.granted - sum(one.held for one in others.values()),
        blocked=blocked,
        replicas=len(others),
        leak=report.leak - pool.drift,
    )


def _leaked(pool: Pool, report: Report, held: int, now: float) -> Pool:
    """Brought up to this moment: what ran out, what strangers added, what was given back or made without asking."""
    now = max(now, pool.at)  # a clock that was set back leaks nothing
    level = max(0.0, pool.level - (report.leak - pool.drift) * (now - pool.at))
    level = max(level, _floor(held, report.size))
    level = max(0.0, min(level + report.owed, max(level, report.size)) - report.unused)
    return replace(pool, at=now, level=level, granted=pool.granted + report.owed)


def _heard(pool: Pool, report: Report, held: int) -> Pool:
    """Corrected by a header: upwards to what it says, downwards to what no call that it may have missed undoes."""
    if report.least is None:
        return pool
    level = pool.level
    if (excess := report.least - level) > 0:
        # one more, for a header rounded down; and what is on its way may not be in it
        level = max(level, min(report.least + 1 + held, max(report.size, report.least)))
    if report.most is not None:
        level = min(level, report.most + pool.granted - report.counted + 1)
    if excess > 1 and _is_fresh(pool):
        pool = _surprised(pool, excess, report)
    return replace(pool, level=level)


def _blocked(pool: Pool, report: Report) -> Pool:
    """Omisell refused a call as one too many: its bucket is full, whatever we thought."""
    if report.blocked is None:
        return pool
    # replicas that are refused together are refused once: one surprise, not a series of them
    if pool.at >= pool.blocked_until and _is_fresh(pool):
        pool = _surprised(pool, max(1.0, 2 * _slack(pool)), report)
    until = max(pool.blocked_until, pool.at + report.blocked)
    return replace(pool, blocked_until=until, level=max(pool.level, report.size))


def _learned(before: Pool, pool: Pool, report: Report) -> Pool:
    """What a correction tells of strangers: their pace, and how much of them can come unseen."""
    if report.least is None:
        return pool
    slack = _slack(pool)
    if not _is_fresh(pool):
        # what happened since the last header is not of now, and whether there are strangers is to be seen
        return replace(pool, heard_at=pool.at, slack=max(slack, UNSURE * report.size), slack_at=pool.at)
    since = max(pool.at - pool.heard_at, 1e-6)
    span = LEARNING * report.size / report.leak
    pace = (pool.level - before.level) / since * -math.expm1(-since / span)
    drift = min(max(0.0, pool.drift + pace), MAX_DRIFT * report.leak)
    if report.most is not None and drift > NO_DRIFT * report.leak:
        apart = report.most - report.least  # so far apart are the most and the least that may be in it
        slack = max(slack, min(apart, MAX_SLACK * report.size))
    return replace(pool, heard_at=pool.at, drift=drift, slack=slack, slack_at=pool.at)


def _is_fresh(pool: Pool) -> bool:
    return pool.at - pool.heard_at < FRESH


def _spare(pool: Pool, report: Report) -> float:
    """Places that are never filled: more of them where a stranger may come between asking for calls and making them."""
    return report.size * (SPARE + HANDFUL * pool.drift / report.leak)


def _surprised(pool: Pool, calls: float, report: Report) -> Pool:
    """Somebody else spends from the same bucket: keep as many places free as came unseen, and one more.

    What is kept in mind is never more than is ever kept free: it would take long to fade.
    """
    slack = min(max(_slack(pool), calls + 1), MAX_SLACK * report.size)
    return replace(pool, slack=slack, slack_at=pool.at)


def _slack(pool: Pool) -> float:
    slack = pool.slack * 2.0 ** ((pool.slack_at - pool.at) / SLACK_HALF_LIFE)
    return slack if slack >= 0.1 else 0.0


def _floor(held: int, size: float) -> float:
    """Calls that are not over may arrive only now, so that they have not leaked out, however old."""
    return min(float(held), MAX_FLOOR * size, size - 1)


def _whole(calls: float) -> int:
    return max(0, math.floor(calls + 1e-6))
