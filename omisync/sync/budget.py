"""Keeps the budget in the database, for all replicas: between the budget's form of it and the store's."""

import asyncio
import random
from collections.abc import Callable
from typing import Final, TypeVar

from omisync.omisell import Holder, Pool, PoolAway
from omisync.store import StoreError
from omisync.store.bucket import BucketRow, SharedBucket

MOST_TRIES: Final = 50
"""Tries to change the row while other replicas do; far more than it takes."""

LONGEST_PAUSE: Final = 0.01
"""Seconds between two tries at most; a change takes a millisecond or two."""

T = TypeVar("T")


class SharedBudget:
    """What the budget's `SharedPool` asks for, on the store's row.

    The row is read, worked on here, and put back unless another replica was quicker: nobody holds a lock while it
    thinks, so that a replica that is stopped in the middle stops no other.
    """

    def __init__(self, bucket: SharedBucket) -> None:
        self._bucket = bucket

    async def settle(self, work: Callable[[Pool, float], tuple[Pool, T]]) -> T:
        """Put what `work` makes of the shared state in its place.

        Raises:
            PoolAway: the database is, or is not migrated; or too many others are at it.
        """
        try:
            for _ in range(MOST_TRIES):
                row, now = await self._bucket.read()
                pool, result = work(_pool(row), now)
                if await self._bucket.replace(_row(pool, row.revision)):
                    return result
                await asyncio.sleep(random.uniform(0, LONGEST_PAUSE))  # noqa: S311 - to come apart, not to be secret
        except StoreError as error:
            raise PoolAway(str(error)) from error
        raise PoolAway("the shared budget is changed by others all the time")


def _pool(row: BucketRow) -> Pool:
    return Pool(
        at=row.at,
        level=row.level,
        drift=row.drift,
        granted=row.granted,
        slack=row.slack,
        slack_at=row.slack_at,
        heard_at=row.heard_at,
        blocked_until=row.blocked_until,
        holders={name: Holder(*parts) for name, parts in row.holders.items()},
    )


def _row(pool: Pool, revision: int) -> BucketRow:
    return BucketRow(
        revision=revision,
        at=pool.at,
        level=pool.level,
        drift=pool.drift,
        granted=pool.granted,
        slack=pool.slack,
        slack_at=pool.slack_at,
        heard_at=pool.heard_at,
        blocked_until=pool.blocked_until,
        holders={name: (one.held, one.urgent, one.until) for name, one in pool.holders.items()},
    )
