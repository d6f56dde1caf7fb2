"""The body of a push."""

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omisync.omisell import ORDER_EVENTS, BadPush, Push, parse_push, push
from omisync.omisell.push import _TEXTS, _WHOLES, _as_documented, _OrderData

GUIDE = b"""{
"data": {
"updated_time": 1719638400,
"order_number": "ORD-2024-0001",
"omisell_order_number": "OMI-XXXXX",
"status_id": "500",
"status_name": "Shipped",
"is_fulfilled": true,
"created_time": "1719638000"
},
"event": "order.shipped",
"shop_id": 12345,
"seller_id": 99999,
"platform": "custom",
"timestamp": 1719638401,
"request_id": "xxxx"
}"""


def body(event: object = "order.shipped", data: object = None, **more: object) -> bytes:
    return json.dumps({"event": event, "data": data, **more}).encode()


def test_the_guides_own_sample_byte_for_byte() -> None:
    assert parse_push(GUIDE) == Push(
        event="order.shipped",
        request_id="xxxx",
        order_number="ORD-2024-0001",
        omisell_order_number="OMI-XXXXX",
        status_id=500,
        updated_time=1719638400,
        shop_id=12345,
        seller_id=99999,
        category="order",
        handled=True,
    )


@pytest.mark.parametrize("event", sorted(ORDER_EVENTS))
def test_every_event_of_the_guide_is_handled(event: str) -> None:
    push = parse_push(body(event, {"omisell_order_number": "OD1"}))
    assert (push.event, push.category, push.handled) == (event, "order", True)


@pytest.mark.parametrize(
    ("event", "category", "handled"),
    [
        ("shipment.updated", "shipment", True),
        ("return.created", "return", True),
        ("order.something_new", "order", True),
        ("invoice.created", "other", False),
        ("order", "other", False),
        ("", "other", False),
        (None, "other", False),
        (7, "other", False),
    ],
)
def test_the_prefix_tells_what_an_event_is_about(event: object, category: str, handled: bool) -> None:
    push = parse_push(body(event, {"omisell_order_number": "OD1"}))
    assert (push.category, push.handled) == (category, handled)


def test_a_sister_products_key_is_taken_too() -> None:
    assert parse_push(b'{"event_type": " order.shipped "}').event == "order.shipped"


@pytest.mark.parametrize("data", [None, {}, {"order_number": ""}, {"order_number": None}])
def test_a_push_that_names_no_order_is_kept_as_unhandled(data: object) -> None:
    assert parse_push(body(data=data)).handled is False


@pytest.mark.parametrize(
    ("data", "field", "why"),
    [
        ({"status_id": "x"}, "data.status_id", "must be a whole number, as a number or as a string"),
        ({"status_id": True}, "data.status_id", "must be a whole number, as a number or as a string"),
        ({"status_id": -1}, "data.status_id", "must be a whole number, as a number or as a string"),
        ({"updated_time": 2**63}, "data.updated_time", "must be a whole number, as a number or as a string"),
        ({"created_time": [1]}, "data.created_time", "must be a whole number, as a number or as a string"),
        ({"order_number": 7}, "data.order_number", "Input should be a valid string"),
        ({"order_number": "x" * 256}, "data.order_number", "String should have at most 255 characters"),
        ({"omisell_order_number": {}}, "data.omisell_order_number", "Input should be a valid string"),
        ([1], "data", "must be an object"),
        ("x", "data", "must be an object"),
    ],
)
def test_an_order_event_that_breaks_its_types_names_the_field(data: object, field: str, why: str) -> None:
    with pytest.raises(BadPush) as caught:
        parse_push(body(data=data))
    assert (caught.value.field, caught.value.why) == (field, why)


@pytest.mark.parametrize("value", ["", None, 0, "0", " 500 ", 500.0, "5e2"])
def test_numbers_may_be_strings_empty_or_missing(value: object) -> None:
    assert parse_push(body(data={"status_id": value, "updated_time": ""})).updated_time is None


_WORDS = ["OD1", "", "12", "007", " 7", "1_000", 18 * "9", 19 * "9", "\u0661", 255 * "x", 256 * "x"]
_VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 2**63 + 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=300),
    st.sampled_from([*_WORDS, 2**63 - 1, 2**63, 1_700_000_000, [], {}]),
)


@given(st.dictionaries(st.sampled_from([*_TEXTS, *_WHOLES, "is_fulfilled", "else"]), _VALUES))
def test_what_is_taken_without_the_model_the_model_takes_as_well(data: dict[str, object]) -> None:
    if (plain := _as_documented(data)) is not None:
        taken = _OrderData.model_validate(data)
        assert plain == (taken.status_id, taken.updated_time)


@pytest.mark.parametrize("raw", [GUIDE, GUIDE.replace(b'"500"', b"500"), GUIDE.replace(b'"1719638000"', b"null")])
def test_the_guides_own_sample_needs_no_model(raw: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(push, "_OrderData", None)
    assert parse_push(raw).status_id == 500


def test_other_events_are_not_checked() -> None:
    assert parse_push(body("shipment.x", {"status_id": "x", "omisell_order_number": "OD1"})).status_id is None


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (b"", "not JSON (at character 0)"),
        (b"[]", "must be a JSON object"),
        (b"\xff", "not UTF-8"),
        (b'{"a": NaN}', "holds a number that is out of range"),
        (b'{"a":' + b"[" * 70 + b"]" * 70 + b"}", "nested too deeply"),
    ],
)
def test_what_is_no_object_is_refused_as_a_whole(raw: bytes, why: str) -> None:
    with pytest.raises(BadPush) as caught:
        parse_push(raw)
    assert (caught.value.field, caught.value.why) == ("body", why)


def test_long_names_are_cut_and_long_ids_hashed() -> None:
    push = parse_push(body("order." + "x" * 200, request_id="r" * 300))
    assert len(push.event) == 100
    assert push.request_id is not None
    assert push.request_id.startswith("sha256:")
    assert parse_push(body(request_id=7)).request_id == "7"
    assert parse_push(body()).request_id is None


def test_nul_characters_do_not_reach_the_database() -> None:
    assert parse_push(b'{"event": "order.shipped", "data": {"order_number": "A\\u0000B"}}').order_number == "AB"


DATA = st.dictionaries(
    st.sampled_from(["status_id", "order_number", "omisell_order_number", "updated_time", "is_fulfilled"]),
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.text()),
)


@given(st.binary() | st.builds(body, st.sampled_from(sorted(ORDER_EVENTS)), DATA))
def test_any_body_is_a_push_or_a_bad_push(raw: bytes) -> None:
    with contextlib.suppress(BadPush):
        assert isinstance(parse_push(raw), Push)
