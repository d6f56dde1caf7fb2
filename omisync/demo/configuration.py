"""The configuration file under which the demo's daemon runs."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

BUCKET: Final = 200
LEAK_PER_MINUTE: Final = 6000
"""Omisell's own limit is 100, and 100 a minute; an hour of that is squeezed into a minute here."""

SETTLE: Final = "6s"
"""Above the simulator's list lag, as outbox.settle must be above Omisell's."""


@dataclass(frozen=True, slots=True)
class Account:
    """An account at the simulated Omisell. The secrets do not show in repr."""

    url: str
    api_key: str
    api_secret: str
    seller_id: int
    country: str
    shop_id: int
    pickup_id: int
    webhook_secret: str

    def __repr__(self) -> str:
        return f"Account(url={self.url!r}, shop_id={self.shop_id})"


def write(
    path: Path,
    *,
    dsn: str,
    account: Account,
    webhook_port: int,
    admin_port: int,
    changes: Mapping[str, Mapping[str, object]] | None = None,
) -> None:
    """Write the file, readable by its owner only.

    Short waits in place of the defaults, since a simulated order lives for seconds: sweeps every 3 s, first
    retry after 0.2 s.

    Args:
        path: Where to.
        dsn: The daemon's database.
        account: At Omisell.
        webhook_port: Of 127.0.0.1, for pushes.
        admin_port: Of 127.0.0.1.
        changes: Keys by section that replace or join those below.
    """
    sections: dict[str, dict[str, object]] = {
        "database": {"dsn": dsn},
        "omisell": {
            "base_url": account.url,
            "api_key": account.api_key,
            "api_secret": account.api_secret,
            "seller_id": account.seller_id,
            "country": account.country,
            "shop_id": account.shop_id,
            "pickup_id": account.pickup_id,
            "timeout": "2s",
            "bucket_size": BUCKET,
            "leak_per_minute": LEAK_PER_MINUTE,
        },
        "webhook": {
            "listen": f"127.0.0.1:{webhook_port}",
            "secret": account.webhook_secret,
            "callback_url": callback_url(webhook_port),
        },
        "outbox": {
            "poll_interval": "100ms",
            "settle": SETTLE,
            "max_attempts": 1000,  # faults come thick here; no order is to be given up for them
            "backoff_base": "200ms",
            "backoff_cap": "2s",
        },
        "reconcile": {"interval": "3s", "overlap": "1m"},
        "admin": {"listen": f"127.0.0.1:{admin_port}"},
        "log": {"format": "json", "level": "info"},
    }
    for section, values in (changes or {}).items():
        sections.setdefault(section, {}).update(values)
    path.touch(mode=0o600)
    with path.open("w") as file:
        for section, values in sections.items():
            file.write(f"[{section}]\n")
            for key, value in values.items():
                file.write(f"{key} = {json.dumps(value)}\n")  # JSON's strings and numbers are TOML's
            file.write("\n")


def callback_url(webhook_port: int) -> str:
    """Where the simulator pushes to."""
    return f"http://127.0.0.1:{webhook_port}/webhooks/omisell"
