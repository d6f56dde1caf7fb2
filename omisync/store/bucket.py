"""The leaky bucket that all replicas of an account share: one row, read and put back whole."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from omisync.store.database import Database
from omisync.store.errors import StoreMisused


@dataclass(frozen=True, slots=True)
class BucketRow:
    """The row. Times in Unix seconds by the database's clock.

    Attributes:
        revision: one more with every change.
        at: when the rest was as it is here.
        level: calls in the bucket then.
        drift: calls a second that strangers add.
        granted: calls granted to anybody, ever.
        slack: places kept free for a stranger's calls, at `slack_at`.
        heard_at: when Omisell's header last told how full it is.
        blocked_until: nobody calls before.
        holders: of each replica the calls it holds, its urgent calls that wait, and when it is forgotten.
    """

    revision: int
    at: float
    level: float
    drift: float
    granted: int
    slack: float
    slack_at: float
    heard_at: float
    blocked_until: float
    holders: Mapping[str, tuple[int, int, float]]


class SharedBucket:
    """The one row. All methods raise `StoreError`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def read(self) -> tuple[BucketRow, float]:
        """The row, and the database's time in Unix seconds."""
        found = await self._database.row("bucket.read")
        if found is None:
            raise StoreMisused("the table bucket has lost its one row; put it back: INSERT INTO bucket DEFAULT VALUES")
        values = dict(found)
        now: float = values.pop("now")
        holders = {name: (held, urgent, until) for name, (held, urgent, until) in json.loads(values["holders"]).items()}
        return BucketRow(**{**values, "holders": holders}), now

    async def replace(self, row: BucketRow) -> bool:
        """Puts `row` in the place of the one of the same revision; False if that is not there any more."""
        revision = await self._database.value(
            "bucket.replace",
            revision=row.revision,
            at=row.at,
            level=row.level,
            drift=row.drift,
            granted=row.granted,
            slack=row.slack,
            slack_at=row.slack_at,
            heard_at=row.heard_at,
            blocked_until=row.blocked_until,
            holders=json.dumps(row.holders),
        )
        return revision is not None
