"""Who may call Omisell next, and when: the queue before the bucket that all calls share."""

import asyncio
import math
import time
from collections import deque
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Self

from omisync.omisell.allotment import Allotment
from omisync.omisell.ledger import Flight, Ledger
from omisync.omisell.pool import HANDFUL, SharedPool
from omisync.omisell.shares import CLASSES, CallClass, Shares, Turns

PROMISE: Final = 0.25
"""Seconds for which places are kept for a class that was told to come; ample for a claim from the database."""


@dataclass(slots=True)
class _Promise:
    """Places kept for a class until a moment; fewer, as its calls take theirs."""

    places: int
    until: float


class Call:
    """A place in the bucket for one call: waited for on entering, held until the call is over."""

    __slots__ = ("_ahead", "_budget", "_cls", "_flight")

    def __init__(self, budget: "Budget", cls: CallClass, *, ahead: bool) -> None:
        self._budget = budget
        self._cls = cls
        self._ahead = ahead
        self._flight: Flight

    async def __aenter__(self) -> Self:
        """Wait for the place and take it."""
        self._flight = self._budget.at_once(self._cls) or await self._budget.wait(self._cls, ahead=self._ahead)
        return self

    async def __aexit__(self, *_: object) -> None:
        """The call is over."""
        self._budget.land(self._flight)

    def observe(self, used: int, size: int) -> None:
        """Tell what this call's answer said in `X-Omisell-Api-Call-Limit: used/size`."""
        self._budget.observe(used, size, self._flight)

    def unsent(self) -> None:
        """Give the place back: the call was not made after all."""
        self._budget.land(self._flight, refund=True)


class Budget:
    """Lets calls through as fast as Omisell's bucket takes them, the most urgent class first, FIFO within it.

    A class that waits gets its share of the calls even so, see `Shares`. Safe to cancel at any await. Nothing
    polls: one timer stands at the next moment at which somebody can go.

    Args:
        bucket_size: calls the bucket holds, until an answer's header says otherwise.
        leak_per_minute: calls a minute that run out.
        clock: seconds, never going back, at the pace of the event loop's own timers.
        shares: the least part of the calls for each class.
        pool: the bucket that all replicas of the account share; without it this process is taken to be alone
            with its account.
    """

    def __init__(
        self,
        bucket_size: float,
        leak_per_minute: float,
        clock: Callable[[], float] = time.monotonic,
        *,
        shares: Shares | None = None,
        pool: SharedPool | None = None,
    ) -> None:
        leak = leak_per_minute / 60
        self._source: Ledger | Allotment = (
            Ledger(bucket_size, leak) if pool is None else Allotment(pool, bucket_size, leak, clock, self._pump)
        )
        self._clock = clock
        self._soon = math.floor(leak * PROMISE)
        self._turns = Turns(shares or Shares())
        self._queues: dict[CallClass, deque[asyncio.Future[Flight]]] = {cls: deque() for cls in CallClass}
        self._watchers: dict[CallClass, set[asyncio.Future[int]]] = {cls: set() for cls in CallClass}
        self._lines = (*self._queues.values(), *self._watchers.values())
        self._promised: dict[CallClass, _Promise] = {}
        self._timer: asyncio.TimerHandle | None = None

    # What callers ask for

    def call(self, cls: CallClass, *, ahead: bool = False) -> Call:
        """Wait for a place and take it; the call is in flight as long as the block lasts.

        Args:
            cls: what the call is for.
            ahead: it goes before all others of its class that wait.
        """
        return Call(self, cls, ahead=ahead)

    def available(self, cls: CallClass) -> int:
        """How many calls of this class could start now, kept for it as `wait_available` does; 0 for none."""
        free = self._free(cls)
        if free:
            self._promise(cls, free)
        return free

    async def wait_available(self, cls: CallClass) -> int:
        """Wait until a call of this class could start, and return how many could, at once or within `PROMISE`.

        Takes nothing. At a high limit places come faster than work is fetched for one at a time; who brings as many
        calls as run out meanwhile has them queue, so that no place goes to a class that is less urgent.

        As many places are kept for the class for `PROMISE` seconds: else another that is less urgent would take every
        place before this one's work is at hand, or, where all its calls are in flight, before one of them is over.
        Whoever has no more work than this says so by `brings`.
        """
        if free := self.available(cls):
            return free
        watcher: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._watchers[cls].add(watcher)
        self._pump()
        try:
            return await watcher
        finally:
            self._watchers[cls].discard(watcher)
            self._pump()

    def brings(self, cls: CallClass, calls: int) -> None:
        """All calls that there are come now, fewer than were told: no more places are kept for the class."""
        if (promise := self._promised.get(cls)) is not None and promise.places > calls:
            promise.places = calls
            self._pump()

    async def close(self) -> None:
        """Give back what is not used; bounded, see `Allotment.close`. Nobody may wait any more."""
        self._stop_timer()
        await self._source.close()

    # What answers tell

    def observe(self, used: int, size: int, flight: Flight | None = None) -> None:
        """Correct our copy of the bucket, both ways, by an answer's `X-Omisell-Api-Call-Limit: used/size`."""
        self._source.observe(used, size, self._clock(), flight)
        if self._somebody_waits():
            self._pump()

    def throttled(self, retry_after: float | None) -> float:
        """Stop all calls for that many seconds: Omisell refused one as too many.

        Returns:
            The seconds to wait; of the budget's own choice if `retry_after` is None.
        """
        wait = self._source.throttled(retry_after, self._clock())
        self._pump()
        return wait

    def land(self, flight: Flight, *, refund: bool = False) -> None:
        """The call is over; with `refund` it was not made after all."""
        self._source.land(flight, self._clock(), refund=refund)
        if refund or self._somebody_waits():
            self._pump()

    # What is shown

    @property
    def used_ratio(self) -> float:
        """How full the bucket is, 0 to 1."""
        return min(1.0, self._source.level(self._clock()) / self._source.size)

    @property
    def room(self) -> float:
        """How many calls fit into the bucket now, for a forecast."""
        return max(0.0, self._source.size - self._source.level(self._clock()))

    @property
    def waiting(self) -> Mapping[CallClass, int]:
        """How many calls of each class wait for a place."""
        return MappingProxyType({cls: len(queue) for cls, queue in self._queues.items()})

    @property
    def blocked_for(self) -> float:
        """Seconds for which nothing goes because Omisell throttled us; 0 if it did not."""
        return max(0.0, self._source.blocked_until - self._clock())

    # The queue

    def at_once(self, cls: CallClass) -> Flight | None:
        """A place for whoever finds nobody waiting and room: what `wait` would come to, for a fifth of its cost."""
        now = self._clock()
        if self._somebody_waits() or self._goes_at(cls, now) > now:
            return None
        flight = self._take(cls, (cls, *self._promised), now)
        self._source.plan(*self._kept())
        return flight

    def _somebody_waits(self) -> bool:
        return any(self._lines)

    async def wait(self, cls: CallClass, *, ahead: bool = False) -> Flight:
        """A place in its turn; it must be told when the call is over."""
        place: asyncio.Future[Flight] = asyncio.get_running_loop().create_future()
        if ahead:
            self._queues[cls].appendleft(place)
        else:
            self._queues[cls].append(place)
        self._pump()
        try:
            return await place
        except asyncio.CancelledError:
            if place.cancelled():
                with suppress(ValueError):  # dropped from the queue already
                    self._queues[cls].remove(place)
                self._pump()
            else:  # the place was given in the same moment in which the caller was cancelled
                self.land(place.result(), refund=True)
            raise

    def _pump(self) -> None:
        """Let go whoever can, each in turn, set the timer for the next one, and say what is waited for."""
        now = self._clock()
        self._promised = {cls: one for cls, one in self._promised.items() if one.until > now and one.places > 0}
        self._stop_timer()
        while (first := self._first()) is not None and self._goes_at(first, now) <= now:
            self._serve(first, now)
        # nobody less urgent may pass; and what is kept for nobody any more goes to another, or back
        due = min([one.until for one in self._promised.values()], default=math.inf)
        if first is not None:
            due = min(due, self._goes_at(first, now))
        if due < math.inf:
            self._timer = asyncio.get_running_loop().call_later(max(0.0, due - now), self._pump)
        self._source.plan(*self._demand())

    def _serve(self, cls: CallClass, now: float) -> None:
        """Give the next place to that class: to a call of it, else to those who wait to bring calls."""
        if queue := self._queues[cls]:
            waiting = self._waiting() | set(self._promised)
            queue.popleft().set_result(self._take(cls, waiting, now))
            return
        free = self._room(cls, now)
        for watcher in self._watchers[cls]:
            if not watcher.done():
                watcher.set_result(free)
        self._watchers[cls].clear()
        self._promised[cls] = _Promise(free, now + PROMISE)

    def _take(self, cls: CallClass, waiting: Collection[CallClass], now: float) -> Flight:
        flight = self._source.take(now)
        if (promise := self._promised.get(cls)) is not None and promise.places > 0:
            promise.places -= 1
        self._turns.went(cls, waiting)
        return flight

    def _promise(self, cls: CallClass, places: int) -> None:
        self._promised[cls] = _Promise(places, self._clock() + PROMISE)
        self._pump()

    def _first(self) -> CallClass | None:
        """The class whose turn it is, of those that wait."""
        for queue in self._queues.values():
            while queue and queue[0].done():
                queue.popleft()  # cancelled, and not removed yet
        return next(iter(self._turns.order(self._waiting())), None)

    def _waiting(self) -> set[CallClass]:
        return {cls for cls in CLASSES if self._queues[cls] or self._watchers[cls]}

    def _kept(self) -> tuple[int, int]:
        """The demand while nobody waits: what was promised, and how much of that to tokens and cancels."""
        urgent = total = 0
        for cls, promise in self._promised.items():
            total += promise.places
            urgent += promise.places if cls <= CallClass.CANCEL else 0
        return total, urgent

    def _demand(self) -> tuple[int, int]:
        """How many calls wait for places, and how many of these are tokens and cancels."""
        handful = max(1, int(self._source.size * HANDFUL))
        urgent = total = 0
        for cls in CLASSES:
            wanted = len(self._queues[cls])
            if self._watchers[cls]:
                wanted += 1 if cls <= CallClass.CANCEL else handful  # how many will come is not known yet
            elif cls in self._promised:
                wanted = max(wanted, self._promised[cls].places)
            total += wanted
            urgent += wanted if cls <= CallClass.CANCEL else 0
        return total, urgent

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _goes_at(self, cls: CallClass, now: float) -> float:
        return self._source.goes_at(self._kept_for_others(cls, now), now)

    def _free(self, cls: CallClass) -> int:
        """How many calls of this class could go now."""
        now = self._clock()
        ahead = (other for other in CLASSES if other is cls or self._turns.before(other, cls))
        if self._goes_at(cls, now) > now or any(self._queues[other] for other in ahead):
            return 0
        return self._room(cls, now)

    def _room(self, cls: CallClass, now: float) -> int:
        return max(1, self._soon, math.floor(self._source.room(now) - self._kept_for_others(cls, now) + 1e-6))

    def _kept_for_others(self, cls: CallClass, now: float) -> int:
        return sum(
            promise.places
            for other, promise in self._promised.items()
            if promise.until > now and self._turns.before(other, cls)
        )
