"""The webhook listener in a thread of its own, and a client that asks it over connections kept alive."""

import asyncio
import contextlib
import json
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

import structlog

from omisync.omisell.authorization import Authorizer
from omisync.store.inbox import Delivery
from omisync.web import Metrics, serve, webhook_app

SECRET: Final = "s"
MAX_BODY: Final = 16_384
BIGINT: Final = 2**63
SECONDS: Final = 30.0
"""For one exchange, or a start; two cores may be shared."""


class Keeps(Protocol):
    """An inbox that counts."""

    kept: int

    async def add(self, delivery: Delivery) -> bool:
        """Keeps one."""
        ...


@dataclass
class Picky:
    """An inbox as picky as Postgres: what it could not hold is an error, which would be a 503."""

    kept: int = 0

    async def add(self, delivery: Delivery) -> bool:
        """Keeps one.

        Raises:
            ValueError: Postgres could not hold it.
        """
        texts = (delivery.event, delivery.request_id, delivery.order_number, delivery.omisell_order_number)
        for text in texts:
            if text is not None and "\0" in text.encode().decode():
                raise ValueError("text with NUL")
        for number in (delivery.status_id, delivery.updated_time, delivery.shop_id):
            if number is not None and not -BIGINT <= number < BIGINT:
                raise ValueError("beyond bigint")
        _ = delivery.dedup_key
        self.kept += 1
        return True


@contextlib.asynccontextmanager
async def picky() -> Any:
    """One that needs no database."""
    yield Picky()


@dataclass
class Running:
    """A listener at work."""

    port: int
    inbox: Keeps
    errors: list[Any] = field(default_factory=list)


@contextlib.contextmanager
def listening(inbox: Callable[[], AbstractAsyncContextManager[Keeps]] = picky) -> Iterator[Running]:
    """Start one, and stop it in the end; `errors` are the events that it logs at error."""
    errors: list[Any] = []
    started: list[Running] = []
    ready, done = threading.Event(), threading.Event()

    def keep(_: object, level: str, event: Any) -> Any:
        if level == "error":
            errors.append(event)
        raise structlog.DropEvent

    async def live() -> None:
        log = structlog.wrap_logger(None, processors=[keep], wrapper_class=structlog.make_filtering_bound_logger(0))
        async with inbox() as kept:
            app = webhook_app(
                path="/hook",
                max_body=MAX_BODY,
                authorizer=Authorizer("auto", [SECRET], "https://shop.example/hook"),
                inbox=kept,
                metrics=Metrics(),
                log=log,
            )
            server = await serve(app, _Loopback(), log=log, environ={})
            started.append(Running(server.port, kept, errors))
            ready.set()
            await asyncio.to_thread(done.wait)
            await server.close(1)

    thread = threading.Thread(target=asyncio.run, args=(live(),))
    thread.start()
    try:
        if not ready.wait(SECONDS):
            raise TimeoutError("the listener did not start")
        yield started[0]
    finally:
        done.set()
        thread.join(SECONDS)


@dataclass
class _Loopback:
    host: str = "127.0.0.1"
    port: int = 0


class Client:
    """One connection, kept alive; opened anew where the listener has closed it after what it could not read.

    Args:
        port: Of the listener.
    """

    def __init__(self, port: int) -> None:
        self._port = port
        self._connection: socket.socket | None = None
        self._answers: Any = None

    def ask(self, requests: Sequence[bytes]) -> list[int]:
        """Sends requests at once and reads the status of each answer.

        Raises:
            AssertionError: an answer has a traceback in it, or is no JSON.
        """
        statuses: list[int] = []
        while len(statuses) < len(requests):
            if self._connection is None:
                self._connection = socket.create_connection(("127.0.0.1", self._port), timeout=SECONDS)
                self._answers = self._connection.makefile("rb")
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                self._connection.sendall(b"".join(requests[len(statuses) :]))
            statuses += self._read(len(requests) - len(statuses))
        return statuses

    def close(self) -> None:
        """Close it."""
        if self._connection is not None:
            self._answers.close()
            self._connection.close()
            self._connection = None

    def _read(self, most: int) -> list[int]:
        statuses: list[int] = []
        for _ in range(most):
            first = self._line()
            if not first:
                break
            length = 0
            last = False
            while (line := self._line()) not in (b"\r\n", b""):
                name, _, value = line.partition(b":")
                length = int(value) if name.lower() == b"content-length" else length
                last = last or (name.lower() == b"connection" and value.strip().lower() == b"close")
            text = self._answers.read(length)
            assert b"Traceback" not in text
            json.loads(text)
            statuses.append(int(first.split()[1]))
            if last:
                break
        else:
            return statuses
        self.close()
        assert statuses, "a connection was closed without an answer"
        return statuses

    def _line(self) -> bytes:
        try:
            line: bytes = self._answers.readline()
        except ConnectionResetError:
            return b""
        return line


def request(body: bytes, authorization: bytes = SECRET.encode()) -> bytes:
    """A push as it goes over the wire."""
    head = b"POST /hook HTTP/1.1\r\nHost: x\r\nAuthorization: %s\r\nContent-Length: %d\r\n\r\n"
    return head % (authorization, len(body)) + body
