"""Reads the body of a push: the bytes as they came, within a size, a time and a share of memory."""

import asyncio
from dataclasses import dataclass
from typing import Final

from aiohttp import web

READ_SECONDS: Final = 5.0
"""For a whole body; Omisell's sister gives the whole exchange 3 s [sibling: boxme]."""
SMALL: Final = 16 * 1024
"""Bytes. Pushes are a few hundred; what is larger shares `LARGE_TOTAL`, so that it cannot crowd them out."""
LARGE_TOTAL: Final = 32 * 1024 * 1024
"""Bytes that all bodies larger than `SMALL` may take while they are being read."""


@dataclass(frozen=True, slots=True)
class BodyLimits:
    """Of one listener; sizes in bytes, times in seconds."""

    max_body: int
    seconds: float = READ_SECONDS
    small: int = SMALL
    large_total: int = LARGE_TOTAL


class BodyError(Exception):
    """The body cannot be had; each kind has an answer of its own."""


class TooLarge(BodyError):
    """Larger than agreed."""


class TooSlow(BodyError):
    """Not here in time."""


class NoRoom(BodyError):
    """Too many large bodies are being read just now."""


class Broken(BodyError):
    """The client has gone, or what it sends is not HTTP."""


class Bodies:
    """Reads bodies, several at a time."""

    def __init__(self, limits: BodyLimits) -> None:
        self._limits = limits
        self._large = 0

    async def read(self, request: web.BaseRequest) -> bytes:
        """The body's bytes, never inflated.

        Raises:
            TooLarge: more than `BodyLimits.max_body`, whether announced or not.
            TooSlow: not whole within `BodyLimits.seconds`.
            NoRoom: too many large bodies at once.
            Broken: the connection ended or its framing is wrong.
        """
        content = request.content
        try:
            if content.is_eof():  # came with the head, as almost all do: no timer, no copy
                body = content.read_nowait(-1)
                if len(body) > self._limits.max_body:
                    raise TooLarge
                return body
            announced = request.content_length
            if announced is not None and announced > self._limits.max_body:
                raise TooLarge
            async with asyncio.timeout(self._limits.seconds):
                return await self._collect(request)
        except TimeoutError:
            raise TooSlow from None
        except (web.RequestPayloadError, OSError) as error:
            raise Broken from error

    async def _collect(self, request: web.BaseRequest) -> bytes:
        body = bytearray()
        counted = False
        try:
            while chunk := await request.content.readany():
                body += chunk
                if len(body) > self._limits.max_body:
                    raise TooLarge
                if len(body) > self._limits.small and not counted:
                    if (self._large + 1) * self._limits.max_body > self._limits.large_total:
                        raise NoRoom
                    self._large += 1
                    counted = True
        finally:
            self._large -= counted
        return bytes(body)
