"""The keys there are, derived from `Settings`: their full dotted names, what they hold, their variables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Any, get_args, get_origin

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from omisync.config.settings import Settings

FILE_SUFFIX = "_file"
"""Ends the name of the key that names the file a secret stands in."""

PREFIX = "OMISYNC_"


@dataclass(frozen=True, slots=True)
class Key:
    """One key: what its value is made of."""

    name: str
    is_secret: bool
    is_list: bool
    is_literal: bool
    """A number or a boolean: in the environment written as in TOML."""
    default: object


@cache
def known_keys() -> Mapping[str, Key]:
    """Every key by its dotted name, the `_file` keys of secrets among them."""
    found: dict[str, Key] = {}
    for name, field in _leaves(Settings, ""):
        parts = _types_in(field.annotation)
        default = None if field.is_required() else field.get_default(call_default_factory=True)
        key = Key(
            name, SecretStr in parts, tuple in parts, bool(parts & {int, float, bool}) and str not in parts, default
        )
        found[name] = key
        if key.is_secret:
            found[name + FILE_SUFFIX] = Key(name + FILE_SUFFIX, False, key.is_list, False, None)
    return MappingProxyType(found)


@cache
def sections() -> frozenset[str]:
    """The dotted names of the sections."""
    return frozenset(key.rpartition(".")[0] for key in known_keys())


def variable_name(key: str) -> str:
    """The environment variable of a key: `omisell.api_key` is `OMISYNC_OMISELL__API_KEY`."""
    return PREFIX + key.replace(".", "__").upper()


def _leaves(model: type[BaseModel], prefix: str) -> list[tuple[str, FieldInfo]]:
    found: list[tuple[str, FieldInfo]] = []
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            found += _leaves(field.annotation, f"{prefix}{name}.")
        else:
            found.append((prefix + name, field))
    return found


def _types_in(annotation: Any) -> set[Any]:
    """The plain types that an annotation is built from."""
    origin = get_origin(annotation)
    return {annotation, origin}.union(*(_types_in(part) for part in get_args(annotation)))
