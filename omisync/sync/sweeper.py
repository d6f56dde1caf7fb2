"""Compares Omisell's list with our tables: makes good what a lost push left stale, and notices when pushes stop.

What the list shows goes into `orders` as it is read; a sweep costs pages, not orders. The details follow, each once.
"""

import contextlib
import datetime as dt
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

import structlog

from omisync.clock import since_boot
from omisync.omisell import CallClass, ListedOrder, OmisellError, Refused, Throttled
from omisync.store import Difference, Listed, Orders, SweepKind, Sweeps
from omisync.sync.lag import LagNotes
from omisync.sync.listed import listed_of
from omisync.sync.listing import Incomplete, read_window
from omisync.sync.ports import Counters, LagRecord, OmisellApi
from omisync.sync.tally import Swept, Tally, TooDear

FIRST_WINDOW = 86_400  # seconds that the very first sweep reaches back; `omisync reconcile --since` reaches further
AHEAD = 120  # seconds beyond Omisell's clock, as we know it, that a window includes
COMPARE_AT_ONCE = 500  # orders compared in one statement
FULL_PAGE = 1000
FULL_WINDOW = 86_400  # seconds of Omisell's time that the daily sweep looks at together
LEAST_LISTED = 2  # open orders in such a window below which a fetch is no dearer than a page, and brings more
LEAST_REACH = 60  # seconds of Omisell's time below which a part of a window is not halved any more
OWED_DELAY = 0.0  # seconds that details owed after a sweep wait: whatever budget is spare may bring them
PUSH_GRACE = 60.0  # seconds after a change until its push is held to be lost


@dataclass(frozen=True, slots=True)
class Compared:
    """What a comparison read and found.

    Attributes:
        begin: since when, Omisell's clock, Unix seconds.
        listed: the orders of the list, by Omisell's number.
    """

    begin: int
    listed: Mapping[str, ListedOrder]
    differences: tuple[Difference, ...]


class Sweeper:
    """The scheduled reconciliation.

    Args:
        shop_id: the custom store.
        overlap: seconds that each incremental sweep reaches back before the last one.
        record: where the list's lag that a sweep shows is kept; None keeps it nowhere.
    """

    def __init__(
        self,
        omisell: OmisellApi,
        orders: Orders,
        sweeps: Sweeps,
        counters: Counters,
        *,
        shop_id: int,
        overlap: float,
        record: LagRecord | None = None,
    ) -> None:
        self._omisell = omisell
        self._orders = orders
        self._sweeps = sweeps
        self._counters = counters
        self._shop_id = shop_id
        self._overlap = int(overlap)
        self._lag = LagNotes(record)
        self._heard = False
        self._reach: int | None = None  # seconds of Omisell's time that are read together; None: all
        self._log = structlog.get_logger("sweeper")

    async def incremental(self) -> Swept:
        """Everything that changed since the last good sweep, and `overlap` before.

        A window that could not be read is read in halves from then on, each part kept when it is done: a list that
        moves faster than it can be read as a whole, or is cut off now and then, is still brought to its end.

        Raises:
            OmisellError, Incomplete: the list could not be read; the next sweep reaches back to the last good part.
            StoreError: the database is away.
        """
        now = await self._now()
        cursor = await self._sweeps.cursor()
        begin = (now - FIRST_WINDOW if cursor is None else min(cursor, now)) - self._overlap
        # what was there before the first sweep was never ours to hear of
        lost_from = None if cursor is None else begin
        parts: list[Swept] = []
        while True:
            until = now if self._reach is None else min(now, begin + self._reach)
            try:
                parts.append(await self._part(begin, until, now, lost_from))
            except (OmisellError, Incomplete):
                self._reach = max(LEAST_REACH, (until - begin) // 2)
                raise
            if until == now:
                break
            self._reach = (until - begin) * 2
            begin = until - 1  # whether bounds are included is not known
        self._reach = None
        await self._tell_silence()
        return Swept(
            sum(part.seen for part in parts),
            tuple(difference for part in parts for difference in part.differences),
            tuple(at for part in parts for at in part.lost_times),
        )

    async def _part(self, begin: int, until: int, now: int, lost_from: float | None) -> Swept:
        """Reads a part of the window, and moves the cursor to its end."""
        end = now + AHEAD if until == now else until

        async def work(tally: Tally, read_at: dt.datetime) -> None:
            began = since_boot()
            listed = await self._read(begin, end, tally.window())
            if until == now:
                await self._lag.note(listed.keys(), began, now - begin)
            await self._take(listed, tally, read_at)

        return await self._entered("incremental", begin, until, work, lost_from=lost_from)

    async def full(self) -> Swept:
        """Every order that is not final, and every detail that is behind.

        By day of their last change the open orders are read from the list, where its pages are fewer than they; fetched
        one by one are only those that it did not show (they have moved, or are gone) and those of sparse days.

        Raises:
            OmisellError, StoreError: as for `incremental`.
        """
        now = await self._now()
        windows = await self._orders.open_windows(FULL_WINDOW)

        async def work(tally: Tally, read_at: dt.datetime) -> None:
            shown: set[str] = set()
            for begin, orders in windows:
                if orders < LEAST_LISTED:
                    continue
                try:
                    # the neighbours' boundary seconds are read twice: whether bounds are included is not known
                    listed = await self._read(begin - 1, begin + FULL_WINDOW + 1, tally.window(most=orders - 1))
                except (TooDear, Incomplete):
                    continue
                await self._take(listed, tally, read_at)
                shown |= listed.keys()
            await self._ask_unseen(shown)
            while await self._orders.owe(FULL_PAGE) == FULL_PAGE:
                pass

        return await self._entered("full", min((begin for begin, _ in windows), default=now), now, work)

    async def manual(
        self, since: float, *, dry_run: bool = False, on_page: Callable[[int, int], None] | None = None
    ) -> Swept:
        """Everything that changed in the last `since` seconds; with `dry_run` nothing is changed nor asked for.

        Raises:
            OmisellError, Incomplete, StoreError: as for `incremental`.
        """
        now = await self._now()
        begin = now - int(since)

        async def work(tally: Tally, read_at: dt.datetime) -> None:
            await self._take(await self._read(begin, now + AHEAD, tally.window()), tally, read_at)

        if not dry_run:
            return await self._entered("manual", begin, now, work, on_page=on_page)
        compared = await self.compare(since, on_page=on_page)
        return Swept(len(compared.listed), compared.differences)

    async def compare(self, since: float, *, on_page: Callable[[int, int], None] | None = None) -> Compared:
        """What changed in the last `since` seconds, and where our tables differ; nothing is changed nor asked for.

        Raises:
            OmisellError, Incomplete, StoreError: as for `incremental`.
        """
        now = await self._now()
        begin = now - int(since)
        listed = await self._read(begin, now + AHEAD, Tally(on_page).window())
        differences = [found for part in _parts(listed) for found in await self._orders.differing(part)]
        return Compared(begin, listed, tuple(differences))

    async def _now(self) -> int:
        """Omisell's clock, in whole seconds: of Omisell's own telling, for this machine's may be hours off."""
        if not self._heard:
            with contextlib.suppress(Refused, Throttled):  # an answer all the same
                await self._omisell.ping()
            self._heard = True
        return int(self._omisell.server_time())

    async def _entered(
        self,
        kind: SweepKind,
        begin: int,
        now: int,
        work: Callable[[Tally, dt.datetime], Awaitable[None]],
        *,
        lost_from: float | None = None,
        on_page: Callable[[int, int], None] | None = None,
    ) -> Swept:
        # the cursor stands at Omisell's `now` when the reading began: what changes meanwhile is the next sweep's
        entry, read_at = await self._sweeps.begin(kind, begin, now)
        tally = Tally(on_page)
        try:
            await work(tally, read_at)
        except Exception as error:
            why = f"{type(error).__name__}: {error}"
            await self._sweeps.end(entry, pages=tally.pages, seen=tally.seen, repaired=0, error=why)
            raise
        swept = tally.swept(lost_from, now - PUSH_GRACE)
        repaired = len(swept.repairs)
        await self._sweeps.end(
            entry, pages=tally.pages, seen=swept.seen, repaired=repaired, lost_times=swept.lost_times
        )
        for difference in swept.repairs:
            self._counters.sweep_repair(difference.kind)
        self._log.info(
            "sweep done",
            kind=kind,
            pages=tally.pages,
            seen=swept.seen,
            repaired=repaired,
            pushes_lost=len(swept.lost_times),
        )
        return swept

    async def _read(self, begin: int, end: int, on_page: Callable[[int, int], None]) -> dict[str, ListedOrder]:
        return await read_window(
            self._omisell,
            updated_from=begin,
            updated_to=end,
            shop_id=self._shop_id,
            cls=CallClass.SWEEP,
            on_page=on_page,
        )

    async def _take(self, listed: dict[str, ListedOrder], tally: Tally, read_at: dt.datetime) -> None:
        tally.seen += len(listed)
        for part in _parts(listed):
            tally.differences += await self._orders.take_listed(
                part, read_at, source="sweep", adopting=True, owed_delay=OWED_DELAY
            )

    async def _ask_unseen(self, shown: set[str]) -> None:
        after = ""
        while page := await self._orders.open_after(after, FULL_PAGE):
            after = page[-1][0]
            unseen = [(omisell, number, None) for number, omisell in page if omisell not in shown]
            if unseen:
                await self._orders.request(unseen, "sweep", priority=2)

    async def _tell_silence(self) -> None:
        since = await self._sweeps.pushes_silent_since()
        if since is not None:
            self._log.warning(
                "no push comes any more, though Omisell's orders change: sweeps alone keep them up to date;"
                " check the hook in Omisell's Console and the way to webhook.listen",
                since=since.isoformat(),
            )


def _parts(listed: dict[str, ListedOrder]) -> list[list[Listed]]:
    rows = [listed_of(order) for order in listed.values()]
    return [rows[start : start + COMPARE_AT_ONCE] for start in range(0, len(rows), COMPARE_AT_ONCE)]
