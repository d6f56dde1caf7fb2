"""One trace for each order, from the outbox row to the final state; nothing of it where traces are off."""

import asyncio
import json
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from structlog.testing import capture_logs

from omisync.config import ConfigError, Settings, load_settings
from omisync.demo.postgres import free_port
from omisync.traced import Traced, Untraced, tracing
from omisync.traces import Traces, exporting
from tests.chaos.world import World, until, world

EXAMPLE = Path(__file__).parents[2] / "config.toml"
ACCOUNT = "VN/77/21001"


class Memory:
    """Traces that end in memory."""

    def __init__(self, sample: float = 1.0, account: str = ACCOUNT) -> None:
        self.exporter = InMemorySpanExporter()
        self.traces = Traces(SimpleSpanProcessor(self.exporter), account=account, sample=sample)

    def spans(self) -> dict[str, Any]:
        return {span.name: span for span in self.exporter.get_finished_spans()}


def test_what_two_processes_tell_of_an_order_is_one_trace_below_one_root() -> None:
    first, second = Memory(), Memory()
    first.traces.record("claim", "WEB-1", 0.5, attempt=1)
    with second.traces.span("refresh", "WEB-1"):
        second.traces.record_within("omisell order.detail", 0.1, failed=False, status="200")
    first.traces.root("WEB-1", 1_700_000_000, failed=False, outcome="added")
    root = first.spans()["order"]
    spans = first.spans() | second.spans()
    assert {span.context.trace_id for span in spans.values()} == {first.traces.trace_id("WEB-1")}
    assert root.parent is None
    assert root.start_time == 1_700_000_000 * 10**9
    for name in ("claim", "refresh"):
        assert spans[name].parent.span_id == root.context.span_id
    assert spans["omisell order.detail"].parent.span_id == spans["refresh"].context.span_id
    assert dict(root.attributes) == {"omisync.order_number": "WEB-1", "omisync.outcome": "added"}


def test_orders_and_accounts_are_not_mixed() -> None:
    one = Memory().traces
    ids = {one.trace_id("WEB-1"), one.trace_id("WEB-2"), Memory(account="VN/78/1").traces.trace_id("WEB-1")}
    assert len(ids) == 3
    assert one.trace_id("WEB-1") == Memory().traces.trace_id("WEB-1")


def test_a_part_of_the_orders_is_traced_whole_and_the_others_not_at_all() -> None:
    memory = Memory(sample=0.5)
    for number in range(100):
        memory.traces.record("claim", f"WEB-{number}", 0.1)
        memory.traces.root(f"WEB-{number}", 1_700_000_000, failed=False)
    told: dict[int, set[str]] = {}
    for span in memory.exporter.get_finished_spans():
        told.setdefault(span.context.trace_id, set()).add(span.name)
    assert 20 < len(told) < 80
    assert all(names == {"claim", "order"} for names in told.values())


def test_an_error_is_told_by_its_kind_and_never_by_its_words() -> None:
    memory = Memory()
    with pytest.raises(ValueError, match="Nguyễn"), memory.traces.span("send order.add", "WEB-1"):
        raise ValueError("Nguyễn Văn A, 0901234567")
    (span,) = memory.exporter.get_finished_spans()
    assert (span.status.status_code.name, span.status.description) == ("ERROR", "ValueError")
    assert "Nguyễn" not in span.to_json(indent=None)


def test_calls_that_belong_to_no_order_are_not_told() -> None:
    memory = Memory()
    memory.traces.record_within("omisell order.list", 0.1, failed=False)
    with memory.traces.span("webhook", None):
        pass
    assert memory.exporter.get_finished_spans() == ()


def settings(**traces: object) -> Settings:
    given = load_settings(EXAMPLE, {})
    return given.model_copy(update={"traces": given.traces.model_copy(update=traces)})


def test_off_by_default_and_then_nothing_of_it_is_loaded() -> None:
    assert type(tracing(settings())) is Untraced
    program = "import sys; import omisync.daemon; print([name for name in sys.modules if 'opentelemetry' in name])"
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)  # noqa: S603
    assert ran.stdout == "[]\n"


def test_wanted_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "omisync.traces")
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    with pytest.raises(ConfigError, match=r"pip install 'omisync\[otel\]'"):
        tracing(settings(endpoint="http://127.0.0.1:9/v1/traces"))


def is_final(span: Any) -> bool:
    """Whether it tells that the order has come to its end."""
    return any(each.key == "omisync.final" and each.value.string_value == "true" for each in span.attributes)


class Receiver:
    """An OTLP receiver on loopback."""

    def __init__(self) -> None:
        self.spans: list[Any] = []
        self.status = 200

    async def take(self, request: web.Request) -> web.Response:
        if self.status == 200:
            told = ExportTraceServiceRequest.FromString(await request.read())
            self.spans += [span for each in told.resource_spans for scope in each.scope_spans for span in scope.spans]
        return web.Response(status=self.status)

    def names(self, trace_id: str) -> set[str]:
        return {span.name for span in self.spans if span.trace_id.hex() == trace_id}


@pytest.fixture
async def receiver() -> AsyncIterator[tuple[Receiver, str]]:
    made = Receiver()
    app = web.Application()
    app.router.add_post("/v1/traces", made.take)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port := free_port())
    await site.start()
    yield made, f"http://127.0.0.1:{port}/v1/traces"
    await runner.cleanup()


@pytest.fixture
async def made(dsn: str, tmp_path: Path) -> AsyncIterator[World]:
    async with world(dsn, tmp_path) as one:
        yield one


async def test_an_order_is_one_trace_though_the_daemon_is_restarted_in_between(
    made: World, receiver: tuple[Receiver, str]
) -> None:
    taken, endpoint = receiver
    changes = {"traces": {"endpoint": endpoint}, "hooks": {"on_change": "public.heard"}}
    await made.sql.execute("CREATE FUNCTION public.heard(jsonb) RETURNS void LANGUAGE sql AS 'SELECT'")
    first = made.replica(changes=changes)
    await made.start(first, pushed_to=True)
    sku = made.simulator.config.account.products[0].sku
    payload = {"order_number": "A-1", "items": [{"sku": sku, "quantity": 1}], "customer_name": "Nguyễn Bí Mật"}
    await made.sql.execute("SELECT omisync.add_order($1::text::jsonb)", json.dumps(payload))
    await made.known("A-1", 200)
    await until(lambda: any(span.name == "apply" for span in taken.spans))
    assert await first.daemon.stop() == 0
    before = len(taken.spans)
    second = made.replica(changes=changes)
    await made.start(second, pushed_to=True)
    await made.sql.execute("SELECT omisync.cancel_order('A-1', 'changed their mind')")
    await until(lambda: any(is_final(span) for span in taken.spans[before:]))
    assert await second.daemon.stop() == 0
    (trace_id,) = {span.trace_id.hex() for span in taken.spans}
    assert taken.names(trace_id) >= {
        "order",
        "claim",
        "send order.add",
        "send order.cancel",
        "omisell order.cancel",
        "checks",
        "omisell order.add",
        "webhook",
        "refresh",
        "omisell order.detail",
        "apply",
        "hook",
    }
    told = json.dumps([str(span) for span in taken.spans], ensure_ascii=False)
    for secret in ("Bí Mật", made.simulator.config.push.secret, "changed their mind"):
        assert secret not in told


async def test_a_receiver_that_is_away_stops_nothing_and_is_told_once(receiver: tuple[Receiver, str]) -> None:
    taken, endpoint = receiver
    taken.status = 400
    with capture_logs() as logs:
        traces = Traces(exporting(endpoint), account=ACCOUNT)
        for _ in range(3):
            traces.record("claim", "WEB-1", 0.1)
            await asyncio.to_thread(traces._provider.force_flush)
        taken.status = 200
        traces.record("claim", "WEB-1", 0.1)
        await asyncio.to_thread(traces._provider.force_flush)
        await traces.close()
    assert [(log["log_level"], log["event"]) for log in logs] == [
        ("warning", "traces are not taken; they are dropped until they are"),
        ("info", "traces are taken again"),
    ]


async def test_a_receiver_that_hangs_keeps_no_daemon_from_ending() -> None:
    held: list[asyncio.StreamWriter] = []

    async def hold(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        held.append(writer)

    server = await asyncio.start_server(hold, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    traced = Traced(Traces(exporting(f"http://127.0.0.1:{port}/v1/traces"), account=ACCOUNT))
    traced._traces.record("claim", "WEB-1", 0.1)
    async with asyncio.timeout(2.5):
        await traced.close()
    assert any(thread.name == "traces" for thread in threading.enumerate())  # it is still at it, and left behind
    server.close()
    for writer in held:
        writer.transport.abort()
    for thread in threading.enumerate():
        if thread.name == "traces":
            await asyncio.to_thread(thread.join, 10)
            assert not thread.is_alive()
