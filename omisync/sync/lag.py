"""Notes how late Omisell's list is, whenever a whole window of it has been read for another reason."""

from collections.abc import Collection

import structlog

from omisync.clock import since_boot
from omisync.store import StoreError
from omisync.sync.ports import LagRecord

SLOW_ANSWER = 90.0  # seconds that an add may have been applied before we had its answer, clocks' difference included


class LagNotes:
    """Where readings of the list leave what they show of its lag.

    Args:
        record: shared by all replicas; None notes nothing.
    """

    def __init__(self, record: LagRecord | None) -> None:
        self._record = record
        self._log = structlog.get_logger("lag")

    async def note(self, listed: Collection[str], began: float, reach: float) -> float:
        """Compares a reading with what we had added before it; the lag that it shows, in seconds.

        Args:
            listed: Omisell's numbers of all orders that the reading showed.
            began: when it began, on the clock `since_boot`.
            reach: seconds that its window reached back then: what was added before need not be in it.
        """
        if self._record is None or reach <= SLOW_ANSWER:
            return 0.0
        try:
            return await self._record.observe(listed, since_boot() - began, reach - SLOW_ANSWER)
        except StoreError as error:
            self._log.info("the list's lag could not be noted", error=str(error))
            return 0.0
