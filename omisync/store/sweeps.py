"""The sweeps' diary."""

import datetime as dt
from collections.abc import Sequence
from typing import Literal

from omisync.store.database import Database

SweepKind = Literal["incremental", "full", "manual"]
DIARY_RETENTION = 30 * 86_400.0
"""Seconds that the diary is worth keeping."""


class Sweeps:
    """When which sweep ran and what it found.

    Times are Omisell's clock, Unix seconds. All methods raise `StoreError`.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def begin(self, kind: SweepKind, window_from: int, window_to: int) -> tuple[int, dt.datetime]:
        """Notes that a sweep starts; returns its id, and the database's clock."""
        row = await self._database.row("sweeps.begin", kind=kind, window_from=window_from, window_to=window_to)
        assert row is not None  # noqa: S101 - an INSERT that does not fail returns its row
        return row["id"], row["started_at"]

    async def end(
        self,
        sweep: int,
        *,
        pages: int,
        seen: int,
        repaired: int,
        lost_times: Sequence[int] = (),
        error: str | None = None,
    ) -> None:
        """Notes how a sweep ended; `lost_times`: Omisell's times of changes whose push never came."""
        await self._database.value(
            "sweeps.end",
            id=sweep,
            pages=pages,
            seen=seen,
            repaired=repaired,
            lost_times=list(lost_times),
            error=error,
        )

    async def pushes_silent_since(self) -> dt.datetime | None:
        """Since when no push has come although sweeps find changes; None while pushes come."""
        since: dt.datetime | None = await self._database.value("sweeps.pushes_silent_since")
        return since

    async def cursor(self) -> int | None:
        """Up to where the list has been compared without a gap; None before the first good sweep."""
        until: int | None = await self._database.value("sweeps.cursor")
        return until

    async def last_full(self) -> float | None:
        """Seconds since the daily sweep last ended well."""
        seconds: float | None = await self._database.value("sweeps.last_full")
        return seconds

    async def purge(self, keep_seconds: float, most: int) -> int:
        """Removes up to `most` entries older than `keep_seconds`."""
        return len(await self._database.rows("sweeps.purge", keep_seconds=keep_seconds, most=most))
