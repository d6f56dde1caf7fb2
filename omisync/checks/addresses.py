"""Finds a shopper's province, district and subdistrict among Omisell's own names; says so where it cannot tell.

From sure to less sure: the same text; the same when folded (`folding`, `kinds`); one that is clearly nearest, inside
the parent already found. What stays between several is not decided: the candidates are named.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from omisync.checks.kinds import Level
from omisync.checks.names import Found, Known, Location, Names, Vocabulary

LEVELS: Final[tuple[Level, ...]] = ("province", "district", "subdistrict")

MOST_CANDIDATES: Final = 8
"""Named to a person; more would not be read."""

_NOWHERE: Final = Names((), "subdistrict")


@dataclass(frozen=True, slots=True)
class Address:
    """The three names of an address; empty where there is none: districts were abolished in 2025."""

    province: str = ""
    district: str = ""
    subdistrict: str = ""

    def __str__(self) -> str:
        return ", ".join(name for name in (self.subdistrict, self.district, self.province) if name)


@dataclass(frozen=True, slots=True)
class Resolution:
    """What became of an address.

    Attributes:
        address: in Omisell's spelling; None when it could not be told.
        level: at which level it could not be told; None when it could.
        reason: `ambiguous`: several fit; `unknown`: none does, and the candidates are only near.
        candidates: what it may be, nearest first, at most `MOST_CANDIDATES`; may be empty.
    """

    address: Address | None
    level: Level | None = None
    reason: Literal["ambiguous", "unknown"] | None = None
    candidates: tuple[Address, ...] = ()


class Gazetteer:
    """Omisell's address system, ready to be asked.

    Args:
        locations: all rows of its lists; provinces stand below nothing, subdistricts below a district or a province.
    """

    def __init__(self, locations: Iterable[Location]) -> None:
        below: dict[tuple[Level, int] | None, dict[Level, list[Location]]] = {}
        for each in locations:
            below.setdefault(each.parent, {}).setdefault(each.level, []).append(each)
        vocabulary = Vocabulary()
        known: dict[Level, Known] = {level: Known(vocabulary) for level in LEVELS}
        self._provinces = Names(below.get(None, {}).get("province", ()), "province", known["province"])
        self._below = {
            (parent, level): Names(rows, level, known[level])
            for parent, levels in below.items()
            if parent is not None
            for level, rows in levels.items()
        }

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to compare with."""
        return not self._provinces.rows

    def resolve(self, given: Address) -> Resolution:
        """The address in Omisell's spelling, or what it may be."""
        found = self._provinces.find(given.province)
        if found.one is None:
            return _unclear("province", found, lambda each: Address(each.name))
        province = found.one
        districts = self._names(province, "district")
        if not given.district.strip():
            return self._without_district(province, districts, given.subdistrict)
        if not districts.rows:
            return self._district_of_old(province, given.subdistrict)
        found = districts.find(given.district, within=self._provinces.only(province))
        if found.one is None and len(found.several) > 1 and given.subdistrict.strip():
            found = self._told_by_subdistrict(found, given.subdistrict)
        if found.one is None:
            return _unclear("district", found, lambda each: Address(province.name, each.name))
        return self._in_district(province, found.one, given.subdistrict)

    def below(self, address: Address) -> tuple[str, ...]:
        """The names of what is in a place of Omisell's own spelling: districts, or what there is without them.

        All provinces for an empty address; nothing for one that is not there.
        """
        if not address.province:
            return tuple(row.name for row in self._provinces.rows)
        parents = [row for row in self._provinces.rows if row.name == address.province]
        if address.district:
            districts = [row for parent in parents for row in self._names(parent, "district").rows]
            parents = [row for row in districts if row.name == address.district]
        levels: tuple[Level, ...] = ("subdistrict",) if address.district else ("district", "subdistrict")
        return tuple(row.name for parent in parents for level in levels for row in self._names(parent, level).rows)

    def _names(self, parent: Location, level: Level) -> Names:
        return self._below.get(((parent.level, parent.id), level), _NOWHERE)

    def _in_district(self, province: Location, district: Location, subdistrict: str) -> Resolution:
        if not subdistrict.strip():
            return Resolution(Address(province.name, district.name))
        names = self._names(district, "subdistrict")
        within = self._names(province, "district").only(district)
        found = names.find(subdistrict, within=within)
        if found.one is None:
            return _unclear("subdistrict", found, lambda each: Address(province.name, district.name, each.name))
        return Resolution(Address(province.name, district.name, found.one.name))

    def _told_by_subdistrict(self, districts: Found, subdistrict: str) -> Found:
        """Of several districts the only one with such a subdistrict: "Kỳ Anh" is a town and a district around it."""
        having = [each for each in districts.several if self._names(each, "subdistrict").surely(subdistrict)]
        return Found((having[0],)) if len(having) == 1 else districts

    def _without_district(self, province: Location, districts: Names, subdistrict: str) -> Resolution:
        if not subdistrict.strip():
            return Resolution(Address(province.name))
        direct = self._names(province, "subdistrict")
        if direct.rows:
            found = direct.find(subdistrict, within=self._provinces.only(province))
            if found.one is not None:
                return Resolution(Address(province.name, "", found.one.name))
            if not districts.rows:
                return _unclear("subdistrict", found, lambda each: Address(province.name, "", each.name))
        places = [
            Address(province.name, district.name, each.name)
            for district in districts.rows
            for each in self._names(district, "subdistrict").surely(subdistrict)
        ]
        if len(places) == 1:  # the only one of that name in the whole province
            return Resolution(places[0])
        reason: Literal["ambiguous", "unknown"] = "ambiguous" if places else "unknown"
        return Resolution(None, "district", reason, tuple(places[:MOST_CANDIDATES]))

    def _district_of_old(self, province: Location, subdistrict: str) -> Resolution:
        """A district where Omisell has none: a subdistrict of that name need not be the one of before the merger."""
        names = self._names(province, "subdistrict")
        near: Sequence[Location] = names.surely(subdistrict) or names.nearest(subdistrict)
        candidates = tuple(Address(province.name, "", each.name) for each in near[:MOST_CANDIDATES])
        return Resolution(None, "district", "unknown", candidates)


def _unclear(level: Level, found: Found, address: Callable[[Location], Address]) -> Resolution:
    candidates = tuple(address(each) for each in (found.several or found.near)[:MOST_CANDIDATES])
    return Resolution(None, level, "ambiguous" if found.several else "unknown", candidates)
