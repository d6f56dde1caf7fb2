"""One HTTP exchange with Omisell: its place in the budget, its time-outs, its size, what went wrong."""

import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, Protocol
from urllib.parse import urlencode

import aiohttp
import structlog
from yarl import URL

from omisync import __version__
from omisync.omisell.budget import Budget, Call, CallClass
from omisync.omisell.clock import ServerClock
from omisync.omisell.envelope import Answer, TooMany, read_answer, read_limit
from omisync.omisell.errors import Throttled, Unavailable

CONNECT_TIMEOUT: Final = 5.0
"""Seconds for name, connection and TLS [contract 3, omisell.timeout]."""

MAX_ANSWER: Final = 8 * 1024 * 1024
"""Bytes of an answer, decompressed; a page of 100 orders has about 30 KiB."""


class Observer(Protocol):
    """Who counts calls."""

    def request(self, endpoint: str, status: str, seconds: float) -> None:
        """One HTTP exchange is over.

        Args:
            endpoint: short name, such as `order.add`.
            status: the HTTP status, or how the exchange failed: `unreachable`, `timeout`, `reset`, `truncated`,
                `oversized`, `cancelled`.
            seconds: from the request's start to the answer's end.
        """
        ...


class Transport:
    """Sends requests, each counted in the budget and bounded in time and size.

    Args:
        session: carries the connections; its owner closes it.
        base_url: scheme and host, perhaps with a path before Omisell's own.
        headers: sent with every request; hold no secret.
        timeout: seconds for a whole call, once it has its place in the budget.
        budget: what all calls of the account share.
        clock: set by every answer.
        observer: told of every exchange, once.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        *,
        base_url: str,
        headers: Mapping[str, str],
        timeout: float,  # noqa: ASYNC109 - a setting of all calls; each call bounds itself by it
        budget: Budget,
        clock: ServerClock,
        observer: Observer,
    ) -> None:
        self._session = session
        self._base_url = base_url.rstrip("/")
        self._headers = {
            "Accept": "application/json",
            "Content-Type": "application/json",
            "User-Agent": f"omisync/{__version__}",
            **headers,
        }
        connect = min(CONNECT_TIMEOUT, timeout)
        self._timeout = aiohttp.ClientTimeout(total=timeout, connect=connect, sock_connect=connect)
        self._budget = budget
        self._clock = clock
        self._observer = observer
        self._log = structlog.get_logger("omisell")

    async def send(
        self,
        endpoint: str,
        method: str,
        path: str,
        *,
        cls: CallClass,
        query: Mapping[str, str | int] | None = None,
        body: str | None = None,
        authorization: Callable[[], Awaitable[str]] | None = None,
        on_send: Callable[[], None] | None = None,
        write: bool = False,
    ) -> Answer:
        """Make one call.

        Args:
            endpoint: short name, for errors and metrics.
            method: HTTP method.
            path: absolute, encoded already.
            cls: what the budget ranks it by.
            query: added to the path.
            body: JSON.
            authorization: makes the header; asked when the call has its place, so that it is not stale.
            on_send: called right before the request goes; if it raises, nothing is sent.
            write: whether this changes something at Omisell.

        Raises:
            Throttled, Unavailable, Refused, NotFound, Unauthorized: see `envelope.read_answer`.
        """
        if authorization is not None:
            await authorization()  # a token that must be fetched first needs a place in the budget itself
        async with self._budget.call(cls) as call:
            headers = dict(self._headers)
            try:
                if authorization is not None:
                    headers["Authorization"] = await authorization()
                if on_send is not None:
                    on_send()
            except BaseException:
                call.unsent()
                raise
            url = URL(self._base_url + path + (f"?{urlencode(query)}" if query else ""), encoded=True)
            status, answered, raw = await self._exchange(endpoint, method, url, headers, body, call, write=write)
            try:
                answer = read_answer(endpoint, status, answered, raw, write=write)
            except TooMany as refusal:
                wait = self._budget.throttled(refusal.retry_after)
                self._log.warning("omisell throttled us", endpoint=endpoint, wait=round(wait, 1))
                raise Throttled(wait, endpoint=endpoint) from None
        if "Date" not in answered:
            self._clock.heard_timestamp(answer.timestamp)
        return answer

    async def _exchange(
        self,
        endpoint: str,
        method: str,
        url: URL,
        headers: Mapping[str, str],
        body: str | None,
        call: Call,
        *,
        write: bool,
    ) -> tuple[int, Mapping[str, str], bytes]:
        started = time.monotonic()
        label = "cancelled"
        try:
            async with self._session.request(
                method,
                url,
                data=None if body is None else body.encode(),
                headers=headers,
                timeout=self._timeout,
                allow_redirects=False,  # would send a write, and the token, somewhere else
            ) as response:
                if (limit := read_limit(response.headers)) is not None:
                    call.observe(*limit)
                self._clock.heard_header(response.headers)
                raw = await _bounded(response)
                label = str(response.status)
                return response.status, response.headers, raw
        except (aiohttp.ClientError, TimeoutError, OSError, _Oversized, ValueError) as error:
            label, why, reached = _what_failed(error, url)
            # from None: aiohttp's own errors carry the request's headers
            raise Unavailable(why, maybe_applied=write and reached, endpoint=endpoint) from None
        finally:
            self._observer.request(endpoint, label, time.monotonic() - started)


class _Oversized(Exception):
    pass


async def _bounded(response: aiohttp.ClientResponse) -> bytes:
    """The body, decompressed; counted while it is read, because a small one can unpack to a huge one."""
    parts: list[bytes] = []
    total = 0
    async for part in response.content.iter_any():
        total += len(part)
        if total > MAX_ANSWER:
            raise _Oversized
        parts.append(part)
    return b"".join(parts)


def _what_failed(error: Exception, url: URL) -> tuple[str, str, bool]:
    """The metric's label, our own words, and whether the request can have reached Omisell."""
    where = f"{url.host}:{url.port}"
    match error:
        case aiohttp.ConnectionTimeoutError():
            return "unreachable", f"no connection to {where} within {CONNECT_TIMEOUT:g} s", False
        case aiohttp.ClientConnectorDNSError():
            return "unreachable", f"the name {url.host} cannot be resolved", False
        case aiohttp.ClientSSLError():
            return "unreachable", f"no TLS with {where}; check omisell.base_url and the machine's clock", False
        case aiohttp.ClientConnectorError():
            return "unreachable", f"no connection to {where} ({error.strerror or 'refused'})", False
        case TimeoutError():
            return "timeout", "no complete answer in time (omisell.timeout)", True
        case _Oversized():
            return "oversized", f"the answer is larger than {MAX_ANSWER // 1024**2} MiB", True
        case aiohttp.ClientPayloadError():
            return "truncated", "the answer broke off", True
        case aiohttp.ClientResponseError():
            return "malformed", "the answer is not HTTP", True
        case _:
            return "reset", "the connection broke before the answer came", True
