"""Takes rows out of the outbox as the budget allows, and brings each to an end that is written down."""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Sequence

import structlog

from omisync.clock import since_boot
from omisync.omisell import AuthenticationFailed, CallClass, OmisellError, Throttled, Unavailable
from omisync.store import Claim, Ending, Kind, Outbox, Reached, StoreError
from omisync.store.outbox import LEASE_SECONDS, OutboxId
from omisync.sync.add import Adder
from omisync.sync.breaker import Breaker
from omisync.sync.cancel import Canceller
from omisync.sync.flight import RENEW_EVERY, Flight, Held, LeaseLost
from omisync.sync.front import Front
from omisync.sync.listing import Incomplete
from omisync.sync.loop import Wake, forever, unless_set
from omisync.sync.ports import Around, BudgetNow, Counters, untraced

AUTH_RETRY = 15.0  # seconds until rows are tried again when no token can be had
PUT_OFF_RETRY = 5.0  # seconds, when the list would not hold still, or no token is to be had without the database
FINISH_RETRY = 0.5  # seconds between tries to write an ending down while the database is away
UNWRITTEN_RETRY = 60.0  # seconds until a row is tried again whose ending the database would not take


class Sender:
    """The outbox poller. Adds and cancels have places of their own, so that a cancel never waits for an add's answer.

    Args:
        concurrency: calls of adds in flight; cancels get a quarter of that besides.
        interval: seconds between looks at the outbox.
        around: goes around the work for each row.
    """

    def __init__(
        self,
        outbox: Outbox,
        adder: Adder,
        canceller: Canceller,
        breaker: Breaker,
        budget: BudgetNow,
        counters: Counters,
        *,
        concurrency: int,
        interval: float,
        around: Around = untraced,
    ) -> None:
        self._around = around
        self._outbox = outbox
        self._adder = adder
        self._canceller = canceller
        self._breaker = breaker
        self._budget = budget
        self._counters = counters
        self._interval = interval
        self._places: dict[Kind, int] = {"order.cancel": max(1, concurrency // 4), "order.add": concurrency}
        self._flight: Flight[OutboxId] = Flight(outbox.renew)
        self._tasks: dict[Kind, set[asyncio.Task[None]]] = {"order.cancel": set(), "order.add": set()}
        self._deciding: dict[Kind, int] = {"order.cancel": 0, "order.add": 0}
        self._freed: dict[Kind, asyncio.Event] = {"order.cancel": asyncio.Event(), "order.add": asyncio.Event()}
        self._has_more: dict[Kind, bool] = {"order.cancel": False, "order.add": False}
        self.front = Front()
        self._stopping = asyncio.Event()
        self._wakes: dict[Kind, Wake] = {"order.cancel": Wake(), "order.add": Wake()}
        self._log = structlog.get_logger("sender")

    def wake(self, *kinds: Kind) -> None:
        """There may be new rows, of these kinds or of any: look now."""
        for kind in kinds or self._wakes:
            self._wakes[kind].set()

    def adds_due(self) -> None:
        """Adds are due: they are claimed without another look."""
        self._has_more["order.add"] = True
        self.wake("order.add")

    def notified(self) -> None:
        """The shop has written rows: adds, nearly always."""
        self.adds_due()  # first: what comes after it would hold its claim up
        self.wake("order.cancel")

    async def run(self, grace: float) -> None:
        """Works until `stop`; then waits for calls in flight at most `grace` seconds and gives leases back."""
        renewal = asyncio.create_task(self._renew())
        try:
            async with asyncio.TaskGroup() as group:
                for kind, step in (("order.cancel", self._cancels), ("order.add", self._adds)):
                    group.create_task(self._pump(kind, step))  # type: ignore[arg-type] # a Kind, spelled out
        finally:
            await self._land(grace)
            renewal.cancel()

    def stop(self) -> None:
        """Claims nothing more."""
        self._stopping.set()
        self.wake()

    async def _pump(self, kind: Kind, step: Callable[[], Awaitable[bool]]) -> None:
        await forever("sender", step, interval=self._interval, wake=self._wakes[kind], stopping=self._stopping)

    async def _cancels(self) -> bool:
        annulled = await self._outbox.annul()
        for kind in annulled:
            self._counters.outbox_done(kind, "annulled")
        return await self._take("order.cancel", CallClass.CANCEL) or bool(annulled)

    async def _adds(self) -> bool:
        return await self._take("order.add", CallClass.ADD)

    async def _take(self, kind: Kind, cls: CallClass) -> bool:
        """Claims what there are places and budget for: what waits for budget waits in the outbox, not in flight."""
        if self._free(kind) <= 0:
            await self._a_place(kind)
            return True
        if not self._has_more[kind] and not await self._outbox.is_due(kind):
            return False  # no place in the budget is kept waiting for nothing
        self._has_more[kind] = False
        room = self._room_now(cls) or await unless_set(self._stopping, self._room(cls))
        if room is None:
            return False
        most = min(self._free(kind), room)  # places have become free meanwhile
        asked_at = since_boot()
        claims = await self._claim(kind, most)
        for claim in claims:
            held = self._flight.take(claim.id, claim.lease_token, asked_at)
            self._deciding[kind] += 1
            task = asyncio.create_task(self._around(f"send {kind}", claim.order_number, self._work(claim, held)))
            self._tasks[kind].add(task)
            task.add_done_callback(self._landing(kind))
        self._has_more[kind] = len(claims) == most
        if not self._has_more[kind]:
            self._budget.brings(cls, len(claims))
        return self._has_more[kind]

    async def _claim(self, kind: Kind, most: int) -> Sequence[Claim]:
        if kind == "order.add":
            return await self.front.claim(lambda since: self._outbox.claim(kind, most, since))
        return await self._outbox.claim(kind, most)

    def _free(self, kind: Kind) -> int:
        """Places for calls. An ending that is being written takes none, as long as there are no more of them."""
        places = self._places[kind]
        return min(places - self._deciding[kind], 2 * places - len(self._tasks[kind]))

    def _landing(self, kind: Kind) -> Callable[[asyncio.Task[None]], None]:
        def landed(task: asyncio.Task[None]) -> None:
            self._tasks[kind].discard(task)
            self._freed[kind].set()

        return landed

    async def _a_place(self, kind: Kind) -> None:
        freed = self._freed[kind]
        freed.clear()
        await unless_set(self._stopping, freed.wait())

    def _room_now(self, cls: CallClass) -> int:
        return 0 if self._breaker.is_open else self._budget.available(cls)

    async def _room(self, cls: CallClass) -> int:
        await self._breaker.passable()
        return await self._budget.wait_available(cls)

    async def _work(self, claim: Claim, held: Held) -> None:
        try:
            try:
                ending = await self._decide(claim, held)
            finally:  # the call is over: its place is free while its ending is written
                self._deciding[claim.kind] -= 1
                self._freed[claim.kind].set()
        except asyncio.CancelledError:
            # a stop spends no attempt; what was cut off in flight is uncertain
            await self._write(Ending(claim, "pending", error="cut off by a stop", reached=_reached(claim, held)), held)
            raise
        else:
            await self._write(ending, held)
        finally:
            self._flight.drop(claim.id)

    async def _decide(self, claim: Claim, held: Held) -> Ending:
        worker: Adder | Canceller = self._adder if claim.kind == "order.add" else self._canceller
        try:
            return await worker.work(claim, held)
        except OmisellError as error:
            return await self._judge(worker, claim, error)
        except (LeaseLost, Incomplete, StoreError) as error:
            # nothing was sent, or what was sent is told by `_reached`: no attempt of the order's own
            why = str(error) or "the lease may have run out before the request went"
            self._about(claim).info("put off", reason=why)
            delay = None if isinstance(error, LeaseLost) else PUT_OFF_RETRY
            return Ending(claim, "pending", error=why, delay=delay, reached=_reached(claim, held))
        except Exception as error:
            log = self._about(claim)
            log.exception("a fault of our own; the row will be tried again")
            why = f"an unexpected fault: {type(error).__name__}"
            return worker.after_failure(claim, why, maybe_applied=held.sent, outage=False)

    async def _judge(self, worker: Adder | Canceller, claim: Claim, error: OmisellError) -> Ending:
        unknown = Reached.MAYBE if claim.uncertain else Reached.NO
        if isinstance(error, Throttled):
            return Ending(claim, "pending", error=str(error), reached=unknown)  # it is the budget that waits
        if isinstance(error, AuthenticationFailed):
            await self._breaker.suspect()
            return Ending(claim, "pending", error=str(error), delay=AUTH_RETRY, reached=unknown)
        outage = isinstance(error, Unavailable) and await self._breaker.suspect()
        self._about(claim).info("the call failed; it will be tried again", error=str(error), outage=outage)
        maybe = isinstance(error, Unavailable) and error.maybe_applied
        return worker.after_failure(claim, str(error), maybe_applied=maybe, outage=outage)

    async def _write(self, ending: Ending, held: Held) -> None:
        try:
            ours = await self._finish(ending)
        except StoreError as error:
            names = _names(ending.claim)
            self._log.warning(
                "the ending could not be written; the row will be taken up again", error=str(error), **names
            )
            return
        except Exception as error:
            log = self._about(ending.claim)
            log.exception("the database would not take the ending; the row will be tried again")
            why = f"its outcome could not be written down: {type(error).__name__}"
            ending = Ending(
                ending.claim, "pending", error=why, spent=1, delay=UNWRITTEN_RETRY, reached=_reached(ending.claim, held)
            )
            with contextlib.suppress(StoreError):
                await self._finish(ending)
            return
        if ours:
            self._tell(ending)
        elif held.sent:
            log = self._about(ending.claim)
            log.warning("the lease had gone; whoever has it looks at Omisell before sending")

    async def _finish(self, ending: Ending) -> bool:
        deadline = time.monotonic() + LEASE_SECONDS * 2
        while True:
            try:
                return await asyncio.shield(self._outbox.finish(ending))
            except StoreError:
                # the ending may have been written all the same: the fence makes a second writing harmless
                if time.monotonic() > deadline:
                    raise
                await asyncio.sleep(FINISH_RETRY)

    def _tell(self, ending: Ending) -> None:
        names = _names(ending.claim)
        if ending.omisell_order_number is not None:
            names["omisell_order_number"] = ending.omisell_order_number
        if ending.outcome is not None:
            self._counters.outbox_done(ending.claim.kind, ending.outcome)
            self._log.info(f"{ending.claim.kind} {ending.outcome}", **names)
        elif ending.state == "failed":
            # the reason is the row's: Omisell's words may quote the buyer, which no log must
            see = f"omisync outbox show {ending.claim.id}"
            self._log.error(f"{ending.claim.kind} failed", see=see, **names)

    def _about(self, claim: Claim) -> structlog.stdlib.BoundLogger:
        bound: structlog.stdlib.BoundLogger = self._log.bind(**_names(claim))
        return bound

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(RENEW_EVERY)
            try:
                await self._flight.renew()
            except StoreError as error:
                self._log.warning("leases could not be renewed", error=str(error))

    async def _land(self, grace: float) -> None:
        tasks = [*self._tasks["order.cancel"], *self._tasks["order.add"]]
        if not tasks:
            return
        _, late = await asyncio.wait(tasks, timeout=grace)
        for task in late:
            task.cancel()
        if late:
            await asyncio.wait(late, timeout=LEASE_SECONDS)


def _reached(claim: Claim, held: Held) -> Reached:
    """What is known when a claim was left in the middle."""
    return Reached.MAYBE if held.sent or claim.uncertain else Reached.NO


def _names(claim: Claim) -> dict[str, object]:
    """What a line of the log is about."""
    return {"order_number": claim.order_number, "outbox_id": claim.id, "attempt": claim.attempts + 1}
