"""The outbox as the sender sees it: claim under a lease, finish in groups, fenced by the lease.

The states and the legal moves are in `lifecycle`.
"""

import enum
import uuid
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from typing import Literal, NewType

from omisync.store.database import Database, Record
from omisync.store.group_commit import GroupCommit
from omisync.store.hooks import Hooks

OutboxId = NewType("OutboxId", int)
Kind = Literal["order.add", "order.cancel"]
Source = Literal["outbox", "webhook", "sweep", "operator"]

ANNUL_AT_ONCE = 200  # pairs of add and cancel ended in one transaction
LATEST = 253_402_300_799  # Unix seconds: the last moment that a four-digit year has

LEASE_SECONDS = 15.0  # with a renewal every 4 s; a killed daemon's rows are taken up again within 20 s


class Reached(enum.StrEnum):
    """What is known of a call's effect at Omisell when its row is finished."""

    NO = "no"  # surely nothing of it is there
    MAYBE = "maybe"
    YES = "yes"


@dataclass(frozen=True, slots=True)
class Claim:
    """A row of the outbox under our lease.

    Attributes:
        uncertain: a copy of an earlier attempt may be at Omisell: look before sending again.
        expired: taken over from a worker whose lease ran out.
        sent_age: seconds since a copy may have been at Omisell first (database's clock), else of its oldest row.
        settling_for: seconds since the wait began after which "not listed" may be believed; None if it has not begun.
        list_lag: the greatest lag of Omisell's list, in seconds, that any replica has seen lately.
        created_time: Unix seconds, when the shop enqueued it.
        due_since: Unix seconds, from when on it may be claimed.
        omisell_order_number: Omisell's number, if `orders` has it already.
    """

    id: OutboxId
    lease_token: uuid.UUID
    kind: Kind
    order_number: str
    payload: str | None
    attempts: int
    uncertain: bool
    expired: bool
    sent_age: float
    settling_for: float | None
    list_lag: float
    created_time: int
    due_since: float
    omisell_order_number: str | None
    status_id: int | None


@dataclass(frozen=True, slots=True)
class Ending:
    """How a claim ends.

    Attributes:
        delay: seconds from now until the row is due again; None keeps its place in the queue.
        settling: the wait begins now, after which "not listed" may be believed.
    """

    claim: Claim
    state: Literal["done", "failed", "pending"]
    outcome: Literal["added", "adopted", "cancelled", "already_cancelled", "annulled"] | None = None
    error: str | None = None
    spent: int = 0
    delay: float | None = None
    reached: Reached = Reached.YES
    settling: bool = False
    event: Literal["added", "adopted", "cancel_requested", "cancel_refused", "failed", "annulled"] | None = None
    event_data: str | None = None
    omisell_order_number: str | None = None
    status_id: int | None = None
    status_name: str | None = None
    is_final: bool | None = None
    updated_time: int | None = None
    shop_id: int | None = None
    source: Source = "outbox"


class Outbox:
    """What the sender may do with the outbox. All methods raise `StoreError`."""

    def __init__(self, database: Database, hooks: Hooks) -> None:
        self._database = database
        self._hooks = hooks
        self._finishing: GroupCommit[Ending, bool] = GroupCommit(self._finish, most=hooks.group, writers=hooks.writers)

    async def claim(self, kind: Kind, most: int, since: float | None = None) -> list[Claim]:
        """Takes up to `most` rows that are due, under one fresh lease of `LEASE_SECONDS`.

        Args:
            kind: of the rows.
            most: how many.
            since: only what is due from then on (Unix seconds), and nothing that a dead worker left behind.
        """
        token = uuid.uuid4()
        rows = await self._database.rows(
            "outbox.claim", kind=kind, most=most, since=since, lease_token=token, lease_seconds=LEASE_SECONDS
        )
        return [_claim(row, token) for row in rows]

    async def is_due(self, kind: Kind) -> bool:
        """Whether a claim would find anything (unless the kind is paused)."""
        return bool(await self._database.value("outbox.is_due", kind=kind))

    async def annul(self) -> list[Kind]:
        """Ends adds that a cancel overtook before anything was sent, and those cancels; returns the rows' kinds."""
        overtaken = await self._database.rows("outbox.overtaken", most=ANNUL_AT_ONCE)
        if not overtaken:
            return []
        async with self._database.transaction() as connection:
            numbers = await self._hooks.whose_turn(connection, [row["order_number"] for row in overtaken])
            rows = await connection.rows("outbox.annul", order_numbers=numbers)
            await self._hooks.call(connection, [row["event_id"] for row in rows if row["event_id"] is not None])
        return [row["kind"] for row in rows]

    def finish(self, ending: Ending) -> Awaitable[bool]:
        """Ends a claim; False if its lease had gone to somebody else, who decides now."""
        return self._finishing.submit(ending)

    async def renew(self, leases: Sequence[uuid.UUID]) -> set[OutboxId]:
        """Keeps leases for another `LEASE_SECONDS`; returns the rows still held."""
        rows = await self._database.rows("outbox.renew", lease_tokens=list(leases), lease_seconds=LEASE_SECONDS)
        return {OutboxId(row["id"]) for row in rows}

    async def purge(self, keep_seconds: float, most: int) -> int:
        """Removes up to `most` finished rows older than `keep_seconds`; returns how many."""
        return len(await self._database.rows("outbox.purge", keep_seconds=keep_seconds, most=most))

    async def _finish(self, endings: Sequence[Ending]) -> list[bool]:
        async with self._database.transaction() as connection:
            await self._hooks.in_turn(connection, [e.claim.order_number for e in endings])
            rows = await connection.rows(
                "outbox.finish",
                ids=[e.claim.id for e in endings],
                lease_tokens=[e.claim.lease_token for e in endings],
                states=[e.state for e in endings],
                outcomes=[e.outcome for e in endings],
                errors=[e.error for e in endings],
                spent=[e.spent for e in endings],
                delays=[e.delay for e in endings],
                reached=[e.reached.value for e in endings],
                settlings=[e.settling for e in endings],
                events=[e.event for e in endings],
                sources=[e.source for e in endings],
                event_data=[e.event_data for e in endings],
                omisell_order_numbers=[e.omisell_order_number for e in endings],
                status_ids=[e.status_id for e in endings],
                status_names=[e.status_name for e in endings],
                finals=[e.is_final for e in endings],
                updated_times=[None if e.updated_time is None else min(e.updated_time, LATEST) for e in endings],
                shop_ids=[e.shop_id for e in endings],
            )
            await self._hooks.call(connection, [row["event_id"] for row in rows if row["event_id"] is not None])
        ended = {row["id"] for row in rows}
        return [e.claim.id in ended for e in endings]


def _claim(row: Record, token: uuid.UUID) -> Claim:
    return Claim(
        id=OutboxId(row["id"]),
        lease_token=token,
        kind=row["kind"],
        order_number=row["order_number"],
        payload=row["payload"],
        attempts=row["attempts"],
        uncertain=row["uncertain"],
        expired=row["expired"],
        sent_age=row["sent_age"],
        settling_for=row["settling_for"],
        list_lag=row["list_lag"],
        created_time=row["created_time"],
        due_since=row["due_since"],
        omisell_order_number=row["omisell_order_number"],
        status_id=row["status_id"],
    )
