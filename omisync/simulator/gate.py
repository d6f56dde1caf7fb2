"""The way of every API call: limit, faults, authorization, the endpoint, and the answer's bytes."""

import asyncio
import contextlib
import json
import socket
import struct
from collections.abc import Awaitable, Callable
from email.utils import formatdate
from random import Random
from typing import Final

from aiohttp import web

from omisync.simulator.api import Call, Handler
from omisync.simulator.bucket import Bucket
from omisync.simulator.clock import Clock, sleep
from omisync.simulator.config import Live
from omisync.simulator.envelope import Answer, refusal
from omisync.simulator.faults import Fault, Faults
from omisync.simulator.ledger import Ledger
from omisync.simulator.numbers import whole
from omisync.simulator.orders import OrderBook
from omisync.simulator.tokens import TokenDesk

LIMIT_HEADER: Final = "X-Omisell-Api-Call-Limit"

_GATEWAY_PAGE: Final = "<html><head><title>{0}</title></head><body><h1>{0}</h1><hr>gateway</body></html>"
_HUGE_BYTES: Final = 12 << 20


class _CutError(Exception):
    """The connection is to be cut instead of answered."""


class Gate:
    """Lets calls in.

    Args:
        live: The configuration.
        clock: Time.
        tokens: Which tokens are good.
        book: To know the order behind a number.
        faults: What goes wrong.
        ledger: Counts calls and answers.
        chance: Request ids.
        changed: Called after each call.
    """

    def __init__(
        self,
        live: Live,
        clock: Clock,
        tokens: TokenDesk,
        book: OrderBook,
        faults: Faults,
        ledger: Ledger,
        chance: Random,
        changed: Callable[[], None],
    ) -> None:
        self._live = live
        self._clock = clock
        self._tokens = tokens
        self._book = book
        self._faults = faults
        self._ledger = ledger
        self._chance = chance
        self._changed = changed
        self._buckets: dict[int | None, Bucket] = {}
        self._date = (0, "")

    def bucket(self, shop_id: int | None = None) -> Bucket:
        """The account's bucket, or a shop's if each has its own."""
        config = self._live.config.bucket
        key = shop_id if config.scope == "shop" else None
        bucket = self._buckets.get(key)
        if bucket is None:
            bucket = Bucket(config.size, config.leak_per_minute, self._clock.monotonic, self._faults.stranger)
            self._buckets[key] = bucket
        bucket.set_limits(config.size, config.leak_per_minute)
        return bucket

    def settle(self) -> None:
        """Bring the buckets up to this moment, before a stranger comes or goes."""
        for bucket in self._buckets.values():
            _ = bucket.level

    def clear(self) -> None:
        """Empty the buckets."""
        self._buckets.clear()

    def guard(
        self, endpoint: str, handler: Handler, *, open_door: bool = False
    ) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        """What aiohttp calls for an endpoint; `open_door` asks for no token."""

        async def handle(request: web.Request) -> web.StreamResponse:
            self._ledger.calls[endpoint] += 1
            try:
                return await self._handle(request, endpoint, handler, open_door)
            except _CutError:
                self._ledger.answers[f"{endpoint} reset"] += 1
                cut(request)
                return web.Response(status=500)
            finally:
                self._changed()

        return handle

    async def _handle(
        self, request: web.Request, endpoint: str, handler: Handler, open_door: bool
    ) -> web.StreamResponse:
        faults = self._faults
        if faults.any and (fault := faults.strikes("outage", endpoint)):
            if "refuse" in fault.values:
                raise _CutError
            return self._page(endpoint, faults.status(fault), None)
        try:
            raw = await request.read() if request.can_read_body else b""
        except web.HTTPRequestEntityTooLarge:
            return self._answer(endpoint, refusal(413, "Request entity too large."), None)
        call, bad = self._call(request, endpoint, raw)
        bucket = self.bucket(self._shop_of(call)) if self._counts(endpoint) else None
        if bucket is not None and not bucket.take():
            self._ledger.throttled += 1
            return self._answer(endpoint, self._throttled(bucket.retry_after()), bucket)
        if faults.any and (early := await self._before(call, bucket)):
            return early
        answer = bad or (None if open_door else self._rejected(request, endpoint)) or handler(call)
        if faults.any and (other := await self._after(call, answer, bucket)):
            return other
        return self._answer(endpoint, answer, bucket)

    def _counts(self, endpoint: str) -> bool:
        return self._live.config.bucket.count_tokens or not endpoint.startswith("token.")

    def _call(self, request: web.Request, endpoint: str, raw: bytes) -> tuple[Call, Answer | None]:
        body, bad = None, None
        if raw or request.method == "POST":
            if request.content_type != "application/json":
                bad = refusal(400, "Content-Type must be application/json.")
            try:
                body = json.loads(raw, parse_constant=_no_number)
            except (ValueError, RecursionError):
                bad = bad or refusal(400, "The body is not JSON.")
        call = Call(
            endpoint=endpoint,
            url=f"{request.scheme}://{request.host}{request.path}",
            query=request.query,
            number=request.match_info.get("number", ""),
            body=body,
        )
        return call, bad

    def _shop_of(self, call: Call) -> int | None:
        if self._live.config.bucket.scope == "account":
            return None
        order = self._book.by_omisell(call.number)
        if order is not None:
            return order.shop.shop_id
        return whole(call.query.get("shop_id")) or whole(call.fields.get("shop_id"))

    def _rejected(self, request: web.Request, endpoint: str) -> Answer | None:
        """The refusal of a call that shows no good key; None if it does [doc-400887]."""
        account = self._live.config.account
        scheme, _, key = request.headers.get("Authorization", "").partition(" ")
        if scheme == "Omi":
            if self._faults.any and self._faults.strikes("token_revoked", endpoint):
                self._tokens.revoke(key)
            good = self._tokens.is_good(key)
        elif scheme == "Account":
            good = account.account_key is not None and key == account.account_key
        elif scheme == "Partner":
            named = request.headers.get("Seller-ID") == str(account.seller_id)
            named = named and request.headers.get("Country") == account.country
            good = named and account.partner_key is not None and key == account.partner_key
        else:
            good = False
        status = self._live.config.tokens.rejected_status
        return None if good else refusal(status, "Authentication credentials were not provided or are not valid.")

    async def _before(self, call: Call, bucket: Bucket | None) -> web.StreamResponse | None:
        faults, endpoint = self._faults, call.endpoint
        if fault := faults.strikes("throttle", endpoint):
            return self._answer(endpoint, self._throttled(round(faults.seconds(fault)), status=429), bucket)
        if fault := faults.strikes("throttle_in_body", endpoint):
            return self._answer(endpoint, self._throttled(round(faults.seconds(fault)), status=200), bucket)
        if (fault := self._poisoned(call)) or (fault := faults.strikes("error_before", endpoint)):
            return self._answer(endpoint, self._error(fault), bucket)
        if fault := faults.strikes("gateway_page", endpoint):
            return self._page(endpoint, faults.status(fault), bucket)
        if fault := faults.strikes("hang_before", endpoint):
            await self._sleep(fault)
            raise _CutError
        if faults.strikes("reset_before", endpoint):
            raise _CutError
        if (fault := faults.strikes("apply_late", endpoint)) or (fault := faults.strikes("slow", endpoint)):
            await self._sleep(fault)
        return None

    async def _after(self, call: Call, answer: Answer, bucket: Bucket | None) -> web.StreamResponse | None:
        faults, endpoint = self._faults, call.endpoint
        if fault := faults.strikes("error_after", endpoint):
            return self._answer(endpoint, self._error(fault), bucket)
        if fault := faults.strikes("gateway_page_after", endpoint):
            return self._page(endpoint, faults.status(fault), bucket)
        if fault := faults.strikes("hang_after", endpoint):
            await self._sleep(fault)
            raise _CutError
        if faults.strikes("reset_after", endpoint):
            raise _CutError
        # a refusal stays one: turned into a broken success it would be a lie that no caller could see through
        if not answer.error and (fault := faults.strikes("malformed", endpoint)):
            return self._malformed(endpoint, answer, self._chance.choice(fault.values or ("truncated",)), bucket)
        return None

    async def _sleep(self, fault: Fault) -> None:
        asyncio.get_running_loop().call_soon(self._changed)  # once it sleeps
        await sleep(self._clock, self._faults.seconds(fault))

    def _poisoned(self, call: Call) -> Fault | None:
        order = self._book.by_omisell(call.number)
        number = order.order_number if order else call.fields.get("order_number")
        return self._faults.strikes("poison_order", call.endpoint, value=str(number))

    def _throttled(self, retry_after: int, status: int | None = None) -> Answer:
        return Answer(
            data={"retry_after": str(retry_after) if self._live.config.stringly else retry_after},
            status=self._live.config.bucket.throttle_status if status is None else status,
            error=True,
            error_code=429,
            messages="Request was throttled.",
        )

    def _error(self, fault: Fault) -> Answer:
        return refusal(self._faults.status(fault), "Internal error.")

    def _malformed(self, endpoint: str, answer: Answer, mode: str, bucket: Bucket | None) -> web.Response:
        body = self._encode(answer)
        if mode == "truncated":
            body = body[: len(body) // 2]
        elif mode == "fields":
            body = b'{"data":{},"error":false,"error_code":200,"messages":""}'
        elif mode == "list":
            body = b"[1,2,3]"
        elif mode == "huge":
            body = b'{"data":"' + b"x" * _HUGE_BYTES + b'"}'
        else:
            body = b"OK"
        return self._response(endpoint, 200, body, "application/json", bucket)

    def _page(self, endpoint: str, status: int, bucket: Bucket | None) -> web.Response:
        body = _GATEWAY_PAGE.format(f"{status} gateway").encode()
        return self._response(endpoint, status, body, "text/html", bucket)

    def _answer(self, endpoint: str, answer: Answer, bucket: Bucket | None) -> web.Response:
        return self._response(endpoint, answer.status, self._encode(answer), "application/json", bucket)

    def _encode(self, answer: Answer) -> bytes:
        return answer.encode(
            request_id=f"{self._chance.getrandbits(128):032x}",
            timestamp=int(self._clock.time()),
            stringly=self._live.config.stringly,
        )

    def _response(
        self, endpoint: str, status: int, body: bytes, content_type: str, bucket: Bucket | None
    ) -> web.Response:
        self._ledger.answers[f"{endpoint} {status}"] += 1
        headers = {"Content-Type": content_type, "Date": self._date_header()}
        config = self._live.config.bucket
        if bucket is not None and (status < 400 or config.header_on_errors):
            headers[LIMIT_HEADER] = f"{bucket.used}/{round(config.size)}"
        response = web.Response(status=status, body=body, headers=headers)
        if self._live.config.compress:
            response.enable_compression()
        return response

    def _date_header(self) -> str:
        now = int(self._clock.time())
        if self._date[0] != now:
            self._date = (now, formatdate(now, usegmt=True))
        return self._date[1]


def _no_number(text: str) -> None:
    raise ValueError(f"{text} is not JSON")


def cut(request: web.Request) -> None:
    """Reset the connection, so that the caller sees no orderly end."""
    transport = request.transport
    if transport is None:
        return
    wire = transport.get_extra_info("socket")
    if wire is not None:
        with contextlib.suppress(OSError):
            wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    if isinstance(transport, asyncio.Transport):
        transport.abort()
