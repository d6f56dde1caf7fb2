"""The row that all replicas share: read and put back whole, by the database's clock, never over a newer one."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from omisync.omisell import Holder, Pool, PoolAway
from omisync.store import Database, StoreError
from omisync.store.bucket import SharedBucket
from omisync.sync import budget as bridge
from omisync.sync.budget import SharedBudget


async def test_what_was_put_there_is_read_again(house: Any) -> None:
    bucket = SharedBucket(house.database)
    row, now = await bucket.read()
    assert (row.revision, row.level, row.granted, row.holders) == (0, 0.0, 0, {})
    put = replace(
        row,
        at=now,
        level=12.5,
        drift=0.25,
        granted=7,
        slack=3.5,
        slack_at=now - 2,
        heard_at=now - 1,
        blocked_until=now + 30,
        holders={"a": (3, 1, now + 30)},
    )
    assert await bucket.replace(put)
    again, later = await bucket.read()
    assert later > now
    assert again.revision == 1
    assert (again.level, again.drift, again.granted, again.slack) == (12.5, 0.25, 7, 3.5)
    assert [again.at, again.slack_at, again.heard_at, again.blocked_until] == pytest.approx(
        [now, now - 2, now - 1, now + 30], abs=1e-5
    )
    assert again.holders == {"a": (3, 1, now + 30)}


async def test_a_row_that_another_replica_has_changed_is_not_overwritten(house: Any) -> None:
    bucket = SharedBucket(house.database)
    row, _ = await bucket.read()
    assert await bucket.replace(replace(row, granted=1))
    assert not await bucket.replace(replace(row, granted=2))
    assert (await bucket.read())[0].granted == 1


async def test_the_time_is_the_databases(house: Any) -> None:
    _, now = await SharedBucket(house.database).read()
    there = await house.sql.fetchval("SELECT extract(epoch FROM clock_timestamp())::float8")
    assert 0 <= there - now < 10


async def test_a_lost_row_is_said_with_what_to_do(house: Any) -> None:
    await house.sql.execute("DELETE FROM omisync.bucket")
    with pytest.raises(StoreError, match="INSERT INTO bucket DEFAULT VALUES"):
        await SharedBucket(house.database).read()


async def test_changes_of_many_replicas_at_once_are_all_kept(house: Any) -> None:
    shared = SharedBudget(SharedBucket(house.database))

    def count(pool: Pool, now: float) -> tuple[Pool, int]:
        name = f"replica {pool.granted}"
        return replace(pool, granted=pool.granted + 1, holders={**pool.holders, name: Holder(1, 0, now)}), pool.granted

    found = await asyncio.gather(*(shared.settle(count) for _ in range(6)))
    assert sorted(found) == [0, 1, 2, 3, 4, 5]
    row, _ = await SharedBucket(house.database).read()
    assert (row.granted, row.revision, len(row.holders)) == (6, 6, 6)


async def test_a_database_that_is_away_is_told_as_such() -> None:
    database = Database("postgresql://nobody@127.0.0.1:1/nowhere")
    with pytest.raises(PoolAway, match="cannot be used now"):
        await SharedBudget(SharedBucket(database)).settle(lambda pool, _: (pool, None))


async def test_one_who_is_never_quick_enough_gives_up(house: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bridge, "MOST_TRIES", 3)
    bucket = SharedBucket(house.database)
    tries = 0

    async def slower(*_: object) -> bool:
        nonlocal tries
        tries += 1
        return False

    monkeypatch.setattr(SharedBucket, "replace", slower)
    with pytest.raises(PoolAway, match="by others all the time"):
        await SharedBudget(bucket).settle(lambda pool, _: (pool, None))
    assert tries == 3
