"""Keeps Omisell's token in the database, for all replicas: between the client's form of it and the store's."""

from contextlib import AbstractAsyncContextManager

from omisync.omisell import StoredToken
from omisync.store import TokenRow, TokenTable


class SharedTokens:
    """What the client's `TokenStore` asks for, on the store's table."""

    def __init__(self, table: TokenTable) -> None:
        self._table = table

    async def load(self) -> StoredToken | None:
        """The token that any replica saved last."""
        row = await self._table.load()
        if row is None:
            return None
        return StoredToken(
            token=row.token,
            expired_time=row.expired_time,
            refresh_token=row.refresh_token,
            refresh_expired_time=row.refresh_expired_time,
            obtained_at=row.obtained_at,
        )

    async def save(self, token: StoredToken) -> None:
        """Keeps a token for all replicas."""
        await self._table.save(
            TokenRow(
                token=token.token,
                expired_time=token.expired_time,
                refresh_token=token.refresh_token,
                refresh_expired_time=token.refresh_expired_time,
                obtained_at=token.obtained_at,
            )
        )

    def exclusive(self) -> AbstractAsyncContextManager[None]:
        """One holder over all replicas."""
        return self._table.exclusive()
