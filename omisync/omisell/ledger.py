"""Our copy of Omisell's bucket, kept right by what its answers say.

The copy must never show less than the original, or calls are refused; nor much more, or calls that would have
been taken wait. Nothing here waits or reads a clock: `budget` does. It is for a process that is alone with its
account; where replicas share one, `allotment` takes its place.
"""

import math
from dataclasses import dataclass
from typing import Final

from omisync.omisell.bucket import LeakyBucket

PROBE: Final = 2.0
"""Seconds for which the very first call goes alone, so that its answer can tell how full the bucket is."""

SLACK_HALF_LIFE: Final = 60.0
"""Seconds in which the places kept free for a stranger's calls become half as many, if none are seen."""

MAX_SLACK: Final = 0.25
"""Share of the bucket that is kept free for a stranger's calls at most."""

MAX_FLOOR: Final = 0.5
"""Share of the bucket that calls in flight hold at most, so that slow answers never stop all others."""

BLIND_WAIT: Final = 30.0
"""Seconds to wait after a throttled call if Omisell did not say how long; doubles [omisell-api 3]."""

BLIND_CAP: Final = 300.0
"""Seconds that it doubles up to."""


@dataclass(slots=True, eq=False)
class Flight:
    """One call between its place in the bucket and its answer.

    When it reaches Omisell is not known, only that it is between the two. So it cannot have leaked out before
    its answer, and the header of an answer may or may not have counted any call that overlaps with it.

    Attributes:
        sent_at: when it took its place.
        serial: its number among all calls.
        overtaken: calls that were in flight when it started; where replicas share the bucket, calls of them all
            that were over by then.
        over: whether its end has been told.
    """

    sent_at: float
    serial: int
    overtaken: int
    over: bool = False


class Throttle:
    """For how long nothing goes because Omisell refused a call as one too many."""

    def __init__(self) -> None:
        self._blind_wait = BLIND_WAIT
        self.until = -math.inf

    def refused(self, retry_after: float | None, now: float) -> tuple[float, bool]:
        """A call was refused.

        Args:
            retry_after: None if Omisell did not say: then `BLIND_WAIT`, and twice as long each time that it
                happens again right after such a wait.
            now: when the refusal came.

        Returns:
            The seconds to wait, and whether this is the first refusal of its kind: calls that were in flight
            together are refused together, which is one event and not a series of them.
        """
        if first := now >= self.until:
            again = now < self.until + self._blind_wait
            self._blind_wait = min(2 * self._blind_wait, BLIND_CAP) if again else BLIND_WAIT
        if retry_after is None:
            retry_after = self._blind_wait if first else self.until - now
        self.until = max(self.until, now + retry_after)
        return retry_after, first


class Ledger:
    """How full Omisell's bucket is at most, and when it will take more.

    All times are seconds of one clock that never goes back.

    Args:
        size: calls the bucket holds, until an answer's header says otherwise.
        leak: calls a second that run out.
    """

    def __init__(self, size: float, leak: float) -> None:
        self._bucket = LeakyBucket(size=size, leak=leak)
        self._in_flight = 0
        self._serial = 0
        self._known = False
        self._probe_until = -math.inf
        self._slack = 0.0
        self._slack_at = 0.0
        self._throttle = Throttle()

    @property
    def blocked_until(self) -> float:
        """Nothing goes before."""
        return self._throttle.until

    @property
    def size(self) -> float:
        """How many calls the bucket holds."""
        return self._bucket.size

    def level(self, now: float) -> float:
        """How many calls are in Omisell's bucket or on their way to it, at most."""
        return max(self._bucket.level(now), self._floor())

    def room(self, now: float) -> float:
        """How many calls fit in now; below 1 for none."""
        return self.size - self.level(now) - self._slack_now(now)

    def goes_at(self, kept: float, now: float) -> float:
        """The moment from which on one call can go and leave room for `kept` others, as things stand now."""
        wanted = 1 + kept + self._slack_now(now)
        # However small the bucket, one call must be able to go.
        fits = self._bucket.fits_at(min(wanted, self.size - self._floor()))
        probing = self._probe_until if self._in_flight and not self._known else -math.inf
        return max(fits, self.blocked_until, probing)

    def take(self, now: float) -> Flight:
        """Count one call; it is in flight until it lands."""
        self._bucket = self._bucket.at_least(self._floor(), now).added(1, now)
        self._serial += 1
        flight = Flight(sent_at=now, serial=self._serial, overtaken=self._in_flight)
        self._in_flight += 1
        if self._in_flight == 1:
            self._probe_until = now + PROBE
        return flight

    def land(self, flight: Flight, now: float, *, refund: bool = False) -> None:
        """The call is over; with `refund` it was not made after all and its place is given back."""
        if flight.over:
            return
        flight.over = True
        self._bucket = self._bucket.at_least(self._floor(), now)
        self._in_flight -= 1
        if refund:
            self._bucket = self._bucket.added(-1, now)
        else:
            self._known = True

    def observe(self, used: int, size: int, now: float, flight: Flight | None = None) -> None:
        """Correct the copy by an answer's `X-Omisell-Api-Call-Limit: used/size` [doc-968943].

        Args:
            used: calls in the bucket; a whole number, rounded we do not know how.
            size: calls it holds.
            now: when the answer came.
            flight: the call that it answers; its count is of some moment since that call was sent.
        """
        if size < 1 or used < 0:
            return
        if size != self.size:
            self._bucket = self._bucket.resized(size)
        if flight is None:
            overlapping, age = self._in_flight, 0.0
        else:
            overlapping, age = flight.overtaken + self._serial - flight.serial, now - flight.sent_at
        most = min(used + 1.0 + overlapping, max(float(size), used))
        least = used - age * self._bucket.leak
        level = self.level(now)
        if level < least or not self._known:
            if self._known and level < least - 1:
                self._surprised(least - level, now)
            self._bucket = self._bucket.at_least(most, now)
        self._bucket = self._bucket.at_most(most, now)
        self._known = True

    def throttled(self, retry_after: float | None, now: float) -> float:
        """Nothing goes until `retry_after` seconds from now, because Omisell refused a call as one too many.

        Args:
            retry_after: None if Omisell did not say, see `Throttle.refused`.
            now: when the refusal came.

        Returns:
            The seconds to wait.
        """
        wait, first = self._throttle.refused(retry_after, now)
        if first and self._known:
            self._surprised(max(1.0, self._slack_now(now)), now)
        self._known = True
        self._bucket = self._bucket.at_least(self.size, now)
        return wait

    def plan(self, demand: int, urgent: int) -> None:
        """So many calls wait: nothing to be done about it, this copy is all there is."""

    async def close(self) -> None:
        """Nothing is to be given back."""

    def _floor(self) -> float:
        """A call in flight may arrive only now, so that it has not leaked out however long ago it was counted."""
        return min(float(self._in_flight), MAX_FLOOR * self.size, self.size - 1)

    def _surprised(self, calls: float, now: float) -> None:
        """Somebody else spends from the same bucket: keep as many places free as came unseen, and one more."""
        self._slack = max(self._slack_now(now), calls + 1)
        self._slack_at = now

    def _slack_now(self, now: float) -> float:
        """Places kept free. They cost a shorter burst and no throughput: a bucket leaks as fast when not full."""
        slack = self._slack * 2.0 ** ((self._slack_at - now) / SLACK_HALF_LIFE)
        return min(slack, MAX_SLACK * self.size, self.size - 1) if slack >= 0.1 else 0.0
