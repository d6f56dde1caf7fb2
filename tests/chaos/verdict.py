"""The verdict: what the shop committed, what Omisell applied, what our tables say; and what was promised besides."""

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import asyncpg

from omisync.demo.proof import Entry, Fault, Finding, Verdict, judge
from tests.chaos.omisell import Delivered
from tests.chaos.servers import STATEMENT_SECONDS
from tests.chaos.stage import Stage

INBOX: Final = "SELECT request_id FROM omisync.inbox"
EVENTS: Final = "SELECT id, order_number, kind FROM omisync.order_events ORDER BY id"
HEARD: Final = "SELECT event_id, order_number FROM chaos.heard ORDER BY place"
SECOND_FINDINGS: Final = "SELECT order_number FROM omisync.findings WHERE kind = 'second_at_omisell'"
ONCE_ONLY: Final = ("added", "adopted", "annulled")
"""Of these an order has one event in all: it came to be known once."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """The three ledgers' verdict, and the findings of the others; order numbers are named in each finding."""

    orders: Verdict
    promises: tuple[Finding, ...]

    @property
    def findings(self) -> tuple[Finding, ...]:
        """All of them."""
        return (*self.orders.findings, *self.promises)

    @property
    def holds(self) -> bool:
        """Nothing is lost, double or different."""
        return self.orders.holds and not self.promises

    def count(self, fault: Fault) -> int:
        """How many orders have this fault."""
        return len({finding.order_number for finding in self.findings if finding.fault is fault})


def pushes_kept(delivered: Iterable[Delivered], kept: Iterable[str | None]) -> Iterator[Finding]:
    """A push that was answered 200 is in the inbox [contract 6.5]."""
    known = set(kept)
    for push in delivered:
        if push.request_id not in known:
            why = f"push {push.request_id} of status {push.status_id} was answered 200, but is not in the inbox"
            yield Finding(push.order_number, Fault.LOST, why)


def events_once(events: Iterable[tuple[int, str, str]]) -> Iterator[Finding]:
    """An order is added, adopted or annulled once."""
    beginnings: dict[str, list[str]] = defaultdict(list)
    for _, order_number, kind in events:
        if kind in ONCE_ONLY:
            beginnings[order_number].append(kind)
    for order_number, kinds in beginnings.items():
        if len(kinds) > 1:
            yield Finding(order_number, Fault.DOUBLE, f"its events say that it was {' and '.join(kinds)}")


def hooks_heard(events: Iterable[tuple[int, str, str]], heard: Iterable[tuple[int, str]]) -> Iterator[Finding]:
    """The hook is called once for each event, in order for each order [contract 4]."""
    wanted: dict[str, list[int]] = defaultdict(list)
    for event_id, order_number, _ in events:
        wanted[order_number].append(event_id)
    calls: dict[str, list[int]] = defaultdict(list)
    for event_id, order_number in heard:
        calls[order_number].append(event_id)
    for order_number, ids in wanted.items():
        got = calls[order_number]
        if got == ids:
            continue
        if missing := [event_id for event_id in ids if event_id not in got]:
            yield Finding(order_number, Fault.LOST, f"the hook did not hear of events {missing}")
        elif len(got) > len(ids):
            yield Finding(order_number, Fault.DOUBLE, f"the hook heard {got} of events {ids}")
        else:
            yield Finding(order_number, Fault.DIFFERENT, f"the hook heard in the order {got} of events {ids}")


async def look(stage: Stage, *, full: bool) -> Judgement:
    """Fetch all ledgers and judge; without `full`, the three only, and without tracking numbers."""
    applied = await stage.omisell.applied(full=full)
    verdict = await asyncio.to_thread(judge, [Entry.of(row) for row in await stage.shop.ledgers()], applied)
    if not full:
        return Judgement(verdict, ())
    delivered = await stage.omisell.delivered()
    connection = await asyncpg.connect(stage.servers.admin_dsn, timeout=STATEMENT_SECONDS)
    try:
        kept = [row["request_id"] for row in await connection.fetch(INBOX)]
        events = [tuple(row) for row in await connection.fetch(EVENTS)]
        heard = [tuple(row) for row in await connection.fetch(HEARD)]
        seconds = [row["order_number"] for row in await connection.fetch(SECOND_FINDINGS)]
    finally:
        with contextlib.suppress(OSError, TimeoutError):
            await connection.close(timeout=STATEMENT_SECONDS)
    promises = [
        *pushes_kept(delivered, kept),
        *events_once(events),
        *(hooks_heard(events, heard) if stage.options.hooks else ()),
        *(Finding(number, Fault.DOUBLE, "omisync itself found a second one at Omisell") for number in seconds),
    ]
    return Judgement(verdict, tuple(promises))


async def diary(stage: Stage, numbers: Sequence[str]) -> str:
    """All that is known of some orders, for whoever has to find out why."""
    lines: list[str] = []
    connection: Any = await asyncpg.connect(stage.servers.admin_dsn, timeout=STATEMENT_SECONDS)
    try:
        for number in numbers:
            lines.append(f"== {number}")
            for table in ("outbox", "orders", "order_events", "inbox", "refreshes", "findings"):
                rows = await connection.fetch(
                    f"SELECT to_jsonb(t) - 'payload' - 'detail' - 'body' AS row FROM omisync.{table} AS t"  # noqa: S608
                    " WHERE order_number = $1 ORDER BY 1",
                    number,
                )
                lines += [f"{table}: {row['row']}" for row in rows]
            there = await stage.omisell.control("GET", "orders", params={"order_number": number, "detail": "0"})
            lines += [f"at Omisell: {order}" for order in there["orders"]]
            pushes = await stage.omisell.control("GET", "pushes", params={"order_number": number})
            lines += [f"push: { {key: push[key] for key in push if key != 'body'} }" for push in pushes["pushes"]]
    finally:
        connection.terminate()
    return "\n".join(lines)
