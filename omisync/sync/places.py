"""Says of rows of Omisell's location lists what each is in; the lists' fields are PROPOSED [omisell-api 5]."""

from collections.abc import Iterable, Mapping

from omisync.omisell import Place
from omisync.store.mirrors import PlaceLevel, PlaceRow


class Unplaced(Exception):
    """The rows do not say what they are in."""


def placed(
    level: PlaceLevel, places: Iterable[Place], provinces: Mapping[int, PlaceRow], districts: Mapping[int, PlaceRow]
) -> list[PlaceRow]:
    """Rows with their parents.

    Args:
        level: of the places.
        places: as Omisell lists them.
        provinces: by id, as far as the level is below them.
        districts: likewise.

    Raises:
        Unplaced: one of them does not say what it is in, or names what is not there.
    """
    if level == "province":
        return [PlaceRow("province", place.id, place.name) for place in places]
    return [_below(level, place, provinces, districts) for place in places]


def _below(
    level: PlaceLevel, place: Place, provinces: Mapping[int, PlaceRow], districts: Mapping[int, PlaceRow]
) -> PlaceRow:
    if level == "subdistrict" and place.district_id in districts:
        return PlaceRow(level, place.id, place.name, "district", place.district_id)
    if place.province_id in provinces and not place.district_id:
        return PlaceRow(level, place.id, place.name, "province", place.province_id)
    in_district = level == "subdistrict" and place.parent_id in districts
    in_province = place.parent_id in provinces
    if in_district == in_province:  # nowhere, or the two levels number their places alike
        raise Unplaced(f"the list of {level}s does not say what its places are in")
    return PlaceRow(level, place.id, place.name, "district" if in_district else "province", place.parent_id)
