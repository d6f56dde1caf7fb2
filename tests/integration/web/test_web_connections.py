"""Clients that are slow, many, rude or broken: bounded memory, and nobody else notices."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import pytest

from omisync.web import Limits
from omisync.web.body import BodyLimits
from omisync.web.connections import REFUSALS_AT_ONCE

PUSH = b'{"event": "order.shipped", "data": {"order_number": "1"}}'
SECRET = "kho-bí-mật-1".encode()

Start = Callable[..., Awaitable[Any]]


def request(body: bytes = PUSH, *headers: bytes) -> bytes:
    lines = [
        b"POST /webhooks/omisell HTTP/1.1",
        b"Host: x",
        b"Authorization: " + SECRET,
        b"Content-Length: %d" % len(body),
        *headers,
    ]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


async def test_a_client_that_never_finishes_its_first_head_is_hung_up_on(listener: Start, connect: Start) -> None:
    web = await listener(limits=Limits(head=0.05, check_every=0.02))
    silent, dribbling = await connect(web.server), await connect(web.server)
    await dribbling.send(b"POST /webhooks/omisell HTTP/1.1\r\nX-A: b\r\n")
    assert await silent.rest() == b""
    assert await dribbling.rest() == b""
    assert web.server.connections == 0


async def test_an_idle_connection_is_hung_up_on_and_a_dribbled_later_head_does_not_prolong_it(
    listener: Start, connect: Start
) -> None:
    web = await listener(limits=Limits(idle=0.05, check_every=0.02))
    raw = await connect(web.server)
    await raw.send(request())
    assert (await raw.head()).startswith("HTTP/1.1 200 OK\r\n")
    await raw.send(b"POST /webhooks/omisell HTTP/1.1\r\n")
    assert b"HTTP/1.1" not in await raw.rest()


async def test_a_body_that_does_not_come_is_408(listener: Start, connect: Start) -> None:
    web = await listener(bodies=BodyLimits(1000, seconds=0.05))
    raw = await connect(web.server)
    await raw.send(request()[:-5])
    head = await raw.head()
    assert head.startswith("HTTP/1.1 408 Request Timeout\r\n")
    assert "Connection: close" in head
    assert web.inbox.deliveries == []


async def test_a_body_that_comes_in_pieces_is_taken(listener: Start, connect: Start) -> None:
    web = await listener()
    raw = await connect(web.server)
    whole = request()
    for place in range(0, len(whole), 7):
        await raw.send(whole[place : place + 7])
        await asyncio.sleep(0)
    assert (await raw.head()).startswith("HTTP/1.1 200 OK\r\n")
    assert web.inbox.deliveries[0].body == PUSH


async def test_slow_clients_that_hold_every_place_make_room_for_one_that_speaks(
    listener: Start, connect: Start
) -> None:
    web = await listener(limits=Limits(connections=5))
    slow = [await connect(web.server) for _ in range(5)]
    for raw in slow:
        await raw.send(b"POST /webhooks/omisell HTTP/1.1\r\n")
    for _ in range(10):
        raw = await connect(web.server)
        await raw.send(request())
        assert (await raw.head()).startswith("HTTP/1.1 200 OK\r\n")
    assert web.server.connections <= 5
    assert await slow[0].rest() == b""


async def test_when_every_place_is_busy_a_newcomer_is_told_503_with_retry_after(
    listener: Start, connect: Start
) -> None:
    web = await listener(limits=Limits(connections=2))
    web.inbox.gate.clear()
    busy = [await connect(web.server) for _ in range(2)]
    for raw in busy:
        await raw.send(request())
        await asyncio.wait_for(web.inbox.entered.acquire(), 5)
    late = await connect(web.server)
    await late.send(request())
    head = await late.head()
    assert head.startswith("HTTP/1.1 503 Service Unavailable\r\n")
    assert "Retry-After: 5" in head
    assert await late.rest() == b""
    web.inbox.gate.set()
    for raw in busy:
        assert (await raw.head()).startswith("HTTP/1.1 200 OK\r\n")


async def test_those_who_are_turned_away_are_bounded_too(listener: Start, connect: Start) -> None:
    web = await listener(limits=Limits(connections=1))
    web.inbox.gate.clear()
    busy = await connect(web.server)
    await busy.send(request())
    await asyncio.wait_for(web.inbox.entered.acquire(), 5)
    waiting = [await connect(web.server) for _ in range(REFUSALS_AT_ONCE)]
    dropped = await connect(web.server)
    assert await dropped.rest() == b""
    for raw in waiting:
        await raw.send(b"x")
        assert (await raw.head()).startswith("HTTP/1.1 503 ")
        assert await raw.rest() == b""
    again = await connect(web.server)
    await again.send(b"x")
    assert (await again.head()).startswith("HTTP/1.1 503 ")
    web.inbox.gate.set()
    assert (await busy.head()).startswith("HTTP/1.1 200 OK\r\n")


async def test_large_bodies_share_a_bounded_memory_and_do_not_crowd_out_small_ones(
    listener: Start, connect: Start
) -> None:
    web = await listener(bodies=BodyLimits(1000, small=100, large_total=2000))
    head = b"POST /webhooks/omisell HTTP/1.1\r\nHost: x\r\nContent-Length: 900\r\n\r\n"
    large = [await connect(web.server) for _ in range(3)]
    for raw in large:
        await raw.send(head + b"x" * 500)
    refused, _ = await asyncio.wait(
        [asyncio.ensure_future(raw.head()) for raw in large], timeout=5, return_when=asyncio.FIRST_COMPLETED
    )
    assert refused.pop().result().startswith("HTTP/1.1 503 ")
    raw = await connect(web.server)
    await raw.send(request())
    assert (await raw.head()).startswith("HTTP/1.1 200 OK\r\n")
    assert not refused


async def test_a_large_body_gives_its_share_back(listener: Start) -> None:
    web = await listener(bodies=BodyLimits(1000, small=10, large_total=1000))

    async def slowly(body: bytes) -> Any:
        for place in range(0, len(body), 15):
            yield body[place : place + 15]

    for _ in range(5):
        assert (await web.post(slowly(PUSH)))[0] == 200


async def test_keep_alive_and_pipelining_answer_in_order(listener: Start, connect: Start) -> None:
    web = await listener()
    raw = await connect(web.server)
    await raw.send(request() + request(b"[]") + request())
    heads = []
    for _ in range(3):
        head = await raw.head()
        await raw.body(head)
        heads.append(head.split("\r\n")[0])
    assert heads == ["HTTP/1.1 200 OK", "HTTP/1.1 400 Bad Request", "HTTP/1.1 200 OK"]


@pytest.mark.parametrize(
    ("version", "header", "ends"),
    [
        (b"HTTP/1.1", b"X: y", False),
        (b"HTTP/1.1", b"Connection: close", True),
        (b"HTTP/1.0", b"X: y", True),
        (b"HTTP/1.0", b"Connection: keep-alive", True),
    ],
)
async def test_a_connection_ends_as_the_client_wishes(
    listener: Start, connect: Start, version: bytes, header: bytes, ends: bool
) -> None:
    web = await listener()
    raw = await connect(web.server)
    await raw.send(request(PUSH, header).replace(b"HTTP/1.1", version))
    head = await raw.head()
    await raw.body(head)
    assert ("Connection: close" in head) is ends
    if ends:
        assert await raw.rest() == b""
    else:
        await raw.send(request())
        assert (await raw.head()).startswith("HTTP/1.1 200 OK\r\n")


@pytest.mark.parametrize(
    "rude",
    [
        b"\0" * 100 + b"\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\xff" * 200,
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"POST /webhooks/omisell HTTP/9.9\r\n\r\n",
        b"POST /webhooks/omisell\r\n\r\n",
        b"POST http://[::1/webhooks/omisell HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST //webhooks/omisell HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
        b"POST /%zz%00%ff HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
        b"POST /webhooks/omisell HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"POST /webhooks/omisell HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999999\r\n\r\n",
        b"POST /webhooks/omisell HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef",
        b"POST /webhooks/omisell HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /webhooks/omisell HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n",
        b"POST /webhooks/omisell HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 20_000 + b"\r\n\r\n",
        b"POST /" + b"y" * 20_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST /webhooks/omisell HTTP/1.1\r\n" + b"X: y\r\n" * 5_000 + b"\r\n",
        b"POST /webhooks/omisell HTTP/1.1\r\nHost: x\r\nExpect: a-miracle\r\nContent-Length: 0\r\n\r\n",
        b"POST /webhooks/omisell HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
        b"CONNECT x:443 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST /webhooks/omisell HTTP/1.1\r\nHost: x\r\nCookie: \xff=\xfe; ;;=\r\nContent-Length: 0\r\n\r\n",
    ],
)
async def test_what_is_not_proper_http_gets_4xx_or_silence_and_the_next_client_is_served(
    listener: Start, connect: Start, logged: Any, rude: bytes
) -> None:
    web = await listener()
    raw = await connect(web.server)
    await raw.send(rude)
    raw.writer.write_eof()
    said = await raw.rest()
    assert said == b"" or said.startswith((b"HTTP/1.1 4", b"HTTP/1.0 4")), said[:100]
    assert b"Traceback" not in said
    assert logged.events("error") == []
    assert (await web.post(PUSH))[0] == 200


async def test_the_answer_names_no_library(listener: Start) -> None:
    web = await listener()
    async with web.session.get(web.url + "/") as answer:
        assert answer.headers["Server"] == "omisync"


async def test_a_client_that_goes_away_while_its_push_is_stored_leaves_nothing_open(
    listener: Start, connect: Start, logged: Any
) -> None:
    web = await listener()
    web.inbox.gate.clear()
    raw = await connect(web.server)
    await raw.send(request())
    await asyncio.wait_for(web.inbox.entered.acquire(), 5)
    raw.writer.transport.abort()
    web.inbox.gate.set()
    assert (await web.post(PUSH.replace(b'"1"', b'"2"')))[0] == 200
    assert len(web.inbox.deliveries) == 2
    assert web.server.connections == 1
    assert logged.events("error") == []


async def test_a_client_that_goes_away_in_the_middle_of_its_body_is_no_error(
    listener: Start, connect: Start, logged: Any
) -> None:
    web = await listener()
    raw = await connect(web.server)
    await raw.send(request()[:-5])
    await web.has_accepted()
    raw.writer.transport.abort()
    await web.has_counted("broken")
    assert logged.entries == []
    assert web.inbox.deliveries == []


async def test_a_hundred_pushes_at_once_are_all_answered(listener: Start) -> None:
    web = await listener()
    pushes = [PUSH.replace(b'"1"', b'"%d"' % number) for number in range(100)]
    answers = await asyncio.gather(*(web.post(push) for push in pushes))
    assert {status for status, _, _ in answers} == {200}
    assert len(web.inbox.deliveries) == 100


async def test_expect_100_continue_is_obeyed(listener: Start) -> None:
    web = await listener()
    async with web.session.post(
        web.url + "/webhooks/omisell",
        data=PUSH,
        headers={"Authorization": SECRET.decode()},
        expect100=True,
        timeout=aiohttp.ClientTimeout(total=5),
    ) as answer:
        assert answer.status == 200
