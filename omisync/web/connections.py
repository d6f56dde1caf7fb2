"""The connections of one listener: never more than agreed, and none that keeps us waiting."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

from aiohttp import hdrs, web
from aiohttp.http_exceptions import HttpProcessingError
from structlog.typing import FilteringBoundLogger

from omisync.web.sockets import BACKLOG
from omisync.web.trouble import fault

REFUSAL: Final = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
REFUSAL_SECONDS: Final = 1.0
"""How long one that is turned away may take to say something, so that it can read why."""
REFUSALS_AT_ONCE: Final = 64
"""Beyond these a connection is dropped without a word."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a listener grants its clients; times in seconds, sizes in bytes.

    Attributes:
        connections: open at once. When all are taken, the one that has been silent longest makes room. More than can
            wait in the kernel (`sockets.BACKLOG`): those are accepted all together after a restart, and whose request
            is there but not read yet looks silent.
        head: from connecting to the end of the first request's head; for a TLS handshake as long besides.
        idle: between requests, and for the head of each later one. Longer than the minute for which proxies keep
            their upstream connections, so that it is they who close them.
        lingering: for reading on what is too much, so that the client can read the answer.
        receive_buffer: of each connection in the kernel; what can arrive before we look at it.
        line: of a request line or a header.
        check_every: how often the silent ones are looked through.
    """

    connections: int = BACKLOG + 512
    head: float = 10.0
    idle: float = 75.0
    lingering: float = 2.0
    receive_buffer: int = 64 * 1024
    line: int = 8190
    check_every: float = 1.0


@dataclass(frozen=True, slots=True)
class Straight:
    """A listener's one busy route: its plain requests spare the way through aiohttp's router and application.

    Attributes:
        path: as it stands in a request's head.
        handler: answers a POST to it.
    """

    path: str
    handler: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


STRAIGHT: Final = web.AppKey("STRAIGHT", Straight)


class Connections:
    """Every open connection, and since when it has been silent.

    A slow client costs a place, never the service: silence is ended after `Limits.head` or `Limits.idle`, and at once
    when its place is needed.
    """

    def __init__(
        self,
        manager: web.Server,
        limits: Limits,
        loop: asyncio.AbstractEventLoop,
        log: FilteringBoundLogger,
        tls: ssl.SSLContext | None = None,
        straight: Straight | None = None,
    ) -> None:
        self._manager = manager
        self._straight = straight
        self._application = manager.request_handler
        manager.request_handler = self._answer
        self._limits = limits
        self._loop = loop
        self._tls = tls
        self._log = _Log(log)
        self._open: set[_Connection] = set()
        self._silent: dict[_Connection, float] = {}  # the longest silent first; until when it may be
        self._new: set[_Connection] = set()  # whose first request has not come yet
        self._busy = 0
        self._nothing_due = asyncio.Event()
        self._nothing_due.set()
        self._refusals = 0
        self._check: asyncio.TimerHandle | None = loop.call_later(limits.check_every, self._look_through)
        self._knobs: dict[str, Any] = {
            "loop": loop,
            "access_log": None,  # no line for each push
            "logger": self._log,
            "auto_decompress": False,  # what is compressed is turned away, not inflated
            "keepalive_timeout": limits.idle,
            "lingering_time": limits.lingering,
            "max_line_size": limits.line,
            "max_field_size": limits.line,
            "read_bufsize": limits.receive_buffer,
        }
        self.draining = False
        """While True, every answer ends its connection."""

    def __len__(self) -> int:
        return len(self._open)

    @property
    def has_silent(self) -> bool:
        """Whether a connection is open that has no request under way, and might be about to send one."""
        return bool(self._silent)

    def __call__(self) -> asyncio.Protocol:
        """The protocol of a new connection."""
        if len(self._open) >= self._limits.connections and not self._make_room():
            if self._refusals >= REFUSALS_AT_ONCE or self._tls is not None:
                return _Drop()  # without a handshake nothing can be said
            self._refusals += 1
            return _Refusal(self._loop, self._refused)
        connection = _Connection(self._manager, self, **self._knobs)
        self._open.add(connection)
        return connection if self._tls is None else Handshake(connection, self._tls, self._limits.head, self._loop)

    def opened(self, connection: "_Connection") -> None:
        """It is there, and has not said anything yet."""
        if connection not in self._open:
            connection.hang_up()  # its handshake was over just when its place was given away
            return
        self._silent[connection] = self._loop.time() + self._limits.head
        self._new.add(connection)
        self._judge()

    def lost(self, connection: "_Connection") -> None:
        """It has gone."""
        self._open.discard(connection)
        self._silent.pop(connection, None)
        self._new.discard(connection)
        self._judge()

    def failed(self, connection: "_Connection", error: Exception) -> None:
        """Its handshake has come to nothing."""
        self._log.debug("no TLS: %s", getattr(error, "reason", None) or "the client went away", exc_info=error)
        self.lost(connection)

    async def finished(self, seconds: float) -> bool:
        """Waits until no request is under way and none is still to come on a new connection; False if it takes longer.

        Who has just connected is about to send a request, and would not know whether it was heard.
        """
        try:
            async with asyncio.timeout(seconds):
                await self._nothing_due.wait()
        except TimeoutError:
            return False
        return True

    def stop(self) -> None:
        """Looks after them no longer."""
        if self._check is not None:
            self._check.cancel()
            self._check = None
        for connection in list(self._open):
            connection.give_up_handshake()

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        """Lets the application answer, and knows the connection as busy until then."""
        connection = request.protocol
        assert isinstance(connection, _Connection)  # noqa: S101 - no other is made
        self._silent.pop(connection, None)
        self._new.discard(connection)
        self._busy += 1
        self._judge()
        try:
            straight = self._straight
            if (
                straight is not None
                and request.method == hdrs.METH_POST
                and request.rel_url.raw_path == straight.path
                and hdrs.EXPECT not in request.headers
            ):
                answer = await straight.handler(request)
            else:
                answer = await self._application(request)
            if self.draining:
                answer.force_close()
            return answer
        finally:
            self._busy -= 1
            self._judge()
            if connection in self._open:
                self._silent[connection] = self._loop.time() + self._limits.idle

    def _judge(self) -> None:
        if self._busy or self._new:
            self._nothing_due.clear()
        else:
            self._nothing_due.set()

    def _make_room(self) -> bool:
        for connection in self._silent:
            self._end(connection)
            return True
        return False

    def _end(self, connection: "_Connection") -> None:
        self.lost(connection)
        connection.hang_up()

    def _look_through(self) -> None:
        now = self._loop.time()
        for connection in [silent for silent, until in self._silent.items() if until <= now]:
            self._end(connection)
        self._check = self._loop.call_later(self._limits.check_every, self._look_through)

    def _refused(self) -> None:
        self._refusals -= 1


class _Connection(web.RequestHandler):
    """aiohttp's connection, known to its `Connections`."""

    __slots__ = ("_connections", "_under")

    def __init__(self, manager: web.Server, connections: Connections, **knobs: Any) -> None:
        super().__init__(manager, **knobs)
        self._connections = connections
        self._under: asyncio.Transport | None = None

    def shaking(self, under: asyncio.Transport) -> None:
        """The handshake begins on what is `under` it."""
        self._under = under
        self._connections.opened(self)

    def shaken(self, error: Exception | None) -> None:
        """The handshake is over, or has come to nothing for this reason."""
        self._under = None
        if error is not None:
            self._connections.failed(self, error)

    def give_up_handshake(self) -> None:
        """If it is still in its handshake, ends it."""
        if self._under is not None:
            self._under.abort()

    def hang_up(self) -> None:
        """Ends it, however far it has come."""
        self.give_up_handshake()
        self.force_close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._connections.opened(self)

    def connection_lost(self, exc: BaseException | None) -> None:
        self._connections.lost(self)
        super().connection_lost(exc)


class Handshake(asyncio.Protocol):
    """A connection before its TLS handshake is done: it has its place like any other, and can lose it.

    asyncio's own servers make the connection known to its protocol only afterwards, and say nothing if it never comes
    to that: a client that stops in the middle would hold a place for ever.

    Args:
        connection: that will speak HTTP.
        context: of the certificate.
        seconds: until it is given up.
        loop: that it runs on.
    """

    def __init__(
        self, connection: _Connection, context: ssl.SSLContext, seconds: float, loop: asyncio.AbstractEventLoop
    ) -> None:
        self._connection = connection
        self._context = context
        self._seconds = seconds
        self._loop = loop
        self._early = bytearray()
        self._gone: Exception | None = None
        self._task: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begins it."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - a stream server makes no other kind
        transport.pause_reading()  # the client's first words are the handshake's
        self._connection.shaking(transport)
        self._task = self._loop.create_task(self._shake(transport))

    def data_received(self, data: bytes) -> None:
        """Keeps a request that came along with the end of the handshake."""
        self._early += data

    def connection_lost(self, exc: Exception | None) -> None:
        """It has gone before it could be handed over."""
        self._gone = exc or ConnectionResetError()

    async def _shake(self, under: asyncio.Transport) -> None:
        try:
            over = await self._loop.start_tls(
                under, self, self._context, server_side=True, ssl_handshake_timeout=self._seconds
            )
        except (OSError, RuntimeError) as error:  # of SSL too; RuntimeError: it had gone before it began
            under.abort()
            self._connection.shaken(error)
            return
        if over is None or self._gone is not None:
            under.abort()
            self._connection.shaken(self._gone or ConnectionResetError())
            return
        self._connection.shaken(None)
        over.set_protocol(self._connection)
        self._connection.connection_made(over)
        if self._early:
            self._connection.data_received(bytes(self._early))


class _Refusal(asyncio.Protocol):
    """Says 503 as soon as the client has said anything, and hangs up."""

    def __init__(self, loop: asyncio.AbstractEventLoop, ended: Callable[[], None]) -> None:
        self._loop = loop
        self._ended = ended
        self._transport: asyncio.Transport | None = None
        self._patience: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - a stream server makes no other kind
        self._transport = transport
        self._patience = self._loop.call_later(REFUSAL_SECONDS, transport.abort)

    def data_received(self, data: bytes) -> None:  # noqa: ARG002 - what it says changes nothing
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(REFUSAL)
            self._transport.close()

    def connection_lost(self, exc: BaseException | None) -> None:  # noqa: ARG002 - why makes no difference
        if self._patience is not None:
            self._patience.cancel()
        self._ended()


class _Drop(asyncio.Protocol):
    """Hangs up."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - a stream server makes no other kind
        transport.abort()


class _Log:
    """What aiohttp has to say, as one event a line: a client that speaks no proper HTTP is no error of ours."""

    def __init__(self, log: FilteringBoundLogger) -> None:
        self._log = log

    def debug(self, message: str, *details: object, exc_info: BaseException | None = None) -> None:
        self._log.debug("http", what=message % details, error=type(exc_info).__name__)

    def exception(self, message: str, *details: object, exc_info: BaseException | None = None) -> None:
        if isinstance(exc_info, HttpProcessingError):
            self.debug(message, *details, exc_info=exc_info)
        else:
            self._log.error("http answer failed", what=message % details, **fault(exc_info))
