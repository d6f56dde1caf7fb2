"""Turns pushes into fetches and fetches into the shop's tables: one fetch for all that waits on an order."""

import asyncio
from collections.abc import Sequence

import structlog

from omisync.clock import since_boot
from omisync.omisell import (
    AuthenticationFailed,
    CallClass,
    NotFound,
    OmisellError,
    OrderDetail,
    Throttled,
    Unavailable,
)
from omisync.store import Applied, Fetch, Inbox, Orders, StoreError, Unconfirmed
from omisync.store.outbox import LEASE_SECONDS
from omisync.sync.backoff import Backoff
from omisync.sync.breaker import Breaker
from omisync.sync.bulk import Bulk
from omisync.sync.flight import RENEW_EVERY, Flight
from omisync.sync.listed import FIRSTS
from omisync.sync.loop import Wake, forever, unless_set
from omisync.sync.ports import Around, BudgetView, OmisellApi, untraced
from omisync.sync.snapshot import snapshot_of

ROUTE_AT_ONCE = 1000  # pushes judged in one statement
CROWD = 20  # pushes that came while the last were judged: then the next are judged together
CROWD_PAUSE = 0.1  # seconds from then on: judged a thousand at a time, a push costs half as much as by thirties
BEHIND = Backoff(2.0, 60.0)  # while the detail is older than the push said [omisell-api 9.13]
MOST_BEHIND = 8  # fetches of a detail that stays older than told; then a sweep's business
FAILED = Backoff(2.0, 300.0)  # after a fetch that failed
MOST_FAILED = 12  # failures that are the order's own before it is left to the sweeps
UNKNOWN_ORDER = 5  # fetches of an order that Omisell says it does not know
AUTH_RETRY = 15.0  # seconds


class Refresher:
    """Routes pushes, fetches details, applies them.

    Args:
        shop_id: the custom store; other shops' orders are left alone.
        concurrency: fetches in flight.
        interval: seconds between looks when nobody wakes it.
        around: goes around the work for each order.
        owed_alone: only the details that nobody is in a hurry for, beside daemons that do all the rest.
    """

    def __init__(
        self,
        inbox: Inbox,
        orders: Orders,
        omisell: OmisellApi,
        breaker: Breaker,
        budget: BudgetView,
        *,
        shop_id: int,
        concurrency: int,
        interval: float,
        owed_alone: bool = False,
        around: Around = untraced,
    ) -> None:
        self._around = around
        self._inbox = inbox
        self._orders = orders
        self._omisell = omisell
        self._breaker = breaker
        self._budget = budget
        self._shop_id = shop_id
        self._bulk = Bulk(omisell, orders, shop_id=shop_id)
        self._relief: asyncio.Task[None] | None = None
        self._owed_alone = owed_alone
        owed = concurrency if owed_alone else max(1, concurrency // 4)
        self._places = {CallClass.REFRESH: concurrency, CallClass.SWEEP: owed}
        self._interval = interval
        self._flight: Flight[str] = Flight(orders.renew)
        self._tasks: dict[CallClass, set[asyncio.Task[None]]] = {cls: set() for cls in self._places}
        self._stopping = asyncio.Event()
        self._pushed = Wake()
        self._wanted = Wake()
        self._owed = Wake()
        self._log = structlog.get_logger("refresher")

    def wake(self) -> None:
        """A push was stored: look now."""
        self._pushed.set()

    def wake_fetches(self, *, owed: bool) -> None:
        """A fetch is due: look now."""
        (self._owed if owed else self._wanted).set()

    def stop(self) -> None:
        """Claims nothing more."""
        self._stopping.set()
        for wake in (self._pushed, self._wanted, self._owed):
            wake.set()

    async def run(self, grace: float) -> None:
        """Works until `stop`; then waits for fetches in flight at most `grace` seconds and gives leases back."""
        renewal = asyncio.create_task(self._renew())
        steps = [(self._take_owed, self._owed)]
        if not self._owed_alone:
            steps += [(self._route, self._pushed), (self._take_wanted, self._wanted)]
        try:
            async with asyncio.TaskGroup() as group:
                for step, wake in steps:
                    group.create_task(
                        forever("refresher", step, interval=self._interval, wake=wake, stopping=self._stopping)
                    )
        finally:
            if self._relief is not None:
                self._relief.cancel()
            await self._land(grace)
            renewal.cancel()

    async def _route(self) -> bool:
        routed = await self._inbox.route(
            self._shop_id, ROUTE_AT_ONCE, omisell_now=self._omisell.server_time(), firsts=FIRSTS
        )
        if any(judged.verdict == "waiting" for judged in routed):
            self._wanted.set()
        pushes = sum(judged.pushes for judged in routed)
        if CROWD <= pushes < ROUTE_AT_ONCE:
            await unless_set(self._stopping, asyncio.sleep(CROWD_PAUSE))
        return pushes >= ROUTE_AT_ONCE

    async def _take_wanted(self) -> bool:
        return await self._take(CallClass.REFRESH)

    async def _take_owed(self) -> bool:
        """Details that nobody is in a hurry for are paid out of what the other calls leave."""
        return await self._take(CallClass.SWEEP)

    async def _take(self, cls: CallClass) -> bool:
        tasks = self._tasks[cls]
        free = self._places[cls] - len(tasks)
        if free <= 0:
            await unless_set(self._stopping, asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED))
            return True
        owed = cls is CallClass.SWEEP
        if not await self._orders.is_due(owed=owed):
            return False  # no place in the budget is kept waiting for nothing
        room = await unless_set(self._stopping, self._room(cls))
        if room is None:
            return False
        if not owed:
            await self._begin_relief()
        most = min(free, room)
        asked_at = since_boot()
        fetches = await self._orders.claim(most, owed=owed, confirmed=self._relief is not None)
        if len(fetches) < most:
            self._budget.brings(cls, len(fetches))
        for fetch in fetches:
            self._flight.take(fetch.omisell_order_number, fetch.lease_token, asked_at)
            task = asyncio.create_task(self._around("refresh", fetch.order_number, self._work(fetch, cls)))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
        return len(fetches) == most

    async def _room(self, cls: CallClass) -> int:
        await self._breaker.passable()
        return await self._budget.wait_available(cls)

    async def _begin_relief(self) -> None:
        """Has the list read beside the fetches, if enough pushes wait; until it is, they are left to it."""
        if self._relief is None and (asked := await self._bulk.pressing()):
            self._relief = asyncio.create_task(self._relieve(asked))
            self._relief.add_done_callback(self._relieved)

    def _relieved(self, _: asyncio.Task[None]) -> None:
        self._relief = None
        self._wanted.set()

    async def _relieve(self, asked: Sequence[Unconfirmed]) -> None:
        try:
            pages = await self._bulk.relieve(asked)
        except OmisellError as error:
            self._log.info("the list cannot be read; fetches go on one by one", error=str(error))
            if not isinstance(error, Throttled):
                await self._breaker.suspect()
        except StoreError as error:
            self._log.warning("waiting for the database", error=str(error))
        except Exception:  # noqa: BLE001 - nobody waits for this task: it is told with its traceback
            self._log.exception("a step failed; going on")
        else:
            self._log.info("pushes confirmed by the list", pages=pages)

    async def _work(self, fetch: Fetch, cls: CallClass) -> None:
        log = self._log.bind(omisell_order_number=fetch.omisell_order_number, order_number=fetch.order_number)
        try:
            await self._fetch(fetch, cls, log)
        except StoreError as error:
            # the lease runs out by itself and the fetch is made again: reading twice harms nobody
            log.info("a detail could not be applied now", error=str(error))
        finally:
            self._flight.drop(fetch.omisell_order_number)

    async def _fetch(self, fetch: Fetch, cls: CallClass, log: structlog.stdlib.BoundLogger) -> None:
        try:
            await self._refresh(fetch, cls, log)
        except asyncio.CancelledError:
            await asyncio.shield(self._give_back(fetch, 0.0))
            raise
        except StoreError:
            raise
        except Exception:
            log.exception("a detail could not be applied; trying again later")
            await self._failed(fetch, "the detail could not be applied", log)

    async def _refresh(self, fetch: Fetch, cls: CallClass, log: structlog.stdlib.BoundLogger) -> None:
        try:
            detail = await self._omisell.order_detail(fetch.omisell_order_number, cls=cls)
        except Throttled as error:
            await self._give_back(fetch, error.retry_after)
        except AuthenticationFailed:
            await self._breaker.suspect()
            await self._give_back(fetch, AUTH_RETRY)
        except NotFound:
            if fetch.attempts + 1 < UNKNOWN_ORDER:
                await self._give_back(
                    fetch, FAILED.delay(fetch.attempts), spent=1, error="Omisell does not know it (yet)"
                )
            else:
                log.warning("a push names an order that Omisell does not know")
                await self._orders.drop(fetch, "unhandled")
        except OmisellError as error:
            if isinstance(error, Unavailable) and await self._breaker.suspect():
                await self._give_back(fetch, FAILED.delay(fetch.attempts))
            else:
                await self._failed(fetch, str(error), log)
        else:
            await self._apply(fetch, detail, log)

    async def _apply(self, fetch: Fetch, detail: OrderDetail, log: structlog.stdlib.BoundLogger) -> None:
        order_number = detail.order_number or fetch.order_number
        if detail.shop_id is not None and detail.shop_id != self._shop_id:
            await self._orders.drop(fetch, "ignored")
        elif not order_number or detail.omisell_order_number not in {None, fetch.omisell_order_number}:
            await self._failed(fetch, "Omisell's detail is that of another order, or names none", log)
        else:
            snapshot = snapshot_of(detail, fetch, order_number, _retry_delay(fetch, detail))
            self._tell(await self._orders.apply(snapshot), detail, log.bind(order_number=order_number))

    def _tell(self, applied: Applied, detail: OrderDetail, log: structlog.stdlib.BoundLogger) -> None:
        if applied.event is not None:
            log.info(f"order {applied.event}", status_id=detail.status_id)  # noqa: G004 - a closed set of event names
        elif not applied.applied:
            log.debug("an older detail was dropped")

    async def _failed(self, fetch: Fetch, why: str, log: structlog.stdlib.BoundLogger) -> None:
        if fetch.attempts + 1 >= MOST_FAILED:
            log.warning("an order's detail cannot be had; left to the next sweep", error=why)
            await self._orders.drop(fetch, "unhandled")
        else:
            await self._give_back(fetch, FAILED.delay(fetch.attempts), spent=1, error=why)

    async def _give_back(self, fetch: Fetch, delay: float, *, spent: int = 0, error: str | None = None) -> None:
        await self._orders.release(fetch, delay, spent=spent, error=error)

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(RENEW_EVERY)
            try:
                await self._flight.renew()
            except StoreError as error:
                self._log.warning("leases could not be renewed", error=str(error))

    async def _land(self, grace: float) -> None:
        tasks = [task for tasks in self._tasks.values() for task in tasks]
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=grace)
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late, timeout=LEASE_SECONDS)


def _retry_delay(fetch: Fetch, detail: OrderDetail) -> float | None:
    """Seconds until the next fetch, if this detail is older than what the push told."""
    behind = (
        fetch.wanted_time is not None and detail.updated_time is not None and detail.updated_time < fetch.wanted_time
    )
    return BEHIND.delay(fetch.attempts) if behind and fetch.attempts < MOST_BEHIND else None
