"""Thousands of bodies that nobody foresaw: each is answered within the contract, and the listener lives on.

The long form, on a real database: `python -m tests.fuzz`.
"""

import random
import socket
from collections import Counter
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz.listener import Client, Running, listening, request
from tests.fuzz.mutations import mutations
from tests.fuzz.shapes import BODY

BODIES_AT_ONCE = 100


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    with listening() as started:
        yield started


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck), database=None)
@given(body=BODY, chance=st.integers(0, 2**32))
def test_no_body_is_answered_with_5xx(running: Running, body: bytes, chance: int) -> None:
    kept = running.inbox.kept
    client = Client(running.port)
    dice = random.Random(chance)  # noqa: S311 - the same again for an example
    statuses = client.ask([request(each) for each in mutations(body, BODIES_AT_ONCE, dice)])
    client.close()
    assert set(statuses) <= {200, 400}
    assert running.inbox.kept - kept == statuses.count(200)
    assert running.errors == []


HEADER = (
    st.binary(max_size=60)
    .map(lambda text: bytes(byte for byte in text if byte not in b"\r\n\0"))
    .filter(lambda text: text.strip(b" \t") not in {b"s", b"Bearer s"})
)


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck), database=None)
@given(headers=st.lists(HEADER, min_size=20, max_size=20))
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


def test_half_of_what_a_good_push_turns_into_is_still_understood(running: Running) -> None:
    # else all that is fuzzed would be the parser
    body = (
        b'{"event": "order.shipped", "data": {"omisell_order_number": "ODVN-1", "status_id": 500}, "request_id": "r"}'
    )
    client = Client(running.port)
    answers = Counter(client.ask([request(each) for each in mutations(body, 200, random.Random(1))]))  # noqa: S311
    client.close()
    assert answers[200] > 50
    assert answers[400] > 50
