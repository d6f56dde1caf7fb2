"""The living part of the status page as server-sent events: a few streams, each with its end."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Final

from aiohttp import hdrs, web

from omisync.web.listen import STOPPING
from omisync.web.pages import SECURITY

LIVE_SECONDS: Final = 2.0
"""Between two looks of a stream; the database is asked once for all of them."""
MOST_STREAMS: Final = 16
"""Open at once; who comes later asks again and again instead, as the page does without streams."""
WRITE_SECONDS: Final = 10.0
"""A reader that takes nothing for so long has gone."""
AGAIN_MILLISECONDS: Final = 3000
"""After which a browser comes back whose stream has ended."""

Render = Callable[[], Awaitable[str]]


class Streams:
    """The open streams."""

    def __init__(self, most: int = MOST_STREAMS, every: float = LIVE_SECONDS) -> None:
        self._most = most
        self._every = every
        self._open = 0

    def __len__(self) -> int:
        return self._open

    async def answer(self, request: web.Request, render: Render, admits: Callable[[], bool]) -> web.StreamResponse:
        """Sends what `render` gives, until the reader goes, may no longer look, or the listener closes.

        A stream too many is 503: the page then polls.
        """
        if self._open >= self._most or request.app[STOPPING].is_set():
            return web.Response(status=503, text="Too many streams are open.", headers={hdrs.RETRY_AFTER: "30"})
        self._open += 1
        try:
            return await self._stream(request, render, admits)
        finally:
            self._open -= 1

    async def _stream(self, request: web.Request, render: Render, admits: Callable[[], bool]) -> web.StreamResponse:
        stopping = request.app[STOPPING]
        headers = {**SECURITY, hdrs.CACHE_CONTROL: "no-store", "X-Accel-Buffering": "no"}
        answer = web.StreamResponse(headers=headers)
        answer.content_type = "text/event-stream"
        answer.charset = "utf-8"
        with contextlib.suppress(ConnectionError):  # the reader has gone: that is how streams end
            await answer.prepare(request)
            await self._write(request, answer, f"retry: {AGAIN_MILLISECONDS}\n\n")
            while admits() and not stopping.is_set():
                await self._write(request, answer, event(await render()))
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._every):
                        await stopping.wait()
            await answer.write_eof()
        answer.force_close()
        return answer

    @staticmethod
    async def _write(request: web.Request, answer: web.StreamResponse, text: str) -> None:
        try:
            async with asyncio.timeout(WRITE_SECONDS):
                await answer.write(text.encode())
        except TimeoutError:
            if request.transport is not None:
                request.transport.abort()
            raise ConnectionResetError from None


def event(text: str) -> str:
    """A text of many lines as one event."""
    lines = (line.strip() for line in text.splitlines())
    return "".join(f"data: {line}\n" for line in lines if line) + "\n"
