"""A process's own copy of the bucket, corrected by headers and refusals."""

import asyncio

import pytest

from omisync.omisell.ledger import Ledger, Throttle


def known(size: float = 100.0, leak: float = 1.0) -> Ledger:
    ledger = Ledger(size, leak)
    ledger.land(ledger.take(0.0), 0.0)
    return ledger


def test_the_first_call_goes_alone_until_its_answer_or_two_seconds() -> None:
    ledger = Ledger(100, 1)
    flight = ledger.take(0.0)
    assert ledger.goes_at(0, 0.0) == 2.0
    ledger.land(flight, 0.5)
    assert ledger.goes_at(0, 0.5) <= 0.5


def test_a_call_in_flight_has_not_leaked() -> None:
    ledger = known()
    for _ in range(5):
        ledger.take(0.0)
    assert ledger.level(1000.0) == 5.0


def test_calls_in_flight_hold_at_most_half_of_it() -> None:
    ledger = known(10.0)
    for _ in range(9):
        ledger.take(0.0)
    assert ledger.level(1000.0) == 5.0
    assert ledger.goes_at(0, 1000.0) <= 1000.0


def test_landing_twice_is_landing_once() -> None:
    ledger = known()
    flight = ledger.take(0.0)
    ledger.land(flight, 0.0, refund=True)
    ledger.land(flight, 0.0, refund=True)
    assert ledger.level(0.0) == 1.0


def test_a_header_that_shows_more_raises_it_and_keeps_places_free() -> None:
    ledger = known()
    flight = ledger.take(1.0)
    ledger.land(flight, 1.0)
    ledger.observe(50, 100, 1.0, flight)
    assert ledger.level(1.0) == 51.0
    assert ledger.room(1.0) == pytest.approx(100 - 51 - 25)  # a quarter of it at most
    assert ledger.room(1.0 + 60) == pytest.approx(100 - 0 - 24.5, abs=1.0)


def test_a_header_that_shows_less_lowers_it_to_what_may_be_on_its_way() -> None:
    ledger = known()
    for _ in range(40):
        ledger.land(ledger.take(0.0), 0.0)
    first = ledger.take(0.0)
    ledger.take(0.0)
    ledger.observe(10, 100, 0.0, first)
    assert ledger.level(0.0) == 12.0


def test_another_size_is_taken_over_and_nonsense_is_not() -> None:
    ledger = known()
    ledger.observe(1, 240, 0.0)
    assert ledger.size == 240
    ledger.observe(1, 0, 0.0)
    ledger.observe(-1, 100, 0.0)
    assert ledger.size == 240


def test_a_refusal_stops_everything_and_fills_it() -> None:
    ledger = known()
    assert ledger.throttled(8.0, 10.0) == 8.0
    assert ledger.blocked_until == 18.0
    assert ledger.level(10.0) == 100.0
    assert ledger.goes_at(0, 10.0) >= 18.0


def test_a_refusal_of_the_very_first_call_is_no_strangers_doing() -> None:
    ledger = Ledger(100, 1)
    ledger.throttled(1.0, 0.0)
    assert ledger.room(0.0) == 0.0


def test_blind_waits_double_up_to_five_minutes_and_begin_anew_after_a_quiet_time() -> None:
    throttle, now = Throttle(), 0.0
    waits = []
    for _ in range(6):
        wait, first = throttle.refused(None, now)
        assert first
        waits.append(wait)
        now = throttle.until + 1
    assert waits == [30.0, 60.0, 120.0, 240.0, 300.0, 300.0]
    assert throttle.refused(None, now + 1000) == (30.0, True)


def test_refusals_of_the_same_moment_are_one() -> None:
    throttle = Throttle()
    assert throttle.refused(None, 0.0) == (30.0, True)
    assert throttle.refused(None, 10.0) == (20.0, False)
    assert throttle.refused(5.0, 10.0) == (5.0, False)
    assert throttle.until == 30.0


def test_there_is_nothing_to_plan_and_nothing_to_give_back() -> None:
    ledger = known()
    ledger.plan(5, 1)
    asyncio.run(ledger.close())
    assert ledger.level(0.0) == 1.0
