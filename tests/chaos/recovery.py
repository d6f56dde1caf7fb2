"""How soon it is over: what a dead daemon held is taken up again, and everything flows after the database is back."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import asyncpg

from omisync.demo.errors import DemoError
from omisync.demo.shop import DATABASE_AWAY
from tests.chaos.servers import STATEMENT_SECONDS, Servers

LOOK_SECONDS: Final = 0.25
BOUND_SECONDS: Final = 20.0
"""The lease of 15 s, and 5 s [contract 6.7]."""
GIVE_UP_SECONDS: Final = 90.0
"""Beyond the bound by so much that nothing would be learnt by waiting longer."""

HELD: Final = """
    SELECT lease_token FROM omisync.outbox WHERE state = 'sending'
    UNION SELECT lease_token FROM omisync.refreshes WHERE lease_token IS NOT NULL
"""
STILL_HELD: Final = """
    SELECT count(*) FROM (
        SELECT lease_token FROM omisync.outbox WHERE state = 'sending'
        UNION SELECT lease_token FROM omisync.refreshes WHERE lease_token IS NOT NULL) AS held
    WHERE lease_token = ANY($1::uuid[])
"""
FINISHED_SINCE: Final = """
    SELECT clock_timestamp(), (SELECT count(*) FROM omisync.outbox WHERE finished_at > $1),
           (SELECT count(*) FROM omisync.outbox WHERE state IN ('pending', 'sending') AND available_at <= now())
"""


@dataclass(frozen=True, slots=True)
class Recovery:
    """One measured.

    Attributes:
        kind: What was struck.
        seconds: Until it was over, counted from the end of other trouble that overlapped; None: it never was.
    """

    kind: str
    seconds: float | None

    @property
    def in_time(self) -> bool:
        """Within the bound of the contract."""
        return self.seconds is not None and self.seconds <= BOUND_SECONDS


@dataclass(slots=True)
class Recoveries:
    """Measures. Other trouble that overlaps stops the clock until it is over: nothing is sent while Omisell is away.

    Args:
        servers: Where to look.
        replicas: How many daemons there are.
        ready: How many of them say that they can work.
    """

    servers: Servers
    replicas: int
    ready: Callable[[], Awaitable[int]]
    measured: list[Recovery] = field(default_factory=list)
    _troubles: int = 0
    _down: int = 0
    _calm_since: float = 0.0
    _up_since: float = 0.0
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    @contextlib.contextmanager
    def trouble(self, _: str) -> Iterator[None]:
        """Something is wrong with the world around the daemons meanwhile."""
        self._troubles += 1
        try:
            yield
        finally:
            self._troubles -= 1
            self._calm_since = time.monotonic()

    async def daemon_dies(self, kind: str, end: Callable[[], Awaitable[None]]) -> None:
        """End a daemon, and measure until nothing is held any more under the leases of that moment."""
        held = await self._held()
        self._down += 1
        await end()
        if held:
            self._watch(self._until_free(kind, held))

    def daemon_starts(self, until_ready: Awaitable[None]) -> None:
        """One that was ended begins anew; while all are down or beginning, nothing can flow, and nothing is late."""
        self._watch(self._until_up(until_ready))

    async def _until_up(self, until_ready: Awaitable[None]) -> None:
        try:
            with contextlib.suppress(DemoError):  # it was ended again
                await until_ready
        finally:
            if self._down == self.replicas:
                self._up_since = time.monotonic()
            self._down -= 1

    @contextlib.asynccontextmanager
    async def database_away(self, kind: str) -> AsyncIterator[None]:
        """The database is away for the block; measure from its end until replicas work and rows end again."""
        with self.trouble(kind):
            yield
        self._watch(self._until_flowing(kind))

    async def done(self) -> None:
        """Wait for what is being measured."""
        while self._tasks:
            await asyncio.wait(tuple(self._tasks))

    def _watch(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _held(self) -> Sequence[Any]:
        with contextlib.suppress(*DATABASE_AWAY, asyncpg.PostgresError):
            async with self._connected() as connection:
                return [row["lease_token"] for row in await connection.fetch(HELD)]
        return ()

    async def _until_free(self, kind: str, held: Sequence[Any]) -> None:
        async def free() -> bool:
            async with self._connected() as connection:
                return bool(await connection.fetchval(STILL_HELD, held) == 0)

        await self._until(kind, free)

    async def _until_flowing(self, kind: str) -> None:
        began: list[Any] = []

        async def flowing() -> bool:
            async with self._connected() as connection:
                if not began:
                    began.append(await connection.fetchval("SELECT clock_timestamp()"))
                _, finished, due = await connection.fetchrow(FINISHED_SINCE, began[0])
            return (finished > 0 or due == 0) and await self.ready() >= self.replicas - self._down

        await self._until(kind, flowing, by_daemons=True)

    async def _until(self, kind: str, over: Callable[[], Awaitable[bool]], *, by_daemons: bool = False) -> None:
        began = time.monotonic()

        def since() -> float:
            return max(began, self._calm_since, self._up_since if by_daemons else began)

        while time.monotonic() < since() + GIVE_UP_SECONDS:
            with contextlib.suppress(*DATABASE_AWAY, asyncpg.PostgresError):
                if await over():
                    took = time.monotonic() - since()
                    self.measured.append(Recovery(kind, 0.0 if self._troubles else took))
                    return
            await asyncio.sleep(LOOK_SECONDS)
        self.measured.append(Recovery(kind, None))

    @contextlib.asynccontextmanager
    async def _connected(self) -> AsyncIterator[Any]:
        connection = await asyncpg.connect(self.servers.admin_dsn, timeout=STATEMENT_SECONDS, command_timeout=10)
        try:
            yield connection
        finally:
            connection.terminate()
