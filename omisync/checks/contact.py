"""E-mail and zip code: whether they can be what they are said to be."""

import re
from collections.abc import Mapping
from typing import Final

_MAILBOX: Final = re.compile(r"[^\s@,;<>()\[\]\"]{1,64}@(?:[^\W_](?:[\w-]{0,61}[^\W_])?\.)+[^\W\d_]{2,63}")
_ZIP_CODES: Final[Mapping[str, tuple[re.Pattern[str], str]]] = {
    "VN": (re.compile(r"\d{5,6}"), "5 digits, or 6 of before 2018"),
    "TH": (re.compile(r"\d{5}"), "5 digits"),
    "PH": (re.compile(r"\d{4}"), "4 digits"),
    "ID": (re.compile(r"\d{5}"), "5 digits"),
    "MY": (re.compile(r"\d{5}"), "5 digits"),
}


def fault_of_email(text: str) -> str | None:
    """What is wrong with an e-mail address; None if nothing that can be seen."""
    text = text.strip()
    if _MAILBOX.fullmatch(text) and ".." not in text and not text.startswith("."):
        return None
    return "is no e-mail address"


def fault_of_zip(text: str, country: str) -> str | None:
    """What is wrong with a zip code of one of Omisell's countries; None if nothing, or of another country."""
    known = _ZIP_CODES.get(country.upper())
    if known is None or known[0].fullmatch(text.strip()):
        return None
    return f"is no zip code of {country.upper()}: these have {known[1]}"
