"""The leaky bucket, exact to the call."""

from hypothesis import given
from hypothesis import strategies as st

from omisync.simulator.bucket import Bucket
from omisync.simulator.clock import ManualClock


def test_it_takes_its_size_at_once_and_then_what_leaks() -> None:
    clock = ManualClock()
    bucket = Bucket(100, 100, clock.monotonic)
    assert sum(bucket.take() for _ in range(150)) == 100
    assert bucket.used == 100
    clock.advance(0.59)
    assert not bucket.take()
    clock.advance(0.01)
    assert bucket.take()
    assert not bucket.take()
    clock.advance(6)
    assert sum(bucket.take() for _ in range(20)) == 10


def test_it_tells_when_the_next_call_has_room() -> None:
    clock = ManualClock()
    bucket = Bucket(10, 6, clock.monotonic)
    for _ in range(10):
        bucket.take()
    assert bucket.retry_after() == 10
    clock.advance(9.5)
    assert bucket.retry_after() == 1
    clock.advance(0.5)
    assert bucket.take()


def test_calls_turned_away_add_nothing() -> None:
    clock = ManualClock()
    bucket = Bucket(1, 60, clock.monotonic)
    bucket.take()
    for _ in range(50):
        assert not bucket.take()
    clock.advance(1)
    assert bucket.take()


def test_it_is_empty_again_after_a_while_and_never_emptier() -> None:
    clock = ManualClock()
    bucket = Bucket(5, 60, clock.monotonic)
    bucket.take()
    clock.advance(3600)
    assert bucket.used == 0
    assert sum(bucket.take() for _ in range(10)) == 5
    bucket.empty()
    assert bucket.used == 0


def test_the_fill_is_rounded_up() -> None:
    clock = ManualClock()
    bucket = Bucket(100, 100, clock.monotonic)
    for _ in range(32):
        bucket.take()
    clock.advance(0.3)
    assert bucket.used == 32
    clock.advance(0.3)
    assert bucket.used == 31


def test_a_stranger_spends_from_it_too() -> None:
    clock = ManualClock()
    bucket = Bucket(100, 60, clock.monotonic, stranger=lambda: 90.0)
    clock.advance(60)
    assert bucket.used == 30
    clock.advance(3600)
    assert bucket.used == 100
    assert not bucket.take()
    assert bucket.retry_after() == 3600  # it never ends while the stranger is faster than the leak


def test_new_limits_count_from_now_on() -> None:
    clock = ManualClock()
    bucket = Bucket(100, 60, clock.monotonic)
    for _ in range(50):
        bucket.take()
    clock.advance(10)
    bucket.set_limits(20, 120)
    assert bucket.used == 20
    clock.advance(5)
    assert bucket.used == 10
    bucket.set_limits(20, 120)
    assert bucket.used == 10


@given(st.lists(st.floats(min_value=0, max_value=5), min_size=1, max_size=200))
def test_never_more_than_its_size_and_what_leaked_meanwhile(gaps: list[float]) -> None:
    clock = ManualClock()
    bucket = Bucket(10, 60, clock.monotonic)
    taken: list[float] = []
    for gap in gaps:
        clock.advance(gap)
        if bucket.take():
            taken.append(clock.monotonic())
    for first in range(len(taken)):
        for last in range(first, len(taken)):
            assert last - first + 1 <= 10 + (taken[last] - taken[first]) + 1e-6
