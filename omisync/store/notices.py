"""Pushes that tell what no detail does: returned, received back, reconciled, a return's own; each an event once."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from omisync.store.database import Database
from omisync.store.hooks import Hooks

NoticeKind = Literal["returned", "return_receive", "reconciled", "return"]


@dataclass(frozen=True, slots=True)
class Untold:
    """A push that has not become an event yet.

    Attributes:
        status_id: as the push has it; of a push of the type Return not surely the order's.
        updated_time: Omisell's time of the change, Unix seconds.
        body: as it came, byte for byte; empty where the order's personal data is gone.
        order_number: None: no such order is known, so there is nothing to tell.
    """

    id: int
    event: str
    category: str
    status_id: int | None
    updated_time: int | None
    received_at: dt.datetime
    body: bytes
    order_number: str | None


@dataclass(frozen=True, slots=True)
class Notice:
    """What becomes of such a push.

    Attributes:
        kind: of the event.
        occurred_at: Omisell's time of the change, else when the push came.
        event_data: of the event, JSON as text.
        status_name: as the push has it.
        return_data: for `omisync.returns`, JSON as text.
    """

    untold: Untold
    kind: NoticeKind
    occurred_at: dt.datetime
    event_data: str
    status_name: str | None
    return_data: str


class Notices:
    """Finds such pushes and tells them. All methods raise `StoreError`."""

    def __init__(self, database: Database, hooks: Hooks) -> None:
        self._database = database
        self._hooks = hooks

    async def untold(self, most: int) -> list[Untold]:
        """Up to `most` pushes that are not told yet and have done what they were to make us do, oldest first."""
        return [Untold(**dict(row)) for row in await self._database.rows("notices.untold", most=most)]

    async def tell(self, notices: Sequence[Notice]) -> int:
        """Writes their events, with the hook, and what is known of returns; returns how many pushes are told now.

        Orders of which somebody writes events just now are left for the next time.
        """
        waiting = list(notices)
        told = 0
        while waiting:
            part, waiting = self._part(waiting)
            numbers = list(dict.fromkeys(n.untold.order_number for n in part if n.untold.order_number is not None))
            async with self._database.transaction() as connection:
                free = set(await self._hooks.whose_turn(connection, numbers)) if numbers else set()
                part = [n for n in part if n.untold.order_number is None or n.untold.order_number in free]
                if not part:
                    continue
                rows = await connection.rows(
                    "notices.tell",
                    ids=[n.untold.id for n in part],
                    order_numbers=[n.untold.order_number for n in part],
                    kinds=[n.kind for n in part],
                    occurred_ats=[n.occurred_at for n in part],
                    event_data=[n.event_data for n in part],
                    events=[n.untold.event for n in part],
                    status_ids=[n.untold.status_id for n in part],
                    status_names=[n.status_name for n in part],
                    return_data=[n.return_data for n in part],
                )
                await self._hooks.call(connection, [row["event_id"] for row in rows if row["event_id"] is not None])
            told += sum(row["marked_id"] is not None for row in rows)
        return told

    def _part(self, waiting: list[Notice]) -> tuple[list[Notice], list[Notice]]:
        """The notices of as many orders as one transaction may change, and the rest."""
        orders = list(dict.fromkeys(n.untold.order_number for n in waiting))
        chosen = set(orders[: self._hooks.group])
        part = [n for n in waiting if n.untold.order_number in chosen]
        return part, [n for n in waiting if n.untold.order_number not in chosen]
