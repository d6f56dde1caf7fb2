"""What a backlog will take, and what a limit can carry."""

import math

import pytest

from omisync.omisell import CallClass, Shares, capacity, capacity_table, forecast
from omisync.omisell.forecast import Clearing, calls_an_order, orders_a_day

NO_SHARES = Shares(0, 0, 0)


def test_a_backlog_is_told_in_calls_and_time() -> None:
    assert str(forecast({CallClass.ADD: 1240}, 100).total) == "1,240 calls, clear in 13 min"


def test_without_shares_the_classes_are_cleared_one_after_the_other() -> None:
    found = forecast({CallClass.CANCEL: 10, CallClass.ADD: 50, CallClass.REFRESH: 40}, 60, shares=NO_SHARES)
    assert found.classes[CallClass.CANCEL] == Clearing(10, 10.0)
    assert found.classes[CallClass.ADD] == Clearing(50, 60.0)
    assert found.classes[CallClass.REFRESH] == Clearing(40, 100.0)
    assert found.classes[CallClass.SWEEP] == Clearing(0, 0.0)
    assert found.total == Clearing(100, 100.0)


def test_a_share_is_served_beside_the_more_urgent_and_then_gets_all() -> None:
    # 90 adds at 0.9 a second take 100 s, in which 10 of 30 refreshes go; the other 20 take 20 s more.
    found = forecast({CallClass.ADD: 90, CallClass.REFRESH: 30}, 60, shares=Shares(0, 0.1, 0))
    assert found.classes[CallClass.ADD].seconds == pytest.approx(100.0)
    assert found.classes[CallClass.REFRESH].seconds == pytest.approx(120.0)


def test_what_fits_into_the_bucket_goes_at_once_the_most_urgent_first() -> None:
    found = forecast({CallClass.ADD: 70, CallClass.REFRESH: 60}, 60, shares=NO_SHARES, room=100)
    assert found.classes[CallClass.ADD] == Clearing(70, 0.0)
    assert found.classes[CallClass.REFRESH] == Clearing(60, 30.0)


def test_nothing_goes_while_omisell_throttles() -> None:
    assert forecast({CallClass.ADD: 60}, 60, blocked=30).total.seconds == pytest.approx(90.0)


def test_the_whole_takes_what_the_leak_takes_whatever_the_shares() -> None:
    backlog = {CallClass.CANCEL: 7, CallClass.ADD: 300, CallClass.REFRESH: 200, CallClass.SWEEP: 11}
    assert forecast(backlog, 100, shares=Shares(0.3, 0.3, 0.3)).total.seconds == pytest.approx(518 * 0.6)


def test_nothing_to_do_is_said_so() -> None:
    assert str(forecast({}, 100).total) == "nothing to do"


def test_without_a_leak_it_is_never_clear() -> None:
    found = forecast({CallClass.ADD: 3, CallClass.SWEEP: 1}, 0)
    assert found.total == Clearing(4, math.inf)
    assert str(found.total) == "4 calls, never clear"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.0, "1 call, clear in 1 s"),
        (89.2, "1 call, clear in 90 s"),
        (90.0, "1 call, clear in 2 min"),
        (3600.0, "1 call, clear in 60 min"),
        (7500.0, "1 call, clear in 2 h 5 min"),
        (273600.0, "1 call, clear in 3 d 4 h"),
    ],
)
def test_times_are_told_in_the_unit_that_fits(seconds: float, words: str) -> None:
    assert str(Clearing(1, seconds)) == words


def test_an_order_costs_its_add_and_a_fetch_for_each_push_with_news() -> None:
    assert [calls_an_order(pushes) for pushes in (0, 1, 2, 4)] == [2, 2, 2, 4]


def test_orders_a_day_for_a_limit() -> None:
    assert orders_a_day(100, 4) == 35_925
    assert orders_a_day(100, 5, fixed=0) == 28_800
    assert orders_a_day(0.1, 4) == 0


def test_the_capacity_table_has_a_row_for_each_limit_and_number_of_pushes() -> None:
    table = capacity_table([100, 240], [2, 4])
    assert [(row.leak_per_minute, row.pushes, row.calls) for row in table] == [
        (100, 2, 2.0),
        (100, 4, 4.0),
        (240, 2, 2.0),
        (240, 4, 4.0),
    ]
    assert (table[1].orders, table[1].orders_by_the_guide) == (35_925, 28_740)


def test_measured_calls_an_order_take_the_place_of_the_computed() -> None:
    assert capacity(100, 4, calls=2.5).orders == 57_480
