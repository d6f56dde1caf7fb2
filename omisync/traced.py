"""The parts of the daemon with spans around what they do; without traces the parts themselves, with nothing around."""

# ruff: noqa: PLC0415 (OpenTelemetry is imported only where traces are wanted: it need not be installed otherwise)

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

from omisync import __version__
from omisync.config import ConfigError, Settings
from omisync.omisell.transport import Observer
from omisync.store import Applied, Claim, Delivery, Ending, Hooks, Kind, Orders, Outbox
from omisync.store.database import Connection, Database
from omisync.store.orders import Snapshot
from omisync.sync.ports import Around, untraced
from omisync.sync.prepare import Outcome, Preparer

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from omisync.traces import Traces


class Untraced:
    """Makes the parts as they are."""

    @property
    def around(self) -> Around:
        """Goes around an order's work."""
        return untraced

    def hooks(self, database: Database, settings: Settings) -> Hooks:
        """Who calls the merchant's function."""
        return Hooks(database, settings.hooks.on_change, settings.hooks.timeout)

    def outbox(self, database: Database, hooks: Hooks) -> Outbox:
        """The outbox."""
        return Outbox(database, hooks)

    def orders(self, database: Database, hooks: Hooks) -> Orders:
        """The orders."""
        return Orders(database, hooks)

    def observer(self, observer: Observer) -> Observer:
        """Who hears of calls to Omisell."""
        return observer

    def checks(self, checks: Preparer) -> Preparer:
        """What orders go through before they are sent."""
        return checks

    def adding(self, add: Callable[[Delivery], Awaitable[bool]]) -> Callable[[Delivery], Awaitable[bool]]:
        """How pushes are stored."""
        return add

    async def close(self) -> None:
        """Nothing waits."""


class Traced(Untraced):
    """Makes the parts so that they tell spans."""

    def __init__(self, traces: Traces) -> None:
        self._traces = traces

    @property
    def around(self) -> Around:
        """A span for each."""
        return self._traces.around

    def hooks(self, database: Database, settings: Settings) -> Hooks:
        """Tells each call."""
        return TracedHooks(self._traces, database, settings)

    def outbox(self, database: Database, hooks: Hooks) -> Outbox:
        """Tells claims, and the root."""
        return TracedOutbox(self._traces, database, hooks)

    def orders(self, database: Database, hooks: Hooks) -> Orders:
        """Tells what was applied."""
        return TracedOrders(self._traces, database, hooks)

    def observer(self, observer: Observer) -> Observer:
        """Tells each call."""
        return TracedObserver(self._traces, observer)

    def checks(self, checks: Preparer) -> Preparer:
        """Tells each order's."""
        return TracedChecks(self._traces, checks)

    def adding(self, add: Callable[[Delivery], Awaitable[bool]]) -> Callable[[Delivery], Awaitable[bool]]:
        """Tells each push."""

        async def add_traced(delivery: Delivery) -> bool:
            with self._traces.span("webhook", delivery.order_number, event=delivery.event or ""):
                return await add(delivery)

        return add_traced

    async def close(self) -> None:
        """Sends off what waits."""
        await self._traces.close()


class TracedHooks(Hooks):
    """Tells each call of the merchant's function; the event is read once more for its order, which traces may cost."""

    def __init__(self, traces: Traces, database: Database, settings: Settings) -> None:
        super().__init__(database, settings.hooks.on_change, settings.hooks.timeout)
        self._traces = traces

    async def _try(self, connection: Connection, event_id: int, attempts: int) -> bool:
        order_number: str = json.loads(await connection.value("hooks.event", event_id=event_id))["order_number"]
        began = time.monotonic()
        well = await super()._try(connection, event_id, attempts)
        self._traces.record("hook", order_number, time.monotonic() - began, failed=not well, attempt=attempts + 1)
        return well


class TracedOutbox(Outbox):
    """Tells each claim, and at a row's ending the root of its order's trace."""

    def __init__(self, traces: Traces, database: Database, hooks: Hooks) -> None:
        super().__init__(database, hooks)
        self._traces = traces

    async def claim(self, kind: Kind, most: int, since: float | None = None) -> list[Claim]:
        """Takes rows that are due."""
        began = time.monotonic()
        claims = await super().claim(kind, most, since)
        seconds = time.monotonic() - began
        for claim in claims:
            self._traces.record(
                "claim", claim.order_number, seconds, kind=kind, outbox_id=claim.id, attempt=claim.attempts + 1
            )
        return claims

    async def finish(self, ending: Ending) -> bool:
        """Ends a claim."""
        ours = await super().finish(ending)
        claim = ending.claim
        if ours and claim.kind == "order.add" and ending.state != "pending":
            self._traces.root(
                claim.order_number,
                claim.created_time,
                failed=ending.state == "failed",
                outcome=ending.outcome or ending.state,
                outbox_id=claim.id,
            )
        return ours


class TracedOrders(Orders):
    """Tells what a detail changed; the last of them says that the order is final."""

    def __init__(self, traces: Traces, database: Database, hooks: Hooks) -> None:
        super().__init__(database, hooks)
        self._traces = traces

    async def apply(self, snapshot: Snapshot) -> Applied:
        """Brings the tables up to date."""
        status, final = snapshot.status_id or 0, str(snapshot.is_final).lower()
        with self._traces.span("apply", snapshot.order_number, status_id=status, final=final):
            return await super().apply(snapshot)


class TracedObserver:
    """Tells each exchange with Omisell that is part of an order's work."""

    def __init__(self, traces: Traces, observer: Observer) -> None:
        self._traces = traces
        self._observer = observer

    def request(self, endpoint: str, status: str, seconds: float) -> None:
        """An exchange has ended."""
        self._observer.request(endpoint, status, seconds)
        self._traces.record_within(f"omisell {endpoint}", seconds, failed=not status.startswith("2"), status=status)


class TracedChecks:
    """Tells how long an order was looked at."""

    def __init__(self, traces: Traces, checks: Preparer) -> None:
        self._traces = traces
        self._checks = checks

    async def prepare(self, body: dict[str, object]) -> Outcome:
        """Says what to do with the order."""
        with self._traces.span("checks", str(body.get("order_number"))):
            return await self._checks.prepare(body)


def tracing(settings: Settings) -> Untraced:
    """What the configuration asks for.

    Raises:
        ConfigError: traces are wanted, and OpenTelemetry is not installed.
    """
    if settings.traces.endpoint is None:
        return Untraced()
    try:
        from omisync.traces import Traces, exporting
    except ImportError as error:
        if not (error.name or "").startswith("opentelemetry"):
            raise
        raise ConfigError(
            "traces.endpoint is set, but OpenTelemetry is not installed: pip install 'omisync[otel]', or take it away"
        ) from None
    omisell = settings.omisell
    account = f"{omisell.country}/{omisell.seller_id}/{omisell.shop_id}"
    processor = exporting(settings.traces.endpoint)
    return Traced(Traces(processor, account=account, sample=settings.traces.sample, version=__version__))
