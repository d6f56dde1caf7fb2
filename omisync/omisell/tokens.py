"""One access token for all calls: renewed in time, by one caller at a time, kept where all replicas find it."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Final, Protocol

import structlog

from omisync.omisell.errors import AuthenticationFailed, OmisellError, Refused

ASSUMED_LIFE: Final = 1800.0
"""Seconds that a token without `expired_time` is taken to live [code: frappe]."""

MARGIN: Final = 120.0
"""Seconds before its end from which a token is not used any more [code: frappe]."""


@dataclass(frozen=True, slots=True)
class StoredToken:
    """A token as it is kept. Times in Unix seconds; the tokens themselves are not in the repr."""

    token: str = field(repr=False)
    expired_time: int | None
    refresh_token: str | None = field(repr=False)
    refresh_expired_time: int | None
    obtained_at: float

    @property
    def ends_at(self) -> float:
        """When it ends: `expired_time` is obeyed [guide 2.4], its absence survived."""
        return self.obtained_at + ASSUMED_LIFE if self.expired_time is None else float(self.expired_time)


class TokenStore(Protocol):
    """Where the token is kept for all replicas."""

    async def load(self) -> StoredToken | None:
        """The token that was saved last."""
        ...

    async def save(self, token: StoredToken) -> None:
        """Keep a token."""
        ...

    def exclusive(self) -> AbstractAsyncContextManager[None]:
        """One holder over all replicas."""
        ...


class Exchange(Protocol):
    """The two token calls [omisell-api 2.1, 2.2]."""

    async def get(self) -> StoredToken:
        """Exchange key and secret for a token."""
        ...

    async def refresh(self, refresh_token: str) -> StoredToken:
        """Exchange a refresh token for a token."""
        ...


class Tokens:
    """Hands out the token.

    Args:
        store: where all replicas keep it.
        exchange: the two token calls.
        clock: Omisell's clock, Unix seconds.
    """

    def __init__(self, store: TokenStore, exchange: Exchange, clock: Callable[[], float] = time.time) -> None:
        self._store = store
        self._exchange = exchange
        self._clock = clock
        self._token: StoredToken | None = None
        self._renewing = asyncio.Lock()
        self._log = structlog.get_logger("tokens")

    def expires_in(self) -> float | None:
        """Seconds until the token in hand ends; None if there is none."""
        return None if self._token is None else self._token.ends_at - self._clock()

    async def current(self) -> str:
        """A token that is good now.

        Raises:
            OmisellError: none is to be had.
        """
        if self._token is None or not self._good(self._token, MARGIN):
            await self._renewed(lambda token: self._good(token, MARGIN))
        assert self._token is not None  # noqa: S101 - renewing has set it, or raised
        return self._token.token

    async def renew(self, rejected: str) -> str:
        """Another token than the one that was refused.

        Raises:
            OmisellError: none is to be had.
        """
        if self._token is None or self._token.token == rejected:
            await self._renewed(lambda token: token.token != rejected and self._good(token, MARGIN))
        assert self._token is not None  # noqa: S101 - renewing has set it, or raised
        return self._token.token

    async def refresh_if_due(self, margin: float) -> bool:
        """Renew the token if it ends within `margin` seconds; whether it was renewed.

        A token that lives no longer than that is renewed at half its life.
        """
        if self._token is None:
            self._token = await self._store.load()
        held = self._token
        if held is not None and self._good(held, min(margin, (held.ends_at - held.obtained_at) / 2)):
            return False
        await self._renewed(lambda token: token != held and self._good(token, MARGIN))
        return True

    def _good(self, token: StoredToken, margin: float) -> bool:
        return token.ends_at - margin > self._clock()

    async def _renewed(self, serves: Callable[[StoredToken], bool]) -> None:
        async with self._renewing:
            if self._token is not None and serves(self._token):
                return  # whoever waited before us has renewed it
            stored = await self._store.load()
            if stored is not None and serves(stored):
                self._token = stored
                return
            async with self._store.exclusive():
                stored = await self._store.load()  # another replica may have renewed it meanwhile
                if stored is None or not serves(stored):
                    stored = await self._exchanged(stored)
                    await self._store.save(stored)
                self._token = stored

    async def _exchanged(self, old: StoredToken | None) -> StoredToken:
        if old is not None and old.refresh_token is not None and not self._refresh_ended(old):
            try:
                return await self._call(lambda: self._exchange.refresh(old.refresh_token or ""))
            except (Refused, AuthenticationFailed) as error:
                self._log.info("the refresh token was refused; exchanging the key", error=str(error))
        return await self._call(self._exchange.get)

    async def _call(self, work: Callable[[], Awaitable[StoredToken]]) -> StoredToken:
        try:
            return await work()
        except Refused as error:
            why = f"Omisell gives no token: HTTP {error.status}; check omisell.api_key and omisell.api_secret"
            raise AuthenticationFailed(why, status=error.status, endpoint=error.endpoint) from error
        except OmisellError:
            raise

    def _refresh_ended(self, token: StoredToken) -> bool:
        return token.refresh_expired_time is not None and token.refresh_expired_time <= self._clock()
