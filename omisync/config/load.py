"""Reading the configuration: file, then environment, then secret files, checked as a whole."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from omisync.config.errors import ConfigError
from omisync.config.faults import missing_or_wrong, unknown_key
from omisync.config.keys import FILE_SUFFIX, known_keys
from omisync.config.layers import Given, from_environment, from_table, nested, override
from omisync.config.settings import Settings
from omisync.config.values import WRITTEN

PLACES = (Path("config.toml"), Path("/etc/omisync/config.toml"))
"""Where a configuration is looked for when neither `--config` nor `$OMISYNC_CONFIG` names one."""


def load_settings(
    path: Path | None = None,
    env: Mapping[str, str] | None = None,
    *,
    stand_ins: Mapping[str, object] | None = None,
) -> Settings:
    """The configuration out of its file and the environment.

    Args:
        path: the file to read; without it `$OMISYNC_CONFIG`, `./config.toml`, `/etc/omisync/config.toml`, or
            the environment alone when none of them is there.
        env: the environment, `os.environ` by default. A variable beats the file; an empty one is as if unset.
        stand_ins: values by dotted key for those that are not given, of a command that does not need them.

    Raises:
        ConfigError: with every fault found, one line each; never a secret's value.
    """
    env = os.environ if env is None else env
    found = find_config(path, env)
    source = str(found) if found else "configuration"
    file_layer = from_table(read_toml(found), source) if found else {}
    env_layer, faults = from_environment(env)
    for layer in (file_layer, env_layer):
        faults |= _given_twice(layer)
    stand_in_layer = {key: Given(value, "stand-in") for key, value in (stand_ins or {}).items()}
    values = override(override(stand_in_layer, file_layer), env_layer)
    for key in [key for key in values if key not in known_keys()]:
        faults[key] = unknown_key(key, values.pop(key))
    _read_secret_files(values, env, faults)
    try:
        settings = Settings.model_validate(nested(values), context={WRITTEN: True})
    except ValidationError as error:
        faults |= {key: fault for key, fault in missing_or_wrong(error, values, source).items() if key not in faults}
    else:
        if not faults:
            return settings
    hint = [] if found else [_nothing_found()]
    # From nothing: the cause would carry the values that were refused.
    raise ConfigError([*faults.values(), *hint]) from None


def find_config(path: Path | None, env: Mapping[str, str]) -> Path | None:
    """The configuration file that will be read, or None when there is none.

    Raises:
        ConfigError: a file was named and is not there.
    """
    named = path or (Path(env["OMISYNC_CONFIG"]) if env.get("OMISYNC_CONFIG") else None)
    if named is None:
        return next((place for place in PLACES if place.is_file()), None)
    if not named.is_file():
        by = "" if path else " (named by $OMISYNC_CONFIG)"
        raise ConfigError(f"{named}{by}: no such file: give the configuration with --config FILE")
    return named


def place_of(name: str, env: Mapping[str, str] | None = None) -> Path:
    """Where a file is that the configuration names: a relative name is in systemd's credentials, if there are any."""
    env = os.environ if env is None else env
    return Path(env.get("CREDENTIALS_DIRECTORY") or ".", name)


def read_toml(path: Path) -> dict[str, Any]:
    """The tables of a TOML file.

    Raises:
        ConfigError: unreadable, not UTF-8, or not TOML; names the line.
    """
    try:
        return tomllib.loads(path.read_bytes().decode())
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror or error}") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8 text (byte {error.start})") from None
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise ConfigError(f"{path}: not valid TOML: {str(error)[:200]}") from None


def _nothing_found() -> str:
    looked = ", ".join(str(place) for place in PLACES)
    return f"no configuration file was found (looked at {looked}): name one with --config or $OMISYNC_CONFIG"


def _given_twice(layer: Mapping[str, Given]) -> dict[str, str]:
    return {
        key: f"{layer[key].origin}: {key}: {key}{FILE_SUFFIX} is given as well: keep one of them"
        for key in layer
        if key + FILE_SUFFIX in layer and key + FILE_SUFFIX in known_keys()
    }


def _read_secret_files(values: dict[str, Given], env: Mapping[str, str], faults: dict[str, str]) -> None:
    """Replaces every `<secret>_file` in `values` by the secret that stands in the file."""
    for file_key in [key for key in values if key.endswith(FILE_SUFFIX)]:
        given = values.pop(file_key)
        key = file_key.removesuffix(FILE_SUFFIX)
        names = given.value if isinstance(given.value, list) and known_keys()[key].is_list else [given.value]
        secrets = []
        for name in names:
            secret, why = _read_secret(name, env)
            if why:
                faults.setdefault(key, f"{given.origin}: {file_key}: {why}")
            secrets.append(secret)
        if key not in faults:
            values[key] = Given(secrets if known_keys()[key].is_list else secrets[0], given.origin)


def _read_secret(name: object, env: Mapping[str, str]) -> tuple[str, str | None]:
    """The secret in the file of that name, and why there is none."""
    if not isinstance(name, str):
        return "", "expected the name of a file in quotes"
    path = place_of(name, env)
    try:
        secret = path.read_bytes().decode().rstrip("\r\n")
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        return "", f"{path} cannot be read: {why}"
    if not secret.strip():
        return "", f"{path} is empty: put the secret into it"
    return secret, None
