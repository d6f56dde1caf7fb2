"""The checks as the configuration wants them: which lists are read, and how often."""

from omisync.config import ChecksSettings
from omisync.sync.checking import wanted_lists


def test_by_default_every_list_is_read() -> None:
    assert wanted_lists(ChecksSettings()) == {
        "shops": 3600.0,
        "pickups": 3600.0,
        "catalogue": 3600.0,
        "products": 3600.0,
        "locations": 604_800.0,
    }


def test_lists_of_checks_that_are_off_are_not_read() -> None:
    assert set(wanted_lists(ChecksSettings(addresses="off", skus="off"))) == {"shops", "pickups"}
    assert set(wanted_lists(ChecksSettings(skus="off"))) == {"shops", "pickups", "locations"}
