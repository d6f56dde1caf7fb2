"""How late Omisell's list is, as far as its readings have shown: one small record for all replicas."""

from collections.abc import Collection

from omisync.store.database import Database

LAG_HORIZON = 300.0  # seconds before a reading within which adds are compared with it; no lag beyond this is seen


class ListLag:
    """The record of the list's lag. All methods raise `StoreError`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def observe(self, listed: Collection[str], age: float, reach: float) -> float:
        """Compares a whole reading of the list with what we had added shortly before it.

        Args:
            listed: Omisell's numbers of all orders that the reading showed.
            age: seconds since the reading began.
            reach: seconds before it within which what we added must be in its window.

        Returns:
            The greatest age in seconds at which one of our orders was still missing; 0 if none was.
        """
        horizon = min(reach, LAG_HORIZON)
        seconds = await self._database.value("lag.observe", listed=list(listed), age=age, horizon=horizon)
        return float(seconds or 0.0)
