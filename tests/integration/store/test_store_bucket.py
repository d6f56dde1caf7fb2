"""The bucket that all replicas share: exact, corrected by Omisell's header, blocked by a 429."""

import asyncio
from typing import Any

from omisync.store.bucket import SharedBucket

SLOW = 0.001  # calls a second: nothing leaks while a test runs


async def test_replicas_together_never_take_more_than_the_bucket_holds(house: Any) -> None:
    buckets = [SharedBucket(house.database, 10, SLOW) for _ in range(4)]
    grants = await asyncio.gather(*(bucket.take(4) for bucket in buckets))
    assert sum(grant.calls for grant in grants) == 10
    full = await buckets[0].take(1)
    assert full.calls == 0
    assert full.wait is not None
    assert 990 < full.wait <= 1000


async def test_what_leaks_can_be_taken_again(house: Any) -> None:
    bucket = SharedBucket(house.database, 10, 2.0)
    assert (await bucket.take(10)).calls == 10
    await house.sql.execute("UPDATE omisync.bucket SET at = at - interval '3 s'")
    assert (await bucket.take(10)).calls in {6, 7}


async def test_a_stranger_in_the_bucket_is_seen_and_a_lower_count_changes_nothing(house: Any) -> None:
    bucket = SharedBucket(house.database, 10, SLOW)
    await bucket.take(2)
    await bucket.correct(8)
    await bucket.correct(3)
    assert (await bucket.take(10)).calls == 2


async def test_after_a_429_nobody_calls(house: Any) -> None:
    bucket = SharedBucket(house.database, 10, 1000.0)
    await bucket.block(30.0)
    grant = await bucket.take(1)
    assert grant.calls == 0
    assert grant.wait is not None
    assert 29 < grant.wait <= 30


async def test_room_that_was_not_used_is_given_back(house: Any) -> None:
    bucket = SharedBucket(house.database, 10, SLOW)
    await bucket.take(10)
    await bucket.give_back(3)
    assert (await bucket.take(10)).calls == 3
