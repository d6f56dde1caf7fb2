"""What there is to do at all, asked in one query: whose turn it is, the claims themselves find out."""

from dataclasses import dataclass

from omisync.store.database import Database


@dataclass(frozen=True, slots=True)
class Due:
    """Which of the daemon's loops have something to look at."""

    adds: bool
    cancels: bool
    pushes: bool
    wanted: bool
    owed: bool
    hooks: bool
    notices: bool


async def due(database: Database, since: float | None = None) -> Due:
    """What there is to do now.

    Args:
        database: asked.
        since: of adds, only those that are due from then on (Unix seconds), and nothing that a dead worker left behind.

    Raises:
        StoreError: it cannot be asked.
    """
    row = await database.row("due.anything", since=since)
    assert row is not None  # noqa: S101 - a query without FROM has one row
    return Due(**dict(row))
