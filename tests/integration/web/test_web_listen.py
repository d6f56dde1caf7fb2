"""Opening and closing a listener."""

import asyncio
import contextlib
import functools
import os
import resource
import socket
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from aiohttp import web

from omisync.web import ListenError
from omisync.web.listen import ACCEPTING, LAST_WORDS
from omisync.web.sockets import BACKLOG, inherited

Start = Callable[..., Awaitable[Any]]

PUSH = b'{"event": "order.shipped", "data": {"order_number": "1"}}'
SECRET = "kho-bí-mật-1".encode()
REQUEST = (
    b"POST /webhooks/omisell HTTP/1.1\r\nHost: x\r\nAuthorization: "
    + SECRET
    + b"\r\nContent-Length: %d\r\n\r\n" % len(PUSH)
    + PUSH
)

WAITING = 1000
FILES = 2 * WAITING + 500
"""Both ends of each connection are this process's, and there is more that it has open."""


@dataclass
class At:
    host: str
    port: int = 0


async def test_a_taken_port_is_told_with_what_to_do(serving: Start) -> None:
    first = await serving(web.Application())
    with pytest.raises(ListenError) as told:
        await serving(web.Application(), listen=At("127.0.0.1", first.port), name="admin")
    assert str(told.value) == (
        f"cannot listen on 127.0.0.1:{first.port} (admin.listen): the port is taken. See who has it with "
        f"`ss -ltnp 'sport = :{first.port}'`, stop that, or set admin.listen to another port"
    )


@pytest.mark.parametrize(
    ("listen", "words"),
    [
        (At("192.0.2.1"), "this machine has no such address"),
        (At("does-not-exist.invalid"), "the name does-not-exist.invalid has no address"),
        (At("::1", 70_000), "cannot listen on [::1]:70000"),
    ],
)
async def test_an_address_that_cannot_be_had_is_told(serving: Start, listen: At, words: str) -> None:
    with pytest.raises((ListenError, OverflowError)) as told:
        await serving(web.Application(), listen=listen)
    if isinstance(told.value, ListenError):
        assert words in str(told.value)


async def test_ipv6(serving: Start) -> None:
    if not socket.has_ipv6:
        pytest.skip("no IPv6 here")
    try:
        server = await serving(web.Application(), listen=At("::1"))
    except ListenError as error:
        pytest.skip(f"no IPv6 loopback here: {error}")
    reader, writer = await asyncio.open_connection("::1", server.port)
    writer.write(b"GET / HTTP/1.0\r\n\r\n")
    assert (await asyncio.wait_for(reader.readline(), 5)).startswith(b"HTTP/1.0 404")
    writer.close()
    await writer.wait_closed()


async def test_an_address_can_be_taken_again_at_once(listener: Start, serving: Start, connect: Start) -> None:
    listening = await listener()
    raw = await connect(listening.server)
    await raw.send(REQUEST)
    await raw.head()
    port = listening.server.port
    await listening.server.close(0)
    again = await serving(web.Application(), listen=At("127.0.0.1", port))
    assert again.port == port


async def test_closing_finishes_what_is_in_flight_and_takes_nothing_new(listener: Start, connect: Start) -> None:
    listening = await listener()
    listening.inbox.gate.clear()
    raw = await connect(listening.server)
    await raw.send(REQUEST)
    await asyncio.wait_for(listening.inbox.entered.acquire(), 5)
    port = listening.server.port
    closing = asyncio.create_task(listening.server.close(5))
    for _ in range(2 * ACCEPTING):
        await asyncio.sleep(0)
    with pytest.raises(ConnectionError):
        await asyncio.open_connection("127.0.0.1", port)
    assert not closing.done()
    listening.inbox.gate.set()
    head = await raw.head()
    assert head.startswith("HTTP/1.1 200 OK\r\n")
    assert "Connection: close" in head
    await asyncio.wait_for(closing, 5)
    assert listening.server.connections == 0


async def test_a_body_that_is_still_coming_is_waited_for(listener: Start, connect: Start) -> None:
    listening = await listener()
    raw = await connect(listening.server)
    await raw.send(REQUEST[:-5])
    await listening.has_accepted()
    closing = asyncio.create_task(listening.server.close(5))
    await asyncio.sleep(0)
    await raw.send(REQUEST[-5:])
    assert (await raw.head()).startswith("HTTP/1.1 200 OK\r\n")
    await asyncio.wait_for(closing, 5)
    assert len(listening.inbox.deliveries) == 1


async def test_a_connection_accepted_just_before_the_stop_may_still_push(listener: Start, connect: Start) -> None:
    listening = await listener()
    raw = await connect(listening.server)
    await listening.has_accepted()
    closing = asyncio.create_task(listening.server.close(5))
    await asyncio.sleep(0)
    await raw.send(REQUEST)
    head = await raw.head()
    assert head.startswith("HTTP/1.1 200 OK\r\n")
    assert "Connection: close" in head
    await asyncio.wait_for(closing, 5)


async def test_a_new_connection_is_heard_however_long_it_takes_to_speak_within_the_grace(
    listener: Start, connect: Start
) -> None:
    listening = await listener()
    raw = await connect(listening.server)
    await listening.has_accepted()
    closing = asyncio.create_task(listening.server.close(5))
    done, _ = await asyncio.wait({closing}, timeout=LAST_WORDS * 3)
    assert done == set()
    await raw.send(REQUEST)
    assert (await raw.head()).startswith("HTTP/1.1 200 OK\r\n")
    await asyncio.wait_for(closing, 5)


async def test_an_old_connection_that_says_nothing_more_does_not_hold_up_a_stop(
    listener: Start, connect: Start
) -> None:
    listening = await listener()
    raw = await connect(listening.server)
    await raw.send(REQUEST)
    await raw.head()
    await asyncio.wait_for(listening.server.close(60), 10)


async def test_a_new_connection_that_never_speaks_holds_up_a_stop_for_the_grace_only(
    listener: Start, connect: Start
) -> None:
    listening = await listener()
    await connect(listening.server)
    await listening.has_accepted()
    await asyncio.wait_for(listening.server.close(0.3), 10)


async def test_the_grace_is_kept_even_if_something_hangs(listener: Start, connect: Start) -> None:
    listening = await listener()
    listening.inbox.gate.clear()
    raw = await connect(listening.server)
    await raw.send(REQUEST)
    await asyncio.wait_for(listening.inbox.entered.acquire(), 5)
    await asyncio.wait_for(listening.server.close(0.05), 5)
    assert not (await raw.rest()).startswith(b"HTTP/1.1 200")


async def test_closing_an_idle_listener_takes_no_time(listener: Start) -> None:
    listening = await listener()
    loop = asyncio.get_running_loop()
    began = loop.time()
    await listening.server.close(25)
    assert loop.time() - began < 0.2


@pytest.fixture
def room_for_files() -> Iterator[None]:
    """As many open files as the unit grants; a login's usual limit is 1,024, and may be raised by whoever has it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < FILES:
        pytest.skip(f"needs {FILES} open files; the hard limit is {hard}")
    if soft != resource.RLIM_INFINITY and soft < FILES:
        resource.setrlimit(resource.RLIMIT_NOFILE, (FILES, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.usefixtures("room_for_files")
async def test_every_push_that_waited_for_the_start_is_answered_however_full_the_queue(
    listener: Start, monkeypatch: Any
) -> None:
    """A restart of twenty seconds at fifty pushes a second fills the kernel's queue."""
    with socket.create_server(("127.0.0.1", 0), backlog=BACKLOG) as passed, contextlib.ExitStack() as stack:
        waiting = []
        for _ in range(WAITING):
            client = stack.enter_context(socket.create_connection(passed.getsockname(), 5))
            client.sendall(REQUEST)
            client.setblocking(False)
            waiting.append(client)
        monkeypatch.setattr("omisync.web.listen.inherited", functools.partial(inherited, first=passed.fileno()))
        environ = {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1", "LISTEN_FDNAMES": "webhook"}
        await listener(environ=environ)
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(30):
            answers = [await loop.sock_recv(client, 12) for client in waiting]
    assert set(answers) == {b"HTTP/1.1 200"}


@pytest.mark.parametrize("turns", range(8))
async def test_a_stop_while_the_queue_is_worked_off_cuts_nobody_off(
    listener: Start, monkeypatch: Any, turns: int
) -> None:
    """Whoever was accepted is answered; the others wait for the next process."""
    with socket.create_server(("127.0.0.1", 0), backlog=BACKLOG) as passed, contextlib.ExitStack() as stack:
        clients = []
        for _ in range(100):
            client = stack.enter_context(socket.create_connection(passed.getsockname(), 5))
            client.sendall(REQUEST)
            client.setblocking(False)
            clients.append(client)
        monkeypatch.setattr("omisync.web.listen.inherited", functools.partial(inherited, first=passed.fileno()))
        environ = {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1", "LISTEN_FDNAMES": "webhook"}
        listening = await listener(environ=environ)
        for _ in range(turns):
            await asyncio.sleep(0)
        await asyncio.wait_for(listening.server.close(20), 30)
        answered = 0
        for client in clients:
            with contextlib.suppress(BlockingIOError):
                assert client.recv(12) == b"HTTP/1.1 200"
                answered += 1
        passed.setblocking(False)
        for _ in range(len(clients) - answered):
            passed.accept()[0].close()


async def test_a_socket_passed_by_systemd_is_served_and_left_listening(serving: Start, monkeypatch: Any) -> None:
    """The passed descriptor stays open when the server closes: connections wait in it for the next process."""
    with socket.create_server(("127.0.0.1", 0)) as passed:
        passing = functools.partial(inherited, first=passed.fileno())
        monkeypatch.setattr("omisync.web.listen.inherited", passing)
        environ = {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1", "LISTEN_FDNAMES": "webhook"}
        server = await serving(web.Application(), listen=At("127.0.0.1", 1), environ=environ)
        assert server.port == passed.getsockname()[1]
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"GET / HTTP/1.0\r\n\r\n")
        assert (await asyncio.wait_for(reader.readline(), 5)).startswith(b"HTTP/1.0 404")
        writer.close()
        await writer.wait_closed()
        await server.close(1)
        with socket.create_connection(passed.getsockname()):
            accepted, _ = passed.accept()
            accepted.close()


async def test_a_unix_socket_has_port_0(serving: Start, tmp_path: Any, monkeypatch: Any) -> None:
    with socket.socket(socket.AF_UNIX) as passed:
        passed.bind(str(tmp_path / "s"))
        passed.listen()
        monkeypatch.setattr("omisync.web.listen.inherited", lambda *_: [passed.dup()])
        server = await serving(web.Application())
        assert server.port == 0
