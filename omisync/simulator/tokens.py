"""Access and refresh tokens of the account."""

import random
from collections.abc import Callable
from dataclasses import dataclass

from omisync.simulator.config import Live
from omisync.simulator.envelope import Json


@dataclass(slots=True)
class _Tokens:
    access: dict[str, float]
    refresh: dict[str, float]


class TokenDesk:
    """Hands out tokens and knows which are good.

    Old tokens stay valid until they expire, and a refresh token is rotated, unless configured otherwise
    [omisell-api 2.3].

    Args:
        live: The configuration.
        now: Unix seconds.
        chance: Where tokens come from.
    """

    def __init__(self, live: Live, now: Callable[[], float], chance: random.Random) -> None:
        self._live = live
        self._now = now
        self._chance = chance
        self._good = _Tokens({}, {})

    def issue(self) -> Json:
        """A new pair, as `data` of the token answer has it [doc-400887]."""
        config = self._live.config.tokens
        now = self._now()
        self._forget_expired(now)
        if config.invalidate_previous:
            self._good.access.clear()
        expires = int(now + config.lifetime)
        refresh_expires = int(expires + config.refresh_lifetime)
        token = f"t.{self._chance.getrandbits(160):040x}"
        refresh = f"r.{self._chance.getrandbits(160):040x}"
        self._good.access[token] = expires
        self._good.refresh[refresh] = refresh_expires
        data: Json = {"refresh_expired_time": refresh_expires, "refresh_token": refresh, "token": token}
        return data if config.omit_expired_time else {"expired_time": expires, **data}

    def refresh(self, refresh_token: object) -> Json | None:
        """A new pair for a refresh token; None if it is not good."""
        if not isinstance(refresh_token, str) or self._good.refresh.get(refresh_token, 0.0) <= self._now():
            return None
        if self._live.config.tokens.single_use_refresh:
            del self._good.refresh[refresh_token]
        return self.issue()

    def is_good(self, token: str) -> bool:
        """Whether an access token opens the door."""
        return self._good.access.get(token, 0.0) > self._now()

    def revoke(self, token: str) -> None:
        """Void one access token."""
        self._good.access.pop(token, None)

    def revoke_all(self, *, refresh: bool = False) -> None:
        """Void all access tokens, and the refresh tokens too if asked."""
        self._good.access.clear()
        if refresh:
            self._good.refresh.clear()

    def _forget_expired(self, now: float) -> None:
        if len(self._good.access) + len(self._good.refresh) < 1000:
            return
        for tokens in (self._good.access, self._good.refresh):
            for token in [token for token, expires in tokens.items() if expires <= now]:
                del tokens[token]
