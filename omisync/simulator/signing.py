"""The Authorization header of a push, in each of the forms that are possible [omisell-api 6.3]."""

import hashlib
import hmac
from typing import assert_never

from omisync.simulator.config import PushForm


def authorization(form: PushForm, secret: str, url: str, body: bytes) -> str | None:
    """The header's value; None for no header.

    Args:
        form: Which recipe.
        secret: As typed into the Console.
        url: The callback URL as registered there.
        body: The very bytes that are sent.
    """
    match form:
        case "none":
            return None
        case "token":
            return secret
        case "hmac-url-body":
            return _hex(secret, url.encode() + b"|" + body)
        case "hmac-body":
            return _hex(secret, body)
        case _:
            assert_never(form)


def _hex(secret: str, base: bytes) -> str:
    return hmac.new(secret.encode(), base, hashlib.sha256).hexdigest()
