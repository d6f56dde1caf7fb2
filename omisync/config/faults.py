"""The words for a fault in the configuration: which key, what was expected, what to do; never a secret."""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from omisync.config.keys import FILE_SUFFIX, known_keys, sections, variable_name
from omisync.config.layers import Given

LONGEST_SHOWN = 60
"""Characters of a wrong value that are repeated to the user."""

_EXPECTED: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "int_type": lambda _: "expected a whole number without quotes",
    "float_type": lambda _: "expected a number without quotes",
    "bool_type": lambda _: "expected true or false, without quotes",
    "greater_than": lambda ctx: f"expected a number above {ctx['gt']}",
    "greater_than_equal": lambda ctx: f"expected at least {ctx['ge']}",
    "less_than_equal": lambda ctx: f"expected at most {ctx['le']}",
    "literal_error": lambda ctx: f"expected one of {ctx['expected']}".replace("'", '"'),
    "refused": lambda ctx: str(ctx["why"]),
}

_LISTED = {"omisell.shop_id": "`omisync shops`"}
"""Where to find the value of a key; the command works without it."""


def unknown_key(key: str, given: Given) -> str:
    """A key that does not exist, with the nearest that does."""
    if key in sections():
        return f"{given.origin}: {key}: expected a section: write [{key}] and its keys below"
    near = _nearest(key)
    advice = f"did you mean {near}?" if near else "remove it (config.toml in the package lists every key)"
    return f"{given.origin}: {key}: unknown key: {advice}"


def _nearest(key: str) -> str | None:
    if "." not in key:
        near_section = difflib.get_close_matches(key, sections(), 1, 0.6)
        return f"the section [{near_section[0]}]" if near_section else None
    keys = list(known_keys())
    section, _, name = key.rpartition(".")
    here = {known.rpartition(".")[2]: known for known in keys if known.rpartition(".")[0] == section}
    by_name = difflib.get_close_matches(name, here, 1, 0.6)
    if by_name:
        return here[by_name[0]]
    elsewhere = [known for known in keys if known.rpartition(".")[2] == name]
    return next(iter(elsewhere + difflib.get_close_matches(key, keys, 1, 0.75)), None)


def missing_or_wrong(error: ValidationError, values: Mapping[str, Given], source: str) -> dict[str, str]:
    """A line for each key that pydantic found missing or wrong, by dotted key.

    Args:
        error: what validation ended in; its inputs are not read.
        values: what was given, to name where a wrong value came from.
        source: the file's name, for a key that is missing.
    """
    lines: dict[str, str] = {}
    for detail in error.errors(include_url=False, include_input=False):
        key = _key_of(detail)
        given = values.get(key)
        lines.setdefault(key, f"{given.origin if given else source}: {key}: {_why(detail, key, given)}")
    return lines


def _key_of(detail: ErrorDetails) -> str:
    """The part of the place that is a key: what follows are pydantic's own marks."""
    parts = [str(part) for part in detail["loc"]]
    dotted = [".".join(parts[:length]) for length in range(1, len(parts) + 1)]
    return next(key for key in dotted if key in known_keys())


def _why(detail: ErrorDetails, key: str, given: Given | None) -> str:
    if detail["type"] == "missing":
        file = f", or name a file that holds it in {key}{FILE_SUFFIX}" if known_keys()[key].is_secret else ""
        where = f"; {_LISTED[key]} lists what there is" if key in _LISTED else ""
        return f"is missing (an empty text counts as missing): set it, or ${variable_name(key)}{file}{where}"
    expected = _EXPECTED.get(detail["type"])
    why = expected(detail.get("ctx", {})) if expected else detail["msg"]
    return why + _found(key, given)


def _found(key: str, given: Given | None) -> str:
    # A URL can carry a password or a token of its own.
    if given is None or known_keys()[key].is_secret or key.endswith("_url"):
        return ""
    try:
        shown = json.dumps(given.value, ensure_ascii=False)
    except TypeError:
        shown = str(given.value)
    return f"; found {shown}" if len(shown) <= LONGEST_SHOWN else ""
