"""What is not checked because a list is not offered."""

import datetime as dt

from omisync.store.mirrors import MirrorAge, MirrorName
from omisync.sync.standing import off_without


def age(name: MirrorName, *, offered: bool) -> MirrorAge:
    return MirrorAge(name, dt.datetime.now(dt.UTC) if offered else None, 0.0, 0.0, 1, offered, None)


def test_nothing_is_off_while_every_list_is_offered() -> None:
    assert off_without([age("shops", offered=True), age("locations", offered=True)]) == {}


def test_each_list_that_is_missing_turns_its_own_check_off() -> None:
    assert off_without([age("locations", offered=False), age("pickups", offered=False)]) == {
        "locations": "addresses are not checked",
        "pickups": "pickup ids are not checked",
    }


def test_skus_are_checked_against_one_list_if_the_other_is_not_offered() -> None:
    one = [age("catalogue", offered=False), age("products", offered=True)]
    assert off_without(one) == {"catalogue": "SKUs are checked against the products alone"}
    both = [age("catalogue", offered=False), age("products", offered=False)]
    assert set(off_without(both).values()) == {"SKUs are not checked"}
