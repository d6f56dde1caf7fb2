"""The living part of the page as a stream: what it sends, how many there may be, and how each ends."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from omisync.web.live import Streams, event

Serving = Callable[..., Awaitable[Any]]


class Living:
    """An application with a stream at `/`, whose text and whose leave are the test's."""

    def __init__(self, most: int = 2) -> None:
        self.streams = Streams(most, every=0.01)
        self.text = "<p>one</p>"
        self.admitted = True
        self.app = web.Application()
        self.app.add_routes([web.get("/", self.answer)])

    async def answer(self, request: web.Request) -> web.StreamResponse:
        async def render() -> str:
            return self.text

        return await self.streams.answer(request, render, lambda: self.admitted)


async def events(answer: aiohttp.ClientResponse) -> AsyncIterator[str]:
    """The events of a stream, as a browser reads them."""
    lines: list[str] = []
    async for raw in answer.content:
        line = raw.decode().rstrip("\n")
        if line.startswith("data: "):
            lines.append(line.removeprefix("data: "))
        elif not line and lines:
            yield "\n".join(lines)
            lines.clear()


async def until_none_is_open(streams: Streams) -> None:
    async with asyncio.timeout(5):
        while len(streams):  # noqa: ASYNC110 - the server under test has no event to wait for
            await asyncio.sleep(0)


def test_a_text_of_many_lines_is_one_event() -> None:
    assert event("<p>\n\n  a\r\n</p>\n") == "data: <p>\ndata: a\ndata: </p>\n\n"


async def test_it_sends_what_is_new_again_and_again(serving: Serving, session: Any) -> None:
    living = Living()
    server = await serving(living.app)
    async with session.get(f"http://localhost:{server.port}/") as answer:
        assert answer.headers["Content-Type"] == "text/event-stream; charset=utf-8"
        assert answer.headers["Cache-Control"] == "no-store"
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
        told = events(answer)
        assert await anext(told) == "<p>one</p>"
        living.text = "<p>\ntwo\n</p>"
        async with asyncio.timeout(5):
            async for text in told:
                if text == "<p>\ntwo\n</p>":
                    break
    await until_none_is_open(living.streams)


async def test_a_stream_too_many_is_turned_away_until_one_ends(serving: Serving, session: Any) -> None:
    living = Living(most=2)
    url = f"http://localhost:{(await serving(living.app)).port}/"
    async with contextlib.AsyncExitStack() as stack:
        for _ in range(2):
            answer = await stack.enter_async_context(session.get(url))
            assert answer.status == 200
        async with session.get(url) as refused:
            assert (refused.status, refused.headers["Retry-After"]) == (503, "30")
    await until_none_is_open(living.streams)
    async with session.get(url) as again:
        assert again.status == 200


async def test_it_ends_with_the_leave_to_look(serving: Serving, session: Any) -> None:
    living = Living()
    async with session.get(f"http://localhost:{(await serving(living.app)).port}/") as answer:
        told = events(answer)
        await anext(told)
        living.admitted = False
        async with asyncio.timeout(5):
            async for _ in told:
                pass
    assert len(living.streams) == 0


async def test_it_ends_at_once_when_the_listener_closes(serving: Serving, session: Any) -> None:
    living = Living()
    living.streams = Streams(2, every=3600)
    server = await serving(living.app)
    async with session.get(f"http://localhost:{server.port}/") as answer:
        told = events(answer)
        await anext(told)
        loop = asyncio.get_running_loop()
        began = loop.time()
        await server.close(grace=60)
        assert loop.time() - began < 30  # the grace was not spent on it
        assert [text async for text in told] == []


@pytest.mark.parametrize("seconds", [0.05])
async def test_a_reader_that_takes_nothing_is_let_go(
    serving: Serving, connect: Any, monkeypatch: Any, seconds: float
) -> None:
    monkeypatch.setattr("omisync.web.live.WRITE_SECONDS", seconds)
    living = Living()
    living.text = "x" * 1_000_000
    server = await serving(living.app)
    raw = await connect(server)
    raw.writer.transport.pause_reading()
    await raw.send(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    async with asyncio.timeout(5):
        while not len(living.streams):  # noqa: ASYNC110 - the server under test has no event to wait for
            await asyncio.sleep(0)
    await until_none_is_open(living.streams)
