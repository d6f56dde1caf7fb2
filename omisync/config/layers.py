"""Flat layers of configuration: what each source gave under which dotted key, and how one overrides another."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from omisync.config.keys import FILE_SUFFIX, PREFIX, Key, known_keys, sections


@dataclass(frozen=True, slots=True)
class Given:
    """A value somebody gave, and where."""

    value: Any = field(repr=False)
    origin: str


def from_table(table: Mapping[str, Any], origin: str, prefix: str = "") -> dict[str, Given]:
    """The leaves of nested tables by dotted key; an empty text or list is as if not given."""
    layer: dict[str, Given] = {}
    for name, value in table.items():
        key = prefix + name
        if isinstance(value, dict) and (value or key in sections()):
            layer |= from_table(value, origin, key + ".")
        elif not _is_empty(value):
            layer[key] = Given(value, origin)
    return layer


def from_environment(env: Mapping[str, str]) -> tuple[dict[str, Given], dict[str, str]]:
    """What `OMISYNC_SECTION__KEY` variables give, and the faults met on the way, both by dotted key."""
    layer: dict[str, Given] = {}
    faults: dict[str, str] = {}
    for variable, text in env.items():
        name = variable.removeprefix(PREFIX)
        if name == variable or "__" not in name or _is_empty(text):
            continue
        key = name.lower().replace("__", ".")
        known = known_keys().get(key)
        try:
            value = _decode(text, known) if known else text
        except ValueError as error:
            faults[key] = f"${variable}: {key}: {error}"
        else:
            if not _is_empty(value):
                layer[key] = Given(value, f"${variable}")
    return layer, faults


def override(below: Mapping[str, Given], above: Mapping[str, Given]) -> dict[str, Given]:
    """Both layers as one; a secret or its file in `above` replaces the secret and its file in `below`."""
    hidden = {key.removesuffix(FILE_SUFFIX) for key in above}
    return {key: given for key, given in below.items() if key.removesuffix(FILE_SUFFIX) not in hidden} | dict(above)


def nested(values: Mapping[str, Given]) -> dict[str, Any]:
    """The tables that `values` came from, every section present even when nothing in it was given."""
    tree: dict[str, Any] = {}
    for section in sections():
        _table(tree, section)
    for key, given in values.items():
        section, _, name = key.rpartition(".")
        _table(tree, section)[name] = given.value
    return tree


def _table(tree: dict[str, Any], dotted: str) -> dict[str, Any]:
    table = tree
    for name in dotted.split("."):
        table = table.setdefault(name, {})
    return table


def _is_empty(value: object) -> bool:
    return value == [] or (isinstance(value, str) and not value.strip())


def _decode(text: str, key: Key) -> object:
    """A variable's text as the value that TOML would have given.

    Raises:
        ValueError: a list that is no JSON list of texts; the words never hold the text itself.
    """
    if key.is_list:
        return _decode_list(text)
    if key.is_literal:
        try:
            return tomllib.loads(f"value = {text}")["value"]
        except tomllib.TOMLDecodeError:
            return text
    return text


def _decode_list(text: str) -> list[str]:
    if not text.lstrip().startswith("["):
        return [item.strip() for item in text.split(",")]
    try:
        items = json.loads(text)
    except ValueError:
        items = None
    if not isinstance(items, list) or not all(isinstance(item, str) for item in items):
        raise ValueError('expected texts with commas between them, or a JSON list such as ["one","two"]') from None
    return items
