"""The names below one parent: which of them a text means, surely, nearly, or not at all."""

import functools
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Final

from omisync.checks.folding import accented, joined, plain, toned, words
from omisync.checks.kinds import Level, Reading, own_reading, readings

SHORTEST_TYPO: Final = 6  # letters of a name below which one wrong letter makes another name
SHORTEST_WORD: Final = 3  # likewise of a word
SECOND_TYPO: Final = 9  # letters from which two wrong letters are still the same name
CLEARLY: Final = 2  # letters by which the next name must be further away
MOST_NEAR: Final = 5
NEAR_ENOUGH: Final = 0.6  # likeness, of 1, from which a name is worth being shown to a person
_SEPARATORS: Final = (re.compile(r"[,;|/()\n]"), re.compile(r"[,;|/()\n]|\s[-–]\s"))

ALIASES: Final = {
    "hcm": "ho chi minh",
    "hcmc": "ho chi minh",
    "tphcm": "ho chi minh",
    "hcmcity": "ho chi minh",
    "saigon": "ho chi minh",
    "sg": "ho chi minh",
    "tpsg": "ho chi minh",
    "hn": "ha noi",
    "tphn": "ha noi",
    "brvt": "ba ria vung tau",
    "daclac": "dak lak",
    "daclak": "dak lak",
    "daklac": "dak lak",
    "dacnong": "dak nong",
    "thuathienhue": "hue",
    "hue": "thua thien hue",
}
"""What people call a province besides its name; by `joined` key."""


@dataclass(frozen=True, slots=True)
class Location:
    """A row of Omisell's location lists.

    Attributes:
        parent: level and id of what it is in; None for a province.
    """

    level: Level
    id: int
    name: str
    parent: tuple[Level, int] | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """What a text may mean.

    Attributes:
        several: all that fit equally; one only when it is sure.
        near: when none fits, what is spelled alike, nearest first.
    """

    several: tuple[Location, ...] = ()
    near: tuple[Location, ...] = ()

    @property
    def one(self) -> Location | None:
        """The one that is meant, if that is sure."""
        return self.several[0] if len(self.several) == 1 else None


@dataclass(frozen=True, slots=True)
class _Row:
    location: Location
    own: Reading
    words: tuple[str, ...]
    key: str
    tones: str


class Vocabulary:
    """The words of names of every level: what is made of these alone is no slip, but a name that Omisell lacks."""

    def __init__(self) -> None:
        self.plain: set[str] = set()
        self.toned: set[str] = set()


class Known:
    """All names of one level, wherever they are: what is another place's name is no slip of the pen.

    Args:
        vocabulary: the words of all names.
    """

    def __init__(self, vocabulary: "Vocabulary | None" = None) -> None:
        self.keys: set[str] = set()
        self.vocabulary = vocabulary or Vocabulary()


class Names:
    """Names of one level below one parent.

    Args:
        rows: the locations.
        level: of all of them.
        known: the names of this level of the whole country; these are put in too.
    """

    def __init__(self, rows: Iterable[Location], level: Level, known: Known | None = None) -> None:
        self.rows: Sequence[Location] = tuple(rows)
        self._level = level
        self._known = known or Known()
        self._exact: dict[str, list[Location]] = {}
        self._whole: dict[str, list[Location]] = {}
        self._by_key: dict[str, list[_Row]] = {}
        for each in self.rows:
            of = words(each.name)
            self._exact.setdefault(_composed(each.name), []).append(each)
            self._whole.setdefault(toned(of), []).append(each)
            own = own_reading(of, level)
            row = _Row(each, own, tuple(plain(own.name).split()), joined(own.name), toned(own.name))
            self._known.vocabulary.plain.update(row.words)
            self._known.vocabulary.toned.update(row.tones.split())
            self._by_key.setdefault(row.key, []).append(row)
            self._known.keys.add(row.key)

    def only(self, row: Location) -> "Names":
        """The same with one row alone."""
        return Names((row,), self._level)

    def find(self, text: str, *, within: "Names | None" = None) -> Found:
        """What the text means.

        Args:
            text: as the shopper gave it.
            within: the parent, whose name may stand in the text too ("Bến Nghé, Quận 1").
        """
        sure = self.surely(text, within=within)
        if sure:
            return Found(tuple(sure))
        typo = self._mistyped(text)
        return Found((typo,)) if typo is not None else Found(near=tuple(self.nearest(text)))

    def surely(self, text: str, *, within: "Names | None" = None) -> Sequence[Location]:
        """All that the text fits: none, the one, or several between which it does not tell."""
        found = self._exact.get(_composed(text)) or self._whole.get(toned(words(text))) or self._fitting(words(text))
        if found:
            return found
        fits = [fit for segment in _segments(text) if (fit := self._fitting(words(segment)))]
        if fits and all(fit == fits[0] for fit in fits):
            return fits[0]
        return self._before_parent(words(text), within) if within is not None else ()

    def _before_parent(self, of: Sequence[str], within: "Names") -> Sequence[Location]:
        """The text without its end, where that is the parent's name: "Bến Nghé Q1"."""
        for count in range(1, len(of)):
            if within._fitting(of[count:]) and (found := self._fitting(of[:count])):  # noqa: SLF001 - of its own class
                return found
        return ()

    def _fitting(self, of: Sequence[str]) -> Sequence[Location]:
        found = [
            (row, reading)
            for reading in self._readings(of)
            for row in self._by_key.get(joined(reading.name), ())
            if self._agree(row, reading)
        ]
        if not accented(of):
            return _locations(row for row, _ in found)
        exactly = [row for row, reading in found if accented(reading.name) and toned(reading.name) == row.tones]
        return _locations(exactly or [row for row, reading in found if not self._is_anothers(row, reading)])

    def _readings(self, of: Sequence[str]) -> Iterator[Reading]:
        yield from readings(of, self._level)
        if self._level == "province" and (alias := ALIASES.get(joined(of))) is not None:
            yield Reading(frozenset(), tuple(words(alias)))

    def _agree(self, row: _Row, reading: Reading) -> bool:
        """Whether the kinds may be the same; no two provinces differ by their kind alone."""
        return self._level == "province" or not (reading.kinds and row.own.kinds) or bool(reading.kinds & row.own.kinds)

    def _is_anothers(self, row: _Row, reading: Reading) -> bool:
        """Whether its accents make it another name: "Tân Quy" is not "Tân Quý" with one forgotten, "Tân Quỳy" may be.

        The names of provinces are too few and too well known for that.
        """
        if self._level == "province":
            return False
        given, meant = toned(reading.name).split(), row.tones.split()
        return (
            given != meant
            and len(given) == len(meant)
            and all(
                word == other or word in self._known.vocabulary.toned for word, other in zip(given, meant, strict=True)
            )
        )

    def _mistyped(self, text: str) -> Location | None:
        """The name that is clearly nearest, when the text is no name at all; never one with a number in it."""
        attempts = [(reading, joined(reading.name)) for reading in self._readings(words(text))]
        attempts = [(reading, key) for reading, key in attempts if len(key) >= SHORTEST_TYPO]
        if not attempts or any(key in self._known.keys or _has_digit(key) for _, key in attempts):
            return None
        rows = [row for of_key in self._by_key.values() for row in of_key if not _has_digit(row.key)]
        slips = [
            (slip, row)
            for row in rows
            for reading, _ in attempts
            if self._agree(row, reading) and (slip := self._slip(plain(reading.name).split(), row)) is not None
        ]
        if not slips:
            return None
        slip, best = min(slips, key=lambda each: each[0])
        others = (_osa().distance(key, row.key) for row in rows if row is not best for _, key in attempts)
        return best.location if min(others, default=slip + CLEARLY) >= slip + CLEARLY else None

    def _slip(self, typed: Sequence[str], row: _Row) -> int | None:
        """How many letters are wrong, if all can be slips: at most one a word, and only in what is no word."""
        if len(typed) < len(row.words) and min(map(len, row.words)) > 1:  # a blank too few as well
            typed, meant = ["".join(typed)], [row.key]
        elif len(typed) == len(row.words):
            meant = list(row.words)
        else:
            return None
        wrong = [(given, other) for given, other in zip(typed, meant, strict=True) if given != other]
        if any(given in self._known.vocabulary.plain or not _is_slip(given, other) for given, other in wrong):
            return None
        return len(wrong) if len(wrong) <= (2 if len(row.key) >= SECOND_TYPO else 1) else None

    def nearest(self, text: str) -> Sequence[Location]:
        """What is spelled most alike, nearest first, for a person to choose from."""
        parts = dict.fromkeys((text, *_segments(text)))
        typed = [joined(reading.name) for part in parts for reading in self._readings(words(part))]
        alike = [
            (max(_osa().normalized_similarity(each, key) for each in typed), row.location)
            for key, rows in self._by_key.items()
            for row in rows
            if typed
        ]
        alike.sort(key=lambda each: -each[0])
        return [location for likeness, location in alike[:MOST_NEAR] if likeness >= NEAR_ENOUGH]


@functools.cache
def _osa() -> ModuleType:
    """Optimal string alignment; loaded when a name is met that is nobody's, for most daemons never."""
    from rapidfuzz.distance import OSA  # noqa: PLC0415 - see above

    return OSA


def _is_slip(given: str, meant: str) -> bool:
    """One letter left out, too many, or in its neighbour's place. Another letter makes another name: Gai is not Bài."""
    if min(len(given), len(meant)) < SHORTEST_WORD or _osa().distance(given, meant) != 1:
        return False
    return len(given) != len(meant) or sorted(given) == sorted(meant)


def _has_digit(key: str) -> bool:
    return any(map(str.isdigit, key))


def _locations(rows: Iterable[_Row]) -> Sequence[Location]:
    return tuple(dict.fromkeys(row.location for row in rows))


def _segments(text: str) -> Iterable[str]:
    """The parts of a text that says more than one thing, by commas first: a hyphen may belong to a name."""
    parts = (part.strip() for separators in _SEPARATORS for part in separators.split(text))
    return dict.fromkeys(part for part in parts if part and part != text.strip())


def _composed(text: str) -> str:
    return unicodedata.normalize("NFC", text).strip()
