"""What an answer of Omisell's means: its data, or which error [omisell-api 1.1, 3, 8]."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Final

from omisync.omisell.errors import NotFound, OmisellError, Refused, Unavailable
from omisync.omisell.models import integer, text
from omisync.omisell.strict_json import loads

SUCCESS_CODES: Final = frozenset({0, 200, 201})
"""`error_code`s that mean success even beside `error: true`, which Omisell's reference shows as a placeholder."""

THROTTLE_MARGIN: Final = 1.0
"""Seconds added to `data.retry_after` [code: node]."""

MAX_THROTTLE: Final = 3600.0
"""Seconds that one answer may stop us at most, whatever it says."""

_LIMIT = re.compile(r"\s*(\d{1,9})(?:\.\d+)?\s*/\s*(\d{1,9})(?:\.\d+)?\s*", re.ASCII)


class Unauthorized(OmisellError):
    """401 or 403: another token may help. Never leaves the package."""

    def __init__(self, status: int, endpoint: str) -> None:
        self.status = status
        super().__init__(f"HTTP {status} from {endpoint}")


class TooMany(OmisellError):
    """Throttled, before the budget has decided for how long. Never leaves the package."""

    def __init__(self, retry_after: float | None) -> None:
        self.retry_after = retry_after
        super().__init__("throttled")


@dataclass(frozen=True, slots=True)
class Answer:
    """A success.

    Attributes:
        data: the envelope's `data`; None for an answer without a body.
        timestamp: the envelope's, untouched.
    """

    data: object
    timestamp: object = None


def read_limit(headers: Mapping[str, str]) -> tuple[int, int] | None:
    """`used, size` of `X-Omisell-Api-Call-Limit: used/size`; None without it [doc-968943]."""
    found = _LIMIT.fullmatch(headers.get("X-Omisell-Api-Call-Limit", ""))
    return (int(found[1]), int(found[2])) if found else None


def read_answer(endpoint: str, status: int, headers: Mapping[str, str], body: bytes, *, write: bool) -> Answer:
    """What this answer means.

    Args:
        endpoint: short name of the call, for errors.
        status: HTTP status.
        headers: by any case.
        body: decompressed.
        write: whether the call changes something at Omisell, so that a bad answer leaves its outcome open.

    Raises:
        TooMany: HTTP 429, or `data.retry_after` in any answer.
        Unauthorized: 401, or 403 with an envelope.
        NotFound, Refused: Omisell said no.
        Unavailable: nothing that Omisell's application would say.
    """
    document, fault = _decoded(body)
    envelope = document if isinstance(document, dict) else {}
    code = integer(envelope.get("error_code"))
    refused = status >= 400 or (_is_true(envelope.get("error")) and code not in SUCCESS_CODES)
    meaning = code if refused and status < 400 and code in {401, 404, 429} else status

    asked = _retry_after(envelope.get("data"))
    if (meaning == 429 or asked is not None) and not (write and status >= 500):
        raise TooMany(asked if asked is not None else _retry_header(headers))
    if meaning == 401 or (meaning == 403 and envelope):
        raise Unauthorized(meaning, endpoint)
    if status == 204:
        return Answer(None)
    if why := _unusable(status, fault):
        raise Unavailable(why, maybe_applied=write, endpoint=endpoint, status=status)
    if refused:
        kind = NotFound if meaning == 404 else Refused
        raise kind(
            _words(document),
            attr_error=envelope.get("attr_error") if envelope else document,
            error_code=code,
            status=status,
            endpoint=endpoint,
            request_id=text(envelope.get("request_id")),
        )
    if not envelope:
        raise Unavailable("a success that is not a JSON object", maybe_applied=write, endpoint=endpoint, status=status)
    return Answer(envelope.get("data"), envelope.get("timestamp"))


def _decoded(body: bytes) -> tuple[object, str | None]:
    try:
        return loads(body), None
    except ValueError as error:
        return None, str(error)


def _unusable(status: int, fault: str | None) -> str | None:
    if status >= 500 or status == 408:
        return f"HTTP {status}"
    if 300 <= status < 400:
        return f"HTTP {status}, a redirection, which is not followed; check omisell.base_url"
    if fault is not None:
        return f"HTTP {status} with a body that is no answer of Omisell's: {fault}"
    return None


def _is_true(value: object) -> bool:
    return value is True or (isinstance(value, str | int) and str(value).strip().lower() in {"true", "1"})


def _retry_after(data: object) -> float | None:
    """Seconds to wait if `data` says so; an answer that brings an order is none, whatever else it says."""
    if not isinstance(data, dict) or "omisell_order_number" in data:
        return None
    seconds = _seconds(data.get("retry_after"))
    return None if seconds is None else min(seconds + THROTTLE_MARGIN, MAX_THROTTLE)


def _retry_header(headers: Mapping[str, str]) -> float | None:
    value = headers.get("Retry-After", "")
    if (seconds := _seconds(value)) is not None:
        return min(seconds, MAX_THROTTLE)
    try:
        wait = (parsedate_to_datetime(value) - parsedate_to_datetime(headers.get("Date", ""))).total_seconds()
    except (ValueError, TypeError):
        return None
    return min(max(0.0, wait), MAX_THROTTLE)


def _seconds(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    try:
        seconds = float(value)
    except (ValueError, OverflowError):
        return None
    return max(0.0, seconds) if seconds < float("inf") else None


def _words(document: object) -> str:
    """The message in an answer of whatever shape; `messages` is documented as a string [doc-400887]."""
    if isinstance(document, dict):
        for key in ("messages", "message", "detail"):
            if said := _joined(document.get(key)):
                return said
    return ""


def _joined(said: object) -> str:
    if isinstance(said, str):
        return said.strip()
    if isinstance(said, list) and all(isinstance(item, str) for item in said):
        return "; ".join(said)
    return json.dumps(said, ensure_ascii=False) if said else ""
