"""Addresses: what is resolved, what is only named, and what is never guessed."""

from collections.abc import Sequence

import pytest

from omisync.checks.addresses import Address, Gazetteer, Resolution
from omisync.checks.names import Location


def resolve(gazetteer: Gazetteer, text: str) -> Resolution:
    """`subdistrict | district | province`, as an address is spoken."""
    subdistrict, district, province = (part.strip() for part in text.split("|"))
    return gazetteer.resolve(Address(province, district, subdistrict))


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("Phường Bến Nghé | Quận 1 | Thành phố Hồ Chí Minh", "Phường Bến Nghé, Quận 1, Thành phố Hồ Chí Minh"),
        ("P. Ben Nghe | Q1 | TP.HCM", "Phường Bến Nghé, Quận 1, Thành phố Hồ Chí Minh"),
        ("P.05 | Q. Gò Vấp | Sài Gòn", "Phường 5, Quận Gò Vấp, Thành phố Hồ Chí Minh"),
        ("Kim Ma Ward | Ba Dinh District | Hanoi City", "Phường Kim Mã, Quận Ba Đình, Thành phố Hà Nội"),
        ("Phuong Mai | Dong Da | HN", "Phường Phương Mai, Quận Đống Đa, Thành phố Hà Nội"),
        ("bến nghé q1 | Quận 1 | hcm", "Phường Bến Nghé, Quận 1, Thành phố Hồ Chí Minh"),
        ("Bến Nghé, Quận 1 | Quận 1 | Hồ Chí Minh", "Phường Bến Nghé, Quận 1, Thành phố Hồ Chí Minh"),
        # a town, and a district of the same name around it: the ward tells
        ("Hưng Trí | Kỳ Anh | Hà Tĩnh", "Phường Hưng Trí, Thị xã Kỳ Anh, Tỉnh Hà Tĩnh"),
        # without a district, where the province has one ward of that name
        ("Bến Nghé | | Hồ Chí Minh", "Phường Bến Nghé, Quận 1, Thành phố Hồ Chí Minh"),
        ("Bátt Tràng | Gia Lâm | Hà Nội", "Xã Bát Tràng, Huyện Gia Lâm, Thành phố Hà Nội"),
        ("| Quận 1 | HCM", "Quận 1, Thành phố Hồ Chí Minh"),
        ("| | tinh ba ria - vung tau, Việt Nam", "Tỉnh Bà Rịa - Vũng Tàu"),
    ],
)
def test_an_address_of_the_old_division_is_resolved(old: Gazetteer, text: str, meant: str) -> None:
    assert str(resolve(old, text).address) == meant


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("Phường Bến Thành | | TP. Hồ Chí Minh", "Phường Bến Thành, Thành phố Hồ Chí Minh"),
        ("Hoan Kiem | | Ha Noi", "Phường Hoàn Kiếm, Thành phố Hà Nội"),
        ("X. Thạnh An | | TPHCM", "Xã Thạnh An, Thành phố Hồ Chí Minh"),
        ("Phú Quốc Special Zone | | An Giang Province", "Đặc khu Phú Quốc, Tỉnh An Giang"),
    ],
)
def test_an_address_of_the_new_division_is_resolved(new: Gazetteer, text: str, meant: str) -> None:
    assert str(resolve(new, text).address) == meant


@pytest.mark.parametrize(
    ("text", "level", "candidates"),
    [
        # two wards that differ by an accent only
        (
            "Huong Van | Hương Trà | Huế",
            "subdistrict",
            ["Phường Hương Vân, Thị xã Hương Trà, Thành phố Huế", "Phường Hương Văn, Thị xã Hương Trà, Thành phố Huế"],
        ),
        # a town and a district, and nothing that tells them apart
        ("| Kỳ Anh | Hà Tĩnh", "district", ["Huyện Kỳ Anh, Tỉnh Hà Tĩnh", "Thị xã Kỳ Anh, Tỉnh Hà Tĩnh"]),
    ],
)
def test_what_fits_twice_is_not_decided_but_named(
    old: Gazetteer, text: str, level: str, candidates: Sequence[str]
) -> None:
    result = resolve(old, text)
    assert (result.address, result.level, result.reason) == (None, level, "ambiguous")
    assert sorted(map(str, result.candidates)) == sorted(candidates)


def test_a_ward_that_several_districts_have_is_not_decided_without_the_district(old: Gazetteer) -> None:
    result = resolve(old, "Phường 1 | | Hồ Chí Minh")
    assert (result.address, result.level, result.reason) == (None, "district", "ambiguous")
    assert "Phường 1, Quận Gò Vấp, Thành phố Hồ Chí Minh" in map(str, result.candidates)


def test_the_accents_decide_where_they_are_written(old: Gazetteer) -> None:
    assert str(resolve(old, "P. Hương Văn | Hương Trà | Huế").address).startswith("Phường Hương Văn,")


def test_another_kind_is_not_taken_for_the_same_place(old: Gazetteer) -> None:
    result = resolve(old, "| Quận Thủ Đức | Hồ Chí Minh")
    assert (result.address, result.reason) == (None, "unknown")
    assert "Thành phố Thủ Đức, Thành phố Hồ Chí Minh" in map(str, result.candidates)


@pytest.mark.parametrize(
    "text",
    [
        "Phường Tân Quy | Quận Tân Phú | Hồ Chí Minh",  # District 7's Tân Quy, or Tân Phú's Tân Quý?
        "Phường Bình An | Quận Bình Tân | Hồ Chí Minh",  # Thủ Đức's
        "Xã Tân Hùng | Huyện Tân Hồng | Đồng Tháp",
    ],
)
def test_a_real_name_of_another_place_is_no_slip_of_the_pen(old: Gazetteer, text: str) -> None:
    result = resolve(old, text)
    assert (result.address, result.level) == (None, "subdistrict")


def test_a_slip_in_a_number_is_never_mended(old: Gazetteer) -> None:
    result = resolve(old, "Phường 55 | Quận 10 | Hồ Chí Minh")
    assert (result.address, result.level, result.reason) == (None, "subdistrict", "unknown")


def test_a_slip_between_two_names_is_not_decided(old: Gazetteer) -> None:
    result = resolve(old, "Tân Hưmg Thuận | Quận Bình Cánh | Hồ Chí Minh")  # Bình Chánh, or Bình Thạnh?
    assert (result.address, result.level) == (None, "district")
    assert "Huyện Bình Chánh, Thành phố Hồ Chí Minh" in map(str, result.candidates)


def test_a_district_where_omisell_has_none_is_not_dropped_in_silence(new: Gazetteer) -> None:
    result = resolve(new, "Phường Ô Chợ Dừa | Quận Đống Đa | Hà Nội")
    assert (result.address, result.level, result.reason) == (None, "district", "unknown")
    assert [str(each) for each in result.candidates] == ["Phường Ô Chợ Dừa, Thành phố Hà Nội"]


def test_a_province_that_was_merged_is_unknown_in_the_new_division(new: Gazetteer) -> None:
    result = resolve(new, "Phường Dĩ An | Thành phố Dĩ An | Bình Dương")
    assert (result.address, result.level, result.reason) == (None, "province", "unknown")


def test_nothing_given_is_unknown_not_a_fault(old: Gazetteer) -> None:
    assert resolve(old, "| |") == Resolution(None, "province", "unknown")


def test_lists_without_kinds_and_without_accents_work_too() -> None:
    gazetteer = Gazetteer(
        [
            Location("province", 1, "Ha Noi"),
            Location("district", 1, "Dong Da", ("province", 1)),
            Location("subdistrict", 1, "Phuong Mai", ("district", 1)),
            Location("subdistrict", 2, "Kim Lien", ("district", 1)),
        ]
    )
    assert str(resolve(gazetteer, "P. Kim Liên | Quận Đống Đa | TP Hà Nội").address) == "Kim Lien, Dong Da, Ha Noi"


def test_both_divisions_at_once_are_told_apart_by_the_district() -> None:
    gazetteer = Gazetteer(
        [
            Location("province", 1, "Thành phố Hà Nội"),
            Location("district", 1, "Quận Hoàn Kiếm", ("province", 1)),
            Location("subdistrict", 1, "Phường Cửa Nam", ("district", 1)),
            Location("subdistrict", 2, "Phường Cửa Nam", ("province", 1)),
        ]
    )
    assert str(resolve(gazetteer, "Cửa Nam | Hoàn Kiếm | Hà Nội").address) == (
        "Phường Cửa Nam, Quận Hoàn Kiếm, Thành phố Hà Nội"
    )
    assert str(resolve(gazetteer, "Cửa Nam | | Hà Nội").address) == "Phường Cửa Nam, Thành phố Hà Nội"


def test_a_country_whose_kinds_are_not_known_is_compared_by_the_names_alone() -> None:
    gazetteer = Gazetteer(
        [
            Location("province", 1, "กรุงเทพมหานคร"),
            Location("district", 1, "เขตบางรัก", ("province", 1)),
            Location("subdistrict", 1, "แขวงสีลม", ("district", 1)),
            Location("subdistrict", 2, "แขวงสิลม", ("district", 1)),
        ]
    )
    assert resolve(gazetteer, "แขวงสีลม|เขตบางรัก|กรุงเทพมหานคร").address == Address("กรุงเทพมหานคร", "เขตบางรัก", "แขวงสีลม")


def test_an_empty_gazetteer_says_so() -> None:
    assert Gazetteer([]).is_empty
    assert not Gazetteer([Location("province", 1, "Huế")]).is_empty


def test_what_is_below_a_place(old: Gazetteer, new: Gazetteer) -> None:
    assert len(old.below(Address())) == 63
    assert old.below(Address("Thành phố Hà Nội"))[:2] == ("Quận Ba Đình", "Quận Hoàn Kiếm")
    assert old.below(Address("Thành phố Hà Nội", "Huyện Gia Lâm"))[0] == "Thị trấn Yên Viên"
    assert "Phường Hoàn Kiếm" in new.below(Address("Thành phố Hà Nội"))
    assert old.below(Address("Hà Nội")) == old.below(Address("Thành phố Hà Nội", "Ba Đình")) == ()
