"""The shop's picture of its orders: fetches that are wanted, and details applied, each order in one transaction."""

import datetime as dt
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from omisync.store.database import Database, Record
from omisync.store.group_commit import GroupCommit
from omisync.store.hooks import Hooks
from omisync.store.inbox import OWED_DELAY
from omisync.store.outbox import LEASE_SECONDS, Source


@dataclass(frozen=True, slots=True)
class Fetch:
    """A wanted fetch under our lease.

    Attributes:
        wanted_time: Omisell's updated_time (Unix seconds) that the detail must reach: it was told, or is known.
        fetched_at: the database's clock when the fetch was claimed.
        waited: seconds since the oldest request.
    """

    omisell_order_number: str
    lease_token: uuid.UUID
    order_number: str | None
    source: Source
    generation: int
    attempts: int
    wanted_time: int | None
    fetched_at: dt.datetime
    waited: float


@dataclass(frozen=True, slots=True)
class Snapshot:
    """An order as a fetched detail tells it; times in Unix seconds by Omisell's clock, JSON as text.

    Attributes:
        retry_delay: seconds after which to fetch again, because the detail is older than was told; None when it is not.
    """

    fetch: Fetch
    order_number: str
    shop_id: int | None
    status_id: int | None
    status_name: str | None
    is_final: bool
    created_time: int | None
    updated_time: int | None
    rts_time: int | None
    shipped_time: int | None
    completed_time: int | None
    tracking_numbers: str
    detail: str
    parcels: str
    retry_delay: float | None = None


@dataclass(frozen=True, slots=True)
class Applied:
    """What a snapshot changed: nothing if it was too old or its lease had gone."""

    applied: bool
    event: str | None
    adopted: bool


@dataclass(frozen=True, slots=True)
class Listed:
    """An order as Omisell's list tells it.

    Attributes:
        updated_time: Unix seconds.
        first: its detail brings at once what the list lacks, and is worth a hurry.
    """

    omisell_order_number: str
    order_number: str
    status_id: int | None
    updated_time: int | None
    status_name: str | None = None
    is_final: bool = False
    first: bool = False


@dataclass(frozen=True, slots=True)
class Unconfirmed:
    """A push that waits for a fetch and tells of a change that nothing has shown us yet.

    Attributes:
        wanted_time: Omisell's time of that change, Unix seconds.
        read_at: the database's clock when this was asked.
    """

    omisell_order_number: str
    wanted_time: int
    read_at: dt.datetime


@dataclass(frozen=True, slots=True)
class Difference:
    """Where our tables and Omisell's list differ.

    Attributes:
        kind: the order is missing, has changed since, has another status, lacks only its latest detail, or is being
            asked for already.
    """

    omisell_order_number: str
    order_number: str
    kind: Literal["missing", "stale", "status", "detail", "asked"]
    known_status_id: int | None
    status_id: int | None
    updated_time: int | None


class Orders:
    """Fetches and their results. All methods raise `StoreError`.

    Args:
        owed_delay: seconds that a detail nobody hurries for waits.
    """

    def __init__(self, database: Database, hooks: Hooks, *, owed_delay: float = OWED_DELAY) -> None:
        self._database = database
        self._hooks = hooks
        self._owed_delay = owed_delay
        self._applying: GroupCommit[Snapshot, Applied] = GroupCommit(
            self._apply, most=min(100, hooks.group), writers=hooks.writers
        )

    async def request(
        self, orders: Sequence[tuple[str, str | None, int | None]], source: Source, priority: int = 1
    ) -> int:
        """Asks for fetches of (Omisell's number, the shop's number, wanted updated_time); returns how many."""
        unique = {order[0]: order for order in orders}
        rows = await self._database.rows(
            "refreshes.request",
            omisell_order_numbers=list(unique),
            order_numbers=[order[1] for order in unique.values()],
            wanted_times=[order[2] for order in unique.values()],
            source=source,
            priority=priority,
        )
        return len(rows)

    async def claim(self, most: int, *, owed: bool = False, confirmed: bool = False) -> list[Fetch]:
        """Takes up to `most` fetches that are due, under one fresh lease of `LEASE_SECONDS`.

        Args:
            most: how many.
            owed: those that nobody is in a hurry for, instead of those that were asked for.
            confirmed: of those that were asked for, only what no reading of the list may spare.
        """
        token = uuid.uuid4()
        rows = await self._database.rows(
            "refreshes.claim",
            owed=owed,
            confirmed=confirmed,
            most=most,
            lease_token=token,
            lease_seconds=LEASE_SECONDS,
        )
        return [Fetch(lease_token=token, **dict(row)) for row in rows]

    async def is_due(self, *, owed: bool = False) -> bool:
        """Whether a claim would find anything."""
        return bool(await self._database.value("refreshes.is_due", owed=owed))

    async def renew(self, leases: Sequence[uuid.UUID]) -> set[str]:
        """Keeps leases for another `LEASE_SECONDS`; returns the orders still held."""
        rows = await self._database.rows("refreshes.renew", lease_tokens=list(leases), lease_seconds=LEASE_SECONDS)
        return {row["omisell_order_number"] for row in rows}

    async def release(self, fetch: Fetch, delay: float, *, spent: int = 0, error: str | None = None) -> None:
        """Gives a fetch back, to be tried again after `delay` seconds."""
        await self._database.rows(
            "refreshes.release",
            omisell_order_numbers=[fetch.omisell_order_number],
            lease_tokens=[fetch.lease_token],
            delays=[delay],
            spent=[spent],
            errors=[error],
        )

    async def drop(self, fetch: Fetch, inbox_state: Literal["ignored", "unhandled"]) -> None:
        """Ends a fetch that brings nothing, and the pushes that asked for it; what was asked since then stays."""
        await self._database.rows(
            "refreshes.drop",
            omisell_order_numbers=[fetch.omisell_order_number],
            lease_tokens=[fetch.lease_token],
            generations=[fetch.generation],
            inbox_state=inbox_state,
        )

    async def apply(self, snapshot: Snapshot) -> Applied:
        """Brings the tables up to date: order, parcels, event, hook, pushes and fetch in one transaction."""
        return await self._applying.submit(snapshot)

    async def differing(self, listed: Sequence[Listed]) -> list[Difference]:
        """Of orders as Omisell lists them, those that our tables lack or have older; changes nothing."""
        rows = await self._database.rows(
            "orders.differing",
            omisell_order_numbers=[order.omisell_order_number for order in listed],
            order_numbers=[order.order_number for order in listed],
            status_ids=[order.status_id for order in listed],
            updated_times=[order.updated_time for order in listed],
        )
        return [_difference(row) for row in rows]

    async def take_listed(
        self,
        listed: Sequence[Listed],
        read_at: dt.datetime,
        *,
        source: Source,
        adopting: bool,
        owed_delay: float | None = None,
    ) -> list[Difference]:
        """Brings the status of orders up to date from Omisell's list, with event and hook, and asks for their details.

        Args:
            listed: rows of the list, each order once.
            read_at: the database's clock before the list was read.
            source: of the events and fetches that nobody had asked for.
            adopting: whether orders that we do not know are asked for, too.
            owed_delay: seconds that owed details wait for a push to share their fetch with, if not as usual.

        Returns:
            What differed.
        """
        differences: list[Difference] = []
        for start in range(0, len(listed), self._hooks.group):
            part = listed[start : start + self._hooks.group]
            delay = self._owed_delay if owed_delay is None else owed_delay
            differences += await self._take_listed(part, read_at, source, adopting=adopting, owed_delay=delay)
        return differences

    async def unconfirmed(self, most: int) -> list[Unconfirmed]:
        """Up to `most` changes of orders we know that pushes told and nothing has shown yet, the oldest first."""
        rows = await self._database.rows("refreshes.unconfirmed", most=most)
        return [Unconfirmed(row["omisell_order_number"], row["wanted_time"], row["read_at"]) for row in rows]

    async def open_windows(self, width: int) -> list[tuple[int, int]]:
        """When orders that may still move last did: (begin of a window of `width` seconds, orders), latest first."""
        rows = await self._database.rows("orders.open_windows", width=width)
        return [(row["begin"], row["orders"]) for row in rows]

    async def owe(self, most: int) -> int:
        """Asks for up to `most` details that are behind what is known, where no fetch waits; returns how many."""
        return len(await self._database.rows("orders.owe", most=most))

    async def open_after(self, after: str, most: int) -> list[tuple[str, str]]:
        """A page of (the shop's number, Omisell's number) of the orders that may still move, after `after`."""
        rows = await self._database.rows("orders.open_after", after=after, most=most)
        return [(row["order_number"], row["omisell_order_number"]) for row in rows]

    async def _take_listed(
        self, listed: Sequence[Listed], read_at: dt.datetime, source: Source, *, adopting: bool, owed_delay: float
    ) -> list[Difference]:
        async with self._database.transaction() as connection:
            await self._hooks.in_turn(connection, [order.order_number for order in listed])
            rows = await connection.rows(
                "orders.take_listed",
                omisell_order_numbers=[order.omisell_order_number for order in listed],
                order_numbers=[order.order_number for order in listed],
                status_ids=[order.status_id for order in listed],
                status_names=[order.status_name for order in listed],
                finals=[order.is_final for order in listed],
                updated_times=[order.updated_time for order in listed],
                firsts=[order.first for order in listed],
                read_at=read_at,
                source=source,
                adopting=adopting,
                owed_delay=owed_delay,
            )
            await self._hooks.call(connection, [row["event_id"] for row in rows if row["event_id"] is not None])
        return [_difference(row) for row in rows]

    async def _apply(self, batch: Sequence[Snapshot]) -> list[Applied]:
        # two snapshots of one order in one statement would each see the table without the other
        unique = {s.order_number: s for s in sorted(batch, key=lambda s: (s.updated_time or 0, s.fetch.fetched_at))}
        chosen = list(unique.values())
        async with self._database.transaction() as connection:
            await self._hooks.in_turn(connection, [s.order_number for s in chosen])
            rows = await connection.rows(
                "orders.apply",
                omisell_order_numbers=[s.fetch.omisell_order_number for s in chosen],
                order_numbers=[s.order_number for s in chosen],
                shop_ids=[s.shop_id for s in chosen],
                status_ids=[s.status_id for s in chosen],
                status_names=[s.status_name for s in chosen],
                finals=[s.is_final for s in chosen],
                created_times=[s.created_time for s in chosen],
                updated_times=[s.updated_time for s in chosen],
                rts_times=[s.rts_time for s in chosen],
                shipped_times=[s.shipped_time for s in chosen],
                completed_times=[s.completed_time for s in chosen],
                tracking_numbers=[s.tracking_numbers for s in chosen],
                details=[s.detail for s in chosen],
                parcels=[s.parcels for s in chosen],
                fetched_ats=[s.fetch.fetched_at for s in chosen],
                sources=[s.fetch.source for s in chosen],
                lease_tokens=[s.fetch.lease_token for s in chosen],
                generations=[s.fetch.generation for s in chosen],
                retry_delays=[s.retry_delay for s in chosen],
            )
            await self._hooks.call(connection, [row["event_id"] for row in rows if row["event_id"] is not None])
        told = {
            row["omisell_order_number"]: Applied(
                row["applied"], row["event_kind"], row["adopted_outbox_id"] is not None
            )
            for row in rows
        }
        nothing = Applied(applied=False, event=None, adopted=False)
        return [told.get(s.fetch.omisell_order_number, nothing) for s in batch]


def _difference(row: Record) -> Difference:
    return Difference(
        row["omisell_order_number"],
        row["order_number"],
        row["difference"],
        row["known_status_id"],
        row["status_id"],
        row["updated_time"],
    )
