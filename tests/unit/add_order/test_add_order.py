"""The model of Add Order and reading orders out of files: every fault named, nothing documented refused."""

import io
import json
import time
import tracemalloc
from collections.abc import Iterator
from typing import Any, TextIO, cast

import pytest

from omisync.add_order import Fault, Order, faults_of, read_orders, reading

GOOD: dict[str, Any] = {
    "order_number": "WEB-1",
    "shop_id": 21001,
    "pickup_id": 167,
    "shipping_fee": 30000,
    "receiver": {"fullname": "Nguyễn Văn A", "phone": "0900000000", "province_name": "Hà Nội", "floor": 3},
    "invoice_information": {"tax_code": "0100000000"},
    "payment_information": {"payment_type": 1, "payment_status": 100, "bank": None},
    "items": [{"sku": "TEE-M", "quantity": 2, "original_price": 120000, "discounted_price": 99000.5, "gift": True}],
    "created_time": 1790000000 - 60 * 86400,
    "order_note": "ring twice",
}


def test_a_good_order_has_no_fault_and_its_other_fields_pass_through() -> None:
    assert faults_of(GOOD) == []
    model = Order.model_validate(GOOD)
    assert model.model_extra == {"order_note": "ring twice"}
    assert model.items[0].model_extra == {"gift": True}


def test_what_omisync_fills_in_may_be_left_out() -> None:
    assert faults_of({"order_number": "WEB-1", "items": [{"sku": "TEE-M"}]}) == []
    assert faults_of({**GOOD, "shop_id": None, "pickup_id": None, "created_time": None, "receiver": None}) == []


@pytest.mark.parametrize("kind", [1, 2, 3, 4, 6, 7, 8])
@pytest.mark.parametrize("status", [100, 150, 200])
def test_every_payment_of_the_guide(kind: int, status: int) -> None:
    assert faults_of({**GOOD, "payment_information": {"payment_type": kind, "payment_status": status}}) == []


NUMBER = "expected a number without quotes"
TYPES = "expected one of 1 cod, 2 bank transfer, 3 card, 4 cash, 6 qr code, 7 online banking, 8 instalment"


@pytest.mark.parametrize(
    ("change", "field", "why"),
    [
        ({"order_number": 7}, "order_number", "expected a text in quotes"),
        ({"order_number": ""}, "order_number", "is empty"),
        ({"order_number": "x" * 256}, "order_number", "is longer than 255 characters"),
        ({"order_number": "WEB\x00-1"}, "order_number", "has control characters in it"),
        ({"order_number": " WEB-1"}, "order_number", "has blanks before or after it"),
        ({"shop_id": "21001"}, "shop_id", "expected a whole number without quotes"),
        ({"shop_id": True}, "shop_id", "expected a whole number without quotes"),
        ({"pickup_id": 0}, "pickup_id", "expected at least 1"),
        ({"shipping_fee": "30000"}, "shipping_fee", "expected a number without quotes"),
        ({"shipping_fee": -1}, "shipping_fee", "expected an amount of 0 or more"),
        ({"shipping_fee": float("inf")}, "shipping_fee", "expected an amount of 0 or more"),
        ({"receiver": "Nguyễn"}, "receiver", "expected an object"),
        ({"receiver": {"phone": 900}}, "receiver.phone", "expected a text in quotes"),
        ({"invoice_information": []}, "invoice_information", "expected an object"),
        ({"payment_information": {"payment_type": 5}}, "payment_information.payment_type", TYPES),
        ({"payment_information": {"payment_type": "1"}}, "payment_information.payment_type", TYPES),
        ({"payment_information": {"payment_type": True}}, "payment_information.payment_type", TYPES),
        ({"items": []}, "items", "is empty"),
        ({"items": {"sku": "A"}}, "items", "expected a list"),
        ({"items": ["A"]}, "items.0", "expected an object"),
        ({"items": [{"quantity": 1}]}, "items.0.sku", "is missing"),
        ({"items": [{"sku": "A"}, {"sku": "B", "quantity": 0}]}, "items.1.quantity", "expected at least 1"),
        ({"items": [{"sku": "A", "quantity": 1.5}]}, "items.0.quantity", "expected a whole number without quotes"),
        (
            {"items": [{"sku": "A", "original_price": True}]},
            "items.0.original_price",
            "expected a number without quotes",
        ),
        ({"created_time": "now"}, "created_time", "expected Unix seconds, a whole number without quotes"),
        (
            {"created_time": 1790000000000},
            "created_time",
            "expected Unix seconds; this looks like milliseconds: divide it by 1000",
        ),
        ({"created_time": 20260701}, "created_time", "expected Unix seconds; this is before the year 2000"),
        ({"created_time": int(time.time()) + 172800}, "created_time", "is more than a day in the future"),
    ],
)
def test_a_fault_is_named(change: dict[str, Any], field: str, why: str) -> None:
    assert faults_of({**GOOD, "created_time": None, **change}) == [Fault(field, why)]


def test_all_faults_of_an_order_are_told_and_no_value_of_it() -> None:
    found = faults_of({"receiver": {"phone": 900123}, "payment_information": {"payment_status": 42}})
    assert [fault.field for fault in found] == [
        "order_number",
        "receiver.phone",
        "payment_information.payment_status",
        "items",
    ]
    assert "900123" not in str(found)


@pytest.mark.parametrize("order", [None, 7, "x", []])
def test_what_is_no_order_at_all(order: object) -> None:
    assert faults_of(order) == [Fault("order", "expected an object")]


def test_the_schema_names_the_fields_and_the_enums() -> None:
    schema = Order.model_json_schema()
    assert schema["required"] == ["order_number", "items"]
    assert schema["$defs"]["PaymentType"]["enum"] == [1, 2, 3, 4, 6, 7, 8]
    assert {100, 150, 200} <= set(schema["$defs"]["PaymentStatus"]["enum"])
    assert schema["additionalProperties"] is True


# Reading


def read(text: str) -> list[tuple[int, object]]:
    """Line, and the order or why there is none."""
    return [(one.line, one.fault.why if one.fault else one.order) for one in read_orders(io.StringIO(text))]


def test_json_lines() -> None:
    assert read('\n{"a": 1}\r\n\n  {"b": "ế"}\n{"c": 3}') == [(2, {"a": 1}), (4, {"b": "ế"}), (5, {"c": 3})]
    assert read('\ufeff{"a": 1}\n') == [(1, {"a": 1})]


def test_a_broken_line_does_not_hinder_the_next() -> None:
    assert read('{"a": 1}\n{"b": \n{"c": NaN}\n{"d": 4}\n') == [
        (1, {"a": 1}),
        (2, "not JSON: Expecting value (character 6)"),
        (3, "not JSON: NaN is no number"),
        (4, {"d": 4}),
    ]
    assert read('{"a" 1}\n{"b": 2}\n') == [(1, "not JSON: Expecting ':' delimiter (character 6)"), (2, {"b": 2})]


def test_an_overlong_line_is_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "LONGEST", 20)
    assert read('{"a": 1}\n{"b": "' + "x" * 100 + '"}\n{"c": 3}\n{"d": "' + "x" * 30) == [
        (1, {"a": 1}),
        (2, "is longer than 20 characters"),
        (3, {"c": 3}),
        (4, "is longer than 20 characters"),
    ]


def test_a_list() -> None:
    assert read('[{"a": 1},\n\n {"b":\n 2}\n]\n') == [(1, {"a": 1}), (3, {"b": 2})]
    assert read("[]") == []
    assert read("[7, 8]") == [(1, 7), (1, 8)]


def test_one_object_over_many_lines_and_several() -> None:
    assert read('{\n "a": 1\n}\n') == [(1, {"a": 1})]
    assert read('{\n "a": 1\n}\n{\n "b": 2\n}') == [(1, {"a": 1}), (4, {"b": 2})]


def test_nothing() -> None:
    assert read("") == []
    assert read(" \n\n") == []


@pytest.mark.parametrize(
    ("text", "line", "why"),
    [
        ('[{"a": 1},\n{"b" 2}]', 2, "not JSON: Expecting ':' delimiter (character 6)"),
        ('[{"a": 1}\n{"b": 2}]', 2, "not JSON: expected a comma between two orders"),
        ('[{"a": 1},\n', 2, "not JSON: the list does not end"),
        ("hello", 1, "not JSON: Expecting value (character 1)"),
        ('{\n "a": [', 1, "not JSON: Expecting value (character 8)"),
        ("[" * 200_000, 1, "not JSON: nested too deep"),
        ('{"a": 1}\n' + '{"b": ' + "[" * 200_000 + "\n", 2, "not JSON: nested too deep"),
        ('{"b": ' + "[" * 200_000 + "}\n", 1, "not JSON: nested too deep"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_a_text_that_is_broken(text: str, line: int, why: str) -> None:
    assert read(text)[-1] == (line, why)


def test_an_object_larger_than_a_piece_and_one_without_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "CHUNK", 7)
    assert read('[\n{"a": "' + "x" * 50 + '"}, {"b": 12345678}, 123456]') == [
        (2, {"a": "x" * 50}),
        (2, {"b": 12345678}),
        (2, 123456),
    ]
    monkeypatch.setattr(reading, "LONGEST", 60)
    [(line, why)] = read('[{"a": "' + "x" * 500)
    assert line == 1
    assert str(why).startswith("not JSON: Unterminated string")


class Endless(io.TextIOBase):
    """A file of many orders that is nowhere as a whole."""

    def __init__(self, pieces: Iterator[str]) -> None:
        self._pieces = pieces
        self._rest = ""

    def readline(self, size: int | None = -1) -> str:  # type: ignore[override] # of bytes and of texts
        return next(self._pieces, "")

    def read(self, size: int | None = -1) -> str:
        return next(self._pieces, "")


@pytest.mark.parametrize("form", ["lines", "list"])
def test_many_orders_take_no_more_memory_than_a_few(form: str) -> None:
    line = json.dumps(GOOD) + "\n"

    def pieces() -> Iterator[str]:
        if form == "list":
            yield "[\n"
        for place in range(20_000):
            yield f",{line}" if form == "list" and place else line
        if form == "list":
            yield "]"

    tracemalloc.start()
    try:
        count = 0
        for one in read_orders(cast("TextIO", Endless(pieces()))):
            count += one.fault is None
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert count == 20_000
    assert most < 2_000_000
