"""A detail of any odd shape becomes what Postgres can hold."""

import datetime as dt
import json
import uuid
from typing import Any

import pytest

from omisync.omisell import ListedOrder, OrderDetail
from omisync.store import Fetch
from omisync.sync.listed import listed_of
from omisync.sync.snapshot import snapshot_of

FETCH = Fetch("OMI-1", uuid.UUID(int=1), "A-1", "webhook", 0, 0, 1500, dt.datetime.fromtimestamp(0, dt.UTC), 0.0)


def detail(**more: Any) -> OrderDetail:
    return OrderDetail.from_data({"omisell_order_number": "OMI-1", "order_number": "A-1", **more})


def taken(**more: Any) -> Any:
    return snapshot_of(detail(**more), FETCH, "A-1", None)


def test_strings_for_numbers_are_numbers() -> None:
    snapshot = taken(
        status_id="500", updated_time="1600", shop_id="7", rts_time="0", parcels=[{"shipment_status": "220"}]
    )
    assert (snapshot.status_id, snapshot.updated_time, snapshot.shop_id, snapshot.rts_time) == (500, 1600, 7, None)
    assert json.loads(snapshot.parcels)[0]["shipment_status"] == 220


@pytest.mark.parametrize("odd", [10**30, -(10**30), "1" * 60, 1.5, True, [], {}, None, "soon"])
def test_what_is_no_number_is_none(odd: Any) -> None:
    snapshot = taken(status_id=odd, created_time=odd, shop_id=odd, parcels=[{"pickup_id": odd, "shipment_status": odd}])
    assert (snapshot.status_id, snapshot.created_time, snapshot.shop_id) == (None, None, None)
    (parcel,) = json.loads(snapshot.parcels)
    assert (parcel["pickup_id"], parcel["shipment_status"]) == (None, None)


@pytest.mark.parametrize("late", [253_402_300_800, 1_719_638_000_000, 2**63 - 1])
def test_a_time_beyond_the_year_9999_is_missing(late: int) -> None:
    assert taken(updated_time=late, created_time=late).created_time is None
    assert detail(updated_time=253_402_300_799).updated_time == 253_402_300_799


def test_a_detail_without_a_time_is_as_new_as_what_it_was_fetched_for() -> None:
    assert taken().updated_time == 1500
    assert taken(updated_time=1400).updated_time == 1400


def test_missing_and_null_fields_are_none_and_no_parcels() -> None:
    snapshot = taken(status_id=None, status_name=None, parcels=None)
    assert (snapshot.status_id, snapshot.status_name, snapshot.is_final) == (None, None, False)
    assert (snapshot.parcels, snapshot.tracking_numbers) == ("[]", "[]")


@pytest.mark.parametrize(("status", "final"), [(900, True), (703, True), (799, True), (4711, False), (600, False)])
def test_final_is_what_the_guide_calls_final(status: int, final: bool) -> None:
    assert taken(status_id=status).is_final is final


def test_nul_and_lone_surrogates_are_taken_out_wherever_they_stand() -> None:
    snapshot = taken(
        status_name="Shi\x00pped",
        note={"a\x00": ["x\x00", "\ud800", 3, None]},
        parcels=[{"package_number": "1\x00", "courier_tracking_number": "T\x00RK"}],
    )
    assert snapshot.status_name == "Shipped"
    assert json.loads(snapshot.detail)["note"] == {"a": ["x", "\N{REPLACEMENT CHARACTER}", 3, None]}
    assert json.loads(snapshot.parcels)[0]["package_number"] == "1"
    assert json.loads(snapshot.tracking_numbers) == ["TRK"]


@pytest.mark.parametrize("text", ["\\u0000", "C:\\udata", "\\\\u0000", "\N{GRINNING FACE}", "Nguyễn"])
def test_text_that_only_looks_like_an_escape_stays_as_it_is(text: str) -> None:
    assert json.loads(taken(note=text).detail)["note"] == text


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_what_json_does_not_have_is_refused(number: float) -> None:
    with pytest.raises(ValueError, match="JSON"):
        taken(weight=number)


def test_two_parcels_under_one_number_and_one_without_are_all_kept() -> None:
    snapshot = taken(parcels=[{"package_number": "1"}, {"package_number": "1"}, {}, {"package_number": "x" * 3000}])
    numbers = [parcel["package_number"] for parcel in json.loads(snapshot.parcels)]
    assert numbers == ["1", "1#2", "3", "x" * 200]


def test_a_tracking_number_of_two_parcels_is_named_once() -> None:
    snapshot = taken(parcels=[{"courier_tracking_number": "T"}, {"courier_tracking_number": "T"}, {}])
    assert json.loads(snapshot.tracking_numbers) == ["T"]


@pytest.mark.parametrize(
    ("status", "final", "first"),
    [
        (200, False, False),
        (460, False, True),
        (500, False, True),
        (600, False, False),
        (900, True, True),
        (None, False, False),
    ],
)
def test_a_listed_row_says_whether_its_detail_is_worth_a_hurry(status: int | None, final: bool, first: bool) -> None:
    row = listed_of(ListedOrder(omisell_order_number="OMI-1", status_id=status, status_name="Sh\x00ip"))
    assert (row.is_final, row.first, row.status_name, row.order_number) == (final, first, "Ship", "")
    assert listed_of(ListedOrder(omisell_order_number="OMI-1")).status_name is None
