"""Sweeps come sooner while pushes get lost, later while none does, and tell which were lost."""

from typing import Any

import pytest

from omisync.store import Difference
from omisync.sync.pace import Pace
from omisync.sync.tally import Swept, Tally, TooDear


def found(*kinds: Any, lost: tuple[int, ...] = ()) -> Swept:
    return Swept(9, tuple(Difference("OMI-1", "A-1", kind, 200, 350, 1000) for kind in kinds), lost)


def test_a_lost_push_brings_the_next_sweep_after_a_quarter_and_calm_brings_it_later_up_to_twice() -> None:
    pace = Pace(600.0)
    assert pace.after(found("status", lost=(1000,))) == 150.0
    assert [pace.after(found()) for _ in range(5)] == [600.0, 750.0, 937.5, 1171.875, 1200.0]
    assert pace.after(found("asked", "detail")) == 1200.0
    assert pace.after(found("status")) == 600.0


def test_a_sweep_that_failed_is_not_followed_later_than_usual() -> None:
    pace = Pace(600.0)
    pace.after(found())
    assert pace.after(None) == 600.0
    pace.after(found("missing", lost=(1, 2)))
    assert pace.after(None) == 150.0


def difference(kind: Any = "status", status: int | None = 460, at: int | None = 1000) -> Difference:
    return Difference("OMI-1", "A-1", kind, 200, status, at)


@pytest.mark.parametrize(
    ("one", "lost"),
    [
        (difference(), (1000,)),
        (difference("missing", 200), (1000,)),
        (difference(status=703), (1000,)),
        (difference(status=350), ()),
        (difference(status=None), ()),
        (difference("asked"), ()),
        (difference("detail"), ()),
        (difference(at=None), ()),
        (difference(at=899), ()),
        (difference(at=1101), ()),
    ],
)
def test_lost_is_what_should_have_been_pushed_and_was_not(one: Difference, lost: tuple[int, ...]) -> None:
    tally = Tally()
    tally.differences.append(one)
    assert tally.swept(900, 1100).lost_times == lost
    assert tally.swept(None, 1100).lost_times == ()


def test_a_window_with_more_pages_than_it_is_worth_is_too_dear_at_its_first_page_only() -> None:
    told: list[tuple[int, int]] = []
    tally = Tally(lambda seen, count: told.append((seen, count)))
    page = tally.window(most=2)
    page(100, 200)
    page(100, 999)
    with pytest.raises(TooDear):
        tally.window(most=2)(100, 201)
    tally.window()(100, 10**6)
    assert tally.pages == 4
    assert told == [(100, 200), (100, 999), (100, 201), (100, 1000000)]
