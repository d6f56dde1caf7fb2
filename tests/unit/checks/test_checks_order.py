"""An order held against what is known: changes that would make it right, and what nobody can mend without asking."""

from dataclasses import replace

import pytest

from omisync.checks.addresses import Gazetteer
from omisync.checks.findings import Change, Finding
from omisync.checks.order import Facts, Verdict, judge, judge_address, judge_contact, skus_of


def order(**receiver: object) -> dict[str, object]:
    return {"order_number": "WEB-1", "receiver": receiver}


def test_an_address_in_omisells_spelling_is_left_alone(old: Gazetteer) -> None:
    body = order(province_name="Tỉnh Nghệ An", district_name="Thành phố Vinh", subdistrict_name="Phường Lê Lợi")
    assert judge_address(body, old) == Verdict()


def test_an_address_in_another_spelling_says_what_would_be_sent(old: Gazetteer) -> None:
    body = order(province_name="nghe an", district_name="TP Vinh", subdistrict_name="Phường Lê Lợi")
    assert judge_address(body, old) == Verdict(
        changes=(
            Change("receiver.province_name", "nghe an", "Tỉnh Nghệ An"),
            Change("receiver.district_name", "TP Vinh", "Thành phố Vinh"),
        )
    )


def test_a_district_that_was_left_out_is_put_in(old: Gazetteer) -> None:
    body = order(province_name="Hồ Chí Minh", subdistrict_name="Bến Nghé")
    assert Change("receiver.district_name", "", "Quận 1") in judge_address(body, old).changes


def test_an_address_that_fits_twice_names_both(old: Gazetteer) -> None:
    verdict = judge_address(order(province_name="Hà Tĩnh", district_name="Kỳ Anh"), old)
    assert verdict == Verdict(
        findings=(
            Finding(
                "receiver.district_name",
                "fits more than one place of Omisell's address system: Huyện Kỳ Anh, Tỉnh Hà Tĩnh; Thị xã Kỳ Anh, "
                "Tỉnh Hà Tĩnh. Put the names of the right one into the order",
            ),
        )
    )


def test_an_address_that_is_not_there_names_what_is_near_it_if_anything_is(old: Gazetteer) -> None:
    [near] = judge_address(order(province_name="Hà Nội", district_name="Quận Thanh Xuyên Mới"), old).findings
    assert near.why.startswith("is not in Omisell's address system; near it are: Quận Thanh Xuân, Thành phố Hà Nội")
    [far] = judge_address(order(province_name="Atlantis"), old).findings
    assert str(far) == (
        "receiver.province_name: is not in Omisell's address system, nor is anything like it; `omisync locations` "
        "lists what is"
    )


@pytest.mark.parametrize(
    "body", [{}, {"receiver": None}, {"receiver": "Hà Nội"}, order(), order(province_name=None, district_name=" ")]
)
def test_a_receiver_without_places_is_not_judged(old: Gazetteer, body: dict[str, object]) -> None:
    assert judge_address(body, old) == Verdict()


def test_names_of_an_odd_type_are_unknown_not_a_fault_of_ours(old: Gazetteer) -> None:
    assert (
        judge_address(order(province_name=["Hà Nội"], district_name=1), old).findings[0].field
        == "receiver.province_name"
    )


def test_contact_data_that_is_in_order() -> None:
    assert judge_contact(order(phone="+84901234567", email="an@shop.example", zip_code=""), "VN") == Verdict()
    assert judge_contact(order(phone=None, email=""), "VN") == Verdict()


def test_contact_data_that_is_not() -> None:
    verdict = judge_contact(order(phone="0901 234 56x", email="an(at)shop.example", zip_code="7"), "VN")
    assert verdict.changes == ()
    assert [finding.field for finding in verdict.findings] == ["receiver.phone", "receiver.email", "receiver.zip_code"]


def test_a_phone_in_another_spelling_would_be_sent_with_its_country_and_stays_private() -> None:
    change = Change("receiver.phone", "090 123 4567", "+84901234567", private=True)
    assert judge_contact(order(phone="090 123 4567"), "VN") == Verdict(changes=(change,))


def test_skus_each_once_and_only_what_is_one() -> None:
    items = [{"sku": "B"}, {"sku": "A"}, {"sku": "B"}, {"sku": ""}, {"sku": 7}, {}, "A"]
    assert skus_of({"items": items}) == ["B", "A"]
    assert skus_of({"items": "A"}) == skus_of({}) == []


def test_an_order_against_everything_that_is_known(old: Gazetteer) -> None:
    facts = Facts("VN", old, {21001: "custom", 21650: "shopee"}, {167}, {"TEE-M"})
    good = {
        **order(province_name="Tỉnh Nghệ An", district_name="Thành phố Vinh", phone="+84901234567"),
        "shop_id": 21001,
        "pickup_id": 167,
        "items": [{"sku": "TEE-M"}],
    }
    assert judge(good, facts) == []
    bad = {
        **order(province_name="nghe an", district_name="Kỳ Anh", phone="0901"),
        "shop_id": 21650,
        "pickup_id": 9,
        "items": [{"sku": "XX"}],
    }
    assert [str(finding).partition(":")[0] for finding in judge(bad, facts)] == [
        "shop_id",
        "pickup_id",
        "receiver.phone",
        "receiver.district_name",
        "items",
    ]
    assert str(judge({**good, "shop_id": 5}, facts)[0]) == (
        "shop_id: is no shop of the account; `omisync shops` lists them"
    )
    [spelled] = judge({**good, **order(province_name="nghe an")}, facts)
    assert str(spelled) == "receiver.province_name: Omisell writes it 'Tỉnh Nghệ An'"
    assert judge({**good, **order(province_name="nghe an")}, replace(facts, mends_addresses=True)) == []


def test_nothing_is_held_against_a_list_that_was_never_read() -> None:
    body = {**order(province_name="Atlantis"), "shop_id": 5, "pickup_id": 9, "items": [{"sku": "XX"}]}
    assert judge(body, Facts("VN")) == []


def test_ids_of_an_odd_type_and_those_left_out_are_not_ours_to_judge() -> None:
    facts = Facts("VN", shops={}, pickups=())
    for value in (None, "21001", True, 1.5):
        assert judge({"shop_id": value, "pickup_id": value}, facts) == []


def test_a_parcel_that_goes_abroad_has_no_place_here(old: Gazetteer) -> None:
    assert judge(order(country="TH", province_name="Bangkok"), Facts("VN", old)) == []
