"""How a token is had: key and secret exchanged for one, or the key itself where the scheme has no exchange."""

import json
from collections.abc import Mapping
from typing import Final

from omisync.config import OmisellSettings
from omisync.omisell.errors import Unavailable
from omisync.omisell.models import moment, text
from omisync.omisell.shares import CallClass
from omisync.omisell.tokens import StoredToken
from omisync.omisell.transport import JSON, Request, Transport

STATIC_SCHEMES: Final = frozenset({"Account", "Partner"})
"""Schemes whose key is sent as it is and never exchanged [doc-400887]."""


class KeyExchange:
    """The two token calls [omisell-api 2.1, 2.2]."""

    def __init__(self, settings: OmisellSettings, transport: Transport) -> None:
        self._settings = settings
        self._transport = transport

    def replace(self, settings: OmisellSettings) -> None:
        """From the next exchange on, this key and secret count."""
        self._settings = settings

    async def get(self) -> StoredToken:
        """Exchange key and secret for a token.

        Raises:
            OmisellError: none was to be had.
        """
        settings = self._settings
        body = {"api_key": settings.api_key.get_secret_value(), "api_secret": settings.api_secret.get_secret_value()}
        return await self._token("token.get", settings.paths.token_get, body, None)

    async def refresh(self, refresh_token: str) -> StoredToken:
        """Exchange a refresh token for a token.

        Raises:
            OmisellError: none was to be had.
        """
        body = {self._settings.refresh_key: refresh_token}
        return await self._token("token.refresh", self._settings.paths.token_refresh, body, refresh_token)

    async def _token(self, endpoint: str, path: str, body: Mapping[str, str], old: str | None) -> StoredToken:
        request = Request(endpoint, "POST", self._settings.url(path), CallClass.TOKEN, body=json.dumps(body))
        data = await self._transport.call(request, {"Content-Type": JSON})
        token = text(data.get("token")) if isinstance(data, dict) else None
        if token is None or not isinstance(data, dict) or not (token.isascii() and token.isprintable()):
            raise Unavailable("the answer holds no token", maybe_applied=False, endpoint=endpoint)
        return StoredToken(
            token=token,
            expired_time=moment(data.get("expired_time")),
            refresh_token=text(data.get("refresh_token")) or old,  # what is missing stays as it was [code: node]
            refresh_expired_time=moment(data.get("refresh_expired_time")),
            obtained_at=self._transport.server_time(),  # the clock that its end is judged by
        )


class StaticKey(KeyExchange):
    """The key in place of a token, for the schemes that know no exchange."""

    async def get(self) -> StoredToken:
        """The key; no call is made."""
        return StoredToken(
            token=self._settings.api_key.get_secret_value(),
            expired_time=None,
            refresh_token=None,
            refresh_expired_time=None,
            obtained_at=self._transport.server_time(),
        )


def exchange_of(settings: OmisellSettings, transport: Transport) -> KeyExchange:
    """What `omisell.auth_scheme` asks for."""
    kind = StaticKey if settings.auth_scheme in STATIC_SCHEMES else KeyExchange
    return kind(settings, transport)
