"""The demo's configuration file."""

import tomllib
from pathlib import Path

from omisync.demo.configuration import Account, write

ACCOUNT = Account("http://127.0.0.1:9000", 'key with "quotes"', "secret", 77, "VN", 21001, 167, "hook")


def test_the_file_is_toml_and_private(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    write(path, dsn="postgresql://omisync@127.0.0.1/shop", account=ACCOUNT, webhook_port=9001, admin_port=9002)
    assert path.stat().st_mode & 0o777 == 0o600
    with path.open("rb") as file:
        values = tomllib.load(file)
    assert values["database"] == {"dsn": "postgresql://omisync@127.0.0.1/shop"}
    assert values["omisell"]["api_key"] == 'key with "quotes"'
    assert values["omisell"]["shop_id"] == 21001
    assert values["webhook"]["listen"] == "127.0.0.1:9001"
    assert values["webhook"]["callback_url"] == "http://127.0.0.1:9001/webhooks/omisell"
    assert values["admin"] == {"listen": "127.0.0.1:9002"}


def test_keys_can_be_changed_and_sections_added(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    write(
        path,
        dsn="postgresql://omisync@127.0.0.1/shop",
        account=ACCOUNT,
        webhook_port=9001,
        admin_port=9002,
        changes={"outbox": {"settle": "1s"}, "hooks": {"on_change": "shop.heard"}},
    )
    values = tomllib.loads(path.read_text())
    assert values["outbox"]["settle"] == "1s"
    assert values["outbox"]["poll_interval"] == "100ms"
    assert values["hooks"] == {"on_change": "shop.heard"}


def test_the_accounts_secrets_do_not_show() -> None:
    assert repr(ACCOUNT) == "Account(url='http://127.0.0.1:9000', shop_id=21001)"
