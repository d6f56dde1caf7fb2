"""The answers that Omisell gets: each written in one piece, and a 200 only for what is on disk."""

import json
import time
from collections.abc import Callable
from email.utils import formatdate
from http import HTTPStatus
from typing import Final

from aiohttp import HttpVersion11, web
from aiohttp.abc import AbstractStreamWriter

RETRY_SECONDS: Final = 5
"""Asked for with a 503; Omisell keeps to a schedule of its own, 5 minutes at first [guide]."""


class Answer(web.StreamResponse):
    """A JSON answer whose bytes are ready but for the date: a tenth of the time that a push takes is saved by it.

    Args:
        status: of HTTP.
        head: the status line and the headers as far as they are always the same, up to the date's value.
        date: the date's value.
        body: JSON.
        last: whether the connection ends with this answer.
    """

    def __init__(self, status: int, head: bytes, date: bytes, body: bytes, *, last: bool) -> None:
        super().__init__(status=status)
        self._head = head
        self._date = date
        self._json = body
        self._last = last

    @property
    def keep_alive(self) -> bool:
        """Whether the connection goes on after this answer."""
        return not self._last

    def force_close(self) -> None:
        """Lets the connection end with this answer."""
        self._last = True

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter:
        """Writes head and body."""
        self._last = self._last or not request.keep_alive or request.version < HttpVersion11
        tail = b"\r\nConnection: close\r\n\r\n" if self._last else b"\r\n\r\n"
        await request.writer.write(b"".join((self._head, self._date, tail, self._json)))
        return request.writer

    async def write_eof(self, data: bytes = b"") -> None:
        """Nothing is left to write."""


class Answers:
    """Makes the answers of one listener."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._second = 0
        self._date = b""

    def stored(self) -> Answer:
        """It is on disk."""
        return self._answer(*_STORED)

    def repeat(self) -> Answer:
        """It was on disk already."""
        return self._answer(*_REPEAT)

    def unauthorized(self) -> Answer:
        """Not from Omisell, as far as can be seen; nothing was stored."""
        return self._answer(*_UNAUTHORIZED)

    def forbidden(self) -> Answer:
        """From where nobody may push; nothing was read."""
        return self._answer(*_FORBIDDEN, last=True)

    def unavailable(self) -> Answer:
        """Nothing was stored; worth sending again."""
        return self._answer(*_UNAVAILABLE)

    def too_large(self) -> Answer:
        """More than `webhook.max_body`."""
        return self._answer(*_TOO_LARGE, last=True)

    def too_slow(self) -> Answer:
        """The body did not come in time."""
        return self._answer(*_TOO_SLOW, last=True)

    def encoded(self) -> Answer:
        """Compressed, which Omisell's pushes are not; it is not inflated to be looked at."""
        return self._answer(*_ENCODED, last=True)

    def invalid(self, field: str, why: str) -> Answer:
        """Not a push as documented; `field` is at fault."""
        return self._answer(*_made(400, {"ok": False, "field": field, "error": f"{field}: {why}"}))

    def _answer(self, status: int, head: bytes, body: bytes, *, last: bool = False) -> Answer:
        now = int(self._clock())
        if now != self._second:
            self._second, self._date = now, formatdate(now, usegmt=True).encode()
        return Answer(status, head, self._date, body, last=last)


def _made(status: int, content: object, headers: str = "") -> tuple[int, bytes, bytes]:
    body = json.dumps(content).encode()
    head = (
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n{headers}Date: "
    )
    return status, head.encode(), body


def _refusal(status: int, error: str, headers: str = "") -> tuple[int, bytes, bytes]:
    return _made(status, {"ok": False, "error": error}, headers)


_STORED: Final = _made(200, {"ok": True})
_REPEAT: Final = _made(200, {"ok": True, "repeat": True})
_UNAUTHORIZED: Final = _refusal(401, "the Authorization header is missing or wrong")
_FORBIDDEN: Final = _refusal(403, "pushes are not taken from this address")
_UNAVAILABLE: Final = _refusal(
    503, "cannot be stored just now, send it again later", f"Retry-After: {RETRY_SECONDS}\r\n"
)
_TOO_LARGE: Final = _refusal(413, "the body is too large")
_TOO_SLOW: Final = _refusal(408, "the body did not come in time")
_ENCODED: Final = _refusal(400, "Content-Encoding: send the body as it is, not compressed")
