"""The leaky bucket that all replicas of an account share."""

from dataclasses import dataclass

from omisync.store.database import Database


@dataclass(frozen=True, slots=True)
class Granted:
    """What was taken out of the shared bucket's room.

    Attributes:
        calls: how many calls may be made now.
        level: calls in the bucket after that.
        wait: seconds until there is room for another; None if there is now.
    """

    calls: int
    level: float
    wait: float | None


class SharedBucket:
    """One row for all replicas, by the database's clock. All methods raise `StoreError`.

    Args:
        size: calls the bucket holds.
        leak: calls a second that leak out of it.
    """

    def __init__(self, database: Database, size: float, leak: float) -> None:
        self._database = database
        self.size = size
        self.leak = leak

    async def take(self, want: int) -> Granted:
        """Takes room for up to `want` calls."""
        row = await self._database.row("bucket.take", want=want, size=self.size, leak=self.leak)
        return Granted(0, self.size, 1.0) if row is None else Granted(row["granted"], row["level"], row["wait"])

    async def correct(self, used: int) -> None:
        """Omisell's header shows `used` calls in the bucket: if that is more than we know, it is right."""
        await self._database.rows("bucket.correct", used=float(used), leak=self.leak)

    async def block(self, seconds: float) -> None:
        """Nobody calls for `seconds`."""
        await self._database.rows("bucket.block", seconds=seconds, size=self.size)

    async def give_back(self, calls: int) -> None:
        """Returns room that was taken and not used."""
        await self._database.rows("bucket.give_back", calls=calls)
