"""What was: the last day hour by hour, the last pushes, what sweeps made good, what people did by hand."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from omisync.store.database import Database

HOURS = 24
"""Of the charts: a day shows its rhythm."""
SHOWN = 20
"""Rows of each list; older ones are found by order."""

TABLES = 6
"""The largest tables; the others are small by nature."""


@dataclass(frozen=True, slots=True)
class Hour:
    """An hour by the clock, of UTC; the last one is not over yet.

    Attributes:
        hour: its beginning.
        sent: orders that were added at Omisell, or found there.
        failed: rows that ended `failed`.
        pushes: that were received.
    """

    hour: dt.datetime
    sent: int
    failed: int
    pushes: int


@dataclass(frozen=True, slots=True)
class PushSeen:
    """A push as it was received, without its body; `authorization_form` is how it proved itself."""

    event: str
    order_number: str | None
    omisell_order_number: str | None
    status_id: int | None
    authorization_form: str
    state: str
    received_at: dt.datetime


@dataclass(frozen=True, slots=True)
class Repair:
    """A change of an order that a sweep found and no push had told of."""

    order_number: str
    kind: str
    old_status_id: int | None
    new_status_id: int | None
    occurred_at: dt.datetime
    recorded_at: dt.datetime


@dataclass(frozen=True, slots=True)
class ByHand:
    """Something that a person changed."""

    at: dt.datetime
    who: str
    action: str
    subject: str | None


@dataclass(frozen=True, slots=True)
class Table:
    """A table of ours and its indexes.

    Attributes:
        name: without the schema.
        bytes: on disk.
        rows: living ones, as the last vacuum or analyse counted them.
        dead: rows that wait for the next vacuum.
        autovacuumed_at: when Postgres last did that by itself; None if never.
        vacuumed_at: when somebody last asked for it.
    """

    name: str
    bytes: int
    rows: int
    dead: int
    autovacuumed_at: dt.datetime | None = None
    vacuumed_at: dt.datetime | None = None

    @property
    def clean_since(self) -> dt.datetime | None:
        """When it was last vacuumed, whoever asked; None if never."""
        return max(filter(None, (self.autovacuumed_at, self.vacuumed_at)), default=None)


@dataclass(frozen=True, slots=True)
class LastDay:
    """The last day: its hours, the oldest first, and what sweeps made good in it, the newest first.

    With the largest tables as they are now, for they too are not looked at every second.
    """

    hours: Sequence[Hour]
    repairs: Sequence[Repair]
    tables: Sequence[Table] = ()


@dataclass(frozen=True, slots=True)
class Latest:
    """The last pushes, and the last changes by hand; the newest first."""

    pushes: Sequence[PushSeen]
    by_hand: Sequence[ByHand]


class History:
    """Reads the past, and ends it. All methods raise `StoreError`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def latest(self) -> Latest:
        """By the primary keys: as cheap as it looks."""
        async with self._database.connection() as connection:
            pushes = await connection.rows("history.pushes", most=SHOWN)
            by_hand = await connection.rows("history.by_hand", most=SHOWN)
        return Latest([PushSeen(**dict(row)) for row in pushes], [ByHand(**dict(row)) for row in by_hand])

    async def last_day(self) -> LastDay:
        """Reads every push and every event of a day: a second's work where there are millions."""
        async with self._database.connection() as connection:
            orders = await connection.rows("history.orders_by_the_hour", hours=HOURS)
            pushes = await connection.rows("history.pushes_by_the_hour", hours=HOURS)
            repairs = await connection.rows("history.repairs", hours=HOURS, most=SHOWN)
            tables = await connection.rows("history.tables", schema=self._database.schema, most=TABLES)
        pushed = {row["hour"]: row["pushes"] for row in pushes}
        hours = [Hour(row["hour"], row["sent"], row["failed"], pushed.get(row["hour"], 0)) for row in orders]
        return LastDay(hours, [Repair(**dict(row)) for row in repairs], [Table(**dict(row)) for row in tables])

    async def purge(self, keep_seconds: float, most: int) -> int:
        """Removes up to `most` events of orders, recorded more than `keep_seconds` ago; what a hook waits for stays."""
        return len(await self._database.rows("history.purge", keep_seconds=keep_seconds, most=most))
