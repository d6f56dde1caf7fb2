"""From when on rows are looked for: from where the last claim began, and now and then from the very beginning."""

import uuid
from typing import Any

import pytest

from omisync.store import Claim
from omisync.store.due import Due
from omisync.sync.front import Front

NOTHING = Due(adds=False, cancels=False, pushes=False, wanted=False, owed=False, hooks=False, notices=False)
ADDS = Due(adds=True, cancels=False, pushes=False, wanted=False, owed=False, hooks=False, notices=False)


def claimed(due_since: float, *, expired: bool = False) -> Claim:
    told: dict[str, Any] = dict.fromkeys(Claim.__slots__)
    return Claim(**told | {"lease_token": uuid.UUID(int=1), "due_since": due_since, "expired": expired})


class House:
    """A database whose answers take as long as they are told to; writes down from when on it was asked."""

    def __init__(self) -> None:
        self.now = 100.0
        self.takes = 0.0
        self.rows: list[Claim] = []
        self.due = NOTHING
        self.asked: list[float | None] = []
        self.front = Front(lambda: self.now)

    async def claim(self) -> None:
        async def ask(since: float | None) -> list[Claim]:
            self.asked.append(since)
            self.now += self.takes
            return self.rows

        assert await self.front.claim(ask) == self.rows

    async def look(self) -> None:
        async def ask(since: float | None) -> Due:
            self.asked.append(since)
            self.now += self.takes
            return self.due

        assert await self.front.look(ask) == self.due


async def test_a_claim_begins_where_the_last_one_did_and_after_a_second_at_the_beginning() -> None:
    house = House()
    house.rows = [claimed(1000.0), claimed(1002.0)]
    await house.claim()
    house.rows = [claimed(1005.0), claimed(1004.0)]
    await house.claim()
    house.rows = []
    await house.claim()
    await house.claim()
    house.now += 1.0
    await house.claim()
    await house.claim()
    assert house.asked == [None, 1000.0, 1004.0, 1004.0, None, 1004.0]


async def test_what_a_dead_worker_left_behind_does_not_tell_where_the_queue_begins() -> None:
    house = House()
    house.rows = [claimed(900.0, expired=True), claimed(1000.0)]
    await house.claim()
    house.rows = [claimed(901.0, expired=True)]
    await house.claim()
    await house.claim()
    assert house.asked == [None, 1000.0, 1000.0]


async def test_as_long_as_nothing_was_claimed_every_look_is_of_all() -> None:
    house = House()
    await house.claim()
    await house.look()
    await house.claim()
    assert house.asked == [None, None, None]


@pytest.mark.parametrize(("takes", "pause"), [(0.01, 1.0), (0.125, 2.5), (60.0, 5.0)])
async def test_a_look_at_all_that_takes_long_is_taken_less_often_but_never_seldom(takes: float, pause: float) -> None:
    house = House()
    house.rows = [claimed(1000.0)]
    house.takes = takes
    await house.claim()
    house.takes = 0.0
    house.now += pause - 0.125
    await house.claim()
    house.now += 0.125
    await house.claim()
    assert house.asked == [None, 1000.0, None]


async def test_what_only_a_look_at_all_has_found_is_claimed_by_a_claim_of_all() -> None:
    house = House()
    house.rows = [claimed(1000.0)]
    await house.claim()
    house.due = ADDS
    await house.look()
    await house.claim()
    await house.look()
    await house.claim()
    assert house.asked == [None, None, None, 1000.0, 1000.0]
