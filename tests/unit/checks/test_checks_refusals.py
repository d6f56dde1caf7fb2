"""Refusals: Omisell's words stay as they are, with a line on what to do."""

import pytest

from omisync.checks.findings import Finding
from omisync.checks.refusals import ADVICE, TABLE, advice_on, explained


@pytest.mark.parametrize(
    ("said", "advised"),
    [
        ("Order number WEB-1 already exists.", "at Omisell already"),
        ("Mã đơn hàng WEB-1 đã tồn tại.", "at Omisell already"),
        ("items[0].sku: SKU TEE-XXL does not exist in the catalogue.", "checks.create_products"),
        ("SKU TEE-XXL cannot be ordered.", "checks.create_products"),
        ("SKU TEE-XXL không tồn tại", "checks.create_products"),
        ("Province Sai Gon does not exist in the address system.", "omisync locations"),
        ('{"receiver.district_name": ["Invalid value."]}', "omisync locations"),
        ("Pickup 999 does not exist.", "omisync pickups"),
        ("Shop 5 does not exist.", "omisync shops"),
        ("Shop 21650 is not a custom store.", "omisync shops"),
        ("payment_type 5 is not a valid choice.", "1 COD"),
        ("payment_status 7 is not a valid choice.", "200 paid"),
        ('{"created_time": ["Expected epoch seconds."]}', "seconds since 1970"),
        ("items[0].quantity: a whole number of at least 1 is required.", "1 or more"),
        ("Phone number is not valid", "+84901234567"),
        ("Order cannot be cancelled in status Shipped.", "return flow"),
        ("You do not have permission to perform this action.", "API key"),
        ('{"shipping_fee": ["This field is required."]}', "omisync validate"),
    ],
)
def test_a_known_refusal_says_what_to_do(said: str, advised: str) -> None:
    advice = advice_on(said)
    assert advice is not None
    assert advised in advice
    assert explained(said) == f"{said}\nWhat to do: {advice}"
    assert ADVICE == "What to do: "


@pytest.mark.parametrize("said", ["", "Something went wrong.", "HTTP 400 without a reason given", "อะไรบางอย่างผิดพลาด"])
def test_an_unknown_refusal_is_left_as_it_is(said: str) -> None:
    assert advice_on(said) is None
    assert explained(said) == said


def test_what_was_seen_before_is_told_and_advises_nothing() -> None:
    seen = [Finding("receiver.phone", "is too short"), Finding("items", "not in the catalogue: SKU X")]
    assert explained("no", seen) == (
        "no\nSeen before it was sent: receiver.phone: is too short; items: not in the catalogue: SKU X."
    )


def test_no_line_of_the_table_is_hidden_by_another() -> None:
    assert len({known.advice for known in TABLE}) == len(TABLE)


def test_a_very_long_refusal_takes_no_time_to_speak_of() -> None:
    assert advice_on("sku " * 20_000) is None
