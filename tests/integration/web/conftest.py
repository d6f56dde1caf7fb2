"""Both listeners on a free port of loopback, an inbox that can be made to fail, and raw connections."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import pytest
import structlog
from aiohttp import web
from structlog.typing import EventDict, FilteringBoundLogger, Processor

from omisync.omisell.authorization import Authorizer
from omisync.store.inbox import Delivery
from omisync.web import Limits, Metrics, Server, serve, webhook_app

SECRET = "kho-bí-mật-1"
URL = "https://shop.example/hook"
PATH = "/webhooks/omisell"


@dataclass
class Loopback:
    host: str = "127.0.0.1"
    port: int = 0


class FakeInbox:
    """Keeps deliveries in memory; `trouble` is raised, and while `gate` is closed nothing is answered."""

    def __init__(self) -> None:
        self.deliveries: list[Delivery] = []
        self.trouble: BaseException | None = None
        self.gate = asyncio.Event()
        self.gate.set()
        self.entered = asyncio.Semaphore(0)

    async def add(self, delivery: Delivery) -> bool:
        self.entered.release()
        await self.gate.wait()
        if self.trouble is not None:
            raise self.trouble
        repeat = any(kept.dedup_key == delivery.dedup_key for kept in self.deliveries)
        if not repeat:
            self.deliveries.append(delivery)
        return not repeat


@dataclass
class Raw:
    """One TCP connection, byte by byte."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def head(self) -> str:
        """The head of the next answer; what was read so far if the connection ends before."""
        try:
            text = await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), 5)
        except asyncio.IncompleteReadError as cut:
            text = cut.partial
        return text.decode()

    async def body(self, head: str) -> bytes:
        length = next(
            int(line.split(":")[1]) for line in head.split("\r\n") if line.lower().startswith("content-length")
        )
        return await asyncio.wait_for(self.reader.readexactly(length), 5)

    async def rest(self) -> bytes:
        """Everything until the server hangs up."""
        try:
            return await asyncio.wait_for(self.reader.read(), 5)
        except ConnectionError:
            return b""


async def until(holds: Callable[[], bool]) -> None:
    """Waits for what another party does."""
    async with asyncio.timeout(5):
        while not holds():  # noqa: ASYNC110 - the server under test has no event to wait for
            await asyncio.sleep(0)


@dataclass
class Listener:
    """A webhook listener under test."""

    server: Server
    inbox: FakeInbox
    metrics: Metrics
    session: aiohttp.ClientSession
    url: str

    async def has_accepted(self) -> None:
        """Returns once a connection is open on the server's side."""
        await until(lambda: self.server.connections > 0)

    async def has_counted(self, outcome: str) -> None:
        """Returns once a push ended with that outcome."""
        await until(lambda: f'outcome="{outcome}"' in self.metrics.render().decode())

    async def post(self, body: bytes | str, authorization: str | None = SECRET, **more: Any) -> tuple[int, str, Any]:
        """Status, text and headers of the answer to a push."""
        headers = {"Content-Type": "application/json", **more.pop("headers", {})}
        if authorization is not None:
            headers["Authorization"] = authorization
        async with self.session.post(self.url + PATH, data=body, headers=headers, **more) as answer:
            return answer.status, await answer.text(), answer.headers


@dataclass
class Logged:
    """What was logged."""

    entries: list[EventDict] = field(default_factory=list)
    before: list[Processor] = field(default_factory=list)

    def logger(self) -> FilteringBoundLogger:
        def keep(_: object, level: str, event: EventDict) -> EventDict:
            self.entries.append({**event, "level": level})
            raise structlog.DropEvent

        made: FilteringBoundLogger = structlog.wrap_logger(
            None, processors=[*self.before, keep], wrapper_class=structlog.make_filtering_bound_logger(0)
        )
        return made

    def events(self, level: str) -> list[str]:
        return [str(entry["event"]) for entry in self.entries if entry["level"] == level]


@pytest.fixture
def logged() -> Logged:
    return Logged()


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as client:
        yield client


@pytest.fixture
async def serving(logged: Logged) -> AsyncIterator[Callable[..., Awaitable[Server]]]:
    """Serves an application; everything is closed at the end."""
    servers: list[Server] = []

    async def start(app: web.Application, **options: Any) -> Server:
        server = await serve(
            app, options.pop("listen", Loopback()), log=logged.logger(), environ=options.pop("environ", {}), **options
        )
        servers.append(server)
        return server

    yield start
    for server in servers:
        await server.close(0)


@pytest.fixture
def listener(
    serving: Callable[..., Awaitable[Server]], session: aiohttp.ClientSession, logged: Logged
) -> Callable[..., Awaitable[Listener]]:
    """Starts a webhook listener; `limits` and `environ` go to `serve`, other keyword arguments to `webhook_app`."""

    async def start(
        *, limits: Limits | None = None, environ: Mapping[str, str] | None = None, **options: Any
    ) -> Listener:
        inbox, metrics = FakeInbox(), Metrics()
        options.setdefault("authorizer", Authorizer("auto", [SECRET], URL))
        options.setdefault("max_body", 256 * 1024)
        if "bodies" in options:
            options["limits"] = options.pop("bodies")
        app = webhook_app(path=PATH, inbox=inbox, metrics=metrics, log=logged.logger(), **options)
        server = await serving(app, limits=limits, environ=environ or {})
        return Listener(server, inbox, metrics, session, f"http://127.0.0.1:{server.port}")

    return start


@pytest.fixture
async def connect() -> AsyncIterator[Callable[[Server], Awaitable[Raw]]]:
    """Opens raw connections."""
    opened: list[Raw] = []

    async def start(server: Server) -> Raw:
        raw = Raw(*await asyncio.open_connection("127.0.0.1", server.port))
        opened.append(raw)
        return raw

    yield start
    for raw in opened:
        raw.writer.close()
        with contextlib.suppress(ConnectionError):
            await raw.writer.wait_closed()
