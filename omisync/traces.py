"""OpenTelemetry: one trace for each order, whatever process does a part of it. Imported only where traces are wanted.

An order's trace id, and the id of its root span, are hashes of the account, the shop and the order's number. Nothing
has to be stored or handed on for that: a push, a sweep, another replica and the daemon after a restart all know the
number, and so does whoever looks for it. The root is told when the outbox row ends; what comes later
hangs below it.
"""

import asyncio
import contextlib
import hashlib
import logging
import threading
import time
from collections.abc import Coroutine, Iterator, Sequence
from contextvars import ContextVar
from typing import Any, Final, TypeVar

import structlog
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import TraceIdRatioBased
from opentelemetry.trace import NonRecordingSpan, SpanContext, Status, StatusCode, TraceFlags

T = TypeVar("T")

EXPORT_SECONDS: Final = 3.0
"""For one batch to be taken; in a thread of its own, which nobody waits for."""
QUEUE: Final = 2048
"""Spans that wait to be exported; beyond these the oldest go."""
GOODBYE: Final = 1.0
"""Seconds for the last batch when the daemon ends."""
NANOSECONDS: Final = 1_000_000_000


class PlannedIds(RandomIdGenerator):
    """Random ids, but for the root of an order's trace."""

    def __init__(self) -> None:
        self._planned: ContextVar[tuple[int, int] | None] = ContextVar("planned", default=None)

    @contextlib.contextmanager
    def planned(self, trace_id: int, span_id: int) -> Iterator[None]:
        """The next root has these ids."""
        before = self._planned.set((trace_id, span_id))
        try:
            yield
        finally:
            self._planned.reset(before)

    def generate_trace_id(self) -> int:
        """A trace's."""
        planned = self._planned.get()
        return super().generate_trace_id() if planned is None else planned[0]

    def generate_span_id(self) -> int:
        """A span's."""
        planned = self._planned.get()
        return super().generate_span_id() if planned is None else planned[1]


class Traces:
    """Makes spans; none has anything of a buyer in it, nor any text of Omisell's or of an error.

    Args:
        processor: what becomes of a span that is over.
        account: tells the order numbers of one account and shop from those of others.
        sample: which part of the orders is traced, 0 to 1: all that happens to an order, or nothing.
        version: of the program.
    """

    def __init__(self, processor: SpanProcessor, *, account: str, sample: float = 1.0, version: str = "") -> None:
        self._account = account
        self._ids = PlannedIds()
        self._provider = TracerProvider(
            sampler=TraceIdRatioBased(sample),
            resource=Resource.create({"service.name": "omisync", "service.version": version}),
            id_generator=self._ids,
            shutdown_on_exit=False,
        )
        self._provider.add_span_processor(processor)
        self._tracer = self._provider.get_tracer("omisync")

    def trace_id(self, order_number: str) -> int:
        """The id of an order's trace."""
        return self._hash("trace", order_number, 16)

    def root(self, order_number: str, began: float, *, failed: bool, **facts: str | int) -> None:
        """Tells the span that all others of an order hang below: its outbox row, from `began` (Unix seconds) to now."""
        with self._ids.planned(*self._ids_of(order_number)):
            span = self._tracer.start_span(
                "order", Context(), start_time=int(began * NANOSECONDS), attributes=_attributes(order_number, facts)
            )
        if failed:
            span.set_status(Status(StatusCode.ERROR))
        span.end()

    def record(self, name: str, order_number: str, seconds: float, *, failed: bool = False, **facts: str | int) -> None:
        """Tells a span of an order that is over just now."""
        now = time.time_ns()
        span = self._tracer.start_span(
            name,
            self._below(order_number),
            start_time=now - int(seconds * NANOSECONDS),
            attributes=_attributes(order_number, facts),
        )
        if failed:
            span.set_status(Status(StatusCode.ERROR))
        span.end(now)

    def record_within(self, name: str, seconds: float, *, failed: bool, **facts: str | int) -> None:
        """Tells a span that is over just now, if something of an order is under way here."""
        if trace.get_current_span().get_span_context().is_valid:
            now = time.time_ns()
            span = self._tracer.start_span(name, start_time=now - int(seconds * NANOSECONDS), attributes=facts)
            if failed:
                span.set_status(Status(StatusCode.ERROR))
            span.end(now)

    @contextlib.contextmanager
    def span(self, name: str, order_number: str | None, **facts: str | int) -> Iterator[None]:
        """The time of the block, in an order's trace; nothing is told where the number is not known."""
        if order_number is None:
            yield
            return
        with self._tracer.start_as_current_span(
            name,
            self._below(order_number),
            attributes=_attributes(order_number, facts),
            record_exception=False,  # its words may quote a buyer
            set_status_on_exception=False,
        ) as span:
            try:
                yield
            except BaseException as error:
                span.set_status(Status(StatusCode.ERROR, type(error).__name__))
                raise

    def around(self, name: str, order_number: str | None, work: Coroutine[Any, Any, T]) -> Coroutine[Any, Any, T]:
        """The work with a span around it."""

        async def spanned() -> T:
            with self.span(name, order_number):
                return await work

        return spanned()

    async def close(self) -> None:
        """Sends off what waits, if that is quick; an exporter that hangs is left behind."""
        loop = asyncio.get_running_loop()
        done = asyncio.Event()

        def shut_down() -> None:
            self._provider.shutdown()
            with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
                loop.call_soon_threadsafe(done.set)

        threading.Thread(target=shut_down, name="traces", daemon=True).start()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(GOODBYE):
                await done.wait()

    def _below(self, order_number: str) -> Context | None:
        """Below what is under way of this order, or below its root."""
        trace_id, span_id = self._ids_of(order_number)
        if trace.get_current_span().get_span_context().trace_id == trace_id:
            return None
        root = SpanContext(trace_id, span_id, is_remote=True, trace_flags=TraceFlags(TraceFlags.SAMPLED))
        return trace.set_span_in_context(NonRecordingSpan(root), Context())

    def _ids_of(self, order_number: str) -> tuple[int, int]:
        return self.trace_id(order_number), self._hash("root", order_number, 8)

    def _hash(self, what: str, order_number: str, size: int) -> int:
        text = f"omisync {what}\0{self._account}\0{order_number}".encode("utf-8", "surrogatepass")
        return int.from_bytes(hashlib.sha256(text).digest()[:size], "big") or 1


class Told(SpanExporter):
    """Says once that spans are not taken any more, and once that they are again."""

    def __init__(self, exporter: SpanExporter) -> None:
        self._exporter = exporter
        self._away = False
        self._log = structlog.get_logger("traces")

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Passes a batch on; it is given up if it is not taken."""
        try:
            result = self._exporter.export(spans)
        except Exception:  # noqa: BLE001 - what a library of others raises must not end its thread
            result = SpanExportResult.FAILURE
        away = result is not SpanExportResult.SUCCESS
        if away and not self._away:
            self._log.warning("traces are not taken; they are dropped until they are", dropped=len(spans))
        elif self._away and not away:
            self._log.info("traces are taken again")
        self._away = away
        return result

    def shutdown(self) -> None:
        """Nothing more comes."""
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """Whether nothing waits any more."""
        return self._exporter.force_flush(timeout_millis)


def exporting(endpoint: str) -> SpanProcessor:
    """Sends spans to an OTLP receiver, in batches and in a thread of its own; adding one never waits."""
    for name in ("opentelemetry.exporter", "opentelemetry.sdk"):
        logging.getLogger(name).setLevel(logging.CRITICAL)  # we tell of it ourselves, once
    return BatchSpanProcessor(
        Told(OTLPSpanExporter(endpoint, timeout=EXPORT_SECONDS)),
        max_queue_size=QUEUE,
        export_timeout_millis=EXPORT_SECONDS * 1000,
    )


def _attributes(order_number: str, facts: dict[str, str | int]) -> dict[str, str | int]:
    return {"omisync.order_number": order_number, **{f"omisync.{key}": value for key, value in facts.items()}}
