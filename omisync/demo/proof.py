"""The proof: what the shop committed, what Omisell applied and what omisync says, order by order."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Self

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

SHOWN = 20
"""So many findings are named; a broken run has the same one hundreds of times."""


@dataclass(frozen=True, slots=True)
class Applied:
    """An order as it stands at Omisell."""

    order_number: str
    omisell_order_number: str
    status_id: int
    updated_time: int
    tracking: frozenset[str] | None
    """None: not asked for, and not compared."""


@dataclass(frozen=True, slots=True)
class Entry:
    """An order as the shop's and omisync's tables have it.

    `placed`, `cancelled` and `read_status_id` are the shop's own; the rest is omisync's.
    """

    order_number: str
    placed: bool = True
    cancelled: bool = False
    read_status_id: int | None = None
    add_state: str | None = None
    add_outcome: str | None = None
    add_error: str | None = None
    cancel_state: str | None = None
    cancel_outcome: str | None = None
    cancel_error: str | None = None
    omisell_order_number: str | None = None
    status_id: int | None = None
    updated_time: int | None = None
    tracking: frozenset[str] = frozenset()

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Self:
        """Read one row of the query `ledgers`."""
        values = dict(row)
        return cls(tracking=frozenset(values.pop("tracking_numbers") or ()), **values)


class Fault(StrEnum):
    """What may be wrong with an order."""

    LOST = "lost"
    DOUBLE = "double"
    DIFFERENT = "different"


@dataclass(frozen=True, slots=True)
class Finding:
    """An order that breaks the promise, and how."""

    order_number: str
    fault: Fault
    why: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """The outcome of comparing the three ledgers.

    `once` orders stand at Omisell exactly once; `annulled` were cancelled before they were sent and are not
    there; `cancelled` were cancelled at Omisell; `too_late` were wanted cancelled, but Omisell had shipped
    them; `moving` are not in a final status yet; `waiting` have an outbox row that is not finished.
    """

    placed: int
    once: int
    annulled: int
    cancelled: int
    too_late: int
    moving: int
    waiting: int
    findings: tuple[Finding, ...]

    @property
    def holds(self) -> bool:
        """Whether nothing is lost, double or different. Of no order at all, nothing is proven."""
        return self.placed > 0 and not self.findings

    def count(self, fault: Fault) -> int:
        """How many orders have this fault."""
        return len({finding.order_number for finding in self.findings if finding.fault is fault})


def is_cancelled(status_id: int) -> bool:
    """Whether a status is one of Omisell's cancellations: 700-799 [guide, omisell-api 7.1]."""
    return 700 <= status_id < 800


def is_final(status_id: int) -> bool:
    """Whether Omisell moves such an order no further: cancelled, 800, 850 or 900 [guide]."""
    return is_cancelled(status_id) or status_id in (800, 850, 900)


def judge(entries: Iterable[Entry], applied: Iterable[Applied]) -> Verdict:
    """Compare the ledgers."""
    there: dict[str, list[Applied]] = defaultdict(list)
    for order in applied:
        there[order.order_number].append(order)
    findings: list[Finding] = []
    placed = once = annulled = cancelled = too_late = moving = waiting = 0
    for entry in entries:
        orders = there.pop(entry.order_number, [])
        placed += entry.placed
        waiting += not {entry.add_state, entry.cancel_state}.isdisjoint(("pending", "sending"))
        findings += (Finding(entry.order_number, fault, why) for fault, why in _faults(entry, orders))
        if len(orders) == 1:
            status_id = orders[0].status_id
            once += 1
            cancelled += is_cancelled(status_id)
            too_late += entry.cancelled and _too_late(entry, orders[0])
            moving += not is_final(status_id)
        elif not orders:
            annulled += entry.add_outcome == "annulled"
    findings += (
        Finding(
            number,
            Fault.DIFFERENT,
            f"at Omisell ({orders[0].omisell_order_number}), but the shop never placed it",
        )
        for number, orders in sorted(there.items())
    )
    return Verdict(placed, once, annulled, cancelled, too_late, moving, waiting, tuple(findings))


def _faults(entry: Entry, orders: Sequence[Applied]) -> Iterable[tuple[Fault, str]]:
    if not entry.placed:
        yield Fault.DIFFERENT, "omisync knows it, but the shop never placed it"
    if not orders:
        yield from _faults_of_absent(entry)
    elif len(orders) > 1:
        numbers = ", ".join(order.omisell_order_number for order in orders)
        yield Fault.DOUBLE, f"{len(orders)} times at Omisell: {numbers}"
    else:
        yield from _faults_of_present(entry, orders[0])


def _faults_of_absent(entry: Entry) -> Iterable[tuple[Fault, str]]:
    if entry.add_outcome != "annulled":
        state = f"{entry.add_state}{f', {entry.add_outcome}' if entry.add_outcome else ''}"
        yield (
            Fault.LOST,
            f"not at Omisell; its add is {state}{f': {entry.add_error}' if entry.add_error else ''}",
        )
    elif not entry.cancelled:
        yield Fault.LOST, "not at Omisell; annulled, though the shop never cancelled it"
    elif entry.cancel_outcome != "annulled":
        yield (
            Fault.DIFFERENT,
            f"its add is annulled, its cancel {entry.cancel_state}, {entry.cancel_outcome}",
        )


def _faults_of_present(entry: Entry, order: Applied) -> Iterable[tuple[Fault, str]]:
    if entry.placed and entry.add_outcome not in ("added", "adopted"):
        yield Fault.DIFFERENT, f"at Omisell, but its add is {entry.add_state}, {entry.add_outcome}"
    pairs: tuple[tuple[str, object, object], ...] = (
        ("Omisell's number", entry.omisell_order_number, order.omisell_order_number),
        ("status", entry.status_id, order.status_id),
        (
            "status that the shop has read",
            entry.read_status_id if entry.placed else order.status_id,
            order.status_id,
        ),
        ("updated_time", entry.updated_time, order.updated_time),
        (
            "tracking numbers",
            sorted(entry.tracking),
            sorted(entry.tracking if order.tracking is None else order.tracking),
        ),
    )
    for what, ours, theirs in pairs:
        if ours != theirs:
            yield Fault.DIFFERENT, f"{what}: ours {ours}, Omisell's {theirs}"
    if entry.cancelled and not is_cancelled(order.status_id) and not _too_late(entry, order):
        state = f"{entry.cancel_state}{f': {entry.cancel_error}' if entry.cancel_error else ''}"
        yield (
            Fault.DIFFERENT,
            f"cancelled by the shop, but {order.status_id} at Omisell; its cancel is {state}",
        )


def _too_late(entry: Entry, order: Applied) -> bool:
    """Whether Omisell refused the cancel, as it may once an order is shipped [guide]."""
    return entry.cancel_state == "failed" and order.status_id >= 500 and not is_cancelled(order.status_id)


def render(verdict: Verdict) -> RenderableType:
    """The proof as a table, and the orders that break it by name."""
    table = Table(title="Proof: three ledgers compared", show_header=False, title_justify="left")
    table.add_column("what")
    table.add_column("orders", justify="right")
    table.add_row("placed by the shop", str(verdict.placed))
    table.add_row("at Omisell exactly once", str(verdict.once))
    table.add_row("annulled: cancelled before they were sent, and not at Omisell", str(verdict.annulled))
    table.add_row("cancelled at Omisell", str(verdict.cancelled))
    table.add_row("cancelled too late: shipped already, refused by Omisell", str(verdict.too_late))
    table.add_row("still on their way", str(verdict.moving))
    for fault in Fault:
        count = verdict.count(fault)
        table.add_row(Text(fault, style="bold red" if count else "bold green"), str(count))
    if verdict.holds:
        ending = "It holds: each order is at Omisell exactly once, or annulled; the states are equal."
        return Group(table, Text(ending, style="bold green"))
    if not verdict.placed:
        return Group(table, Text("Nothing was placed, so nothing is proven.", style="bold red"))
    parts: list[RenderableType] = [table, Text("It does not hold:", style="bold red")]
    parts += (Text(f"{finding.order_number}: {finding.fault}: {finding.why}") for finding in verdict.findings[:SHOWN])
    if len(verdict.findings) > SHOWN:
        parts.append(Text(f"… and {len(verdict.findings) - SHOWN} more"))
    return Group(*parts)
