"""config.toml at the root: loads as it stands, names every key with its default."""

import re
from pathlib import Path

import pytest

from omisync.config import load_settings
from omisync.config.keys import known_keys

EXAMPLE = Path(__file__).parents[3] / "config.toml"
INVENTED = {
    "database.dsn",
    "omisell.api_key",
    "omisell.api_secret",
    "omisell.seller_id",
    "omisell.country",
    "omisell.shop_id",
    "webhook.secret",
}


def test_it_loads_as_it_stands() -> None:
    settings = load_settings(EXAMPLE, {})
    assert settings.omisell.shop_id == 21001


def _keys_in_example() -> set[str]:
    section, found = "", set()
    for line in EXAMPLE.read_text().splitlines():
        if heading := re.fullmatch(r"\[([a-z.]+)\]", line):
            section = heading[1]
        elif key := re.match(r"(?:# )?([a-z_]+) = ", line):
            found.add(f"{section}.{key[1]}")
    return found


def test_it_names_every_key() -> None:
    keys = {key for key in known_keys() if not key.endswith("_file")}
    assert _keys_in_example() == keys


@pytest.mark.parametrize("key", sorted(key for key in known_keys() if not key.endswith("_file")))
def test_a_key_stands_there_with_its_default(key: str) -> None:
    value: object = load_settings(EXAMPLE, {})
    for name in key.split("."):
        value = getattr(value, name)
    if key in INVENTED:
        assert value
    else:
        assert value == known_keys()[key].default


def test_its_commented_keys_are_right_too(tmp_path: Path) -> None:
    text = re.sub(r"^# ([a-z_]+ = )", r"\1", EXAMPLE.read_text(), flags=re.MULTILINE)
    path = tmp_path / "config.toml"
    path.write_text(text)
    settings = load_settings(path, {})
    assert settings.omisell.pickup_id == 167
    assert settings.hooks.on_change == "shop.on_order_change"


def test_it_speaks_of_every_secret_file() -> None:
    text = EXAMPLE.read_text()
    for key in known_keys():
        if key.endswith("_file"):
            assert key.rpartition(".")[2] in text
