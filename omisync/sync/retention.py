"""What is old goes: in small batches, at the quiet hours; by day only what several nights did not suffice for."""

import asyncio
import datetime as dt
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import structlog

BATCH = 1000  # rows a statement: short locks, little WAL at once
PAUSE = 0.2  # seconds between batches, for the shop's own work
PAUSE_BY_DAY = 2.0
FAR_BEHIND = 2 * 86_400.0  # seconds: what should have gone two nights ago goes by day as well
SPELL = 480.0  # seconds that one run works at most; what is left comes in the next


class Removes(Protocol):
    """A table's own rule of what is finished with."""

    async def __call__(self, keep_seconds: float, most: int) -> int:
        """Removes up to `most` rows older than `keep_seconds`; how many."""
        ...


@dataclass(frozen=True, slots=True)
class Keeps:
    """How long the rows of one table stay, in seconds once they are finished with."""

    table: str
    seconds: float
    purge: Removes


class Retention:
    """Removes what has had its time.

    Args:
        tables: and how long their rows stay.
        quiet: whether a time of day is off-peak.
        clock: this machine's local time.
        passing: seconds that pass, whatever the clock is set to.
    """

    def __init__(
        self,
        tables: Sequence[Keeps],
        quiet: Callable[[dt.time], bool],
        clock: Callable[[], dt.datetime] = dt.datetime.now,
        passing: Callable[[], float] = time.monotonic,
    ) -> None:
        self._tables = tables
        self._quiet = quiet
        self._clock = clock
        self._passing = passing
        self._log = structlog.get_logger("retention")

    async def run(self) -> dict[str, int]:
        """Works until nothing is due, or for `SPELL` seconds, a batch of each table in turn; how many rows went.

        Raises:
            StoreError: the database is away.
        """
        until, left, gone = self._passing() + SPELL, list(self._tables), dict.fromkeys(_names(self._tables), 0)
        while left and self._passing() < until:
            quiet = self._quiet(self._clock().time())
            more: list[Keeps] = []
            for table in left:
                rows = await table.purge(table.seconds + (0.0 if quiet else FAR_BEHIND), BATCH)
                gone[table.table] += rows
                if rows == BATCH:
                    more.append(table)
            left = more
            if left:
                await asyncio.sleep(PAUSE if quiet else PAUSE_BY_DAY)
        if any(gone.values()):
            self._log.info("old rows removed", **gone, more=_names(left))
        return gone


def _names(tables: Sequence[Keeps]) -> list[str]:
    return [table.table for table in tables]
