"""What Add Order refuses. PROPOSED throughout, on the guide's rules [omisell-api 4.3]."""

from collections.abc import Mapping
from typing import Final

from omisync.simulator.account import Account
from omisync.simulator.config import OrderConfig
from omisync.simulator.numbers import whole

PAYMENT_TYPES: Final = frozenset({1, 2, 3, 4, 6, 7, 8})
"""[guide]."""
_LATEST_SECONDS: Final = 100_000_000_000
"""Beyond this a time is no Unix seconds, but milliseconds."""

Faults = dict[str, list[str]]


def check(body: Mapping[str, object], account: Account, config: OrderConfig) -> Faults:
    """What is wrong with the body of Add Order, by field; empty if nothing is."""
    faults: Faults = {name: ["This field is required."] for name in config.required if body.get(name) in (None, "", [])}
    for name, found in (
        ("order_number", _order_number(body.get("order_number"))),
        ("shop_id", _shop(body.get("shop_id"), account)),
        ("pickup_id", _pickup(body.get("pickup_id"), account)),
        ("items", _items(body.get("items"), account, config)),
        ("payment_information", _payment(body.get("payment_information"))),
        ("created_time", _time(body.get("created_time"))),
    ):
        if found and name not in faults:
            faults[name] = found
    if "receiver" not in faults:
        faults |= _receiver(body.get("receiver"), account, config)
    return faults


def _order_number(value: object) -> list[str]:
    if value is None or value == "":
        return []
    if not isinstance(value, str):
        return ["Not a valid string."]
    if "\0" in value:
        return ["Null characters are not allowed."]
    return ["Ensure this field has no more than 100 characters."] if len(value) > 100 else []


def _shop(value: object, account: Account) -> list[str]:
    if value is None:
        return []
    shop = account.shops.get(whole(value) or 0)
    if shop is None:
        return [f"Shop {value} does not exist."]
    return [] if shop.platform == "custom" else [f"Shop {value} is not a custom store."]


def _pickup(value: object, account: Account) -> list[str]:
    if value is None or whole(value) in account.pickups:
        return []
    return [f"Pickup {value} does not exist."]


def _items(value: object, account: Account, config: OrderConfig) -> list[str]:
    if value is None:
        return []
    if not isinstance(value, list):
        return ["Expected a list of items."]
    found: list[str] = []
    for position, item in enumerate(value):
        if not isinstance(item, Mapping):
            found.append(f"items[{position}]: expected an object.")
            continue
        sku = item.get("sku")
        if not isinstance(sku, str) or not sku:
            found.append(f"items[{position}].sku: this field is required.")
        elif config.check_skus and sku not in account.products:
            found.append(f"items[{position}].sku: SKU {sku} does not exist in the catalogue.")
        if (whole(item.get("quantity")) or 0) < 1:
            found.append(f"items[{position}].quantity: a whole number of at least 1 is required.")
    return found


def _payment(value: object) -> list[str]:
    if not value:
        return []
    found: list[str] = []
    for part in value if isinstance(value, list) else [value]:
        if not isinstance(part, Mapping):
            return ["Expected an object."]
        kind = part.get("payment_type")
        if kind is not None and whole(kind) not in PAYMENT_TYPES:
            found.append(f"payment_type {kind} is not a valid choice.")
        status = part.get("payment_status")
        if status is not None and not 100 <= (whole(status) or 0) <= 999:
            found.append(f"payment_status {status} is not a valid choice.")
    return found


def _time(value: object) -> list[str]:
    if value is None or 0 < (whole(value) or 0) < _LATEST_SECONDS:
        return []
    return ["Expected epoch seconds."]


def _receiver(value: object, account: Account, config: OrderConfig) -> Faults:
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        return {"receiver": ["Expected an object."]}
    if not config.check_addresses:
        return {}
    parent: int | None = None
    for level in ("province", "district", "subdistrict"):
        name = value.get(f"{level}_name")
        if not name:
            continue  # districts were abolished in 2025: a subdistrict may stand below its province
        found = account.locations.id_of(level, str(name), parent)
        if found is None:
            return {f"receiver.{level}_name": [f"{level.capitalize()} {name} does not exist in the address system."]}
        parent = found
    return {}
