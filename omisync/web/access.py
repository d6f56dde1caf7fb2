"""Who may see the operator's pages: the holder of `admin.token`, by header or by a session of the browser."""

import hashlib
import hmac
import ipaddress
import time
from collections import deque
from collections.abc import Callable
from typing import Final

from aiohttp import hdrs, web

SESSION_SECONDS: Final = 12 * 3600
"""A working day, then one logs in again."""
WRONG_TOKENS: Final = 10
"""So many wrong tokens within `WRONG_SECONDS` are listened to, then the form is closed for a while."""
WRONG_SECONDS: Final = 60.0


class Access:
    """Checks the admin token; it can be exchanged at run time, which ends every session.

    Without a token everyone who reaches the listener may look (and nobody may change anything); the configuration
    allows that on loopback only. A page of another site that has its name resolved to this machine is no such one.
    """

    def __init__(self, token: str | None, clock: Callable[[], float] = time.time) -> None:
        self._token = token
        self._clock = clock
        self._wrong: deque[float] = deque(maxlen=WRONG_TOKENS)

    def __repr__(self) -> str:
        return f"Access(token={'set' if self._token else 'none'})"

    @property
    def needs_token(self) -> bool:
        """Whether a token is set."""
        return self._token is not None

    @property
    def cookie(self) -> str:
        """The session cookie's name: one for each token, for two accounts may share a host."""
        return f"omisync_{self._sign('cookie', '')[:8]}"

    def replace(self, token: str | None) -> None:
        """From the next request on, this token counts."""
        self._token = token

    def admits(self, request: web.BaseRequest) -> bool:
        """Whether the request may see personal data."""
        if self._token is None:
            return _names_this_machine(request.host)
        scheme, _, offered = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
        if scheme.lower() == "bearer":
            return self._is_token(offered.strip())
        return self._is_session(request.cookies.get(self.cookie, ""))

    def log_in(self, offered: str) -> str | None:
        """The session's value for the cookie; None if the token is wrong."""
        if self._token is None or not self._is_token(offered):
            self._wrong.append(self._clock())
            return None
        expires = str(int(self._clock()) + SESSION_SECONDS)
        return f"{expires}.{self._sign('session', expires)}"

    @property
    def is_closed(self) -> bool:
        """Whether too many wrong tokens came lately."""
        return len(self._wrong) == WRONG_TOKENS and self._clock() - self._wrong[0] < WRONG_SECONDS

    def form_key(self, request: web.BaseRequest) -> str:
        """What a form of this session carries, and no other site can know."""
        return self._sign("form", request.cookies.get(self.cookie, "")) if self._token is not None else ""

    def is_own_form(self, request: web.BaseRequest, key: str) -> bool:
        """Whether a form was made by us, for this session."""
        return self._token is not None and hmac.compare_digest(key.encode(), self.form_key(request).encode())

    def _is_token(self, offered: str) -> bool:
        assert self._token is not None  # noqa: S101 - asked only where one is set
        return hmac.compare_digest(_digest(offered), _digest(self._token))

    def _is_session(self, value: str) -> bool:
        expires, _, signature = value.partition(".")
        if not hmac.compare_digest(signature.encode("utf-8", "replace"), self._sign("session", expires).encode()):
            return False
        return self._clock() < int(expires)  # signed by us, so it is a number

    def _sign(self, purpose: str, value: str) -> str:
        assert self._token is not None  # noqa: S101 - asked only where one is set
        text = f"omisync {purpose} {value}".encode("utf-8", "replace")
        return hmac.new(_digest(self._token), text, hashlib.sha256).hexdigest()


def is_from_here(request: web.BaseRequest) -> bool:
    """Whether the client is on this machine."""
    try:
        return request.remote is None or ipaddress.ip_address(request.remote).is_loopback
    except ValueError:
        return True  # a unix socket has a path, if anything


def is_cross_site(request: web.BaseRequest) -> bool:
    """Whether the browser says that another site made this request."""
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site not in {"same-origin", "none"}
    origin = request.headers.get(hdrs.ORIGIN)
    return origin is not None and origin.partition("://")[2] != request.host


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()


def _names_this_machine(host: str) -> bool:
    name = host.rpartition(":")[0] if not host.endswith("]") and ":" in host else host
    name = name.removeprefix("[").removesuffix("]").lower()
    if name == "localhost" or not name:
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
