"""One order's story: events, outbox rows and pushes in one line of time."""

import datetime as dt
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from omisync.omisell.statuses import NAMES
from omisync.store.history import ByHand
from omisync.store.operator import OrderView, OutboxRow
from omisync.telling import data_of, explained, told

OF_ORDERS = {"forget": "removed the buyer's data by hand", "refresh": "asked for a fetch by hand"}
"""What is done to an order itself, and not to a row of the outbox."""


@dataclass(frozen=True, slots=True)
class Moment:
    """Something that happened to an order.

    Attributes:
        at: when we learnt or did it.
        who: `shop`, `outbox`, `webhook`, `sweep`, `operator` or `omisell`.
        what: in a few words.
        more: details, of which none is personal.
        bad: whether it wants attention.
    """

    at: dt.datetime
    who: str
    what: str
    more: str = ""
    bad: bool = False


def timeline(view: OrderView) -> list[Moment]:
    """Everything that happened to the order, oldest first."""
    moments = [
        *_rows(view.outbox, explained(view.events)),
        *map(_event, view.events),
        *map(_push, view.pushes),
        *map(_by_hand, view.by_hand),
    ]
    return sorted(moments, key=lambda moment: moment.at)


def _rows(rows: Sequence[OutboxRow], told_already: Collection[object]) -> Iterator[Moment]:
    for row in rows:
        yield Moment(row.created_at, "shop", f"wrote {row.kind}", f"outbox row {row.id}")
        if row.finished_at is not None:
            yield _ending(row, row.finished_at, None if row.id in told_already else row.error)


def _ending(row: OutboxRow, at: dt.datetime, error: str | None) -> Moment:
    tries = f"{row.attempts} {'try' if row.attempts == 1 else 'tries'}"
    what = f"{row.kind} {row.state}" + (f": {row.outcome}" if row.outcome else "")
    more = f"outbox row {row.id}, {tries}" + (f"; {error}" if error else "")
    return Moment(at, "outbox", what, more, bad=row.state == "failed")


def _event(event: Mapping[str, Any]) -> Moment:
    kind = str(event["kind"])
    what = kind.replace("_", " ")
    old, new = event.get("old_status_id"), event.get("new_status_id")
    if new is not None:
        what = f"{what}: {_status(new)}" if old in {None, new} else f"{what}: {_status(old)} → {_status(new)}"
    more = f"Omisell's time {event['occurred_at']:%Y-%m-%d %H:%M:%S} UTC"
    data = told(data_of(event))
    return Moment(
        event["recorded_at"],
        str(event["source"]),
        what,
        f"{more}; {data}" if data else more,
        bad=kind in {"failed", "cancel_refused"},
    )


def _push(push: Mapping[str, Any]) -> Moment:
    told = f"status {push['status_id']}" if push.get("status_id") is not None else "no status"
    more = f"{told}, {push['authorization_form']}, {push['state']}"
    if push.get("request_id"):
        more += f", request {push['request_id']}"
    return Moment(push["received_at"], "omisell", f"pushed {push['event'] or 'something without a name'}", more)


def _by_hand(change: ByHand) -> Moment:
    if change.action in OF_ORDERS:
        return Moment(change.at, "operator", OF_ORDERS[change.action], f"by {change.who}")
    verb = {"retry": "retried", "discard": "discarded"}.get(change.action, change.action)
    return Moment(change.at, "operator", f"{verb} by hand", f"outbox row {change.subject}, by {change.who}")


def _status(status_id: int) -> str:
    return f"{status_id} {NAMES.get(status_id, '')}".rstrip()
