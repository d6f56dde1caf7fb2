"""Folding: which spellings are one name, and which are two."""

import unicodedata

import pytest

from omisync.checks.folding import accented, joined, plain, toned, words
from omisync.checks.kinds import own_reading, readings


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Hoà An", "Hòa An"),
        ("Thuỷ Xuân", "Thủy Xuân"),
        ("Mỹ Lợi", "MĨ LỢI"),
        ("Quý Lộc", "quí lộc"),
        ("Đông Đa", "Ðông Ða"),
        ("Đakrông", unicodedata.normalize("NFD", "ĐAKRÔNG")),
        ("Cư M'gar", "Cư M’Gar"),
        ("Phường 05", "phường  5"),
        ("Q.1", "Q1"),
        ("Bến\u00a0Ng\u200bhé", "Bến Nghé"),
    ],
)
def test_spellings_of_one_name_have_the_same_tones(one: str, other: str) -> None:
    assert toned(words(one)) == toned(words(other))


@pytest.mark.parametrize(
    ("one", "other"),
    [("Thanh An", "Thạnh An"), ("Hương Vân", "Hương Văn"), ("Đại Từ", "Dai Tu"), ("Bà Rịa", "Ba Ria")],
)
def test_names_that_differ_by_accents_are_told_apart_and_are_alike_when_plain(one: str, other: str) -> None:
    assert toned(words(one)) != toned(words(other))
    assert plain(words(one)) == plain(words(other))


def test_names_that_differ_by_more_than_accents_stay_apart() -> None:
    assert joined(words("Tân Tây")) != joined(words("Tân Tài"))
    assert joined(words("Ba Vì")) == joined(words("ba vi")) == "bavi"
    assert joined(words("Thủy")) != joined(words("Thui"))


def test_letters_of_other_scripts_keep_their_vowels() -> None:
    assert joined(words("สีลม")) != joined(words("สิลม"))


def test_what_is_written_without_accents_is_known_as_such() -> None:
    assert accented(words("Đa Kao"))
    assert accented(words("Hà Nội"))
    assert not accented(words("Ha Noi"))


def test_a_text_is_read_with_and_without_its_prefix() -> None:
    assert {(reading.kinds, reading.name) for reading in readings(words("phuong mai"), "subdistrict")} == {
        (frozenset(), ("phuong", "mai")),
        (frozenset({"phường"}), ("mai",)),
    }


@pytest.mark.parametrize(
    ("name", "kinds", "rest"),
    [
        ("Phường Phương Mai", {"phường"}, "Phương Mai"),
        ("Phương Mai", set(), "Phương Mai"),
        ("Thị trấn Trâu Quỳ", {"thị trấn"}, "Trâu Quỳ"),
        ("TT. Trâu Quỳ", {"thị trấn"}, "Trâu Quỳ"),
        ("Phuong Ben Nghe", {"phường"}, "Ben Nghe"),
        ("Phường", set(), "Phường"),
        ("Phường I", {"phường"}, "1"),
        ("Phường Hải Châu II", {"phường"}, "Hải Châu 2"),
    ],
)
def test_the_kind_that_omisells_own_name_begins_with(name: str, kinds: set[str], rest: str) -> None:
    reading = own_reading(words(name), "subdistrict")
    assert (set(reading.kinds), list(reading.name)) == (kinds, words(rest))


def test_no_words_are_no_name() -> None:
    assert list(readings([], "province")) == []
