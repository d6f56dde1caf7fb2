"""Kinds of divisions and how they are written before or after a name: "TP.", "Quận", "Q.1", "Ba Dinh District"."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from omisync.checks.folding import accented, plain, toned, words

Level = Literal["province", "district", "subdistrict"]

_Table: TypeAlias = Mapping[Level, Mapping[str, frozenset[str]]]


def _table(level: Mapping[str, str]) -> dict[str, frozenset[str]]:
    """Folded form to the kinds it may mean, from kinds to the forms they are written in, parted by commas."""
    found: dict[str, frozenset[str]] = {}
    for kinds, forms in level.items():
        for form in forms.split(", "):
            found[plain(words(form))] = found.get(plain(words(form)), frozenset()) | frozenset(kinds.split("|"))
    return found


_CITY: Final = "Thành phố, Thànhphố, TP, T.P, T.Phố, City, City of"
_BEFORE: Final[_Table] = {
    "province": _table({"tỉnh": "Tỉnh, T, Province, Province of", "thành phố": _CITY}),
    "district": _table(
        {
            "quận": "Quận, Q",
            "huyện": "Huyện, H",
            "thị xã": "Thị xã, Thịxã, TX, T.X, Town",
            "thành phố": _CITY,
            "quận|huyện": "District, Dist, D",  # English does not tell them apart
        }
    ),
    "subdistrict": _table(
        {
            "phường": "Phường, P, F, Ward, W",
            "xã": "Xã, X, Commune",
            "thị trấn": "Thị trấn, Thịtrấn, TT, T.T, Township, Town",
            "đặc khu": "Đặc khu, ĐK",
        }
    ),
}
_AFTER: Final[_Table] = {
    "province": _table({"tỉnh|thành phố": "Province", "thành phố": "City, Municipality"}),
    "district": _table({"quận|huyện": "District, Dist", "thị xã": "Town", "thành phố": "City"}),
    "subdistrict": _table(
        {
            "phường": "Ward",
            "xã": "Commune",
            "thị trấn": "Township, Town",
            "đặc khu": "Special zone, Special administrative zone",
        }
    ),
}
_SPELLED_OUT: Final = frozenset(
    toned(words(form))
    for form in ("Tỉnh", "Thành phố", "Quận", "Huyện", "Thị xã", "Phường", "Xã", "Thị trấn", "Đặc khu")
)
_SPELLED_OUT_PLAIN: Final = frozenset(
    plain(words(form))
    for form in ("Tỉnh", "Thành phố", "Quận", "Huyện", "Thị xã", "Phường", "Xã", "Thị trấn", "Đặc khu")
)
_ROMAN: Final = {"i": "1", "ii": "2", "iii": "3", "iv": "4", "v": "5", "vii": "7", "viii": "8"}  # "vi" is Vì, Vĩ
_MOST_WORDS: Final = 3  # of a prefix or a suffix


@dataclass(frozen=True, slots=True)
class Reading:
    """One way to read a text as a name.

    Attributes:
        kinds: what the division may be, folded; empty when the text does not say.
        name: the words of the name itself, never none; a Roman number at its end ("Hải Châu I") in digits.
    """

    kinds: frozenset[str]
    name: tuple[str, ...]


def readings(of: Sequence[str], level: Level) -> Iterator[Reading]:
    """Every way to read the words: as a bare name ("Phương Mai"), and with what may be a prefix or a suffix off."""
    if of:
        yield _reading(frozenset(), of)
    for count in range(1, min(_MOST_WORDS, len(of) - 1) + 1):
        if (kinds := _BEFORE[level].get(plain(of[:count]))) is not None:
            yield _reading(kinds, of[count:])
        if (kinds := _AFTER[level].get(plain(of[-count:]))) is not None:
            yield _reading(kinds, of[:-count])


def own_reading(of: Sequence[str], level: Level) -> Reading:
    """How Omisell's own name is read: with the kind it begins with off, if it begins with one.

    Where accents are written, "Phương Mai" does not begin with "Phường".
    """
    for count in range(min(_MOST_WORDS, len(of) - 1), 0, -1):
        kinds = _BEFORE[level].get(plain(of[:count]))
        if kinds is not None and (_is_spelled(of[:count]) or not accented(of)):
            return _reading(kinds, of[count:])
    return _reading(frozenset(), of)


def _reading(kinds: frozenset[str], name: Sequence[str]) -> Reading:
    return Reading(kinds, (*name[:-1], _ROMAN.get(name[-1], name[-1])) if name else ())


def _is_spelled(prefix: Sequence[str]) -> bool:
    """Whether it is an abbreviation, or a kind with its accents right."""
    return plain(prefix) not in _SPELLED_OUT_PLAIN or toned(prefix) in _SPELLED_OUT
