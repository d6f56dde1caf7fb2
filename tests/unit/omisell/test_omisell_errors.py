"""What a call can end with, and what its text says."""

import pytest

from omisync.omisell import AuthenticationFailed, NotFound, Refused, Throttled, Unavailable


@pytest.mark.parametrize(
    "refusal",
    [
        Refused("Order already exists"),
        Refused("order_number is DUPLICATED"),
        Refused("Đơn hàng đã tồn tại"),
        Refused("Mã đơn bị trùng"),
        Refused("Pesanan sudah ada"),
        Refused("คำสั่งซื้อซ้ำ"),
        Refused(status=409),
        Refused(error_code=409, status=200),
        Refused(attr_error={"order_number": ["?"]}),
        Refused(attr_error=[{"field": "order_number", "message": "?"}]),
        Refused(attr_error={"items": [{"x": "it exists already"}]}),
        Refused(attr_error="exists"),
    ],
)
def test_a_refusal_that_may_say_that_the_order_is_there(refusal: Refused) -> None:
    assert refusal.may_be_duplicate


@pytest.mark.parametrize(
    "refusal",
    [
        Refused("SKU does not exist"),
        Refused("SKU doesn't exist"),
        Refused("The shop is not existing"),
        Refused("non-existent pickup"),
        Refused("Sản phẩm không tồn tại"),
        Refused("Bad field", attr_error={"items": ["unknown SKU"], "n": 7}),
        Refused(),
    ],
)
def test_a_refusal_that_does_not(refusal: Refused) -> None:
    assert not refusal.may_be_duplicate


def test_its_text_names_numbers_and_fields_and_quotes_no_buyer() -> None:
    refusal = Refused(
        "Nguyen Van A 0900000000",
        attr_error={"receiver": {"phone": ["0900000000 is bad"]}, "Nguyen Van A": 1},
        error_code=1007,
        status=400,
        endpoint="order.add",
        request_id="q1",
    )
    assert str(refusal) == "Omisell refused order.add: HTTP 400, error_code 1007, fields phone receiver"
    assert refusal.request_id == "q1"
    assert refusal.words().startswith("Nguyen Van A 0900000000 {")


def test_what_message_and_fields_say_alike_is_told_once_with_the_fields() -> None:
    fields = {
        "items": ["items[0].sku: no such SKU"],
        "receiver": {"phone": ["is blank", "short"]},
        "note": "is blank",
    }
    said = "items[0].sku: no such SKU; is blank; short"
    told = "items[0].sku: no such SKU; receiver.phone: is blank; receiver.phone: short; note: is blank"
    assert Refused(said, attr_error=fields).words() == told
    assert Refused(f"sorry, {said}", attr_error=fields).words().startswith("sorry, items[0].sku: no such SKU; is blank")
    assert Refused("is blank", attr_error={"a": ["is blank", 7]}).words() == "a: is blank; a: 7"


def test_omisells_words_are_kept_up_to_a_length_that_a_person_reads() -> None:
    assert Refused(attr_error={"a": 1}).words() == '{"a": 1}'
    assert Refused(status=422).words() == "HTTP 422 without a reason given"
    assert len(Refused("x" * 5000).words()) == 2000
    assert Refused("x" * 5000).words().endswith("x…")
    assert Refused("a\0b\ud800").words() == "ab\N{REPLACEMENT CHARACTER}"


def test_the_other_errors_say_what_happened() -> None:
    assert str(NotFound(endpoint="order.detail")) == "Omisell refused order.detail: HTTP 404"
    assert str(Throttled(8.0, endpoint="order.add")) == "Omisell throttled order.add: again in 8 s"
    assert str(Throttled(8.0)) == "Omisell throttled the call: again in 8 s"
    away = Unavailable("time-out", maybe_applied=True, endpoint="order.add")
    assert (str(away), away.maybe_applied) == ("Omisell did not answer order.add: time-out", True)
    assert str(AuthenticationFailed("no token", status=401)) == "no token"
