"""The account's token in the database: one for all replicas, one holder at a time."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from omisync.store.database import Database
from omisync.store.errors import StoreUnavailable
from omisync.store.leases import Leases

TOKEN_LEASE = (
    12.0  # seconds, renewed while a token call lasts (60 s were seen) [code: frappe]: a killed holder blocks no longer
)
TOKEN_WAIT = 90.0  # seconds to wait for another replica to finish its call
_LOOK_AGAIN = 0.2  # seconds between two looks at who holds the lease


@dataclass(frozen=True, slots=True)
class TokenRow:
    """What is kept of a token; times in Unix seconds by Omisell's clock, `obtained_at` by ours."""

    token: str = field(repr=False)
    expired_time: int | None
    refresh_token: str | None = field(repr=False)
    refresh_expired_time: int | None
    obtained_at: float


class TokenTable:
    """Loads and saves the token. All methods raise `StoreError`."""

    def __init__(self, database: Database, leases: Leases) -> None:
        self._database = database
        self._leases = leases

    async def load(self) -> TokenRow | None:
        """The token that any replica saved last."""
        row = await self._database.row("tokens.load")
        return None if row is None else TokenRow(**dict(row))

    async def save(self, token: TokenRow) -> None:
        """Keeps a token for all replicas."""
        await self._database.value(
            "tokens.save",
            token=token.token,
            expired_time=token.expired_time,
            refresh_token=token.refresh_token,
            refresh_expired_time=token.refresh_expired_time,
            obtained_at=token.obtained_at,
        )

    @contextlib.asynccontextmanager
    async def exclusive(self) -> AsyncIterator[None]:
        """One holder over all replicas; waits at most `TOKEN_WAIT` seconds for it."""
        async with contextlib.AsyncExitStack() as stack:
            async with asyncio.timeout(TOKEN_WAIT):
                while True:
                    try:
                        await stack.enter_async_context(self._leases.exclusive("token", TOKEN_LEASE))
                        break
                    except StoreUnavailable as error:
                        if error.__cause__ is not None:
                            raise  # the database is away: that is not another holder
                        await asyncio.sleep(_LOOK_AGAIN)
            yield
