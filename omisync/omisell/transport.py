"""One HTTP exchange with Omisell: sent, bounded, read, and sorted into an answer or an error."""

import asyncio
import io
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Final, Protocol

import aiohttp

from omisync.clock import since_boot
from omisync.omisell.budget import Budget
from omisync.omisell.errors import NotFound, OmisellError, Refused, Throttled, Unavailable
from omisync.omisell.models import integer
from omisync.omisell.shares import CallClass
from omisync.omisell.strict_json import loads

CONNECT_TIMEOUT: Final = 5.0
"""Seconds for a connection to come up [contract 3]."""
MAX_ANSWER: Final = 8 * 1024 * 1024
"""Bytes of an answer that are read; a page of a hundred orders has about 50 KiB."""
LARGE_BODY: Final = 256 * 1024
"""Bytes of a request's body from which on it is sent in pieces; an order has a few thousand."""
SUCCESS_CODES: Final = frozenset({0, 200, 201})
"""Values of `error_code` that mean success even beside `error: true` [code: frappe]."""
NOT_NOW: Final = frozenset({408, 423, 425})
"""HTTP statuses below 500 that time can mend: time-out, locked, too early. They say that this request was not done, but
a gateway may have sent it before, and what locks the order may be that very copy: a write counts as perhaps applied,
which costs a look, where the opposite could cost a second order."""
MAX_WAIT: Final = 3600
"""Seconds that are waited at most because Omisell said so; more is a slip."""
JSON: Final = "application/json"
_LIMIT_HEADER: Final = "X-Omisell-Api-Call-Limit"
_LIMIT: Final = re.compile(r"\s*(\d{1,9})\s*/\s*(\d{1,9})\s*", re.ASCII)


class Observer(Protocol):
    """Told of each exchange."""

    def request(self, endpoint: str, status: str, seconds: float) -> None:
        """An exchange with this short name ended so, after so many seconds."""
        ...


@dataclass(frozen=True, slots=True)
class Request:
    """One call. `write`: it changes something at Omisell; `body`: JSON text; `ahead`: it goes first of its class."""

    endpoint: str
    method: str
    url: str
    cls: CallClass
    write: bool = False
    body: str | None = None
    query: tuple[tuple[str, str], ...] = ()
    ahead: bool = False


class Transport:
    """Makes calls within the budget.

    Args:
        session: of aiohttp.
        budget: waited for before each call, corrected after it.
        observer: told of each.
        seconds: for a whole call, `omisell.timeout`.
    """

    def __init__(self, session: aiohttp.ClientSession, budget: Budget, observer: Observer, seconds: float) -> None:
        self._session = session
        self._budget = budget
        self._observer = observer
        self._timeout = aiohttp.ClientTimeout(total=seconds, sock_connect=CONNECT_TIMEOUT)
        self._server_time: float | None = None
        self._seen_at = 0.0
        self._date: tuple[str | None, float] = (None, 0.0)  # read once a second, not with each answer

    def server_time(self) -> float:
        """Omisell's clock, Unix seconds: its last answer's, carried on by ours."""
        return time.time() if self._server_time is None else self._server_time + since_boot() - self._seen_at

    @property
    def clock_skew(self) -> float | None:
        """Seconds that this machine's clock is ahead of Omisell's; None before any answer."""
        return None if self._server_time is None else time.time() - self.server_time()

    async def call(
        self, request: Request, headers: Mapping[str, str], on_send: Callable[[], None] | None = None
    ) -> object:
        """The answer's `data`.

        Raises:
            OmisellError: of the kind that says what to do about it.
        """
        async with self._budget.call(request.cls, ahead=request.ahead) as place:
            if on_send is not None:
                try:
                    on_send()
                except BaseException:
                    place.unsent()
                    raise
            began = time.monotonic()
            outcome = "cancelled"
            try:
                async with self._session.request(
                    request.method,
                    request.url,
                    params=request.query or None,
                    data=_payload(request.body),
                    headers=headers,
                    timeout=self._timeout,
                    allow_redirects=False,
                ) as answer:
                    outcome = str(answer.status)
                    self._note(answer, place.observe)
                    raw = await _read(answer, request)
                    return self._judge(request, answer.status, answer.headers, raw)
            except OmisellError:
                raise
            except TimeoutError as error:
                outcome = "timeout"
                raise _unavailable(
                    request, "time-out", sent=not isinstance(error, aiohttp.ConnectionTimeoutError)
                ) from error
            except aiohttp.ClientConnectorError as error:
                outcome = "refused"
                place.unsent()
                raise _unavailable(request, "no connection", sent=False) from error
            except (aiohttp.ClientError, OSError, asyncio.IncompleteReadError) as error:
                outcome = "reset"
                raise _unavailable(request, f"the connection broke ({type(error).__name__})") from error
            finally:
                self._observer.request(request.endpoint, outcome, time.monotonic() - began)

    def _note(self, answer: aiohttp.ClientResponse, observe: Callable[[int, int], None]) -> None:
        if limit := _LIMIT.fullmatch(answer.headers.get(_LIMIT_HEADER, "")):
            observe(int(limit[1]), int(limit[2]))
        date = answer.headers.get("Date", "")
        if date != self._date[0]:
            try:
                self._date = (date, parsedate_to_datetime(date).timestamp())
            except (ValueError, OverflowError):
                return  # no clock in this answer
        self._server_time = self._date[1]
        self._seen_at = since_boot()

    def _judge(self, request: Request, status: int, headers: Mapping[str, str], raw: bytes) -> object:
        try:
            envelope = loads(raw)
        except ValueError as error:
            if status == 429:
                raise self._throttled(request, _seconds(headers.get("Retry-After"))) from error
            # any other page is a gateway's, not Omisell's word [omisell-api 8]: no reason to give an order up
            if status in {401, 403} or (status == 404 and not request.write):
                raise _refused(request, status, {}) from error
            raise _unavailable(request, f"HTTP {status}, {error}") from error
        if not isinstance(envelope, dict):
            raise _unavailable(request, f"HTTP {status}, the answer is not an object")
        data = envelope.get("data")
        wait = _seconds(data.get("retry_after")) if isinstance(data, dict) else None
        if status == 429 or wait is not None:
            raise self._throttled(request, wait if wait is not None else _seconds(headers.get("Retry-After")))
        if status >= 500 or 300 <= status < 400 or status in NOT_NOW:
            raise _unavailable(request, f"HTTP {status}")
        if status >= 400 or (
            envelope.get("error") is True and integer(envelope.get("error_code")) not in SUCCESS_CODES
        ):
            raise _refused(request, status, envelope)
        return data

    def _throttled(self, request: Request, wait: float | None) -> Throttled:
        # a second more than said, as production code does [code: node]
        return Throttled(self._budget.throttled(None if wait is None else wait + 1.0), endpoint=request.endpoint)


def _payload(body: str | None) -> aiohttp.BytesPayload | io.BytesIO | None:
    """The body as it is to be sent: a large one a piece at a time, so that other calls go on beside it."""
    if body is None:
        return None
    raw = body.encode()
    # told what it is, aiohttp need not find out
    return aiohttp.BytesPayload(raw, content_type=JSON) if len(raw) <= LARGE_BODY else io.BytesIO(raw)


async def _read(answer: aiohttp.ClientResponse, request: Request) -> bytes:
    chunks = bytearray()
    while chunk := await answer.content.readany():
        chunks += chunk
        if len(chunks) > MAX_ANSWER:
            raise _unavailable(request, f"an answer of more than {MAX_ANSWER} bytes")
    return bytes(chunks)


def _seconds(value: object) -> float | None:
    if isinstance(value, str) and value.strip().replace(".", "", 1).isdecimal():
        value = float(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(min(max(value, 0), MAX_WAIT))


def _unavailable(request: Request, why: str, *, sent: bool = True) -> Unavailable:
    return Unavailable(why, maybe_applied=request.write and sent, endpoint=request.endpoint)


def _refused(request: Request, status: int, envelope: Mapping[str, object]) -> Refused:
    said = envelope.get("messages")
    kind = NotFound if status == 404 else Refused
    request_id = envelope.get("request_id")
    return kind(
        said if isinstance(said, str) else "" if said is None else str(said),
        attr_error=envelope.get("attr_error"),
        error_code=integer(envelope.get("error_code")),
        status=status,
        endpoint=request.endpoint,
        request_id=request_id if isinstance(request_id, str) else None,
    )
