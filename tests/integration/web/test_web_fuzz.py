"""Ten thousand bodies that nobody foresaw: each is answered within the contract, and the listener lives on."""

import asyncio
import json
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import structlog
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from omisync.omisell.authorization import Authorizer
from omisync.omisell.push import ORDER_EVENTS
from omisync.store.inbox import Delivery
from omisync.web import Metrics, serve, webhook_app

BODIES_AT_ONCE = 50
EXAMPLES = 200
BIGINT = 2**63

NUMBERS = st.one_of(st.integers(), st.integers(0, 2**32), st.floats(), st.integers(0, 1000).map(str))
LEAVES = st.one_of(
    st.none(), st.booleans(), NUMBERS, st.text(max_size=30), st.sampled_from(["", "\0", "\ud800", "9" * 400])
)
JSON = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
DATA = st.fixed_dictionaries(
    {},
    optional=dict.fromkeys(
        (
            "order_number",
            "omisell_order_number",
            "status_id",
            "status_name",
            "is_fulfilled",
            "updated_time",
            "created_time",
            "surprise",
        ),
        LEAVES | JSON,
    ),
)
PUSH = st.fixed_dictionaries(
    {"event": st.sampled_from(sorted(ORDER_EVENTS)) | st.text(max_size=20) | JSON},
    optional={
        "data": DATA | JSON,
        "request_id": LEAVES,
        "shop_id": LEAVES,
        "seller_id": LEAVES,
        "timestamp": LEAVES,
        "event_type": LEAVES,
    },
)
BODY = st.one_of(
    PUSH.map(lambda push: json.dumps(push).encode()),
    JSON.map(lambda value: json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")),
    st.binary(max_size=300),
    st.tuples(PUSH, st.integers(0, 200)).map(lambda cut: json.dumps(cut[0]).encode()[: cut[1]]),
)


@dataclass
class Picky:
    """An inbox as picky as Postgres: what it could not hold is an error, which would be a 503."""

    kept: int = 0
    faults: list[str] = field(default_factory=list)

    async def add(self, delivery: Delivery) -> bool:
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


@dataclass
class Running:
    port: int
    inbox: Picky
    errors: list[Any]


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    """A listener in a thread of its own, so that hypothesis need not know of event loops."""
    inbox, errors = Picky(), list[Any]()
    started: list[int] = []
    ready, done = threading.Event(), threading.Event()

    def keep(_: object, level: str, event: Any) -> Any:
        if level == "error":
            errors.append(event)
        raise structlog.DropEvent

    async def live() -> None:
        log = structlog.wrap_logger(None, processors=[keep], wrapper_class=structlog.make_filtering_bound_logger(0))
        app = webhook_app(
            path="/hook", max_body=4096, authorizer=Authorizer("auto", ["s"]), inbox=inbox, metrics=Metrics(), log=log
        )

        @dataclass
        class Loopback:
            host: str = "127.0.0.1"
            port: int = 0

        server = await serve(app, Loopback(), log=log, environ={})
        started.append(server.port)
        ready.set()
        await asyncio.to_thread(done.wait)
        await server.close(1)

    thread = threading.Thread(target=asyncio.run, args=(live(),))
    thread.start()
    assert ready.wait(10)
    yield Running(started[0], inbox, errors)
    done.set()
    thread.join(10)


def exchange(port: int, requests: list[bytes]) -> list[int]:
    """Sends requests over one connection and returns the statuses of their answers."""
    statuses = []
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection, connection.makefile("rb") as answers:
        connection.sendall(b"".join(requests))
        for _ in requests:
            statuses.append(int(answers.readline().split()[1]))
            length = 0
            while (line := answers.readline()) != b"\r\n":
                name, _, value = line.partition(b":")
                if name.lower() == b"content-length":
                    length = int(value)
            text = answers.read(length)
            assert b"Traceback" not in text
            json.loads(text)
    return statuses


def request(body: bytes, authorization: bytes) -> bytes:
    return (
        b"POST /hook HTTP/1.1\r\nHost: x\r\nAuthorization: %s\r\nContent-Length: %d\r\n\r\n"
        % (authorization, len(body))
        + body
    )


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), database=None)
@given(bodies=st.lists(BODY, min_size=BODIES_AT_ONCE, max_size=BODIES_AT_ONCE))
def test_no_body_is_answered_with_5xx(running: Running, bodies: list[bytes]) -> None:
    kept = running.inbox.kept
    statuses = exchange(running.port, [request(body, b"s") for body in bodies])
    assert set(statuses) <= {200, 400}
    assert running.inbox.kept - kept == statuses.count(200)
    assert running.errors == []


HEADER = (
    st.binary(max_size=60)
    .map(lambda text: bytes(byte for byte in text if byte not in b"\r\n\0"))
    .filter(lambda text: text.strip(b" \t") not in {b"s", b"Bearer s"})
)


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck), database=None)
@given(headers=st.lists(HEADER, min_size=BODIES_AT_ONCE, max_size=BODIES_AT_ONCE))
def test_no_forged_authorization_is_accepted(running: Running, headers: list[bytes]) -> None:
    kept = running.inbox.kept
    for header in headers:
        with socket.create_connection(("127.0.0.1", running.port), timeout=10) as connection:
            connection.sendall(request(b"{}", header))
            with connection.makefile("rb") as answer:
                status = int(answer.readline().split()[1])
        assert status in {400, 401}
    assert running.inbox.kept == kept
    assert running.errors == []
