"""The address system."""

from omisync.simulator.locations import BUILT_IN, Location, Locations, Place


def test_the_built_in_list_is_a_tree_with_unique_ids() -> None:
    locations = Locations(BUILT_IN)
    assert locations.provinces[0] == Location(1, "Hà Nội", None)
    ids = [each.id for each in (*locations.provinces, *locations.districts, *locations.subdistricts)]
    assert len(ids) == len(set(ids))
    province_ids = {each.id for each in locations.provinces}
    assert {each.parent_id for each in locations.districts} <= province_ids
    district_ids = {each.id for each in locations.districts}
    assert {each.parent_id for each in locations.subdistricts} <= district_ids


def test_names_are_found_below_their_parent_only() -> None:
    locations = Locations({"A": {"Quận 1": ["Phường 1"]}, "B": {"Quận 1": ["Phường 1", "Phường 2"]}})
    first, second = locations.id_of("province", "A"), locations.id_of("province", "B")
    assert (first, second) == (1, 2)
    assert locations.id_of("district", "Quận 1", first) == 1001
    assert locations.id_of("district", "Quận 1", second) == 1002
    assert locations.id_of("subdistrict", "Phường 2", 1001) is None
    assert locations.id_of("subdistrict", "Phường 2", 1002) == 100003
    assert locations.id_of("province", "a") is None


def test_subdistricts_may_stand_right_below_a_province() -> None:
    locations = Locations({"Huế": ["Phường Thuận Hoá", "Phường Vỹ Dạ"]})
    assert locations.districts == []
    assert [each.parent_id for each in locations.subdistricts] == [1, 1]
    assert list(locations) == [Place("Huế", "", "Phường Thuận Hoá"), Place("Huế", "", "Phường Vỹ Dạ")]
    assert locations[1].subdistrict == "Phường Vỹ Dạ"
    assert len(locations) == 2
