"""The envelope around every answer of Omisell."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

Json = dict[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a call is answered with, before it becomes bytes [omisell-api 1.1]."""

    data: object = None
    status: int = 200
    error: bool = False
    error_code: int = 200
    messages: str = ""
    attr_error: Mapping[str, list[str]] | None = None
    traced: bool = True
    """Whether request_id and timestamp are there; the documented token answer has neither."""

    def encode(self, *, request_id: str, timestamp: int, stringly: bool = False) -> bytes:
        """The JSON of it."""
        body: Json = {
            "data": stringified(self.data) if stringly else self.data,
            "error": self.error,
            "error_code": self.error_code,
            "messages": self.messages,
            "attr_error": self.attr_error,
        }
        if self.traced:
            body["request_id"] = request_id
            body["timestamp"] = timestamp
        return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode(errors="replace")


def refusal(
    status: int, messages: str, attr_error: Mapping[str, list[str]] | None = None, *, code: int | None = None
) -> Answer:
    """An error answer; `error_code` repeats the HTTP status unless it is given. PROPOSED [omisell-api 8]."""
    return Answer(
        status=status,
        error=True,
        error_code=status if code is None else code,
        messages=messages,
        attr_error=attr_error,
    )


def stringified(value: object) -> object:
    """The same with all numbers as strings, as some answers have them [omisell-api 9.2]."""
    if isinstance(value, dict):
        return {key: stringified(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [stringified(part) for part in value]
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return str(value)
    return value
