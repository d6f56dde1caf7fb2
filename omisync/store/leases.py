"""Which replica leads, which live: leases by the database's clock, an identity fresh for each process."""

import asyncio
import contextlib
import json
import uuid
from collections.abc import AsyncIterator, Mapping

from omisync.store.database import Database, host_name
from omisync.store.errors import StoreError, StoreUnavailable

LEADER_SECONDS = 10.0  # a lead not renewed for so long is anybody's: with a look every 3 s, taken over within 15 s


class Leases:
    """Named leases of one process. All methods raise `StoreError`."""

    def __init__(self, database: Database, version: str) -> None:
        self._database = database
        self._version = version
        self.identity = uuid.uuid4()

    async def lead(self) -> bool:
        """Takes or keeps the lead for `LEADER_SECONDS`; False while another replica has it."""
        return await self._take("leader", LEADER_SECONDS)

    async def resign(self) -> None:
        """Gives the lead back, so that another replica need not wait, and leaves the list of replicas."""
        await self._database.value("leases.give_back", name="leader", holder=self.identity)
        await self._database.value("leases.leave", id=self.identity)

    async def beat(self, state: Mapping[str, object]) -> None:
        """Leaves a sign of life with what this replica tells of itself."""
        await self._database.value(
            "leases.beat",
            id=self.identity,
            replica=host_name(),
            version=self._version,
            state=json.dumps(state),
        )

    @contextlib.asynccontextmanager
    async def exclusive(self, name: str, seconds: float) -> AsyncIterator[None]:
        """Holds a named lease for the block, renewed while that lasts; a killed holder's is free after `seconds`.

        Raises:
            StoreUnavailable: another replica holds it; the same call may succeed in a moment.
        """
        if not await self._take(name, seconds):
            raise StoreUnavailable(f"another replica holds the lease {name!r} at this moment")
        renewal = asyncio.create_task(self._keep(name, seconds))
        try:
            yield
        finally:
            renewal.cancel()
            await asyncio.gather(renewal, return_exceptions=True)
            await self._database.value("leases.give_back", name=name, holder=self.identity)

    async def _keep(self, name: str, seconds: float) -> None:
        while True:
            await asyncio.sleep(seconds / 3)
            with contextlib.suppress(StoreError):  # the lease runs on to its end; the next try may come in time
                await self._take(name, seconds)

    async def _take(self, name: str, seconds: float) -> bool:
        until = await self._database.value("leases.take", name=name, holder=self.identity, seconds=seconds)
        return until is not None
