"""Adopts the orders that are at Omisell already: the list, then their details, from where a killed process left off."""

import asyncio
import contextlib
import math
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

import structlog

from omisync.clock import since_boot
from omisync.omisell import CallClass, OrderPage, Refused, Throttled, Unavailable
from omisync.store import StoreError
from omisync.store.imports import Import, Imports, PageOrder
from omisync.sync.backoff import Backoff
from omisync.sync.breaker import Breaker
from omisync.sync.listing import MOST_PASSES, Incomplete
from omisync.sync.patience import Pacer
from omisync.sync.ports import OmisellApi
from omisync.sync.refresher import Refresher

PORTION = 64  # details asked for at a time: a live order's own detail, behind them, waits for no more than these
LOOK_EVERY = 0.25  # seconds between looks at what has become of them
URGENT_EVERY = 1.0  # seconds between looks at whether something urgent waits
PATIENCE = 600.0  # seconds without any progress while Omisell gives no answer, until it is given up
AGAIN = Backoff(2.0, 30.0)  # between tries of a page that Omisell did not give
GRACE = 5.0  # seconds for the fetches in flight at the end
MEASURED = 20  # calls after which their pace tells more than the limit


class GaveUp(Exception):
    """Omisell gave no answer for `PATIENCE` seconds; what was done is kept."""


@dataclass(frozen=True, slots=True)
class Forecast:
    """What an import would do.

    Attributes:
        orders: in the list, by Omisell's own count, or so many of them as are not settled yet.
        known: of these at least, up to date already.
        pages: calls for the list that are still to be made.
        details: calls for details, at most.
        seconds: that these calls take at the pace that was asked for.
        unfinished: how far the import is that would be gone on with.
    """

    orders: int
    known: int
    pages: int
    details: int
    seconds: float
    unfinished: Import | None


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an import is.

    Attributes:
        calls: that are left, as far as is known.
        seconds: that they will take at the pace of this process so far.
        slowed: whether it stands back for something urgent.
        away: why Omisell is held to be away; None while it answers.
    """

    entry: Import
    calls: int
    seconds: float
    slowed: bool
    away: str | None


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import has brought.

    Attributes:
        resumed: whether an earlier process had begun it.
        lost: orders that the list shows and that are not to be had: Omisell's number and the shop's.
    """

    entry: Import
    resumed: bool
    lost: tuple[tuple[str, str], ...]


class Importer:
    """One process's part in an import.

    Args:
        omisell: where the orders are.
        imports: where it is kept how far it is.
        refresher: fetches the details that can wait.
        breaker: tells whether Omisell as a whole is away.
        pacer: of all its calls.
        shop_id: the custom store.
        page_size: orders of a page.
    """

    def __init__(
        self,
        omisell: OmisellApi,
        imports: Imports,
        refresher: Refresher,
        breaker: Breaker,
        pacer: Pacer,
        *,
        shop_id: int,
        page_size: int,
    ) -> None:
        self._omisell = omisell
        self._imports = imports
        self._refresher = refresher
        self._breaker = breaker
        self._pacer = pacer
        self._shop_id = shop_id
        self._page_size = page_size
        self._began = since_boot()
        self._calls = 0
        self._log = structlog.get_logger("import")

    async def forecast(self, since: int) -> Forecast:
        """What `run` would do; asks Omisell for one page of the list, or for nothing when one is under way.

        Raises:
            OmisellError, StoreError: it cannot be told.
        """
        entry = await self._imports.unfinished()
        if entry is not None and entry.since_seconds == since and entry.pages:
            details = max(entry.seen, entry.counted) - entry.settled
            pages = _pages_left(entry, self._page_size)
            return Forecast(details, entry.settled, pages, details, (pages + details) / self._pacer.rate, entry)
        window_from = await self._now() - since
        page = await self._page(window_from, 1)
        known = min(page.count, await self._imports.up_to_date(window_from))
        # one is read anyway, and tells that there is no more
        pages = max(1, math.ceil(page.count / self._page_size))
        details = page.count - known
        return Forecast(page.count, known, pages, details, (pages + details) / self._pacer.rate, None)

    async def run(self, since: int, on_progress: Callable[[Progress], None]) -> Imported:
        """Imports the orders changed in the last `since` seconds, or goes on with that.

        Args:
            since: seconds.
            on_progress: told how far it is, a few times a second.

        Raises:
            OmisellError, Incomplete, GaveUp, StoreError: what was done is kept, the same call goes on with it.
            TakenOver: another process goes on with it.
        """
        entry = await self._imports.open(since, await self._now() - since, self._page_size)
        resumed = entry.pages > 0
        async with self._looking_out():
            entry = await self._list(entry, on_progress)
            entry = await self._details(entry, on_progress)
        entry, lost = await self._imports.finish(entry)
        return Imported(entry, resumed, tuple(lost))

    async def _now(self) -> int:
        with contextlib.suppress(Refused, Throttled):  # an answer all the same, and Omisell's clock with it
            await self._omisell.ping()
        return int(self._omisell.server_time())

    # The list

    async def _list(self, entry: Import, on_progress: Callable[[Progress], None]) -> Import:
        while entry.listed_at is None:
            if _is_whole(entry):
                return await self._imports.listed(entry)
            if entry.pass_number > MOST_PASSES:
                await self._imports.again(entry)
                raise Incomplete(
                    f"the order list kept moving while it was read: {entry.seen} of {entry.counted} orders seen"
                )
            page = await self._page(entry.window_from, entry.next_page)
            orders = [
                PageOrder(
                    order.omisell_order_number,
                    order.order_number or "",
                    order.updated_time,
                    order.status_id,
                    is_other=order.shop_id not in {None, self._shop_id},
                )
                for order in page.orders
            ]
            ended = not page.has_next or not (page.orders or page.unread)
            entry = await self._imports.take_page(entry, orders, counted=page.count, unread=page.unread, ended=ended)
            on_progress(self._progress(entry))
        return entry

    async def _page(self, window_from: int, number: int) -> OrderPage:
        """A page of the list; asked for again while Omisell gives none, at most `PATIENCE` seconds long."""
        began, tries = since_boot(), 0
        while True:
            await self._pacer.turns()
            self._calls += 1
            try:
                # open-ended: an order that changes meanwhile stays in the window, so that Omisell's count can be met
                return await self._omisell.order_page(
                    page=number,
                    updated_from=window_from,
                    updated_to=None,
                    shop_id=self._shop_id,
                    cls=CallClass.SWEEP,
                )
            except (Unavailable, Throttled) as error:
                pause = AGAIN.delay(tries)
                if since_boot() - began + pause > PATIENCE:
                    raise
                self._log.warning("a page of the list was not to be had; trying again", error=str(error))
                tries += 1
                await asyncio.sleep(pause)

    # The details

    async def _details(self, entry: Import, on_progress: Callable[[Progress], None]) -> Import:
        async with self._fetching():
            settled, moved = entry.settled, since_boot()
            while True:
                entry = await self._imports.settle(entry)
                if entry.settled != settled:
                    self._calls += max(0, entry.settled - settled)
                    settled, moved = entry.settled, since_boot()
                if settled >= entry.seen:
                    return entry
                if since_boot() - moved > PATIENCE and self._breaker.is_open:
                    raise GaveUp(f"Omisell gave no answer for {PATIENCE:g} s: {self._breaker.reason}")
                if (free := PORTION - await self._imports.asked()) > 0:
                    known = entry.known
                    entry = await self._imports.ask(entry, free)
                    settled += entry.known - known  # nothing was called for these
                on_progress(self._progress(entry))
                await asyncio.sleep(LOOK_EVERY)

    @contextlib.asynccontextmanager
    async def _fetching(self) -> AsyncIterator[None]:
        work = asyncio.create_task(self._refresher.run(GRACE))
        try:
            yield
        finally:
            self._refresher.stop()
            await work

    # What it looks at meanwhile

    @contextlib.asynccontextmanager
    async def _looking_out(self) -> AsyncIterator[None]:
        tasks = [asyncio.create_task(self._breaker.run()), asyncio.create_task(self._stand_back())]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _stand_back(self) -> None:
        while True:
            with contextlib.suppress(StoreError):  # who works with the database will say it
                self._pacer.slow(await self._imports.live_waits())
            await asyncio.sleep(URGENT_EVERY)

    def _progress(self, entry: Import) -> Progress:
        left = _pages_left(entry, self._page_size) + max(entry.seen, entry.counted) - entry.settled
        took = since_boot() - self._began
        rate = self._calls / took if self._calls >= MEASURED and took > 0 else self._pacer.rate
        return Progress(entry, left, left / rate, self._pacer.slowed, self._breaker.reason)


def _is_whole(entry: Import) -> bool:
    """Whether the list has shown all that it counts; or, should it not count, whether a reading brought nothing new."""
    counted = entry.counted - entry.unread
    return entry.seen >= counted if counted > 0 else entry.quiet


def _pages_left(entry: Import, page_size: int) -> int:
    if entry.listed_at is not None:
        return 0
    return max(0, math.ceil(entry.counted / page_size) - entry.next_page + 1)
