"""The calls granted to this process out of the bucket that all replicas share: asked for, spent, given back.

What it asks for lasts a second or two of the leak, so that the shared state is written less than once a second
at Omisell's ordinary limit. With the state away, the process goes on with its fair share of the leak, counted
from a full bucket: the leak divided by the replicas that lived when it was last seen. Calls made so are owed,
and told as soon as the state is back.
"""

import asyncio
import math
import uuid
from collections.abc import Callable
from typing import Final

import structlog

from omisync.omisell.bucket import LeakyBucket
from omisync.omisell.ledger import PROBE, Flight, Throttle
from omisync.omisell.pool import HANDFUL, Grant, Report, SharedPool, settle

CHUNK_SECONDS: Final = 2.0
"""Seconds of the leak that are waited for before calls are asked for again."""

GIVE_BACK: Final = 1.0
"""Seconds after which a call that was granted and has no use goes back."""

REPORT_AFTER: Final = 5.0
"""Seconds after which it is told that calls are over, if there is nothing else to tell."""

HEARTBEAT: Final = 4.0
"""Seconds between reports while a call is in flight, well within `pool.HOLDER_LIFE`."""

EXCHANGE_TIMEOUT: Final = 2.0
"""Seconds that one exchange with the shared state may take; it takes a millisecond or two."""

AWAY_RETRY: Final = 1.0
"""Seconds between tries while the shared state is away."""

MIN_GAP: Final = 0.02
"""Seconds at least until calls are asked for again when there were none."""

REPLICAS_UNSEEN: Final = 4
"""Replicas assumed by a process that has not reached the shared state yet."""


class Allotment:
    """This process's part of the shared bucket; to the budget it is what `Ledger` is.

    Args:
        pool: the shared state.
        size: calls the bucket holds, until an answer's header says otherwise.
        leak: calls a second that run out.
        clock: seconds, never going back, at the pace of the event loop's timers.
        changed: called when calls may go that could not before.
    """

    def __init__(
        self, pool: SharedPool, size: float, leak: float, clock: Callable[[], float], changed: Callable[[], None]
    ) -> None:
        self._pool = pool
        self._clock = clock
        self._changed = changed
        self._name = uuid.uuid4().hex
        self._throttle = Throttle()
        self._log = structlog.get_logger("budget")
        self.size = size
        self._leak = leak
        self._credits = 0
        self._in_flight = 0
        self._landed = 0
        self._landed_told = 0
        self._serial = 0
        self._known = False
        self._probe_until = -math.inf
        self._demand = 0
        self._urgent = 0
        self._excess_since: float | None = None
        self._least: float | None = None
        self._most: tuple[float, int] | None = None
        self._block_told = -math.inf
        self._owed = 0
        self._alone: LeakyBucket | None = None
        self._grant: Grant | None = None
        self._told = Report(replica=self._name, size=size, leak=leak)
        self._told_at = -math.inf
        self._tried_at = -math.inf
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = math.inf
        self._task: asyncio.Task[None] | None = None
        self._closed = False

    # What the budget asks

    @property
    def blocked_until(self) -> float:
        """Nothing goes before."""
        return self._throttle.until

    def level(self, now: float) -> float:
        """How many calls are in Omisell's bucket or on their way to it, as far as is known here."""
        if self._grant is None:
            return float(self._in_flight)
        return max(self._grant.level - (now - self._told_at) * self._grant.leak, float(self._in_flight))

    def room(self, now: float) -> float:
        """How many calls could go now; below 1 for none."""
        alone = 0.0 if self._alone is None else self.size - self._alone.level(now)
        return self._credits + alone

    def goes_at(self, kept: float, now: float) -> float:
        """The moment from which on one call can go and leave room for `kept` others; infinite: only news can tell."""
        if self._credits >= 1 + kept:
            fits = now
        elif self._alone is not None:
            fits = self._alone.fits_at(min(1 + kept - self._credits, self.size))
        else:
            return math.inf
        return max(fits, self.blocked_until, self._probing())

    def take(self, now: float) -> Flight:
        """Count one call; it is in flight until it lands."""
        if self._credits:
            self._credits -= 1
        else:
            assert self._alone is not None  # noqa: S101 - else `goes_at` let nobody go
            self._alone = self._alone.added(1, now)
            self._owed += 1
        self._serial += 1
        self._in_flight += 1
        if self._in_flight == 1:
            self._probe_until = now + PROBE
        counted = 0 if self._grant is None else self._grant.counted + self._landed - self._landed_told
        return Flight(sent_at=now, serial=self._serial, overtaken=counted)

    def land(self, flight: Flight, now: float, *, refund: bool = False) -> None:  # noqa: ARG002 - as the ledger's
        """The call is over; with `refund` it was not made after all, and its place serves another."""
        if flight.over:
            return
        flight.over = True
        self._in_flight -= 1
        if refund:
            self._credits += 1
        else:
            self._landed += 1
            self._known = True

    def observe(self, used: int, size: int, now: float, flight: Flight | None = None) -> None:
        """Keep what an answer's header says for the next report; see `Ledger.observe`."""
        if size < 1 or used < 0:
            return
        self.size = float(size)
        self._known = True
        # both as of the clock's zero, so that headers of different moments compare
        sent_at = now if flight is None else flight.sent_at
        least = used + sent_at * self._leak
        self._least = least if self._least is None else max(self._least, least)
        if flight is not None and self._grant is not None:
            most = (used + now * self._leak, flight.overtaken)
            self._most = most if self._most is None else min(self._most, most, key=lambda one: one[0] - one[1])
        if self._alone is not None:
            self._alone = self._alone.resized(self.size).at_least(used - (now - sent_at) * self._leak, now)

    def throttled(self, retry_after: float | None, now: float) -> float:
        """Nothing goes until `retry_after` seconds from now, in no replica; see `Ledger.throttled`."""
        wait, _ = self._throttle.refused(retry_after, now)
        self._known = True
        return wait

    def plan(self, demand: int, urgent: int) -> None:
        """So many calls wait for a place, so many of them tokens and cancels: see that they get some."""
        self._demand, self._urgent = demand, urgent
        now = self._clock()
        if self._credits <= demand:
            self._excess_since = None
        elif self._excess_since is None:
            self._excess_since = now
        self._schedule()

    async def close(self) -> None:
        """Give everything back; at most `EXCHANGE_TIMEOUT` seconds for that and for what is under way each."""
        self._closed = True
        self._stop_timer()
        if self._task is not None:
            await asyncio.wait({self._task})
        if self._grant is not None:
            self._demand = self._urgent = 0
            self._excess_since = -math.inf
            await self._exchange(self._report(self._clock(), leaving=True))

    # Exchanges with the shared state

    def _schedule(self) -> None:
        """See that the next exchange takes place when it is due; a timer that stands too early only looks again."""
        if self._task is not None or self._closed:
            self._stop_timer()
            return  # its end brings us here again
        now = self._clock()
        due = self._due(now)
        if due <= now:
            self._stop_timer()
            self._task = asyncio.get_running_loop().create_task(self._exchange_now())
        elif due < math.inf and (self._timer is None or due < self._timer_at):
            self._stop_timer()
            self._timer = asyncio.get_running_loop().call_later(due - now, self._look)
            self._timer_at = due

    def _look(self) -> None:
        self._timer = None
        self._schedule()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _due(self, now: float) -> float:
        """When the next exchange is wanted; infinite for never as things stand."""
        if self._alone is not None and (self._demand or self._in_flight or self._owed):
            return self._tried_at + AWAY_RETRY
        if self._blocked_untold(now):
            return now
        due = [math.inf]
        if self._demand > self._credits:
            due.append(max(self._room_at(), self.blocked_until, self._probing()))
        if self._excess_since is not None:
            due.append(self._excess_since + GIVE_BACK)
        if self._in_flight:
            due.append(self._told_at + HEARTBEAT)
        elif self._grant is not None and self._told.held + self._grant.calls > 0:
            due.append(self._told_at + REPORT_AFTER)
        return max(min(due), self._tried_at + AWAY_RETRY if self._alone is not None else -math.inf)

    def _blocked_untold(self, now: float) -> bool:
        return self.blocked_until > max(self._block_told, now)

    def _probing(self) -> float:
        """Until when the first call goes alone, so that its answer can tell how full the bucket is."""
        return self._probe_until if self._in_flight and not self._known else -math.inf

    def _room_at(self) -> float:
        """When there should be room for the calls that are waited for."""
        if self._grant is None:
            return -math.inf
        if (hurry := self._urgent > self._credits) and not self._told.urgent:
            return -math.inf  # so that the other replicas leave it a place
        room = self._grant.room if hurry else self._grant.room - self._grant.kept
        wanted = 1 if hurry else min(self._demand - self._credits, self._chunk())
        at = self._told_at + max(0.0, wanted - room) / self._grant.leak
        return at if self._grant.calls else max(at, self._told_at + MIN_GAP)

    def _chunk(self) -> int:
        return max(1, min(math.floor(self._leak * CHUNK_SECONDS), self._handful()))

    def _handful(self) -> int:
        return max(1, math.floor(self.size * HANDFUL)) if self._known else 1

    async def _exchange_now(self) -> None:
        try:
            await self._exchange(self._report(self._clock()))
        finally:
            self._task = None
        if not self._closed:
            self._changed()

    def _report(self, now: float, *, leaving: bool = False) -> Report:
        unused = 0
        if self._excess_since is not None and now - self._excess_since >= GIVE_BACK:
            unused = self._credits - self._demand
            # given back even if the report is lost: the shared state then counts them until a header corrects it
            self._credits = self._demand
            self._excess_since = None
        lacking = max(0, self._demand - self._credits)
        return Report(
            replica=self._name,
            size=self.size,
            leak=self._leak,
            held=self._credits + self._in_flight,
            unused=unused,
            owed=self._owed,
            want=min(lacking, self._handful()),
            urgent=min(lacking, self._urgent, self._handful()),
            least=None if self._least is None else self._least - now * self._leak,
            most=None if self._most is None else max(0.0, self._most[0] - now * self._leak),
            counted=0 if self._most is None else self._most[1],
            blocked=self.blocked_until - now if self._blocked_untold(now) else None,
            leaving=leaving,
        )

    async def _exchange(self, report: Report) -> None:
        landed, least, most, blocked_until = self._landed, self._least, self._most, self.blocked_until
        try:
            async with asyncio.timeout(EXCHANGE_TIMEOUT):
                grant = await self._pool.settle(lambda pool, at: settle(pool, report, at))
        except Exception as error:  # noqa: BLE001 - whatever is wrong there, calls must go on here
            self._lost(str(error) or type(error).__name__)
            return
        now = self._clock()
        if self._alone is not None:
            self._alone = None
            self._log.info("the shared budget is back", owed=report.owed)
        self._told, self._told_at, self._grant, self._landed_told = report, now, grant, landed
        self._owed -= report.owed
        self._credits += grant.calls
        self._least = None if self._least == least else self._least
        self._most = None if self._most == most else self._most
        if grant.blocked:
            self._throttle.until = max(self.blocked_until, now + grant.blocked)
        self._block_told = max(self._block_told, blocked_until, now + grant.blocked)

    def _lost(self, why: str) -> None:
        now = self._tried_at = self._clock()
        if self._alone is None:
            replicas = REPLICAS_UNSEEN if self._grant is None else self._grant.replicas
            self._alone = LeakyBucket(self.size, self._leak / replicas).added(self.size, now)
            self._log.warning("the shared budget is away; going on with a fair share", replicas=replicas, error=why)
