"""The two calls that make a token out of a key or of a refresh token [omisell-api 2.1, 2.2]."""

import json
from collections.abc import Callable, Mapping
from typing import Final

from pydantic import SecretStr

from omisync.config import OmisellSettings
from omisync.omisell.budget import CallClass
from omisync.omisell.envelope import Answer, Unauthorized
from omisync.omisell.errors import AuthenticationFailed, NotFound, Refused, Unavailable
from omisync.omisell.models import moment, text
from omisync.omisell.tokens import StoredToken
from omisync.omisell.transport import Transport

NEVER: Final = 2**53
"""Unix seconds; the end of a key that does not end."""


class TokenExchange:
    """Asks Omisell for tokens.

    Args:
        transport: makes the calls; they are counted as `CallClass.TOKEN`.
        settings: key, secret, paths and the refresh token's key.
        now: Omisell's clock, Unix seconds.
    """

    def __init__(self, transport: Transport, settings: OmisellSettings, now: Callable[[], float]) -> None:
        self._transport = transport
        self._settings = settings
        self._now = now

    async def get(self) -> StoredToken:
        """A token for the key and its secret; see `tokens.Exchange`."""
        settings = self._settings
        body = {
            "api_key": settings.api_key.get_secret_value(),
            "api_secret": settings.api_secret.get_secret_value(),
        }
        path = settings.paths.token_get
        try:
            answer = await self._post("token.get", path, body)
        except NotFound:
            raise AuthenticationFailed(
                f"no token: Omisell has nothing at {path}; set omisell.paths.token_get",
                status=404,
                endpoint="token.get",
            ) from None
        except (Refused, Unauthorized) as error:
            raise AuthenticationFailed(
                f"no token: Omisell refuses the key or its secret (HTTP {error.status});"
                " check omisell.api_key and omisell.api_secret",
                status=error.status,
                endpoint="token.get",
            ) from None
        return self._read("token.get", answer)

    async def refresh(self, refresh_token: str) -> StoredToken:
        """A token for a refresh token; see `tokens.Exchange`."""
        settings = self._settings
        try:
            answer = await self._post(
                "token.refresh", settings.paths.token_refresh, {settings.refresh_key: refresh_token}
            )
        except Unauthorized as error:
            raise Refused(status=error.status, endpoint="token.refresh") from None
        return self._read("token.refresh", answer)

    async def _post(self, endpoint: str, path: str, body: Mapping[str, str]) -> Answer:
        # Not a write: asking twice harms nothing.
        return await self._transport.send(endpoint, "POST", path, cls=CallClass.TOKEN, body=json.dumps(body))

    def _read(self, endpoint: str, answer: Answer) -> StoredToken:
        data = answer.data if isinstance(answer.data, dict) else {}
        token = text(data.get("token"))
        if token is None:
            raise Unavailable("a success without a token", maybe_applied=False, endpoint=endpoint, status=200)
        return StoredToken(
            token=token,
            expired_time=moment(data.get("expired_time")),
            refresh_token=text(data.get("refresh_token")),
            refresh_expired_time=moment(data.get("refresh_expired_time")),
            obtained_at=self._now(),
        )


class FixedKey:
    """The schemes `Account` and `Partner`: the key itself goes into the header, no token is made [doc-400887]."""

    def __init__(self, key: SecretStr, now: Callable[[], float]) -> None:
        self._key = key
        self._now = now

    async def get(self) -> StoredToken:
        """The key, as a token without an end."""
        return StoredToken(self._key.get_secret_value(), NEVER, None, None, self._now())

    async def refresh(self, refresh_token: str) -> StoredToken:  # noqa: ARG002 - there is none
        """The key again."""
        return await self.get()
