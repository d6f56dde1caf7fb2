"""The parts of Omisell's answers, read tolerantly."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from omisync.omisell import AddedOrder, ListedOrder, OrderDetail, Parcel, Pickup, Shop
from omisync.omisell.models import integer, moment, number, text

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (7, 7),
        (7.0, 7),
        ("7", 7),
        (" 7.0 ", 7),
        ("5e2", 500),
        ("-3", -3),
        (2**63 - 1, 2**63 - 1),
        (2**63, None),
        (-(2**63) - 1, None),
        (7.5, None),
        ("7.5", None),
        ("1_000", None),
        ("٧", None),
        ("9" * 41, None),
        ("x", None),
        ("", None),
        ("inf", None),
        ("nan", None),
        (float("inf"), None),
        (True, None),
        (None, None),
        ([], None),
    ],
)
def test_whole_numbers_however_written(value: object, found: int | None) -> None:
    assert integer(value) == found


@pytest.mark.parametrize(
    ("value", "found"), [(0, None), ("0", None), (-1, None), (1790000000, 1790000000), ("1790000000", 1790000000)]
)
def test_a_time_of_nothing_is_none(value: object, found: int | None) -> None:
    assert moment(value) == found


@pytest.mark.parametrize(
    ("value", "found"),
    [(" a ", "a"), (7, "7"), (7.5, "7.5"), ("", None), (" ", None), (None, None), (True, None), ([], None)],
)
def test_texts(value: object, found: str | None) -> None:
    assert text(value) == found


@pytest.mark.parametrize(("value", "found"), [("x" * 255, "x" * 255), ("x" * 256, None), (None, None), (12, "12")])
def test_order_numbers(value: object, found: str | None) -> None:
    assert number(value) == found


@pytest.mark.parametrize("kind", [AddedOrder, ListedOrder, OrderDetail])
@pytest.mark.parametrize("given", [{}, {"omisell_order_number": None}, {"omisell_order_number": " "}])
def test_an_order_without_omisells_number_is_none(kind: Any, given: Any) -> None:
    with pytest.raises(ValidationError):
        kind.model_validate(given)


def test_an_added_order() -> None:
    added = AddedOrder.model_validate({"omisell_order_number": 5, "status_id": "200", "status_name": "", "x": 1})
    assert (added.omisell_order_number, added.status_id, added.status_name) == ("5", 200, None)


def test_a_detail_in_odd_shapes() -> None:
    data = {
        "omisell_order_number": "OD1",
        "status_id": "9999",
        "rts_time": 0,
        "shipped_time": "1790003300",
        "parcels": [{"package_number": 1, "items": [{"sku": "A"}, 7]}, None, "x", Parcel(package_number="p")],
        "receiver": {"fullname": "Nguyen Van A"},
    }
    order = OrderDetail.from_data(data)
    assert (order.status_id, order.rts_time, order.shipped_time) == (9999, None, 1790003300)
    assert [parcel.package_number for parcel in order.parcels] == ["1", "p"]
    assert order.parcels[0].items == [{"sku": "A"}]
    assert order.raw == data
    assert "Nguyen" not in repr(order)
    assert OrderDetail.from_data({"omisell_order_number": "OD1", "parcels": None}).parcels == ()


def test_what_is_wrong_is_not_quoted() -> None:
    with pytest.raises(ValidationError) as caught:
        ListedOrder.model_validate({"omisell_order_number": ["0900000000"]})
    assert "0900000000" not in str(caught.value)


def test_what_else_a_parcel_has_is_kept_as_it_is() -> None:
    known = {"package_number": "1", "courier_name": "C", "courier_tracking_number": "T", "shipment_status": 300}
    more = {"courier_service": "Standard", "of_tomorrow": [{"a": None}], "others": 7, "items": "no list"}
    detail = {"omisell_order_number": "OD1", "parcels": [{**known, "catalogue_items": [{"sku": "S"}], **more}, 7]}
    (parcel,) = OrderDetail.from_data(detail).parcels
    assert (parcel.items, parcel.others) == ([{"sku": "S"}], more)
    (old,) = OrderDetail.from_data({**detail, "parcels": [{**known, "items": [{"sku": "S"}]}]}).parcels
    assert (old.items, old.others) == ([{"sku": "S"}], {})


def test_shops_and_pickups_under_either_name() -> None:
    assert Shop.model_validate({"id": "1", "name": " A "}) == Shop.model_validate({"shop_id": 1, "shop_name": "A"})
    assert Pickup.model_validate({"pickup_id": "1", "name": "W"}) == Pickup.model_validate(
        {"id": 1, "pickup_name": "W"}
    )
    with pytest.raises(ValidationError):
        Shop.model_validate({"shop_id": "x"})


@given(st.dictionaries(st.sampled_from(sorted(OrderDetail.model_fields)), ANYTHING))
def test_any_detail_is_read_or_refused(data: dict[str, object]) -> None:
    data["omisell_order_number"] = "OD1"
    assert OrderDetail.from_data(data).omisell_order_number == "OD1"
