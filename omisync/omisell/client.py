"""Omisell's API as the kernel uses it: one method a call, typed answers, a closed family of errors."""

import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from typing import Final, TypeVar
from urllib.parse import quote

import aiohttp
import structlog
from pydantic import BaseModel, ValidationError

from omisync.config import OmisellSettings
from omisync.omisell.budget import Budget, CallClass
from omisync.omisell.clock import ServerClock
from omisync.omisell.envelope import Unauthorized
from omisync.omisell.errors import AuthenticationFailed, NotFound, Unavailable
from omisync.omisell.exchange import FixedKey, TokenExchange
from omisync.omisell.models import AddedOrder, ListedOrder, OrderDetail, OrderPage, Pickup, Shop, integer
from omisync.omisell.tokens import MemoryTokenStore, Tokens, TokenStore
from omisync.omisell.transport import Observer, Transport

MAX_PAGES: Final = 100
"""Pages of shops or pickups that are read at most, should Omisell always promise another one."""

_Row = TypeVar("_Row", bound=BaseModel)


class OmisellClient:
    """One Omisell account. Made by `connect`.

    Every method raises the errors of `omisync.omisell.errors` and no others, besides what `on_send` raises:
    Refused or NotFound (Omisell said no), Throttled, Unavailable (try again; a write may have been applied),
    AuthenticationFailed. Nothing is retried here but a call refused for its token, once, with another one.

    Attributes:
        tokens: the account's token, to be refreshed by a schedule and shown.
        budget: what all calls wait for.
    """

    def __init__(
        self, transport: Transport, tokens: Tokens, budget: Budget, clock: ServerClock, settings: OmisellSettings
    ) -> None:
        self._transport = transport
        self.tokens = tokens
        self.budget = budget
        self._clock = clock
        self._settings = settings
        self._log = structlog.get_logger("omisell")

    async def add_order(
        self, body: Mapping[str, object] | str, *, on_send: Callable[[], None] | None = None
    ) -> AddedOrder:
        """Add an order [guide 4].

        Args:
            body: Omisell's Add Order body, sent as it is; a string must be JSON and is not even parsed.
            on_send: called right before a request goes out, when budget and token are had: once, and again
                if the token was refused and the call is repeated. If it raises, nothing is sent and the
                exception goes up unchanged.

        Raises:
            ValueError, TypeError: a mapping that JSON cannot express; nothing was sent.
        """
        text = body if isinstance(body, str) else json.dumps(body, ensure_ascii=False, allow_nan=False)
        data = await self._call(
            "order.add",
            "POST",
            self._settings.paths.order_add,
            cls=CallClass.ADD,
            body=text,
            on_send=on_send,
            write=True,
        )
        for candidate in _objects(data):
            try:
                return AddedOrder.model_validate(candidate)
            except ValidationError:
                continue
        raise Unavailable("a success without an omisell_order_number", maybe_applied=True, endpoint="order.add")

    async def cancel_order(
        self, omisell_order_number: str, reason: str | None, *, on_send: Callable[[], None] | None = None
    ) -> None:
        """Ask Omisell to cancel an order; whether it did, its status tells [guide 6].

        Args:
            omisell_order_number: Omisell's number.
            reason: sent under `omisell.cancel_reason_key` [PROPOSED]; without one the body is an empty object.
            on_send: as of `add_order`.
        """
        await self._call(
            "order.cancel",
            "PATCH",
            _filled(self._settings.paths.order_cancel, omisell_order_number, "order.cancel"),
            cls=CallClass.CANCEL,
            body=json.dumps({self._settings.cancel_reason_key: reason} if reason else {}, ensure_ascii=False),
            on_send=on_send,
            write=True,
        )

    async def order_detail(self, omisell_order_number: str, *, cls: CallClass = CallClass.REFRESH) -> OrderDetail:
        """One order in full [guide 5.4].

        Raises:
            NotFound: Omisell does not know the number (yet).
        """
        endpoint = "order.detail"
        path = _filled(self._settings.paths.order_detail, omisell_order_number, endpoint)
        data = await self._call(endpoint, "GET", path, cls=cls)
        found = next(_objects(data), None)
        if not found:
            raise Unavailable("a success without data", maybe_applied=False, endpoint=endpoint)
        try:
            detail = OrderDetail.from_data({"omisell_order_number": omisell_order_number, **found})
        except ValidationError:
            raise Unavailable("a detail one cannot read", maybe_applied=False, endpoint=endpoint) from None
        if detail.omisell_order_number != omisell_order_number:
            raise Unavailable("the detail of another order", maybe_applied=False, endpoint=endpoint)
        return detail

    async def order_page(
        self,
        *,
        page: int = 1,
        updated_from: int | None,
        updated_to: int | None,
        shop_id: int | None,
        order_number: str | None = None,
        cls: CallClass = CallClass.SWEEP,
    ) -> OrderPage:
        """One page of the order list [omisell-api 4.1].

        Args:
            page: from 1 on; one beyond the end is an empty page.
            updated_from: Unix seconds, UTC; like `updated_to` perhaps inclusive, perhaps not.
            updated_to: Unix seconds, UTC.
            shop_id: only this shop's.
            order_number: asked for only if `omisell.lookup_filter` names the filter. Never trust that Omisell
                has applied it: an unknown filter is ignored and everything comes [omisell-api 4.7].
            cls: what the budget ranks it by.

        Raises:
            NotFound: for page 1: the path is configured wrongly.
        """
        query: dict[str, str | int | None] = {
            "page": page,
            "page_size": self._settings.page_size,
            "updated_from": updated_from,
            "updated_to": updated_to,
            "shop_id": shop_id,
            "status_group": "all",
        }
        if self._settings.lookup_filter is not None:
            query[self._settings.lookup_filter] = order_number
        try:
            data = await self._call(
                "order.list",
                "GET",
                self._settings.paths.order_list,
                cls=cls,
                query={key: value for key, value in query.items() if value is not None},
            )
        except NotFound:
            if page > 1:
                return OrderPage()
            raise
        rows, count, has_next = _page("order.list", data, page, self._settings.page_size)
        return OrderPage(orders=tuple(self._read(ListedOrder, rows)), count=count, has_next=has_next)

    async def shops(self) -> list[Shop]:
        """The account's active shops; how one finds `omisell.shop_id` [guide 3]."""
        path, query = self._settings.paths.shop_list, {"is_active": 1}
        return [shop async for rows in self._pages("shop.list", path, query) for shop in self._read(Shop, rows)]

    async def pickups(self) -> list[Pickup]:
        """The account's pickup addresses; how one finds `omisell.pickup_id`."""
        path = self._settings.paths.pickup_list
        return [pickup async for rows in self._pages("pickup.list", path, {}) for pickup in self._read(Pickup, rows)]

    async def ping(self) -> None:
        """One cheap read that needs a good token; raises if Omisell does not answer it."""
        await self._call(
            "shop.list",
            "GET",
            self._settings.paths.shop_list,
            cls=CallClass.CANCEL,
            query={"page": 1, "page_size": 1},
        )

    def server_time(self) -> float:
        """Omisell's clock, Unix seconds, to a second; ours before any answer."""
        return self._clock.now()

    @property
    def clock_skew(self) -> float | None:
        """Seconds by which Omisell's clock is ahead of ours; None before any answer."""
        return self._clock.skew

    async def _call(
        self,
        endpoint: str,
        method: str,
        path: str,
        *,
        cls: CallClass,
        query: Mapping[str, str | int] | None = None,
        body: str | None = None,
        on_send: Callable[[], None] | None = None,
        write: bool = False,
    ) -> object:
        """Make a call with the token; if that is refused, once more with another one."""
        used = ""

        async def authorization() -> str:
            nonlocal used
            used = await self.tokens.current()
            return f"{self._settings.auth_scheme} {used}"

        for repeat in (False, True):
            try:
                answer = await self._transport.send(
                    endpoint,
                    method,
                    path,
                    cls=cls,
                    query=query,
                    body=body,
                    authorization=authorization,
                    on_send=on_send,
                    write=write,
                )
            except Unauthorized as refusal:
                if repeat or (refusal.status == 403 and self.tokens.is_fresh):
                    raise AuthenticationFailed(
                        f"Omisell refuses {endpoint} even with a fresh token (HTTP {refusal.status});"
                        " check the key's rights, omisell.seller_id and omisell.country",
                        status=refusal.status,
                        endpoint=endpoint,
                    ) from None
                self._log.info("token refused; getting another one", endpoint=endpoint, status=refusal.status)
                await self.tokens.renew(used)
            else:
                return answer.data
        raise AssertionError("unreachable: the second round returns or raises")

    async def _pages(self, endpoint: str, path: str, query: Mapping[str, int]) -> AsyncIterator[list[object]]:
        size = self._settings.page_size
        for page in range(1, MAX_PAGES + 1):
            try:
                data = await self._call(
                    endpoint,
                    "GET",
                    path,
                    cls=CallClass.CANCEL,  # a person waits
                    query={"page": page, "page_size": size, **query},
                )
            except NotFound:
                if page > 1:
                    return
                raise
            rows, _, has_next = _page(endpoint, data, page, size)
            yield rows
            if not has_next:
                return

    def _read(self, kind: type[_Row], rows: list[object]) -> Iterator[_Row]:
        """Each row that names what it is about; one that does not must not hide the others."""
        for row in rows:
            try:
                yield kind.model_validate(row)
            except ValidationError:
                self._log.warning("a row of a list one cannot read", kind=kind.__name__)


def connect(
    settings: OmisellSettings,
    *,
    session: aiohttp.ClientSession,
    token_store: TokenStore,
    budget: Budget,
    observer: Observer,
) -> OmisellClient:
    """Put a client together; asks nothing of Omisell yet.

    Args:
        settings: the configuration's section `omisell`.
        session: carries the connections; its owner closes it.
        token_store: shared by all replicas.
        budget: shared by all that calls this account.
        observer: told of every HTTP exchange.
    """
    clock = ServerClock()
    transport = Transport(
        session,
        base_url=str(settings.base_url),
        headers={"Seller-ID": str(settings.seller_id), "Country": str(settings.country)},
        timeout=settings.timeout,
        budget=budget,
        clock=clock,
        observer=observer,
    )
    if settings.auth_scheme.lower() in {"account", "partner"}:
        tokens = Tokens(MemoryTokenStore(), FixedKey(settings.api_key, clock.now), now=clock.now)
    else:
        tokens = Tokens(token_store, TokenExchange(transport, settings, clock.now), now=clock.now)
    return OmisellClient(transport, tokens, budget, clock, settings)


def _filled(template: str, number: str, endpoint: str) -> str:
    """The path with the number in it, as one segment whatever it holds."""
    if not number.strip("."):
        # "", "." and ".." would ask for another path altogether
        raise NotFound(f"{number!r} is no order number", endpoint=endpoint)
    return template.replace("{omisell_order_number}", quote(number, safe=""))


def _objects(data: object) -> Iterator[dict[str, object]]:
    """The objects in `data` that may be the order: itself, the first of an array, or one level down."""
    if isinstance(data, list):
        data = data[0] if data else None
    if isinstance(data, dict):
        yield data
        for value in data.values():
            inner = value[0] if isinstance(value, list) and value else value
            if isinstance(inner, dict):
                yield inner


def _page(endpoint: str, data: object, page: int, size: int) -> tuple[list[object], int, bool]:
    """Rows, count of all and whether there are more pages [omisell-api 1.2].

    Raises:
        Unavailable: not a page. Never an empty one instead: somebody may conclude from it that an order is
            not there.
    """
    rows = data.get("results") if isinstance(data, dict) else data
    if not isinstance(rows, list):
        raise Unavailable("a success without results", maybe_applied=False, endpoint=endpoint)
    about = data if isinstance(data, dict) else {}
    count = integer(about.get("count"))
    if "next" in about:
        more = bool(about["next"])
    else:
        more = len(rows) >= size if count is None else page * size < count
    return rows, len(rows) if count is None else count, bool(rows) and more
