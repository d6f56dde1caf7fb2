"""Omisell's calls, as far as omisync makes them. Writes are never repeated here: that is the caller's to decide."""

import json
from collections.abc import Callable, Mapping
from typing import Final, TypeVar
from urllib.parse import quote

import aiohttp
from pydantic import BaseModel, ValidationError

from omisync.config import OmisellSettings
from omisync.omisell.budget import Budget
from omisync.omisell.errors import AuthenticationFailed, NotFound, Refused, Unavailable
from omisync.omisell.exchange import KeyExchange, exchange_of
from omisync.omisell.models import (
    AddedOrder,
    CatalogueEntry,
    ListedOrder,
    OrderDetail,
    OrderPage,
    Page,
    Pickup,
    Place,
    Product,
    Shop,
    integer,
)
from omisync.omisell.shares import CallClass
from omisync.omisell.tokens import Tokens, TokenStore
from omisync.omisell.transport import JSON, Observer, Request, Transport

MOST_PAGES: Final = 100
"""Pages of shops or pickups; an account has a handful."""

M = TypeVar("M", bound=BaseModel)


def connect(
    settings: OmisellSettings,
    *,
    session: aiohttp.ClientSession,
    token_store: TokenStore,
    budget: Budget,
    observer: Observer,
) -> "OmisellClient":
    """A client for one account."""
    transport = Transport(session, budget, observer, settings.timeout)
    exchange = exchange_of(settings, transport)
    return OmisellClient(settings, transport, Tokens(token_store, exchange, transport.server_time), exchange)


class OmisellClient:
    """Every call raises `OmisellError`s; all take at most `omisell.timeout` once the budget lets them go."""

    def __init__(
        self, settings: OmisellSettings, transport: Transport, tokens: Tokens, exchange: KeyExchange | None = None
    ) -> None:
        self._settings = settings
        self._paths = settings.paths
        self._transport = transport
        self._exchange = exchange
        self._signed = "", _headers(settings, "")
        self.tokens = tokens

    def replace_key(self, settings: OmisellSettings) -> None:
        """From the next token on, this key and secret count; a token in hand is good until its end."""
        if self._exchange is not None:
            self._exchange.replace(settings)

    def server_time(self) -> float:
        """Omisell's clock, Unix seconds."""
        return self._transport.server_time()

    @property
    def clock_skew(self) -> float | None:
        """Seconds that this machine's clock is ahead of Omisell's; None before any answer."""
        return self._transport.clock_skew

    async def add_order(
        self, body: Mapping[str, object] | str, *, on_send: Callable[[], None] | None = None
    ) -> AddedOrder:
        """Add an order; the body goes out untouched [guide 4].

        Args:
            body: Omisell's Add Order body, or its JSON text.
            on_send: called right before the request goes out; what it raises stops the call.
        """
        sent = body if isinstance(body, str) else json.dumps(body, ensure_ascii=False)
        request = self._request("order.add", "POST", self._paths.order_add, CallClass.ADD, write=True, body=sent)
        data = await self._call(request, on_send)
        if isinstance(data, list) and data:
            data = data[0]
        return _model(AddedOrder, data, request)

    async def cancel_order(
        self, omisell_order_number: str, reason: str | None, *, on_send: Callable[[], None] | None = None
    ) -> None:
        """Cancel an order [guide 6]; the key of the reason is PROPOSED."""
        path = self._paths.order_cancel.format(omisell_order_number=quote(omisell_order_number, safe=""))
        body = json.dumps({} if reason is None else {self._settings.cancel_reason_key: reason}, ensure_ascii=False)
        await self._call(self._request("order.cancel", "PATCH", path, CallClass.CANCEL, write=True, body=body), on_send)

    async def order_detail(self, omisell_order_number: str, *, cls: CallClass = CallClass.REFRESH) -> OrderDetail:
        """Fetch an order [guide 5.4]; keyed by Omisell's number only [frappe-docs 14]."""
        path = self._paths.order_detail.format(omisell_order_number=quote(omisell_order_number, safe=""))
        request = self._request("order.detail", "GET", path, cls)
        data = await self._call(request)
        if not isinstance(data, dict):
            raise Unavailable("the answer holds no order", maybe_applied=False, endpoint=request.endpoint)
        try:
            return OrderDetail.from_data(data)
        except ValidationError as error:
            raise Unavailable("the order lacks its number", maybe_applied=False, endpoint=request.endpoint) from error

    async def order_page(
        self,
        *,
        page: int = 1,
        updated_from: int | None,
        updated_to: int | None,
        shop_id: int | None,
        order_number: str | None = None,
        cls: CallClass = CallClass.SWEEP,
        ahead: bool = False,
    ) -> OrderPage:
        """A page of the order list [omisell-api 4.1]; one beyond the end is empty, however Omisell says so."""
        wanted = {
            "page": page,
            "page_size": self._settings.page_size,
            "updated_from": updated_from,
            "updated_to": updated_to,
            "shop_id": shop_id,
        }
        if order_number is not None and self._settings.lookup_filter:
            wanted[self._settings.lookup_filter] = order_number  # type: ignore[assignment] # a query's values are text
        request = self._request("order.list", "GET", self._paths.order_list, cls, query=wanted, ahead=ahead)
        try:
            data = await self._call(request)
        except NotFound:
            if page > 1:
                return OrderPage()
            raise
        rows, count, has_next = _page(data, request)
        found = _models(ListedOrder, rows)
        return OrderPage(orders=tuple(found), count=count, has_next=has_next, unread=len(rows) - len(found))

    async def shops(self) -> list[Shop]:
        """The account's shops [code: frappe]."""
        return await self._all("shop.list", self._paths.shop_list, Shop)

    async def pickups(self) -> list[Pickup]:
        """The account's pickup addresses [code: node]."""
        return await self._all("pickup.list", self._paths.pickup_list, Pickup)

    async def catalogue_page(self, page: int = 1) -> Page[CatalogueEntry]:
        """A page of what the account's shops offer [api-5741887, code: frappe]."""
        return await self._some("catalogue.list", self._paths.catalogue_list, CatalogueEntry, page)

    async def product_page(self, page: int = 1) -> Page[Product]:
        """A page of the account's products [api-6492412]; the fields are PROPOSED."""
        return await self._some("product.list", self._paths.product_list, Product, page)

    async def province_page(self, page: int = 1) -> Page[Place]:
        """A page of Omisell's provinces; path and fields are PROPOSED [omisell-api 5]."""
        return await self._some("location.provinces", self._paths.provinces, Place, page)

    async def district_page(self, page: int = 1, *, province_id: int | None = None) -> Page[Place]:
        """A page of districts, of one province if it is named; path and fields are PROPOSED [omisell-api 5]."""
        query = {"province_id": province_id}
        return await self._some("location.districts", self._paths.districts, Place, page, query)

    async def subdistrict_page(
        self, page: int = 1, *, district_id: int | None = None, province_id: int | None = None
    ) -> Page[Place]:
        """A page of subdistricts, of one district or province if it is named; PROPOSED [omisell-api 5]."""
        query = {"district_id": district_id, "province_id": province_id}
        return await self._some("location.subdistricts", self._paths.subdistricts, Place, page, query)

    async def add_product(self, body: str) -> None:
        """Make a product known [api-10762725]; path and body are PROPOSED, the body's JSON goes out untouched."""
        request = self._request("product.add", "POST", self._paths.product_add, CallClass.ADD, write=True, body=body)
        await self._call(request)

    async def ping(self) -> None:
        """One cheap read, in the class of cancels so that it is quick: does Omisell answer at all?"""
        query = {"page": 1, "page_size": 1}
        await self._call(self._request("shop.list", "GET", self._paths.shop_list, CallClass.CANCEL, query=query))

    async def _some(
        self, endpoint: str, path: str, kind: type[M], page: int, query: Mapping[str, object] | None = None
    ) -> Page[M]:
        """A page of a list; one beyond the end is empty, however Omisell says so."""
        wanted = {"page": page, "page_size": self._settings.page_size, **(query or {})}
        request = self._request(endpoint, "GET", path, CallClass.SWEEP, query=wanted)
        try:
            rows, count, has_next = _page(await self._call(request), request)
        except NotFound:
            if page > 1:
                return Page()
            raise
        found = _models(kind, rows)
        return Page(tuple(found), count, has_next=has_next, unread=len(rows) - len(found))

    async def _all(self, endpoint: str, path: str, kind: type[M]) -> list[M]:
        found: list[M] = []
        for number in range(1, MOST_PAGES):
            query = {"page": number, "page_size": self._settings.page_size}
            request = self._request(endpoint, "GET", path, CallClass.SWEEP, query=query)
            try:
                rows, _, has_next = _page(await self._call(request), request)
            except NotFound:
                if number == 1:
                    raise
                break
            found += _models(kind, rows)
            if not rows or not has_next:
                break
        return found

    def _request(
        self,
        endpoint: str,
        method: str,
        path: str,
        cls: CallClass,
        *,
        write: bool = False,
        body: str | None = None,
        query: Mapping[str, object] | None = None,
        ahead: bool = False,
    ) -> Request:
        pairs = tuple((name, str(value)) for name, value in (query or {}).items() if value is not None)
        return Request(
            endpoint, method, self._settings.url(path), cls, write=write, body=body, query=pairs, ahead=ahead
        )

    async def _call(self, request: Request, on_send: Callable[[], None] | None = None) -> object:
        token = await self.tokens.current()
        try:
            return await self._transport.call(request, self._headers(token), on_send)
        except Refused as refusal:
            if refusal.status not in {401, 403}:
                raise
        token = await self.tokens.renew(token)
        try:
            return await self._transport.call(request, self._headers(token), on_send)
        except Refused as refusal:
            if refusal.status not in {401, 403}:
                raise
            why = f"Omisell refuses {request.endpoint} even with a fresh token (HTTP {refusal.status}): check the key"
            raise AuthenticationFailed(why, status=refusal.status, endpoint=request.endpoint) from refusal

    def _headers(self, token: str) -> dict[str, str]:
        if token != self._signed[0]:  # made once a token, not once a call
            self._signed = token, _headers(self._settings, token)
        return self._signed[1]


def _headers(settings: OmisellSettings, token: str) -> dict[str, str]:
    return {
        "Content-Type": JSON,
        "Seller-ID": str(settings.seller_id),
        "Country": settings.country,
        "Authorization": f"{settings.auth_scheme} {token}",
    }


def _page(data: object, request: Request) -> tuple[list[object], int, bool]:
    rows = data.get("results") if isinstance(data, dict) else None
    if not isinstance(data, dict) or not isinstance(rows, list):
        raise Unavailable("the answer holds no page", maybe_applied=False, endpoint=request.endpoint)
    return rows, integer(data.get("count")) or 0, bool(data.get("next"))


def _model(kind: type[M], data: object, request: Request) -> M:
    try:
        return kind.model_validate(data)
    except ValidationError as error:
        raise Unavailable(
            "a success that lacks its point", maybe_applied=request.write, endpoint=request.endpoint
        ) from error


def _models(kind: type[M], rows: list[object]) -> list[M]:
    found = []
    for row in rows:
        try:
            found.append(kind.model_validate(row))
        except ValidationError:
            continue  # a row without its number is nobody's
    return found
