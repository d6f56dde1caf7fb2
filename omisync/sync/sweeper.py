"""Compares Omisell's list with our tables and asks for what differs: makes good what a lost push left stale."""

from collections.abc import Callable
from dataclasses import dataclass

import structlog

from omisync.omisell import CallClass, ListedOrder
from omisync.store import Difference, Listed, Orders, SweepKind, Sweeps
from omisync.sync.listing import read_window
from omisync.sync.ports import Counters, OmisellApi

FIRST_WINDOW = 86_400  # seconds that the very first sweep reaches back; `omisync reconcile --since` reaches further
AHEAD = 120  # seconds beyond Omisell's clock, as we know it, that a window includes
COMPARE_AT_ONCE = 500  # orders compared in one statement
FULL_PAGE = 1000


@dataclass(frozen=True, slots=True)
class Swept:
    """What a sweep saw and found."""

    seen: int
    differences: tuple[Difference, ...]

    @property
    def repairs(self) -> tuple[Difference, ...]:
        """The differences that nobody had asked about yet."""
        return tuple(difference for difference in self.differences if difference.kind != "asked")


class Sweeper:
    """The scheduled reconciliation.

    Args:
        shop_id: the custom store.
        overlap: seconds that each incremental sweep reaches back before the last one.
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
    ) -> None:
        self._omisell = omisell
        self._orders = orders
        self._sweeps = sweeps
        self._counters = counters
        self._shop_id = shop_id
        self._overlap = int(overlap)
        self._log = structlog.get_logger("sweeper")

    async def incremental(self) -> Swept:
        """Everything that changed since the last good sweep, and `overlap` before.

        Raises:
            OmisellError, Incomplete: the list could not be read; the next sweep reaches back further.
            StoreError: the database is away.
        """
        now = int(self._omisell.server_time())
        cursor = await self._sweeps.cursor()
        begin = (now - FIRST_WINDOW if cursor is None else min(cursor, now)) - self._overlap
        return await self._sweep("incremental", begin, now)

    async def full(self) -> Swept:
        """Every order that is not final: by the list where it shows them, by a fetch each where it does not.

        Raises:
            OmisellError, Incomplete, StoreError: as for `incremental`.
        """
        now = int(self._omisell.server_time())
        count, oldest = await self._orders.open_since()
        if count == 0:
            return Swept(0, ())
        return await self._sweep("full", (oldest or now - FIRST_WINDOW) - self._overlap, now)

    async def manual(
        self, since: float, *, dry_run: bool = False, on_page: Callable[[int, int], None] | None = None
    ) -> Swept:
        """Everything that changed in the last `since` seconds; with `dry_run` nothing is asked for.

        Raises:
            OmisellError, Incomplete, StoreError: as for `incremental`.
        """
        now = int(self._omisell.server_time())
        if dry_run:
            listed = await self._read(now - int(since), now, on_page)
            return Swept(len(listed), tuple(await self._compare(list(listed.values()))))
        return await self._sweep("manual", now - int(since), now, on_page)

    async def _sweep(
        self, kind: SweepKind, begin: int, now: int, on_page: Callable[[int, int], None] | None = None
    ) -> Swept:
        # the cursor stands at Omisell's `now` when the reading began: what changes meanwhile is the next sweep's
        entry = await self._sweeps.begin(kind, begin, now)
        try:
            listed = await self._read(begin, now, on_page)
            differences = await self._compare(list(listed.values()))
            swept = Swept(len(listed), tuple(differences))
            await self._ask(swept)
            if kind == "full":
                await self._ask_unseen(listed)
        except Exception as error:
            await self._sweeps.end(entry, pages=0, seen=0, repaired=0, error=f"{type(error).__name__}: {error}")
            raise
        await self._sweeps.end(entry, pages=0, seen=swept.seen, repaired=len(swept.repairs))
        for difference in swept.repairs:
            self._counters.sweep_repair(difference.kind)
        self._log.info("sweep done", kind=kind, seen=swept.seen, repaired=len(swept.repairs))
        return swept

    async def _read(self, begin: int, now: int, on_page: Callable[[int, int], None] | None) -> dict[str, ListedOrder]:
        return await read_window(
            self._omisell,
            updated_from=begin,
            updated_to=now + AHEAD,
            shop_id=self._shop_id,
            cls=CallClass.SWEEP,
            on_page=on_page,
        )

    async def _compare(self, listed: list[ListedOrder]) -> list[Difference]:
        differences: list[Difference] = []
        for start in range(0, len(listed), COMPARE_AT_ONCE):
            part = listed[start : start + COMPARE_AT_ONCE]
            differences += await self._orders.differing(
                [Listed(o.omisell_order_number, o.order_number or "", o.status_id, o.updated_time) for o in part]
            )
        return differences

    async def _ask(self, swept: Swept) -> None:
        wanted = [(d.omisell_order_number, d.order_number, d.updated_time) for d in swept.repairs]
        for start in range(0, len(wanted), COMPARE_AT_ONCE):
            await self._orders.request(wanted[start : start + COMPARE_AT_ONCE], "sweep", priority=1)

    async def _ask_unseen(self, listed: dict[str, ListedOrder]) -> None:
        after = ""
        while page := await self._orders.open_after(after, FULL_PAGE):
            after = page[-1][0]
            unseen = [(omisell, number, None) for number, omisell in page if omisell not in listed]
            if unseen:
                await self._orders.request(unseen, "sweep", priority=2)
