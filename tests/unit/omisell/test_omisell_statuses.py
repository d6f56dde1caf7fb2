"""The guide's table of statuses."""

import pytest

from omisync.omisell import can_cancel, is_cancelled, is_final, name_of
from omisync.omisell.statuses import NAMES

FINAL = {700, 701, 702, 703, 708, 800, 850, 900}


def test_the_guides_table() -> None:
    assert len(NAMES) == 21
    assert {status for status in NAMES if is_final(status)} == FINAL
    assert {status for status in NAMES if is_cancelled(status)} == {700, 701, 702, 703, 708}
    assert {status for status in NAMES if can_cancel(status)} == {s for s in NAMES if s < 500}


@pytest.mark.parametrize(
    ("status", "final", "cancelled", "cancellable"),
    [
        (750, True, True, False),
        (799, True, True, False),
        (650, False, False, False),
        (999, False, False, False),
        (699, False, False, False),
        (210, False, False, True),
        (0, False, False, True),
    ],
)
def test_an_id_that_is_not_in_it(status: int, final: bool, cancelled: bool, cancellable: bool) -> None:
    assert (is_final(status), is_cancelled(status), can_cancel(status)) == (final, cancelled, cancellable)


def test_names_are_for_people() -> None:
    assert (name_of(460), name_of(461)) == ("Ready to Ship", "status 461")
