"""Omisell's answers as bytes, read by the client's own code: each ends as a value or as one of its own errors."""

import asyncio
import contextlib
import dataclasses
import datetime as dt
import json
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

from pydantic import BaseModel

from omisync.config import OmisellSettings
from omisync.omisell import Budget, OmisellError, OrderDetail, Refused, StoredToken
from omisync.omisell.client import OmisellClient
from omisync.omisell.exchange import KeyExchange
from omisync.omisell.tokens import Tokens
from omisync.omisell.transport import Request, Transport
from omisync.store import Fetch
from omisync.sync.snapshot import snapshot_of

BIGINT: Final = 2**63
FETCH: Final = Fetch(
    "ODVN-1", uuid.UUID(int=1), "A-1", "webhook", 1, 0, None, dt.datetime(2026, 7, 1, tzinfo=dt.UTC), 0
)
Call = Callable[[], Awaitable[object]]


class _Bytes(Transport):
    """A transport whose every answer is what it was given."""

    def __init__(self) -> None:
        super().__init__(_NOBODY, Budget(100, 100), _NOBODY, 1.0)
        self.status, self.raw = 200, b""

    async def call(
        self, request: Request, headers: Mapping[str, str], on_send: Callable[[], None] | None = None
    ) -> object:
        return self._judge(request, self.status, {}, self.raw)


_NOBODY: Any = None
"""Nothing is sent, and nobody is told."""


class _Memory:
    """A token that is good for long."""

    async def load(self) -> StoredToken | None:
        return StoredToken("t", 4_000_000_000, None, None, 0.0)

    async def save(self, token: StoredToken) -> None:
        _hold(token)

    def exclusive(self) -> Any:
        return contextlib.nullcontext()


class Reader:
    """Every call of the client's, each fed with the same bytes.

    Args:
        settings: Of the account.
    """

    def __init__(self, settings: OmisellSettings) -> None:
        self._transport = _Bytes()
        exchange = KeyExchange(settings, self._transport)
        client = OmisellClient(settings, self._transport, Tokens(_Memory(), exchange), exchange)
        page: dict[str, Any] = {"updated_from": None, "updated_to": None, "shop_id": 1}
        self.calls: Mapping[str, Call] = {
            "order.add": lambda: client.add_order("{}"),
            "order.cancel": lambda: client.cancel_order("ODVN-1", "why"),
            "order.detail": lambda: client.order_detail("ODVN-1"),
            "order.list": lambda: client.order_page(page=2, **page),
            "shop.list": client.shops,
            "pickup.list": client.pickups,
            "catalogue.list": client.catalogue_page,
            "product.list": client.product_page,
            "product.add": lambda: client.add_product("{}"),
            "location.provinces": client.province_page,
            "location.districts": client.district_page,
            "location.subdistricts": client.subdistrict_page,
            "ping": client.ping,
            "token.get": exchange.get,
            "token.refresh": lambda: exchange.refresh("r"),
        }

    async def read(self, status: int, raw: bytes, names: Sequence[str] = ()) -> int:
        """Read them by each call; how many were taken for an answer.

        Raises:
            Exception: whatever is none of the client's own errors, or cannot be held by Postgres.
        """
        taken = 0
        self._transport.status, self._transport.raw = status, raw
        for name in names or self.calls:
            try:
                value = await self.calls[name]()
            except OmisellError as error:
                _told(error)
            else:
                taken += 1
                _hold(value)
                if isinstance(value, OrderDetail):
                    _kept(value)
        return taken


def _told(error: OmisellError) -> None:
    """What the daemon does with an error: its words go to the log and into the row."""
    assert "\0" not in str(error)
    if isinstance(error, Refused):
        _hold(error.words())
        _ = error.may_be_duplicate


def _kept(detail: OrderDetail) -> None:
    """What the daemon does with a detail: it is written down."""
    snapshot = snapshot_of(detail, FETCH, detail.order_number or "A-1", None)
    for text in (snapshot.detail, snapshot.parcels, snapshot.tracking_numbers):
        _hold(json.loads(text))


def _hold(value: object) -> None:
    """Postgres can hold all of it: no NUL, no lone surrogate, no number beyond a bigint where one is meant."""
    if isinstance(value, str):
        assert "\0" not in value
        value.encode()
    elif isinstance(value, BaseModel):
        for name, inner in value:
            assert name == "raw" or not isinstance(inner, int) or -BIGINT <= inner < BIGINT
            _hold(inner)
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        for each in dataclasses.fields(value):
            _hold(getattr(value, each.name))
    elif isinstance(value, list | tuple):
        for inner in value:
            _hold(inner)
    elif isinstance(value, dict):
        for key, inner in value.items():
            _hold(key)
            _hold(inner)


def reading(reader: Reader, answers: Sequence[tuple[int, bytes]], names: Sequence[str] = ()) -> int:
    """Read many by these calls, in a loop of its own; how many readings were taken for an answer."""

    async def all_of_them() -> int:
        return sum([await reader.read(status, raw, names) for status, raw in answers])

    return asyncio.run(all_of_them())
