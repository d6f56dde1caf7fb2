"""The arithmetic of a leaky bucket."""

import pytest

from omisync.omisell.bucket import LeakyBucket


def test_it_leaks_and_never_below_nothing() -> None:
    bucket = LeakyBucket(10, 2).added(6, 100.0)
    assert [bucket.level(at) for at in (100.0, 101.0, 103.0, 110.0)] == [6.0, 4.0, 0.0, 0.0]


def test_calls_added_to_an_empty_one_count_from_now() -> None:
    assert LeakyBucket(10, 2, empty_at=5.0).added(1, 100.0).level(100.0) == 1.0


def test_a_call_not_made_is_taken_out_again() -> None:
    assert LeakyBucket(10, 2).added(3, 0.0).added(-1, 0.0).level(0.0) == 2.0


def test_corrections_go_one_way_each() -> None:
    bucket = LeakyBucket(10, 2).added(5, 0.0)
    assert bucket.at_least(7, 0.0).level(0.0) == 7.0
    assert bucket.at_least(3, 0.0).level(0.0) == 5.0
    assert bucket.at_most(3, 0.0).level(0.0) == 3.0
    assert bucket.at_most(7, 0.0).level(0.0) == 5.0


def test_room_comes_with_time() -> None:
    bucket = LeakyBucket(10, 2).added(10, 0.0)
    assert bucket.fits_at(1) == 0.5
    assert bucket.resized(20).fits_at(1) == -4.5
    with pytest.raises(ValueError, match="do not fit"):
        bucket.fits_at(11)


@pytest.mark.parametrize(("size", "leak"), [(0.5, 1), (10, 0), (10, -1)])
def test_a_bucket_that_lets_nothing_through_is_no_bucket(size: float, leak: float) -> None:
    with pytest.raises(ValueError, match="lets no call through"):
        LeakyBucket(size, leak)
