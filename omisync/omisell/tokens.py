"""The access token: taken from the store, renewed before it ends, by one caller at a time."""

import asyncio
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, nullcontext
from dataclasses import dataclass, field, replace
from typing import Final, Protocol

import structlog

from omisync.omisell.errors import AuthenticationFailed, OmisellError, Refused, Unavailable

ASSUMED_LIFE: Final = 1800.0
"""Seconds a token is taken to live if Omisell does not say [code: frappe]."""

EXPIRY_MARGIN: Final = 120.0
"""Seconds before its end at which a token is not begun with any more [code: frappe]; a fifth of a short life."""

FRESH: Final = 60.0
"""Seconds for which a token is so new that Omisell refusing it cannot be helped by another one."""

RETRY_PAUSE: Final = 10.0
"""Seconds between tries to renew early while the token in use is still good."""

LOCK_TIMEOUT: Final = 100.0
"""Seconds to wait for another replica's renewal; a token call was seen to take 60 [frappe-docs 66]."""

STORE_TIMEOUT: Final = 10.0
"""Seconds for reading or writing the stored token."""


@dataclass(frozen=True, slots=True)
class StoredToken:
    """A token as Omisell gave it [doc-400887]. Times are Unix seconds, UTC.

    Attributes:
        expired_time: end of the access token; None if Omisell did not say.
        refresh_expired_time: end of the refresh token.
        obtained_at: when it was had, by Omisell's clock.
    """

    token: str = field(repr=False)
    expired_time: int | None
    refresh_token: str | None = field(repr=False)
    refresh_expired_time: int | None
    obtained_at: float


class TokenStore(Protocol):
    """Where all replicas of the account keep their one token."""

    async def load(self) -> StoredToken | None:
        """The token saved last."""
        ...

    async def save(self, token: StoredToken) -> None:
        """Keep it for all replicas."""
        ...

    def exclusive(self) -> AbstractAsyncContextManager[None]:
        """One holder over all replicas."""
        ...


class Exchange(Protocol):
    """How a token is had from Omisell."""

    async def get(self) -> StoredToken:
        """A token for the key and its secret.

        Raises:
            AuthenticationFailed: the key or its secret is wrong; not to be repeated.
            Throttled, Unavailable: may be repeated.
        """
        ...

    async def refresh(self, refresh_token: str) -> StoredToken:
        """A token for a refresh token.

        Raises:
            Refused: the refresh token, or the way to use it, is wrong.
            Throttled, Unavailable: may be repeated.
        """
        ...


class MemoryTokenStore:
    """Keeps the token for this process alone."""

    def __init__(self) -> None:
        self._token: StoredToken | None = None

    async def load(self) -> StoredToken | None:
        """The token saved last."""
        return self._token

    async def save(self, token: StoredToken) -> None:
        """Keep it."""
        self._token = token

    def exclusive(self) -> AbstractAsyncContextManager[None]:
        """Nobody else is there to be kept out."""
        return nullcontext()


class Tokens:
    """Hands out the access token, whatever it takes to have one.

    Args:
        store: shared by all replicas.
        exchange: asks Omisell.
        now: Omisell's clock, Unix seconds.
    """

    def __init__(self, store: TokenStore, exchange: Exchange, *, now: Callable[[], float] = time.time) -> None:
        self._store = store
        self._exchange = exchange
        self._now = now
        self._memory: StoredToken | None = None
        self._unsaved = False
        self._pause_until = float("-inf")
        self._lock = asyncio.Lock()
        self._round = 0
        self._failure: OmisellError | None = None
        self._log = structlog.get_logger("omisell")

    async def current(self) -> str:
        """A token that is good for a call begun now.

        Raises:
            AuthenticationFailed: the key or its secret is wrong.
            Throttled, Unavailable: none is to be had at the moment.
        """
        token = self._memory
        if token is not None and (self._good(token, None, EXPIRY_MARGIN) or self._now() < self._pause_until):
            return token.token
        try:
            return (await self._fresh(None, EXPIRY_MARGIN)).token
        except OmisellError as error:
            if token is None or self._left(token) <= 0:
                raise
            self._pause_until = self._now() + min(RETRY_PAUSE, self._left(token))
            self._log.warning("token not renewed; the old one is still good", error=str(error))
            return token.token

    async def renew(self, rejected: str) -> str:
        """Another token than `rejected`, which Omisell has refused.

        However many callers met the refusal, one of them asks Omisell; none does if another replica has.

        Raises:
            AuthenticationFailed, Throttled, Unavailable: as `current`.
        """
        if self._good(self._memory, rejected, 0) and self._memory is not None:
            return self._memory.token
        return (await self._fresh(rejected, EXPIRY_MARGIN)).token

    async def refresh_if_due(self, margin: float) -> bool:
        """Renew the token if it ends within `margin` seconds (half its life if that is less).

        Returns:
            Whether there is a new one.

        Raises:
            AuthenticationFailed, Throttled, Unavailable: as `current`; the old token may still be good.
        """
        before = self._memory
        if self._good(before, None, margin):
            if self._unsaved and before is not None:
                await self._save(before)
            return False
        return await self._fresh(None, margin) != before

    def expires_in(self) -> float | None:
        """Seconds until the token in use ends; negative if it has; None if none was needed yet."""
        return None if self._memory is None else self._left(self._memory)

    @property
    def is_fresh(self) -> bool:
        """Whether the token in use is so new that another one would be refused as well."""
        return self._memory is not None and self._now() - self._memory.obtained_at < FRESH

    def _end(self, token: StoredToken) -> float:
        return token.obtained_at + ASSUMED_LIFE if token.expired_time is None else token.expired_time

    def _left(self, token: StoredToken) -> float:
        return self._end(token) - self._now()

    def _good(self, token: StoredToken | None, rejected: str | None, margin: float) -> bool:
        if token is None or token.token == rejected:
            return False
        share = 0.2 if margin <= EXPIRY_MARGIN else 0.5
        return self._left(token) > min(margin, share * (self._end(token) - token.obtained_at))

    async def _fresh(self, rejected: str | None, margin: float) -> StoredToken:
        """Single flight: whoever waits meanwhile shares the outcome, the failure too."""
        seen = self._round
        async with self._lock:
            if self._memory is not None and self._good(self._memory, rejected, margin):
                return self._memory
            if self._failure is not None and self._round != seen:
                raise self._failure
            self._failure = None
            try:
                return await self._renewed(rejected, margin)
            except OmisellError as error:
                self._failure = error
                raise
            finally:
                self._round += 1

    async def _renewed(self, rejected: str | None, margin: float) -> StoredToken:
        try:
            return await self._under_lock(rejected, margin)
        except OmisellError:
            raise
        except Exception as error:
            # The store is its maker's: any of its errors means that the database is away.
            if self._memory is not None and self._good(self._memory, rejected, margin):
                return self._memory
            why = f"the token cannot be read from its store ({type(error).__name__})"
            raise Unavailable(why, maybe_applied=False, endpoint="token") from error

    async def _under_lock(self, rejected: str | None, margin: float) -> StoredToken:
        stored = await self._loaded()
        if stored is not None and self._good(stored, rejected, margin):
            self._memory, self._unsaved = stored, False
            return stored
        async with AsyncExitStack() as stack:
            async with asyncio.timeout(LOCK_TIMEOUT):
                await stack.enter_async_context(self._store.exclusive())
            stored = await self._loaded()
            if stored is not None and self._good(stored, rejected, margin):
                self._memory, self._unsaved = stored, False
                return stored
            token = self._believable(await self._obtained(stored or self._memory, rejected))
            self._memory = token
            await self._save(token)
            return token

    async def _loaded(self) -> StoredToken | None:
        async with asyncio.timeout(STORE_TIMEOUT):
            return await self._store.load()

    async def _save(self, token: StoredToken) -> None:
        try:
            async with asyncio.timeout(STORE_TIMEOUT):
                await self._store.save(token)
        except Exception as error:  # noqa: BLE001 - the token is good all the same, for this process
            self._unsaved = True
            self._log.warning("token not saved; other replicas will need their own", error=type(error).__name__)
        else:
            self._unsaved = False

    async def _obtained(self, old: StoredToken | None, rejected: str | None) -> StoredToken:
        """Refresh, else get. A token refused before its end may have been revoked with all that hangs on it: get."""
        if old is not None and old.refresh_token and not (old.token == rejected and self._left(old) > 0):
            end = old.refresh_expired_time
            if end is None or end > self._now():
                try:
                    new = await self._exchange.refresh(old.refresh_token)
                except (Refused, AuthenticationFailed) as error:
                    self._log.info("refresh token not accepted; asking for a new token", error=str(error))
                except Unavailable as error:
                    if error.status is None:
                        raise  # no answer at all: another call would not have one either
                    self._log.info("refresh failed; asking for a new token", error=str(error))
                else:
                    return new if new.refresh_token else _keeping_refresh_token(new, old)
        return await self._exchange.get()

    def _believable(self, token: StoredToken) -> StoredToken:
        if token.expired_time is None or token.expired_time > self._now():
            return token
        self._log.warning("token with an end in the past; taken to live half an hour")
        return replace(token, expired_time=None)


def _keeping_refresh_token(new: StoredToken, old: StoredToken) -> StoredToken:
    """Omisell may leave it out when it has not changed [code: node]."""
    return replace(new, refresh_token=old.refresh_token, refresh_expired_time=old.refresh_expired_time)
