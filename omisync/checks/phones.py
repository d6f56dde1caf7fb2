"""A buyer's phone number: whether it is one, and in the international form."""

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache
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
    if (number := _ordinary_mobile(text, country)) is not None:
        return Phone(number)
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


def _ordinary_mobile(text: str, country: str) -> str | None:
    """The number of a mobile phone of that country written without blanks; None for all else, which takes longer."""
    found = _plain(country)
    match = None if found is None else found.fullmatch(text)
    return None if match is None else f"+{phonenumbers.country_code_for_region(country)}{match[1]}"


@lru_cache(maxsize=8)
def _plain(country: str) -> re.Pattern[str] | None:
    """A country's mobile numbers, by the library's own metadata; None where its rules are not as simple as that."""
    metadata = phonenumbers.PhoneMetadata.metadata_for_region(country)
    if metadata is None or metadata.mobile is None or metadata.general_desc is None:
        return None
    code = phonenumbers.country_code_for_region(country)
    simple = (
        phonenumbers.COUNTRY_CODE_TO_REGION_CODE.get(code) == (country,)
        and metadata.national_prefix == metadata.national_prefix_for_parsing == "0"
        and metadata.national_prefix_transform_rule is None
    )
    patterns = (metadata.general_desc.national_number_pattern, metadata.mobile.national_number_pattern)
    lengths = metadata.mobile.possible_length or metadata.general_desc.possible_length
    if not simple or None in patterns or not lengths:
        return None
    digits = "|".join(f"[1-9][0-9]{{{length - 1}}}" for length in lengths)
    both = "".join(f"(?=(?:{pattern})$)" for pattern in patterns)
    return re.compile(f"(?:\\+{code}|0){both}({digits})", re.ASCII)
