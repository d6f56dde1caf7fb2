"""What a call to Omisell can end with, sorted by what the caller is to do about it.

No text of these errors carries a token, a key or a buyer's data: they are built from our own words, numbers
and names of fields. What Omisell itself said is kept apart, see `Refused.words`.
"""

import json
import re
import unicodedata
from collections.abc import Iterator
from typing import Final

from omisync.omisell.strict_json import clean

MAX_WORDS: Final = 2_000
"""Characters of Omisell's own words that are kept; a gateway can answer with a page of them."""

_FIELD = re.compile(r"[a-z][a-z_]{0,39}")
_NEGATED = re.compile(
    r"(does|do|did|is|are|was)?\s*(not|n't|n’t)\s+(yet\s+)?exist\w*|non-?exist\w*|không\s+(còn\s+)?tồn\s+tại"
)
_DUPLICATE = re.compile(r"exist|duplica|duplikat|already|tồn tại|trùng|ซ้ำ|มีอยู่แล้ว|sudah ada")


class OmisellError(Exception):
    """Any call to Omisell that brought no answer one could use."""


class Refused(OmisellError):
    """A final "no": the request reached Omisell, was understood and not done.

    Its text names the endpoint, the numbers and the fields at fault; Omisell's sentences, which may quote
    the buyer, are only in `words`.

    Attributes:
        messages: the envelope's `messages`, as one string whatever its shape was.
        attr_error: the envelope's `attr_error` as it came; its shape is UNKNOWN.
        error_code: the envelope's `error_code`.
        status: the HTTP status; 200 for a business refusal inside a success.
        endpoint: short name of the call, such as `order.add`.
        request_id: Omisell's id of the call, to give to its support.
    """

    def __init__(
        self,
        messages: str = "",
        *,
        attr_error: object = None,
        error_code: int | None = None,
        status: int = 400,
        endpoint: str = "",
        request_id: str | None = None,
    ) -> None:
        self.messages = messages
        self.attr_error = attr_error
        self.error_code = error_code
        self.status = status
        self.endpoint = endpoint
        self.request_id = request_id
        super().__init__(self._summary())

    def _summary(self) -> str:
        parts = [f"Omisell refused {self.endpoint or 'the call'}: HTTP {self.status}"]
        if self.error_code is not None:
            parts.append(f"error_code {self.error_code}")
        if fields := sorted(_field_names(self.attr_error)):
            parts.append("fields " + " ".join(fields[:10]))
        return ", ".join(parts)

    @property
    def may_be_duplicate(self) -> bool:
        """Whether this may say that the order is there already; look for it before believing the refusal.

        What Omisell answers to a second `order_number` is UNKNOWN, so this errs towards a look too many:
        HTTP or error code 409, a fault of the field `order_number`, or words of that meaning in the
        languages of Omisell's countries, unless negated ("SKU does not exist").
        """
        if 409 in {self.status, self.error_code} or "order_number" in _field_names(self.attr_error):
            return True
        said = " ".join([self.messages, *_sentences(self.attr_error)])
        said = unicodedata.normalize("NFC", said).casefold()
        return _DUPLICATE.search(_NEGATED.sub(" ", said)) is not None

    def words(self) -> str:
        """Omisell's own words verbatim, for `outbox.error`; may quote the order, so never for a log."""
        said = self.messages
        if self.attr_error not in (None, "", [], {}):
            if _says_no_more(said, self.attr_error):
                said = "; ".join(_by_field(self.attr_error))
            else:
                detail = json.dumps(self.attr_error, ensure_ascii=False, default=str)
                said = f"{said} {detail}" if said else detail
        said = clean(said or f"HTTP {self.status} without a reason given")
        return said if len(said) <= MAX_WORDS else said[: MAX_WORDS - 1] + "…"


class NotFound(Refused):
    """HTTP 404: Omisell does not know that order (yet), or the path is configured wrongly."""

    def __init__(
        self,
        messages: str = "",
        *,
        attr_error: object = None,
        error_code: int | None = None,
        status: int = 404,
        endpoint: str = "",
        request_id: str | None = None,
    ) -> None:
        super().__init__(
            messages,
            attr_error=attr_error,
            error_code=error_code,
            status=status,
            endpoint=endpoint,
            request_id=request_id,
        )


class Throttled(OmisellError):
    """Omisell said that its limit is spent; nothing was done.

    Attributes:
        retry_after: seconds to wait; the budget given to the client waits by itself.
    """

    def __init__(self, retry_after: float, *, endpoint: str = "") -> None:
        self.retry_after = retry_after
        self.endpoint = endpoint
        super().__init__(f"Omisell throttled {endpoint or 'the call'}: again in {retry_after:g} s")


class Unavailable(OmisellError):
    """No usable answer: a time-out, reset, no connection, 5xx, "not now", not JSON, a success that lacks its point.

    Attributes:
        maybe_applied: whether Omisell may have done it all the same. False for every read, and for a write
            only if the request surely never reached Omisell.
    """

    def __init__(self, why: str, *, maybe_applied: bool, endpoint: str = "") -> None:
        self.why = why
        self.maybe_applied = maybe_applied
        self.endpoint = endpoint
        super().__init__(f"Omisell did not answer {endpoint or 'the call'}: {why}")


class AuthenticationFailed(OmisellError):
    """No token is to be had, or even a fresh one is refused: the key, its secret or its rights are wrong."""

    def __init__(self, why: str, *, status: int | None = None, endpoint: str = "") -> None:
        self.status = status
        self.endpoint = endpoint
        super().__init__(why)


def _field_names(value: object) -> set[str]:
    """The names of fields in an `attr_error` of any shape; only what looks like one of ours, never data."""
    names: set[str] = set()
    for key, item in _pairs(value):
        if _FIELD.fullmatch(key):
            names.add(key)
        # The other common shape: [{"field": "order_number", "message": "..."}]
        if key in {"field", "attr", "loc", "name"} and isinstance(item, str) and _FIELD.fullmatch(item):
            names.add(item)
    return names


def _pairs(value: object) -> Iterator[tuple[str, object]]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield str(key), item
            yield from _pairs(item)
    elif isinstance(value, list):
        for item in value:
            yield from _pairs(item)


def _sentences(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from _sentences(item)
    elif isinstance(value, list):
        for item in value:
            yield from _sentences(item)


def _by_field(value: object, path: str = "") -> Iterator[str]:
    """Each sentence after the field that it is about, unless it begins with that itself."""
    if isinstance(value, dict):
        for name, item in value.items():
            yield from _by_field(item, f"{path}.{name}" if path else str(name))
    elif isinstance(value, list):
        for item in value:
            yield from _by_field(item, path)
    elif isinstance(value, str):
        yield value if value.startswith(path) else f"{path}: {value}"
    elif value is not None:
        yield f"{path}: {json.dumps(value, default=str)}"


def _says_no_more(said: str, attr_error: object) -> bool:
    """Whether a message is made of nothing but the sentences that the fields' own errors hold."""
    sentences = sorted(_sentences(attr_error), key=len, reverse=True)
    if not said or not all(sentence in said for sentence in sentences):
        return False
    for sentence in sentences:
        said = said.replace(sentence, "")
    return not any(letter.isalnum() for letter in said)
