"""The shared state: what a report does to it."""

from dataclasses import replace

import pytest

from omisync.omisell.pool import Holder, Pool, Report, settle

NOW = 1_000.0
EMPTY = Pool(
    at=NOW, level=0.0, drift=0.0, granted=0, slack=0.0, slack_at=NOW, heard_at=0.0, blocked_until=0.0, holders={}
)
HEARD = replace(EMPTY, heard_at=NOW - 1)


def report(**more: object) -> Report:
    return Report(**{"replica": "a", "size": 100.0, "leak": 1.0, **more})  # type: ignore[arg-type] # by name


def test_calls_are_granted_until_it_is_full_but_for_what_is_spared() -> None:
    pool, grant = settle(EMPTY, report(want=500), NOW)
    assert grant.calls == 97
    assert (pool.level, pool.granted) == (97.0, 97)
    assert pool.holders == {"a": Holder(97, 0, NOW + 12)}
    assert settle(pool, report(held=97, want=1), NOW)[1].calls == 0


def test_it_leaks_but_not_what_has_not_arrived() -> None:
    pool, _ = settle(EMPTY, report(want=20), NOW)
    assert settle(pool, report(held=0), NOW + 5)[0].level == 20.0  # until now nobody knew that they had arrived
    pool, _ = settle(pool, report(held=0), NOW)
    assert settle(pool, report(), NOW + 5)[0].level == 15.0


def test_a_clock_set_back_leaks_nothing_and_adds_nothing() -> None:
    pool = replace(EMPTY, level=20.0)
    assert settle(pool, report(), NOW - 100)[0].level == 20.0


def test_what_is_given_back_is_there_again() -> None:
    pool, _ = settle(EMPTY, report(want=20), NOW)
    pool, grant = settle(pool, report(held=5, unused=15), NOW)
    assert (pool.level, grant.counted) == (5.0, 15)


def test_what_was_made_without_asking_is_counted_up_to_a_full_bucket() -> None:
    assert settle(EMPTY, report(owed=30), NOW)[0].level == 30.0
    assert settle(replace(EMPTY, level=90.0), report(owed=30), NOW)[0].level == 100.0


def test_a_dead_replicas_calls_are_taken_for_over() -> None:
    pool = replace(EMPTY, granted=50, holders={"dead": Holder(50, 2, NOW - 1), "b": Holder(3, 0, NOW + 9)})
    pool, grant = settle(pool, report(), NOW)
    assert (set(pool.holders), grant.replicas, grant.counted) == ({"a", "b"}, 2, 47)


def test_a_place_is_left_to_the_cancel_of_another_replica() -> None:
    pool = replace(EMPTY, level=95.0, holders={"b": Holder(0, 1, NOW + 9)})
    assert settle(pool, report(want=5), NOW)[1].calls == 1
    assert settle(pool, report(want=5, urgent=2), NOW)[1].calls == 2


def test_an_urgent_call_that_got_no_place_is_remembered() -> None:
    pool, grant = settle(replace(EMPTY, level=97.0), report(want=1, urgent=1), NOW)
    assert grant.calls == 0
    assert pool.holders["a"].urgent == 1


def test_who_leaves_is_forgotten() -> None:
    pool, _ = settle(EMPTY, report(want=1), NOW)
    pool, grant = settle(pool, report(unused=1, leaving=True), NOW)
    assert (pool.holders, grant.replicas, pool.level) == ({}, 0, 0.0)


def test_a_header_raises_it_by_what_may_be_on_its_way_too() -> None:
    pool, _ = settle(replace(EMPTY, level=10.0), report(held=4, least=40.0, most=40.0), NOW)
    assert pool.level == 41.0  # what may be on its way is among the calls granted: none here
    pool, _ = settle(replace(EMPTY, level=10.0, granted=4), report(held=4, least=40.0, most=40.0), NOW)
    assert pool.level == 45.0


def test_a_header_lowers_it_as_far_as_no_call_can_undo() -> None:
    full = replace(EMPTY, level=90.0, granted=200)
    assert settle(full, report(least=20.0, most=21.0, counted=193), NOW)[0].level == 29.0


def test_the_first_header_is_no_surprise_but_places_are_kept_until_more_is_known() -> None:
    pool, _ = settle(EMPTY, report(least=60.0, most=60.0), NOW)
    assert (pool.slack, pool.drift, pool.heard_at) == (10.0, 0.0, NOW)


def test_a_surprising_header_tells_of_a_stranger() -> None:
    pool, _ = settle(HEARD, report(least=6.0, most=7.0), NOW)
    assert pool.slack == 7.0
    assert 0 < pool.drift <= 0.5
    assert settle(pool, report(), NOW + 5)[0].level == pytest.approx(7.0 - 5 * (1 - pool.drift))


def test_a_header_without_a_ceiling_only_raises() -> None:
    assert settle(replace(HEARD, level=50.0), report(least=10.0), NOW)[0].level == 50.0


def test_slack_fades() -> None:
    pool = replace(HEARD, slack=8.0)
    assert settle(pool, report(want=100), NOW)[1].calls == 89
    later, _ = settle(replace(pool, level=0.0), report(), NOW + 180)
    assert settle(later, report(want=100), NOW + 180)[1].calls == 93


def test_a_429_blocks_everybody_and_fills_it() -> None:
    pool, grant = settle(HEARD, report(want=5, blocked=8.0), NOW)
    assert (grant.calls, grant.blocked, pool.level, pool.blocked_until) == (0, 8.0, 100.0, NOW + 8)
    assert pool.slack == 2.0
    again, _ = settle(pool, report(replica="b", blocked=8.0), NOW + 1)
    assert (again.blocked_until, again.slack) == (NOW + 9, 2.0)
    assert settle(EMPTY, report(blocked=8.0), NOW)[0].slack == 0.0


def test_many_429s_in_a_row_keep_no_more_free_than_a_quarter_and_are_soon_forgotten() -> None:
    pool, now = HEARD, NOW
    for _ in range(12):
        pool, _ = settle(pool, report(blocked=1.0, least=100.0, most=100.0), now)
        now += 2.0
    assert pool.slack == 25.0
    later, _ = settle(replace(pool, level=0.0, drift=0.0), report(), now + 360)
    assert settle(later, report(want=100), now + 360)[1].calls >= 85


def test_replicas_that_are_killed_one_after_the_other_hold_their_places_for_seconds_only() -> None:
    pool, now = HEARD, NOW
    for name in "bcdef":
        pool, _ = settle(pool, report(replica=name, leak=100.0, want=12), now)
        now += 8.0
    assert len([one for one in pool.holders.values() if one.until > now]) == 1


@pytest.mark.parametrize("size", [1.0, 2.0, 3.0, 10.0])
def test_however_small_it_is_one_call_can_go(size: float) -> None:
    pool = replace(HEARD, slack=50.0, drift=0.5, holders={"b": Holder(9, 0, NOW + 9)})
    assert settle(pool, report(size=size, want=9), NOW + 60)[1].room >= 0.0
    assert settle(replace(pool, holders={}), report(size=size, want=9), NOW + 60)[1].calls >= 1
