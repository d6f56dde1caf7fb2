"""One order for the eye: what it is, its parcels, and its timeline out of events, rows, pushes and what people did."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from omisync.cli import output
from omisync.telling import data_of, explained, told

if TYPE_CHECKING:
    from omisync.store.operator import OrderView, OutboxRow


class Moment(NamedTuple):
    """One line of a timeline."""

    at: dt.datetime
    what: str
    by: str
    detail: str


def as_json(view: OrderView) -> dict[str, object]:
    """The whole view, the events' data as objects."""
    return {
        "order_number": view.order_number,
        "order": view.order,
        "parcels": view.parcels,
        "return": None if view.returned is None else {**view.returned, "data": data_of(view.returned)},
        "events": [{**event, "data": data_of(event)} for event in view.events],
        "outbox": [
            {name: getattr(row, name) for name in row.__dataclass_fields__ if name != "payload"} for row in view.outbox
        ],
        "pushes": view.pushes,
        "by_hand": view.by_hand,
    }


def timeline(view: OrderView) -> list[Moment]:
    """Everything that happened, in the order in which it did."""
    moments = [*_of_events(view), *_of_outbox(view), *_of_pushes(view), *_of_people(view)]
    return sorted(moments, key=lambda moment: moment.at)


def print_order(view: OrderView) -> None:
    """Prints an order for people."""
    console = output.console()
    for name, value in _facts(view):
        console.print(output.clean(f"{name:<18}", "bold"), output.clean(value), sep="", soft_wrap=True)
    if view.parcels:
        console.print()
        made = output.table("parcel", "courier", "tracking", "shipment", wrap=["courier", "shipment"])
        for parcel in view.parcels:
            status = " ".join(
                str(parcel[name]) for name in ("shipment_status", "shipment_status_name") if parcel.get(name)
            )
            output.row(
                made,
                parcel.get("package_number"),
                parcel.get("courier_name"),
                parcel.get("courier_tracking_number"),
                status,
            )
        console.print(made)
    if view.returned is not None:
        console.print()
        for name, value in _return(view.returned):
            console.print(output.clean(f"{name:<18}", "bold"), output.clean(value), sep="", soft_wrap=True)
    console.print()
    made = output.table("time", "what", "by", "detail", wrap=["detail"])
    for moment in timeline(view):
        output.row(made, moment.at, moment.what, moment.by, moment.detail)
    console.print(made)


def _facts(view: OrderView) -> Iterator[tuple[str, str]]:
    yield "order", view.order_number
    order = view.order
    if order is None:
        yield "at Omisell", "not yet"
        return
    yield "at Omisell", order.omisell_order_number or "not yet"
    final = " (final)" if order.is_final else ""
    yield "status", f"{order.status_id} {order.status_name or ''}{final}" if order.status_id is not None else "unknown"
    yield "changed", output.moment(order.omisell_updated_at) if order.omisell_updated_at else "never"
    yield "fetched", output.moment(order.synced_at) if order.synced_at else "never"
    if order.tracking_numbers:
        yield "tracking", ", ".join(order.tracking_numbers)
    if order.forgotten_at:
        yield "buyer's data", f"removed {output.moment(order.forgotten_at)}"


def _return(returned: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What is known of a return; its data only as JSON, for whatever Omisell puts there."""
    for name, key in (("returned", "returned_at"), ("received back", "received_at"), ("return changed", "updated_at")):
        if returned.get(key):
            yield name, output.moment(returned[key])
    status = " ".join(str(returned[key]) for key in ("status_id", "status_name") if returned.get(key) is not None)
    if returned.get("event"):
        yield "return's push", f"{returned['event']} {status}".strip()


def _of_events(view: OrderView) -> Iterator[Moment]:
    for event in view.events:
        old, new = event.get("old_status_id"), event.get("new_status_id")
        change = f"{old} → {new}" if old is not None and new is not None and old != new else f"{new or ''}"
        words = told(data_of(event))
        yield Moment(
            event["occurred_at"], str(event["kind"]), str(event["source"]), ", ".join(filter(None, (change, words)))
        )


def _of_outbox(view: OrderView) -> Iterator[Moment]:
    explained_rows = explained(view.events)
    for row in view.outbox:
        yield Moment(row.created_at, f"{row.kind} enqueued", "shop", f"outbox {row.id}")
        if row.finished_at is not None:
            yield Moment(
                row.finished_at, f"{row.kind} {row.state}", "outbox", _end_of(row, told=row.id in explained_rows)
            )


def _end_of(row: OutboxRow, *, told: bool) -> str:
    """Its error is left out where an event tells it."""
    tries = f"{row.attempts} {'try' if row.attempts == 1 else 'tries'}"
    error = None if told else output.shortened(row.error, 200)
    return ", ".join(part for part in (row.outcome, tries, error) if part)


def _of_pushes(view: OrderView) -> Iterator[Moment]:
    for push in view.pushes:
        status = f"status {push['status_id']}, " if push.get("status_id") is not None else ""
        form = push.get("authorization_form")
        yield Moment(push["received_at"], f"push {push['event']}", "Omisell", f"{status}{push['state']}, {form}")


def _of_people(view: OrderView) -> Iterator[Moment]:
    for change in view.by_hand:
        row = change.action in {"retry", "discard"}
        yield Moment(change.at, f"{change.action} by hand", change.who, f"outbox {change.subject}" if row else "")
