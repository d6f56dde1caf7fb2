"""How late Omisell's list is, as far as its readings have shown: one small record for all replicas."""

from collections.abc import Collection

from omisync.store.database import Database

LAG_HORIZON = 300.0  # seconds before a reading whose adds it is compared with; no lag beyond this is seen


class ListLag:
    """The record of the list's lag. All methods raise `StoreError`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def observe(self, listed: Collection[str], age: float) -> float:
        """Compares a whole reading of the list with what we had added shortly before it.

        Args:
            listed: Omisell's numbers of all orders that the reading showed.
            age: seconds since the reading began.

        Returns:
            The greatest age in seconds at which one of our orders was still missing; 0 if none was.
        """
        seconds = await self._database.value("lag.observe", listed=list(listed), age=age, horizon=LAG_HORIZON)
        return float(seconds or 0.0)
