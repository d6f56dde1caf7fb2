"""Every refusal of Add Order that is documented: `omisync validate --lists` says it first, and nothing was sent."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from omisync.simulator.account import Account, AccountConfig
from omisync.simulator.checks import check
from omisync.simulator.config import OrderConfig

GOOD: Mapping[str, Any] = {
    "order_number": "WEB-1",
    "shop_id": 21001,
    "pickup_id": 167,
    "receiver": {
        "fullname": "Nguyễn Văn An",
        "phone": "+84901234567",
        "province_name": "Hà Nội",
        "district_name": "Quận Hoàn Kiếm",
        "subdistrict_name": "Phường Hàng Trống",
    },
    "payment_information": {"payment_type": 1, "payment_status": 100},
    "items": [{"sku": "TEE-M", "quantity": 1}],
    "created_time": 1_790_000_000,
}


def place(**names: str) -> dict[str, Any]:
    return {"receiver": {**GOOD["receiver"], **names}}


REFUSED: Mapping[str, tuple[Mapping[str, Any], str, str]] = {
    # what is wrong: the change, the field that the simulator names, the field that validate names
    "no order number": ({"order_number": ""}, "order_number", "order_number"),
    "a shop that the account lacks": ({"shop_id": 5}, "shop_id", "shop_id"),
    "a shop that is no custom store": ({"shop_id": 21650}, "shop_id", "shop_id"),
    "a pickup of no warehouse": ({"pickup_id": 9}, "pickup_id", "pickup_id"),
    "a province that is none": (place(province_name="Atlantis"), "receiver.province_name", "receiver.province_name"),
    "a district that is none": (place(district_name="Quận 99"), "receiver.district_name", "receiver.district_name"),
    "a subdistrict of elsewhere": (
        place(subdistrict_name="Phường Bến Nghé"),
        "receiver.subdistrict_name",
        "receiver.subdistrict_name",
    ),
    "another spelling of a district": (
        place(district_name="Q. Hoan Kiem"),
        "receiver.district_name",
        "receiver.district_name",
    ),
    "an SKU that the catalogue lacks": ({"items": [{"sku": "XX", "quantity": 1}]}, "items", "items"),
    "a payment type that is none": (
        {"payment_information": {"payment_type": 5}},
        "payment_information",
        "payment_information.payment_type",
    ),
    "a payment status that is none": (
        {"payment_information": {"payment_status": 7}},
        "payment_information",
        "payment_information.payment_status",
    ),
    "milliseconds": ({"created_time": 1_790_000_000_000}, "created_time", "created_time"),
}


async def test_every_documented_refusal_is_told_before_anything_is_sent(
    cli: Any, simulator: Any, tmp_path: Path
) -> None:
    orders = [{**GOOD, "order_number": f"WEB-{row}", **refused[0]} for row, refused in enumerate(REFUSED.values(), 2)]
    account = Account(AccountConfig())
    assert check(GOOD, account, OrderConfig()) == {}
    for what, order in zip(REFUSED, orders, strict=True):
        assert list(check(order, account, OrderConfig())) == [REFUSED[what][1]], what

    for command in ("shops", "pickups", "skus", "locations"):
        assert (await cli(command, "--refresh")).code == 0
    file = tmp_path / "orders.jsonl"
    file.write_text("".join(json.dumps(order) + "\n" for order in [GOOD, *orders]), "utf-8")
    ran = await cli("validate", str(file), "--lists")
    told = {(line.split(":")[1], line.split(": ")[1]) for line in ran.out.splitlines()}
    assert told == {(str(row), field) for row, (_, _, field) in enumerate(REFUSED.values(), 2)}
    assert ran.code == 1
    assert simulator.ledger.calls["order.add"] == 0
