"""Phones, e-mail addresses, zip codes: what is taken for one, and what is said of the rest."""

import random

import phonenumbers
import pytest

from omisync.checks import phones
from omisync.checks.contact import fault_of_email, fault_of_zip
from omisync.checks.phones import Phone, read_phone


@pytest.mark.parametrize(
    "text",
    [
        "0901234567",
        "+84 90 123 45 67",
        "84901234567",
        "(090) 123-4567",
        "090.123.4567",
        "901234567",
        "0084901234567",
        " ０９０１２３４５６７ ",
        "\u202a+84901234567\u202c",
    ],
)
def test_a_number_in_every_spelling_is_one_number(text: str) -> None:
    assert read_phone(text, "VN") == Phone("+84901234567")


def test_a_number_of_another_country_keeps_its_country() -> None:
    assert read_phone("+66812345678", "VN") == Phone("+66812345678")
    assert read_phone("0812345678", "TH") == Phone("+66812345678")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("0901234567a", "has letters in it"),
        ("O901234567", "has letters in it"),
        ("0901234567x12", "has letters in it"),
        ("0901234567 / 0987654321", "is more than one number"),
        ("0901", "is too short"),
        ("09012345678901", "is too long"),
        ("01661234567", "is in no range of numbers that VN has given out"),
        ("+999123456", "is no phone number"),
        ("***", "is no phone number"),
        ("", "is no phone number"),
    ],
)
def test_what_is_no_number_says_why(text: str, why: str) -> None:
    assert read_phone(text, "VN") == Phone(None, why)


@pytest.mark.parametrize(
    "text", ["an@shop.example", "an.nguyen+web@mail.shop.example", " an@shop.example ", "an@thư.example"]
)
def test_an_address_that_mail_can_go_to(text: str) -> None:
    assert fault_of_email(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "an",
        "an@shop",
        "an shop@shop.example",
        "a@b@shop.example",
        "an@.example",
        "an..n@shop.example",
        "an@shop.example,",
    ],
)
def test_an_address_that_no_mail_can_go_to(text: str) -> None:
    assert fault_of_email(text) == "is no e-mail address"


@pytest.mark.parametrize(
    ("code", "country"), [("70000", "VN"), ("700000", "VN"), ("10110", "TH"), ("1000", "PH"), ("x", "DE")]
)
def test_a_zip_code_of_its_country(code: str, country: str) -> None:
    assert fault_of_zip(code, country) is None


def test_a_zip_code_of_none() -> None:
    assert fault_of_zip("7000", "vn") == "is no zip code of VN: these have 5 digits, or 6 of before 2018"
    assert fault_of_zip("1011O", "TH") == "is no zip code of TH: these have 5 digits"


@pytest.mark.parametrize("country", ["VN", "TH", "PH", "ID", "MY"])
def test_an_ordinary_mobile_number_is_read_quickly_and_no_other_way(
    country: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = phonenumbers.country_code_for_region(country)
    chance = random.Random(7)  # noqa: S311 - no secret
    texts = [
        chance.choice([f"+{code}", "0", "0", "", f"{code}", "+", f"+{code}0", "00"])
        + chance.choice(["1", "3", "8", "9", "91", ""])
        + "".join(chance.choices("0123456789", k=chance.randint(5, 10)))
        + chance.choice(["", "", "", " ", "\n"])
        for _ in range(1500)
    ]
    quick = [read_phone(text, country) for text in texts]
    taken = sum(phones._ordinary_mobile(text, country) is not None for text in texts)
    monkeypatch.setattr(phones, "_ordinary_mobile", lambda *_: None)
    assert quick == [read_phone(text, country) for text in texts]
    assert taken > 5


@pytest.mark.parametrize(("country", "text"), [("US", "0201555012"), ("XX", "0901234567"), ("SG", "81234567")])
def test_where_the_rules_are_not_as_simple_no_number_is_read_quickly(country: str, text: str) -> None:
    assert phones._ordinary_mobile(text, country) is None
