"""How orders look in answers."""

from typing import Any

from omisync.simulator import AccountConfig, ListConfig, ManualClock, Simulator, SimulatorConfig
from omisync.simulator.detail import push_data, row
from omisync.simulator.envelope import Answer, refusal, stringified
from omisync.simulator.numbers import amount, whole


def simulator(**options: Any) -> Simulator:
    return Simulator(SimulatorConfig(seed=1, **options), clock=ManualClock(start=1_790_000_100))


BODY: dict[str, Any] = {
    "order_number": "WEB-1001",
    "shop_id": 21001,
    "pickup_id": 168,
    "shipping_fee": 16000,
    "order_note": "Gọi trước",
    "receiver": {
        "fullname": "Nguyễn Thị An",
        "phone": "+84900000000",
        "address": "1 Lê Lợi",
        "province_name": "Hà Nội",
        "district_name": "Quận Ba Đình",
        "subdistrict_name": "Phường Kim Mã",
    },
    "payment_information": {"payment_type": 1, "payment_status": 100},
    "invoice_information": {"tax_code": "0100000000", "company": "Công ty Mẫu"},
    "items": [{"sku": "TEE-M", "quantity": 2, "original_price": 120000, "discounted_price": "110000"}],
}


def test_the_detail_has_the_documented_fields() -> None:
    sim = simulator()
    sim.create(BODY)
    sim.clock.advance(60)  # type: ignore[attr-defined] # a ManualClock
    sim.advance("WEB-1001", 460)
    shown = sim.detail("WEB-1001")
    tracking = sim.orders.find("WEB-1001").state.parcels[0].tracking_number
    assert shown == {
        "seller_id": 77,
        "shop_id": 21001,
        "shop_name": "Cửa hàng Web",
        "platform": "custom",
        "platform_name": "Custom",
        "order_number": "WEB-1001",
        "omisell_order_number": sim.orders.find("WEB-1001").omisell_order_number,
        "order_note": "Gọi trước",
        "order_type": "normal",
        "status_id": 460,
        "status_name": "Ready to Ship",
        "is_fulfilled": False,
        "created_time": 1_790_000_100,
        "updated_time": 1_790_000_160,
        "rts_time": 1_790_000_160,
        "shipped_time": 0,
        "completed_time": 0,
        "seller_discount_amount": 0,
        "parcels": [
            {
                "package_number": "1",
                "pickup_id": 168,
                "omisell_shipment_number": "SHP00000101",
                "wms_order_number": "",
                "courier_tracking_number": tracking,
                "courier_name": sim.orders.find("WEB-1001").state.parcels[0].courier_name,
                "courier_service": "Standard",
                "shipment_status": 220,
                "shipment_status_name": "Ready to ship",
                "catalogue_items": [
                    {
                        "catalogue_sku": "TEE-M",
                        "product_name": "Áo thun trơn, cỡ M",
                        "product_type": "single",
                        "quantity": 2,
                        "weight": 200,
                        "original_price": 120000,
                        "discounted_price": 110000,
                        "discount_seller": 10000,
                        "discount_platform": 0,
                        "voucher_seller": 0,
                        "voucher_platform": 0,
                    }
                ],
                "inventory_items": [
                    {
                        "inventory_sku": "TEE-M",
                        "catalogue_sku": "TEE-M",
                        "product_name": "Áo thun trơn, cỡ M",
                        "quantity": 2,
                        "sale_price": 110000,
                        "serial_numbers": [],
                        "vendor_name": "",
                        "vendor_id": "",
                        "vendor_pickup_id": "",
                    }
                ],
            }
        ],
        "payment_information": [
            {
                "origin_payment_method": "cod",
                "payment_method": "COD",
                "payment_method_name": "Cash on delivery",
                "transaction_amount": 236000,
                "transaction_status": "100",
                "transaction_code": "",
                "transaction_external_code": "",
                "transaction_reference": "",
                "transaction_time": 1_790_000_100,
                "transaction_note": "",
            }
        ],
        "invoice_information": {
            "tax_code": "0100000000",
            "company": "Công ty Mẫu",
            "fullname": "",
            "address": "",
            "zip_code": "",
            "subdistrict_name": "",
            "district_name": "",
            "province_name": "",
            "country_name": "",
        },
        "shipping_information": {
            "origin_shipping_fee": 16000,
            "buyer_shipping_fee": 16000,
            "seller_shipping_fee": 0,
            "platform_shipping_discount": 0,
        },
        "receiver": {
            "fullname": "Nguyễn Thị An",
            "email": "",
            "phone": "+84900000000",
            "address": "1 Lê Lợi",
            "country": "VN",
            "zip_code": "",
            "province_name": "Hà Nội",
            "province_id": 1,
            "district_name": "Quận Ba Đình",
            "district_id": 1001,
            "subdistrict_name": "Phường Kim Mã",
            "subdistrict_id": 100004,
        },
    }


def test_missing_parts_are_empty_and_crash_nothing() -> None:
    sim = simulator()
    sim.create(
        {
            "order_number": "A",
            "receiver": None,
            "payment_information": None,
            "invoice_information": [],
            "items": [{"sku": "GIFT", "quantity": 1, "original_price": 0}, "junk"],
            "order_note": "",
        }
    )
    sim.advance("A", 300)
    shown = sim.detail("A")
    assert (shown["receiver"], shown["payment_information"], shown["invoice_information"]) == ({}, [], {})
    assert shown["order_note"] is None
    parcels = shown["parcels"]
    assert isinstance(parcels, list)
    assert parcels[0]["catalogue_items"][0]["product_name"] == "GIFT"
    assert parcels[0]["inventory_items"][0]["sale_price"] == 0


def test_several_payments_are_shown_each() -> None:
    sim = simulator()
    sim.create({"order_number": "A", "payment_information": [{"payment_type": "2", "payment_status": "200"}, {}, 7]})
    payments = sim.detail("A")["payment_information"]
    assert isinstance(payments, list)
    assert [(part["payment_method"], part["transaction_status"]) for part in payments] == [("BANK_TRANSFER", "200")]


def test_a_marketplaces_orders_are_masked() -> None:
    sim = simulator()
    sim.create({**BODY, "shop_id": 21650})
    receiver = sim.detail("WEB-1001")["receiver"]
    assert isinstance(receiver, dict)
    assert receiver["fullname"] == "N****n"
    assert receiver["phone"] == "+****0"
    assert receiver["email"] == ""


def test_a_push_has_the_guides_types() -> None:
    sim = simulator(language="vi")
    order = sim.create(BODY)
    state = sim.advance("WEB-1001", 500)
    assert push_data(order, state, "vi") == {
        "updated_time": state.updated_time,
        "order_number": "WEB-1001",
        "omisell_order_number": order.omisell_order_number,
        "status_id": "500",
        "status_name": "Đã giao vận chuyển",
        "is_fulfilled": True,
        "created_time": "1790000100",
    }


def test_a_row_of_the_list_is_a_header_only() -> None:
    sim = simulator()
    order = sim.create(BODY)
    plain = {
        "order_number": "WEB-1001",
        "omisell_order_number": order.omisell_order_number,
        "status_id": 200,
        "status_name": "New",
        "created_time": 1_790_000_100,
        "updated_time": 1_790_000_100,
    }
    assert row(order, order.state, sim.config) == plain
    more = SimulatorConfig(lists=ListConfig(extra_fields=True))
    assert row(order, order.state, more) == {**plain, "shop_id": 21001, "platform": "custom"}


def test_repr_shows_neither_people_nor_keys() -> None:
    sim = simulator()
    assert "Nguyễn" not in repr(sim.create(BODY))
    assert "s_other" not in repr(AccountConfig(api_secret="s_other"))


def test_the_envelope() -> None:
    assert Answer(data=[1]).encode(request_id="r", timestamp=5) == (
        b'{"data":[1],"error":false,"error_code":200,"messages":"","attr_error":null,"request_id":"r","timestamp":5}'
    )
    assert refusal(400, "no", {"a": ["b"]}).encode(request_id="r", timestamp=5) == (
        b'{"data":null,"error":true,"error_code":400,"messages":"no","attr_error":{"a":["b"]},'
        b'"request_id":"r","timestamp":5}'
    )
    assert Answer(data="\ud800", traced=False).encode(request_id="r", timestamp=5) == (
        b'{"data":"?","error":false,"error_code":200,"messages":"","attr_error":null}'
    )


def test_stringly_numbers() -> None:
    assert stringified({"a": 1, "b": [2.5, True, None], "c": ("x",)}) == {
        "a": "1",
        "b": ["2.5", True, None],
        "c": ["x"],
    }
    answer = Answer(data={"retry_after": 7}, error_code=429).encode(request_id="r", timestamp=5, stringly=True)
    assert b'"retry_after":"7"' in answer
    assert b'"error_code":429' in answer


def test_numbers_are_read_however_they_are_written() -> None:
    values: tuple[object, ...] = (5, "5", "-5", 5.0, True, "", "5.5", "-", "٥", "9" * 21, None, [], "1-2")
    assert [whole(value) for value in values] == [5, 5, -5, 5, None, None, None, None, None, None, None, None, None]
    assert [amount(value, 1) for value in (3, "3", 3.5, "3.5", "x", None, True)] == [3, 3, 3.5, 3.5, 1, 1, 1]
