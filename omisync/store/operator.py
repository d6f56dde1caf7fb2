"""What an operator sees and mends: status, the outbox, orders with their timeline, pauses."""

import contextlib
import dataclasses
import datetime as dt
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import asyncpg

from omisync.store.database import Connection, Database, Record
from omisync.store.history import ByHand, History, LastDay, Latest, Table
from omisync.store.imports import Import, import_of
from omisync.store.mirrors import MirrorAge
from omisync.store.outbox import Kind
from omisync.store.privacy import Forgetting, forget_one

KINDS: tuple[Kind, ...] = ("order.add", "order.cancel")
ALL = 1000
"""Tables: more than there are."""


@dataclass(frozen=True, slots=True)
class Pause:
    """Sending of one kind is stopped."""

    kind: str
    reason: str | None
    paused_by: str
    paused_at: dt.datetime


@dataclass(frozen=True, slots=True)
class Replica:
    """A daemon that has been seen in the last minute; `state` is what it tells of itself."""

    name: str
    version: str
    started_at: dt.datetime
    seen_at: dt.datetime
    leads: bool
    state: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class SweepRun:
    """One sweep, as its diary has it."""

    kind: str
    started_at: dt.datetime
    finished_at: dt.datetime | None
    seen: int
    repaired: int
    error: str | None


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that needs a person."""

    kind: str
    order_number: str
    subject: str
    data: Mapping[str, Any]
    found_at: dt.datetime


@dataclass(frozen=True, slots=True)
class Status:
    """The state of things; ages and lags in seconds.

    Attributes:
        backlog: rows that wait for a call: `order.add` and `order.cancel` of the outbox; `refresh` for a fetch that
            was asked for, `owed` for one that can wait.
        token_held: whether there is a token, also one of which Omisell told no end.
        last_push_at: when the last push came.
        last_sweep_at: when the last sweep that succeeded ended.
        lists: the copies of Omisell's lists that were ever tried.
        tables: what each takes, the largest first; only where it was asked for.
        unfinished_import: the `omisync import` that is under way or was broken off.
    """

    outbox: Mapping[str, int]
    oldest_pending_seconds: float | None
    failed: int
    refresh_pending: int
    refresh_lag_seconds: float | None
    inbox: Mapping[str, int]
    token_expires_seconds: float | None
    budget_used_ratio: float | None
    pauses: Sequence[Pause]
    leader: str | None
    replicas: Sequence[Replica]
    sweeps: Sequence[SweepRun]
    webhook_forms: Mapping[str, int]
    hooks_waiting: int
    findings: Sequence[Finding]
    schema_version: str
    pushes_silent_since: dt.datetime | None = None
    backlog: Mapping[str, int] = field(default_factory=dict)
    last_push_at: dt.datetime | None = None
    last_sweep_at: dt.datetime | None = None
    token_held: bool = False
    lists: Sequence[MirrorAge] = ()
    tables: Sequence[Table] = ()
    unfinished_import: Import | None = None


@dataclass(frozen=True, slots=True)
class OutboxRow:
    """A row of the outbox; `payload` only where one row is shown, for it holds personal data."""

    id: int
    kind: str
    order_number: str
    state: str
    outcome: str | None
    attempts: int
    available_at: dt.datetime
    error: str | None
    created_at: dt.datetime
    finished_at: dt.datetime | None
    payload: str | None


@dataclass(frozen=True, slots=True)
class Change:
    """What a retry or a discard did, or would do, to a row."""

    id: int
    kind: str
    order_number: str
    result: str

    @property
    def done(self) -> bool:
        """Whether the row is changed; if not, `result` says why it was left alone."""
        return self.result in _DONE.values()


@dataclass(frozen=True, slots=True)
class OrderRow:
    """An order without its detail; `forgotten_at`: since when the buyer's data is removed."""

    order_number: str
    omisell_order_number: str | None
    status_id: int | None
    status_name: str | None
    is_final: bool
    omisell_updated_at: dt.datetime | None
    synced_at: dt.datetime | None
    tracking_numbers: Sequence[str]
    forgotten_at: dt.datetime | None = None


@dataclass(frozen=True, slots=True)
class OrderView:
    """An order with everything that happened to it.

    Attributes:
        order: None while only the outbox knows it.
        returned: its row of `omisync.returns`; None if it has not come back, as far as is known.
    """

    order_number: str
    order: OrderRow | None
    parcels: Sequence[Mapping[str, Any]]
    events: Sequence[Mapping[str, Any]]
    outbox: Sequence[OutboxRow]
    pushes: Sequence[Mapping[str, Any]]
    by_hand: Sequence[ByHand] = ()
    returned: Mapping[str, Any] | None = None


class Operator:
    """Everything an operator may look at and change. All methods raise `StoreError`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._history = History(database)

    async def status(self, *, space: bool = False) -> Status:
        """The state of things now; with `space` also what the tables take, which looks at files."""
        async with self._database.transaction() as connection:
            depths = await connection.row("operator.depths")
            replicas = [_replica(row) for row in await connection.rows("operator.replicas")]
            pauses = [Pause(**dict(row)) for row in await connection.rows("operator.pauses")]
            sweeps = [SweepRun(**dict(row)) for row in await connection.rows("operator.sweeps", most=10)]
            forms = await connection.rows("operator.webhook_forms")
            findings = await connection.rows("operator.findings", most=50)
            lists = [MirrorAge(**dict(row)) for row in await connection.rows("mirrors.ages")]
            unfinished = await connection.row("imports.unfinished")
            tables = await connection.rows("history.tables", schema=self._database.schema, most=ALL) if space else ()
        assert depths is not None  # noqa: S101 - a SELECT without FROM always has its row
        ratios = [r.state["budget_used_ratio"] for r in replicas if r.state.get("budget_used_ratio") is not None]
        return Status(
            outbox={state: depths[state] for state in ("pending", "sending", "failed")},
            oldest_pending_seconds=depths["oldest_pending_seconds"],
            failed=depths["failed"],
            refresh_pending=depths["refresh_pending"],
            refresh_lag_seconds=depths["refresh_lag_seconds"],
            inbox={"new": depths["inbox_new"], "waiting": depths["inbox_waiting"]},
            token_expires_seconds=depths["token_expires_seconds"],
            budget_used_ratio=max(ratios, default=None),
            pauses=pauses,
            leader=next((replica.name for replica in replicas if replica.leads), None),
            replicas=replicas,
            sweeps=sweeps,
            webhook_forms={row["authorization_form"]: row["pushes"] for row in forms},
            hooks_waiting=depths["hooks_waiting"],
            findings=[_finding(row) for row in findings],
            schema_version=depths["schema_version"],
            pushes_silent_since=depths["pushes_silent_since"],
            backlog={
                "order.cancel": depths["pending_cancels"],
                "order.add": depths["pending_adds"],
                "refresh": depths["refreshes_urgent"],
                "owed": depths["refreshes_owed"],
            },
            last_push_at=depths["last_push_at"],
            last_sweep_at=depths["last_sweep_at"],
            token_held=depths["token_held"],
            lists=lists,
            tables=[Table(**dict(row)) for row in tables],
            unfinished_import=None if unfinished is None else import_of(unfinished),
        )

    async def latest(self) -> Latest:
        """The last pushes, and the last changes by hand."""
        return await self._history.latest()

    async def last_day(self) -> LastDay:
        """The last day, hour by hour."""
        return await self._history.last_day()

    async def outbox_list(self, state: str | None = None, order: str | None = None, limit: int = 50) -> list[OutboxRow]:
        """Rows of the outbox, newest first, without their payloads."""
        rows = await self._database.rows("operator.outbox_list", state=state, order_number=order, most=limit)
        return [OutboxRow(**dict(row)) for row in rows]

    async def outbox_show(self, outbox_id: int) -> OutboxRow | None:
        """One row with its payload."""
        row = await self._database.row("operator.outbox_show", id=outbox_id)
        return None if row is None else OutboxRow(**dict(row))

    async def retry(
        self, ids: Sequence[int] | None = None, *, all_failed: bool = False, dry_run: bool = False, by: str
    ) -> list[Change]:
        """Puts failed rows back to be tried from the start."""
        return await self._change("retry", ids, all_failed, dry_run, by)

    async def discard(
        self, ids: Sequence[int] | None = None, *, all_failed: bool = False, dry_run: bool = False, by: str
    ) -> list[Change]:
        """Gives rows up that are failed or wait: they will not be sent."""
        return await self._change("discard", ids, all_failed, dry_run, by)

    async def pause(self, kind: str | None, reason: str | None, by: str) -> None:
        """Stops sending of one kind, or of both, on all replicas."""
        async with self._database.transaction() as connection:
            for each in KINDS if kind is None else (kind,):
                await connection.value("operator.pause", kind=each, reason=reason, who=by)
            await connection.value(
                "operator.note", who=by, action="pause", subject=kind, data=json.dumps({"reason": reason})
            )

    async def resume(self, kind: str | None, by: str) -> int:
        """Starts sending again; returns how many kinds were paused."""
        async with self._database.transaction() as connection:
            ended = await connection.rows("operator.resume", kind=kind)
            await connection.value("operator.note", who=by, action="resume", subject=kind, data="{}")
        return len(ended)

    async def orders_list(
        self, status: int | None = None, *, open_only: bool = False, limit: int = 50
    ) -> list[OrderRow]:
        """Orders, the last changed first."""
        rows = await self._database.rows("operator.orders_list", status_id=status, open_only=open_only, most=limit)
        return [OrderRow(**dict(row)) for row in rows]

    async def order_show(self, number: str) -> OrderView | None:
        """An order by either number, with its timeline; None if nobody knows it."""
        async with self._database.transaction() as connection:
            row = await connection.row("operator.order", number=number)
            order = None if row is None else OrderRow(**dict(row))
            name = number if order is None else order.order_number
            outbox = await connection.rows("operator.outbox_list", state=None, order_number=name, most=100)
            events = await connection.rows("operator.events", order_number=name)
            if order is None and not outbox and not events:
                return None
            parcels = await connection.rows("operator.parcels", order_number=name)
            returned = await connection.row("operator.returned", order_number=name)
            omisell = None if order is None else order.omisell_order_number
            pushes = [] if omisell is None else await connection.rows("operator.pushes", omisell_order_number=omisell)
            subjects = [str(row["id"]) for row in outbox]
            by_hand = await connection.rows("history.by_hand_on", subjects=subjects, order_number=name)
        return OrderView(
            name,
            order,
            [dict(row) for row in parcels],
            [dict(row) for row in events],
            [OutboxRow(**dict(row)) for row in outbox],
            [dict(row) for row in pushes],
            [ByHand(**dict(row)) for row in by_hand],
            None if returned is None else dict(returned),
        )

    async def request_refresh(self, numbers: Sequence[str], by: str, *, dry_run: bool = False) -> int:
        """Asks for a fetch of orders named by either number; returns how many are known."""
        async with self._database.transaction() as connection:
            known = await connection.rows("orders.numbers", numbers=list(numbers))
            if dry_run:
                return len(known)
            await connection.rows(
                "refreshes.request",
                omisell_order_numbers=[row["omisell_order_number"] for row in known],
                order_numbers=[row["order_number"] for row in known],
                wanted_times=[None for _ in known],
                source="operator",
                priority=0,
            )
            subjects = [row["order_number"] or row["omisell_order_number"] for row in known]
            await connection.rows("operator.notes", who=by, action="refresh", subjects=subjects)
        return len(known)

    async def forget(self, number: str, *, by: str, dry_run: bool = False, hook: bool = False) -> Forgetting | None:
        """Removes the buyer's data of an order by either number; see `forget_one`."""
        return await forget_one(self._database, number, by=by, dry_run=dry_run, hook=hook)

    async def _change(
        self, action: Literal["retry", "discard"], ids: Sequence[int] | None, all_failed: bool, dry_run: bool, by: str
    ) -> list[Change]:
        async with self._database.transaction() as connection:
            chosen = await connection.rows("operator.chosen", ids=list(ids or ()), all_failed=all_failed)
            changes = {
                row["id"]: Change(row["id"], row["kind"], row["order_number"], _verdict(action, row)) for row in chosen
            }
            for missing in set(ids or ()) - set(changes):
                changes[missing] = Change(missing, "", "", "there is no such row")
            good = [number for number, change in changes.items() if change.result == _DONE[action]]
            if not dry_run and good:
                for number in await self._moved(connection, action, good):
                    changes[number] = dataclasses.replace(changes[number], result=SUPERSEDED)
                    good.remove(number)
                subjects = [str(number) for number in good]
                await connection.rows("operator.notes", who=by, action=action, subjects=subjects)
        return [changes[number] for number in sorted(changes)]

    async def _moved(self, connection: Connection, action: str, ids: Sequence[int]) -> list[int]:
        """Changes the rows; returns those whose place the shop has taken this very moment."""
        try:
            async with connection.raw.transaction():
                await connection.rows(f"operator.{action}", ids=ids)
        except asyncpg.UniqueViolationError:
            if len(ids) == 1:
                return list(ids)
            return [taken for one in ids for taken in await self._moved(connection, action, [one])]
        return []


SUPERSEDED = "left alone: a later row for this order has taken its place"
_DONE = {"retry": "pending again", "discard": "discarded"}


def _verdict(action: Literal["retry", "discard"], row: Record) -> str:
    if action == "retry" and row["state"] != "failed":
        return f"left alone: it is {row['state']}, only a failed row can be retried"
    if action == "retry" and row["superseded"]:
        return SUPERSEDED
    if action == "discard" and row["state"] not in {"failed", "pending"}:
        return f"left alone: it is {row['state']}, only a failed or waiting row can be discarded"
    return _DONE[action]


def _replica(row: Record) -> Replica:
    return Replica(
        row["name"], row["version"], row["started_at"], row["seen_at"], row["leads"], json.loads(row["state"])
    )


def _finding(row: Record) -> Finding:
    return Finding(row["kind"], row["order_number"], row["subject"], json.loads(row["data"]), row["found_at"])


@contextlib.asynccontextmanager
async def open_operator(dsn: str, schema: str = "omisync") -> AsyncIterator[Operator]:
    """An `Operator` on a database of its own, closed at the end of the block."""
    database = Database(dsn, schema, 1, name="omisync operator")
    try:
        yield Operator(database)
    finally:
        await database.close()
