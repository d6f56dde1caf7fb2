"""The sample shop's orders are believable, repeatable, and nobody's."""

import json
import re
from itertools import islice

from omisync.demo.people import Order, Place, Product, orders

PRODUCTS = (Product("AO-M", "Áo thun", 129_000), Product("NON", "Nón lá", 65_000))
PLACES = (Place("Hà Nội", "Ba Đình", "Cống Vị"),)


def invented(seed: int = 1, count: int = 200) -> list[Order]:
    return list(islice(orders(seed, PRODUCTS, PLACES), count))


def test_the_same_seed_gives_the_same_orders() -> None:
    assert invented(7) == invented(7)
    assert invented(7) != invented(8)


def test_order_numbers_are_unique() -> None:
    assert len({order.order_number for order in invented()}) == 200


def test_both_cash_on_delivery_and_card_occur_with_their_documented_codes() -> None:
    by_payment = {order.payment: order.payload()["payment_information"] for order in invented()}
    assert by_payment == {
        "cod": {"payment_type": 1, "payment_status": 100},
        "card": {"payment_type": 3, "payment_status": 200},
    }


def test_the_payload_carries_the_guides_fields_and_survives_json() -> None:
    order = invented()[0]
    payload = json.loads(json.dumps(order.payload()))
    assert payload["order_number"] == "WEB-1001"
    assert set(payload) == {
        *("order_number", "shipping_fee", "order_note", "receiver", "payment_information", "items"),
    }
    assert payload["receiver"]["province_name"] == "Hà Nội"
    assert payload["receiver"]["district_name"] == "Ba Đình"
    assert payload["receiver"]["subdistrict_name"] == "Cống Vị"
    assert {item["sku"] for order in invented() for item in order.payload()["items"]} == {"AO-M", "NON"}  # type: ignore[attr-defined] # a list, by construction
    assert all(line.quantity > 0 and 0 < line.price <= line.product.price for line in order.lines)


def test_nobody_can_be_reached_at_the_invented_numbers_and_addresses() -> None:
    for order in invented():
        assert re.fullmatch(r"\+8490000\d{4}", order.customer.phone)
        assert re.fullmatch(r"[a-z]+\.[a-z]+\d\d@example\.com", order.customer.email)


def test_a_customer_does_not_show_in_a_log() -> None:
    order = invented()[0]
    assert order.customer.fullname not in repr(order)
    assert order.customer.phone not in repr(order)
