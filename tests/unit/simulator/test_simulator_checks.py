"""What Add Order refuses, field by field."""

from typing import Any

import pytest

from omisync.simulator.account import Account, AccountConfig
from omisync.simulator.checks import check
from omisync.simulator.config import OrderConfig

GOOD: dict[str, Any] = {
    "order_number": "WEB-1",
    "shop_id": 21001,
    "pickup_id": 167,
    "shipping_fee": 16000,
    "created_time": 1_790_000_000,
    "receiver": {
        "fullname": "Nguyễn Thị An",
        "phone": "+84900000000",
        "province_name": "Hà Nội",
        "district_name": "Quận Ba Đình",
        "subdistrict_name": "Phường Kim Mã",
    },
    "payment_information": {"payment_type": 1, "payment_status": 100},
    "items": [{"sku": "TEE-M", "quantity": 2}],
}


def faults(changes: dict[str, Any], config: OrderConfig | None = None, drop: str = "") -> dict[str, list[str]]:
    body = {**GOOD, **changes}
    body.pop(drop, None)
    return check(body, Account(AccountConfig()), config or OrderConfig())


def test_a_good_order_passes_in_each_way_to_write_it() -> None:
    assert faults({}) == {}
    assert faults({"shop_id": "21001", "pickup_id": "167", "created_time": "1790000000"}) == {}
    assert faults({"payment_information": [{"payment_type": 8, "payment_status": 200}, {}]}) == {}
    assert faults({"payment_information": None, "receiver": None, "pickup_id": None, "created_time": None}) == {}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"order_number": ""}, {"order_number": ["This field is required."]}),
        ({"order_number": 17}, {"order_number": ["Not a valid string."]}),
        ({"order_number": "a\0b"}, {"order_number": ["Null characters are not allowed."]}),
        (
            {"order_number": "x" * 101},
            {"order_number": ["Ensure this field has no more than 100 characters."]},
        ),
        ({"shop_id": None}, {"shop_id": ["This field is required."]}),
        ({"shop_id": 5}, {"shop_id": ["Shop 5 does not exist."]}),
        ({"shop_id": 21650}, {"shop_id": ["Shop 21650 is not a custom store."]}),
        ({"pickup_id": 5}, {"pickup_id": ["Pickup 5 does not exist."]}),
        ({"items": []}, {"items": ["This field is required."]}),
        ({"items": "TEE-M"}, {"items": ["Expected a list of items."]}),
        ({"items": ["TEE-M"]}, {"items": ["items[0]: expected an object."]}),
        (
            {"items": [{"sku": "TEE-M", "quantity": 1}, {"sku": "NO-SUCH", "quantity": 1}]},
            {"items": ["items[1].sku: SKU NO-SUCH does not exist in the catalogue."]},
        ),
        (
            {"items": [{"quantity": True}]},
            {
                "items": [
                    "items[0].sku: this field is required.",
                    "items[0].quantity: a whole number of at least 1 is required.",
                ]
            },
        ),
        ({"payment_information": "COD"}, {"payment_information": ["Expected an object."]}),
        (
            {"payment_information": {"payment_type": 5, "payment_status": 7}},
            {
                "payment_information": [
                    "payment_type 5 is not a valid choice.",
                    "payment_status 7 is not a valid choice.",
                ]
            },
        ),
        ({"created_time": 1_790_000_000_000}, {"created_time": ["Expected epoch seconds."]}),
        ({"created_time": "2026-09-21"}, {"created_time": ["Expected epoch seconds."]}),
        ({"receiver": "An"}, {"receiver": ["Expected an object."]}),
        (
            {"receiver": {"province_name": "Ha Noi"}},
            {"receiver.province_name": ["Province Ha Noi does not exist in the address system."]},
        ),
        (
            {"receiver": {"province_name": "Hà Nội", "district_name": "Quận 1"}},
            {"receiver.district_name": ["District Quận 1 does not exist in the address system."]},
        ),
        (
            {
                "receiver": {
                    "province_name": "Hà Nội",
                    "district_name": "Quận Ba Đình",
                    "subdistrict_name": "Phường 1",
                }
            },
            {"receiver.subdistrict_name": ["Subdistrict Phường 1 does not exist in the address system."]},
        ),
    ],
)
def test_a_fault_is_named_with_its_field(changes: dict[str, Any], expected: dict[str, list[str]]) -> None:
    assert faults(changes) == expected


def test_what_is_required_can_be_configured() -> None:
    config = OrderConfig(required=("order_number", "receiver"))
    assert faults({}, config, drop="receiver") == {"receiver": ["This field is required."]}
    assert faults({}, config, drop="items") == {}
    assert faults({}, OrderConfig(required=()), drop="order_number") == {}
    assert faults({"shop_id": None}, OrderConfig(required=())) == {}


def test_catalogue_and_addresses_can_be_left_unchecked() -> None:
    config = OrderConfig(check_skus=False, check_addresses=False)
    changes = {"items": [{"sku": "ANY", "quantity": 1}], "receiver": {"province_name": "Anywhere"}}
    assert faults(changes, config) == {}


def test_a_subdistrict_may_stand_right_below_its_province() -> None:
    account = Account(AccountConfig(locations={"Huế": ["Phường Vỹ Dạ"]}))
    body = {**GOOD, "receiver": {"province_name": "Huế", "district_name": "", "subdistrict_name": "Phường Vỹ Dạ"}}
    assert check(body, account, OrderConfig()) == {}
