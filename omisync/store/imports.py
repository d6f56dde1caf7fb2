"""The import of orders that were at Omisell before us: how far it is, kept page by page and order by order."""

import datetime as dt
import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from omisync.store.database import Database, Record

MOST_LOST = 1000  # orders not to be had that are named


class TakenOver(Exception):
    """Another process has taken the import over; nothing more is to be done here."""


@dataclass(frozen=True, slots=True)
class Import:
    """How far an import is.

    Attributes:
        since_seconds: how far it reaches back, as it was asked for.
        window_from: since when, Omisell's clock, Unix seconds.
        next_page: of the list, to be read next.
        pass_number: readings of the list, with this one.
        quiet: whether the reading that ended with the last page showed nothing new.
        pages: calls that brought a page, in all processes together.
        counted: orders by Omisell's own count.
        unread: rows of the list that name no order.
        seen: different orders that the list has shown; `known` of them are up to date already, `fetched` were brought,
            `others` are another shop's, `lost` are not to be had.
    """

    id: int
    since_seconds: int
    window_from: int
    page_size: int
    next_page: int
    pass_number: int
    quiet: bool
    pages: int
    counted: int
    unread: int
    seen: int
    known: int
    fetched: int
    others: int
    lost: int
    started_at: dt.datetime
    listed_at: dt.datetime | None
    finished_at: dt.datetime | None

    @property
    def total(self) -> int:
        """Orders in all, as far as that is known."""
        return max(self.seen, self.counted)

    @property
    def settled(self) -> int:
        """Orders that need nothing more."""
        return self.known + self.fetched + self.others + self.lost


@dataclass(frozen=True, slots=True)
class PageOrder:
    """An order of a page of the list.

    Attributes:
        updated_time: Unix seconds.
        is_other: it says that it is another shop's.
    """

    omisell_order_number: str
    order_number: str
    updated_time: int | None
    status_id: int | None
    is_other: bool


class Imports:
    """The imports of one process, which takes over what another has left. All methods raise `StoreError`.

    What changes something raises `TakenOver` once a later process has come.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._holder = uuid.uuid4()

    async def unfinished(self) -> Import | None:
        """The import that has not come to its end."""
        row = await self._database.row("imports.unfinished")
        return None if row is None else import_of(row)

    async def open(self, since_seconds: int, window_from: int, page_size: int) -> Import:
        """Goes on with the unfinished import if it reaches back as far, else begins another in its place."""
        async with self._database.transaction() as connection:
            await connection.value("imports.lock")
            row = await connection.row("imports.unfinished")
            if row is not None and row["since_seconds"] == since_seconds:
                row = await connection.row("imports.take_over", id=row["id"], holder=self._holder, page_size=page_size)
            else:
                await connection.rows("imports.abandon")
                await connection.rows("imports.clear")
                row = await connection.row(
                    "imports.begin",
                    since_seconds=since_seconds,
                    window_from=window_from,
                    holder=self._holder,
                    page_size=page_size,
                )
        return import_of(row)

    async def take_page(
        self, entry: Import, orders: Sequence[PageOrder], *, counted: int, unread: int, ended: bool
    ) -> Import:
        """Keeps a page of the list, and that it was read.

        Args:
            entry: the import.
            orders: the page's.
            counted: orders of the list by Omisell's own count.
            unread: rows of the page that name no order.
            ended: whether it was the last page.
        """
        return await self._changed(
            "imports.take_page",
            entry,
            omisell_order_numbers=[order.omisell_order_number for order in orders],
            order_numbers=[order.order_number for order in orders],
            updated_times=[order.updated_time for order in orders],
            status_ids=[order.status_id for order in orders],
            others=[order.is_other for order in orders],
            counted=counted,
            unread=unread,
            ended=ended,
        )

    async def listed(self, entry: Import) -> Import:
        """The list was read to its end."""
        return await self._changed("imports.listed", entry)

    async def again(self, entry: Import) -> Import:
        """The list is to be read anew, with what was seen of it kept."""
        return await self._changed("imports.again", entry)

    async def ask(self, entry: Import, most: int) -> Import:
        """Has the details of up to `most` more orders fetched, at the priority of what can wait."""
        return await self._changed("imports.ask", entry, most=most)

    async def settle(self, entry: Import) -> Import:
        """Looks what has become of the fetches."""
        return await self._changed("imports.settle", entry)

    async def asked(self) -> int:
        """Orders whose fetch is under way or waits."""
        return int(await self._database.value("imports.asked"))

    async def finish(self, entry: Import) -> tuple[Import, list[tuple[str, str]]]:
        """Ends it; returns as well the orders that are not to be had, by Omisell's number and the shop's."""
        async with self._database.transaction() as connection:
            row = await connection.row("imports.finish", id=entry.id, holder=self._holder)
            if row is None:
                raise TakenOver
            lost = await connection.rows("imports.lost_orders", most=MOST_LOST)
            await connection.rows("imports.clear")
        return import_of(row), [(one["omisell_order_number"], one["order_number"] or "") for one in lost]

    async def live_waits(self) -> bool:
        """Whether something that daemons have to do at Omisell waits and is more urgent."""
        return bool(await self._database.value("imports.live_waits"))

    async def up_to_date(self, window_from: int) -> int:
        """Orders changed since then (Omisell's clock, Unix seconds) of which nothing is left to fetch."""
        return int(await self._database.value("imports.up_to_date", window_from=window_from))

    async def _changed(self, query: str, entry: Import, **values: object) -> Import:
        row = await self._database.row(query, id=entry.id, holder=self._holder, **values)
        if row is None:
            raise TakenOver
        return import_of(row)


def import_of(row: Record) -> Import:
    """A row of `imports`."""
    values = dict(row)
    return Import(
        pass_number=values["pass"],
        **{name: values[name] for name in Import.__dataclass_fields__ if name != "pass_number"},
    )
