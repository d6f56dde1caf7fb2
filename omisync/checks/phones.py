"""A buyer's phone number: whether it is one, and in the international form."""

import unicodedata
from dataclasses import dataclass
from typing import Final

import phonenumbers

_WHY: Final = {
    phonenumbers.ValidationResult.TOO_SHORT: "is too short",
    phonenumbers.ValidationResult.TOO_LONG: "is too long",
    phonenumbers.ValidationResult.INVALID_LENGTH: "has a wrong number of digits",
    phonenumbers.ValidationResult.INVALID_COUNTRY_CODE: "has no country's code after the +",
}


@dataclass(frozen=True, slots=True)
class Phone:
    """A phone number as it was read.

    Attributes:
        number: with the country's code, such as +84901234567; None when it is none.
        why: what is wrong with it; None when nothing is.
    """

    number: str | None
    why: str | None = None


def read_phone(text: str, country: str) -> Phone:
    """Reads a number as it is dialled in a country.

    Args:
        text: as the buyer typed it.
        country: two letters, for numbers without a country's code.
    """
    text = unicodedata.normalize("NFKC", text).strip()
    if any(each.isalpha() for each in text):
        return Phone(None, "has letters in it")  # phonenumbers would take them for a keypad's, or for an extension
    if any(each in "/,;|\n" for each in text):
        return Phone(None, "is more than one number")
    try:
        parsed = phonenumbers.parse(text, country)
    except phonenumbers.NumberParseException:
        return Phone(None, "is no phone number")
    why = _WHY.get(phonenumbers.is_possible_number_with_reason(parsed))
    if why is None and not phonenumbers.is_valid_number(parsed):
        region = phonenumbers.region_code_for_country_code(parsed.country_code or 0)
        why = f"is in no range of numbers that {region} has given out"
    if why is not None:
        return Phone(None, why)
    return Phone(phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164))
