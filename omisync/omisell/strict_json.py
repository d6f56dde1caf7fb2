"""JSON from outside, decoded to values that Postgres and every later reader can hold."""

import json
import math
import re
from typing import Final

MAX_DEPTH: Final = 64
"""Objects and arrays within one another; Omisell's own answers have five."""

_SMUGGLED: Final = re.compile(r"\\u(?:0000|[dD][89a-fA-F])")
"""An escape of one of those; also a surrogate's in a pair, which is none."""
_UNHOLDABLE = {0: None, **dict.fromkeys(range(0xD800, 0xE000), "\N{REPLACEMENT CHARACTER}")}
"""U+0000 and lone surrogates: legal in JSON, impossible in Postgres's text and jsonb."""


def loads(data: bytes | str) -> object:
    """Decode one JSON document in UTF-8.

    NUL characters are dropped and lone surrogates replaced, in keys and in values; of a key that comes
    twice the last one counts.

    Raises:
        ValueError: not UTF-8, not JSON, nested deeper than `MAX_DEPTH`, or with a number that JSON or a
            double does not have (NaN, Infinity, 1e999, thousands of digits). The text names the fault and
            quotes nothing of the document.
    """
    try:
        text = data.decode().removeprefix("\ufeff") if isinstance(data, bytes) else data
    except UnicodeDecodeError:
        raise ValueError("not UTF-8") from None
    try:
        value = _DECODER.decode(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"not JSON (at character {error.pos})") from None
    except ValueError:
        raise ValueError("holds a number that is out of range") from None
    # Only many brackets can nest deeply, only such an escape can have smuggled in what needs cleaning.
    if text.count("{") + text.count("[") > MAX_DEPTH and _deeper_than(value, MAX_DEPTH):
        raise ValueError("nested too deeply")
    return _cleaned(value) if _SMUGGLED.search(text) else value


def clean(text: str) -> str:
    """`text` without NUL characters and lone surrogates, so that Postgres can store it."""
    return text.translate(_UNHOLDABLE)


def _no_constant(_: str) -> object:
    raise ValueError


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError
    return number


_DECODER: Final = json.JSONDecoder(parse_constant=_no_constant, parse_float=_finite)
"""Made once: `json.loads` makes one a call where it is told how to read numbers, which takes as long as the reading."""


def _deeper_than(value: object, depth: int) -> bool:
    """Whether more than so many objects and arrays are within one another."""
    level = [value] if isinstance(value, dict | list) else []
    while level and depth >= 0:
        depth -= 1
        level = [
            item
            for holder in level
            for item in (holder.values() if isinstance(holder, dict) else holder)
            if isinstance(item, dict | list)
        ]
    return depth < 0


def _cleaned(value: object) -> object:
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, list):
        return [_cleaned(item) for item in value]
    if isinstance(value, dict):
        return {clean(key): _cleaned(item) for key, item in value.items()}
    return value
