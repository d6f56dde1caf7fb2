"""Whose turn it is."""

import pytest

from omisync.omisell import CallClass, Shares
from omisync.omisell.shares import Turns

TOKEN, CANCEL, ADD, REFRESH, SWEEP = CallClass


@pytest.mark.parametrize("parts", [(-0.1, 0, 0), (0.5, 0.3, 0.2), (1.0, 0.0, 0.0)])
def test_shares_leave_something_for_tokens_and_cancels(parts: tuple[float, float, float]) -> None:
    with pytest.raises(ValueError, match="less than 1 together"):
        Shares(*parts)


def test_the_defaults_are_shares() -> None:
    assert [Shares().of(cls) for cls in CallClass] == [0.0, 0.0, 0.1, 0.1, 0.02]


def test_at_first_the_more_urgent_go_first() -> None:
    assert Turns(Shares()).order({SWEEP, ADD, TOKEN, REFRESH, CANCEL}) == [TOKEN, CANCEL, ADD, REFRESH, SWEEP]


def test_one_who_is_owed_a_call_goes_before_an_add_but_not_before_a_cancel() -> None:
    turns = Turns(Shares(0, 0.1, 0))
    for _ in range(10):
        turns.went(ADD, {ADD, REFRESH})
    assert turns.order({CANCEL, ADD, REFRESH}) == [CANCEL, REFRESH, ADD]
    assert turns.before(REFRESH, ADD)
    assert not turns.before(REFRESH, CANCEL)


def test_one_who_is_owed_two_goes_before_a_cancel_but_not_before_a_token() -> None:
    turns = Turns(Shares(0, 0.1, 0))
    for _ in range(20):
        turns.went(CANCEL, {CANCEL, REFRESH})
    assert turns.order({TOKEN, CANCEL, REFRESH}) == [TOKEN, REFRESH, CANCEL]


def test_what_is_owed_is_paid_by_a_call() -> None:
    turns = Turns(Shares(0, 0.1, 0))
    for _ in range(10):
        turns.went(ADD, {ADD, REFRESH})
    turns.went(REFRESH, {ADD, REFRESH})
    assert turns.order({ADD, REFRESH}) == [ADD, REFRESH]


def test_nothing_is_owed_to_who_does_not_wait() -> None:
    turns = Turns(Shares(0, 0.5, 0))
    for _ in range(100):
        turns.went(ADD, {ADD})
    assert turns.order({ADD, REFRESH}) == [ADD, REFRESH]


def test_a_share_is_not_saved_up() -> None:
    turns = Turns(Shares(0, 0.5, 0))
    for _ in range(100):
        turns.went(ADD, {ADD, REFRESH})
    paid = 0
    while turns.before(REFRESH, ADD):
        turns.went(REFRESH, {REFRESH})
        paid += 1
    assert paid == 4  # three were owed, and half a call for each that was paid
