"""The names below one parent: which of them a text means, surely, nearly, or not at all."""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from rapidfuzz.distance import OSA

from omisync.checks.folding import accented, joined, toned, words
from omisync.checks.kinds import Level, Reading, own_reading, readings

SHORTEST_TYPO: Final = 5  # letters of a name below which one wrong letter makes another name
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
    key: str
    tones: str


class Known:
    """All names of one level, wherever they are: what is another place's name is no slip of the pen."""

    def __init__(self) -> None:
        self.keys: set[str] = set()
        self.tones: set[str] = set()


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
            row = _Row(each, own, joined(own.name), toned(own.name))
            self._by_key.setdefault(row.key, []).append(row)
            self._known.keys.add(row.key)
            self._known.tones.add(row.tones)

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
        same_kind: list[tuple[_Row, Reading]] = []
        other_kind: list[tuple[_Row, Reading]] = []
        for reading in self._readings(of):
            for row in self._by_key.get(joined(reading.name), ()):
                (same_kind if self._agree(row, reading) else other_kind).append((row, reading))
        if same_kind:
            exactly = [row for row, reading in same_kind if _same_accents(row, reading)]
            return _locations(exactly or [row for row, reading in same_kind if not self._is_anothers(reading)])
        # Communes become wards, districts towns, and shoppers' forms keep the old kind: with the very same accents it
        # is the place; without, it may be another.
        return _locations([row for row, reading in other_kind if _same_accents(row, reading)])

    def _readings(self, of: Sequence[str]) -> Iterator[Reading]:
        yield from readings(of, self._level)
        if self._level == "province" and (alias := ALIASES.get(joined(of))) is not None:
            yield Reading(frozenset(), tuple(words(alias)))

    def _agree(self, row: _Row, reading: Reading) -> bool:
        """Whether the kinds may be the same; no two provinces differ by their kind alone."""
        return self._level == "province" or not (reading.kinds and row.own.kinds) or bool(reading.kinds & row.own.kinds)

    def _is_anothers(self, reading: Reading) -> bool:
        """Whether it is, accent by accent, the name of another place: "Tân Quy" is not "Tân Quý" with one forgotten."""
        return accented(reading.name) and toned(reading.name) in self._known.tones

    def _mistyped(self, text: str) -> Location | None:
        """The name that is clearly nearest; never for a name with a number, nor for one that is another place's."""
        attempts = [(reading, joined(reading.name)) for reading in self._readings(words(text))]
        attempts = [(reading, key) for reading, key in attempts if len(key) >= SHORTEST_TYPO]
        if any(key in self._known.keys or any(map(str.isdigit, key)) for _, key in attempts):
            return None
        distances: list[tuple[int, bool, _Row]] = []
        for key, rows in self._by_key.items():
            if any(map(str.isdigit, key)):
                continue
            for row in rows:
                tries = [(OSA.distance(typed, key), not self._agree(row, reading)) for reading, typed in attempts]
                distances += [(*min(tries), row)] if tries else []
        distances.sort(key=lambda each: each[:2])
        if not distances:
            return None
        distance, other_kind, best = distances[0]
        typos = 2 if len(best.key) >= SECOND_TYPO else 1
        clear = len(distances) == 1 or distances[1][0] >= distance + CLEARLY
        return best.location if distance <= typos and clear and not other_kind else None

    def nearest(self, text: str) -> Sequence[Location]:
        """What is spelled most alike, nearest first, for a person to choose from."""
        parts = dict.fromkeys((text, *_segments(text)))
        typed = [joined(reading.name) for part in parts for reading in self._readings(words(part))]
        alike = [
            (max(OSA.normalized_similarity(each, key) for each in typed), row.location)
            for key, rows in self._by_key.items()
            for row in rows
            if typed
        ]
        alike.sort(key=lambda each: -each[0])
        return [location for likeness, location in alike[:MOST_NEAR] if likeness >= NEAR_ENOUGH]


def _same_accents(row: _Row, reading: Reading) -> bool:
    return accented(reading.name) and toned(reading.name) == row.tones


def _locations(rows: Iterable[_Row]) -> Sequence[Location]:
    return tuple(dict.fromkeys(row.location for row in rows))


def _segments(text: str) -> Iterable[str]:
    """The parts of a text that says more than one thing, by commas first: a hyphen may belong to a name."""
    parts = (part.strip() for separators in _SEPARATORS for part in separators.split(text))
    return dict.fromkeys(part for part in parts if part and part != text.strip())


def _composed(text: str) -> str:
    return unicodedata.normalize("NFC", text).strip()
