"""Does what the schedule says, to real processes, and notes what was done."""

import asyncio
import contextlib
import random
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, Final, Protocol

import aiohttp
import asyncpg

from omisync.demo.errors import DemoError
from omisync.demo.shop import DATABASE_AWAY
from tests.chaos.plan import Blow, Kind
from tests.chaos.recovery import Recoveries
from tests.chaos.servers import STATEMENT_SECONDS
from tests.chaos.stage import Replica, Stage

TRY_SECONDS: Final = 20.0
"""How long a fault that needs the database tries to get at it; another fault may have it."""
TERMINATE: Final = """
    SELECT pg_terminate_backend(pid) FROM (
        SELECT pid FROM pg_stat_activity
        WHERE datname = current_database() AND usename IN ('omisync', 'shop_app')
        ORDER BY random() LIMIT $1) AS chosen
"""
HURRY: Final = "UPDATE omisync.refreshes SET available_at = now() WHERE priority = 2 AND lease_token IS NULL"
"""Details that nobody hurries for wait two minutes for the next push; after the last one there is none to wait for."""
SET_MOOD: Final = "UPDATE chaos.mood SET mode = $1"
LISTEN_SECONDS: Final = 1.0
OPEN_TRIES: Final = 20
OPEN_AGAIN_SECONDS: Final = 0.5
BY_ITSELF: Final = "daemons that ended by themselves"


async def listens(session: aiohttp.ClientSession, url: str) -> bool:
    """Whether a daemon has come so far that it takes connections."""
    with contextlib.suppress(aiohttp.ClientError, TimeoutError, OSError):
        async with session.get(f"{url}/healthz", timeout=aiohttp.ClientTimeout(total=LISTEN_SECONDS)) as answer:
            return answer.status == 200
    return False


class Hurries(Protocol):
    """The shop, as far as a burst concerns it."""

    def hurry(self, orders: int) -> None:
        """So many orders at once."""
        ...


class Hands:
    """One method a kind of fault.

    Args:
        stage: What is struck.
        crowd: The shoppers, for a burst.
        recoveries: Told what was struck, to measure how soon it is over.
        say: Told in words.
    """

    def __init__(self, stage: Stage, crowd: Hurries, recoveries: Recoveries, say: Callable[[str], None]) -> None:
        self._stage = stage
        self._crowd = crowd
        self._recoveries = recoveries
        self._say = say
        self._replica_locks = [asyncio.Lock() for _ in stage.replicas]
        self._database_lock = asyncio.Lock()
        self.done: Counter[str] = Counter()
        self._hands: Mapping[Kind, Callable[..., Awaitable[None]]] = {
            "kill": self.kill,
            "crash_loop": self.crash_loop,
            "terminate": self.terminate,
            "clock": self.clock,
            "database_restart": self.database_restart,
            "fail_over": self.fail_over,
            "backends_killed": self.backends_killed,
            "connections_exhausted": self.connections_exhausted,
            "idle_transaction": self.idle_transaction,
            "repeatable_readers": self.repeatable_readers,
            "burst": self.burst,
            "weather": self.weather,
            "duplicates": self.duplicates,
            "outage": self.outage,
            "tokens_revoked": self.tokens_revoked,
            "late_pushes": self.late_pushes,
            "hook": self.hook,
        }

    async def strike(self, blow: Blow) -> None:
        """Do it, for as long as it lasts."""
        words = ", ".join(f"{name} {value}" for name, value in blow.details.items() if name not in ("faults", "seed"))
        self._say(f"{blow.kind}{f' ({words})' if words else ''}")
        self.done[blow.kind] += 1
        await self._hands[blow.kind](**blow.details)

    async def calm(self) -> None:
        """Everything is as it should be again: Omisell, hooks, clocks, and every replica up."""
        await self._stage.omisell.behave()
        await self._on_database(SET_MOOD, "calm")
        for number, replica in enumerate(self._stage.replicas):
            async with self._held(number):
                replica.step_clock(0)
                if replica.daemon.pid is None:
                    await replica.start()

    async def hurry(self) -> None:
        """What can wait is fetched now: what it waits for will not come any more."""
        await self._on_database(HURRY)

    async def watch(self) -> None:
        """Note daemons that end by themselves, which none may, and start them again: for ever."""
        while True:
            for number, lock in enumerate(self._replica_locks):
                if not lock.locked():
                    async with self._held(number):
                        pass
            await asyncio.sleep(LISTEN_SECONDS)

    async def kill(self, replica: int, down: float) -> None:
        """A crash (SIGKILL), as a service manager sees it."""
        async with self._held(replica) as struck:
            await self._killed(struck)
            await asyncio.sleep(down)
            await self._started(struck)

    async def crash_loop(self, replica: int, delays: list[float]) -> None:
        """The same one again and again, in whatever phase it is by then."""
        async with self._held(replica) as struck:
            for delay in delays:
                await self._killed(struck)
                await self._started(struck)
                await asyncio.sleep(delay)

    async def _killed(self, struck: Replica) -> None:
        await self._recoveries.daemon_dies("SIGKILL", struck.daemon.kill)
        self.done["SIGKILL"] += 1

    async def _started(self, struck: Replica) -> None:
        await struck.start()
        self._recoveries.daemon_starts(struck.daemon.ready())

    async def terminate(self, replica: int) -> None:
        """An orderly stop (SIGTERM) that must end with 0, and a start."""
        async with self._held(replica) as struck:
            code: list[int | None] = []

            async def stop() -> None:
                code.append(await struck.daemon.stop())

            began = time.monotonic()
            listened = await listens(self._stage.session, struck.admin_url)
            await self._recoveries.daemon_dies("SIGTERM", stop)
            # before it listens, a start that is called off ends as any program does
            if code[0] != 0 and (listened or code[0] != -signal.SIGTERM):
                self._say(f"replica {replica} ended with {code[0]} after {time.monotonic() - began:.1f} s of SIGTERM")
                self.done["SIGTERM without exit 0"] += 1
            await self._started(struck)

    async def clock(self, replica: int, offset: int) -> None:
        """The machine's clock is stepped while the daemon runs."""
        self._stage.replicas[replica].step_clock(offset)

    async def database_restart(self, mode: str) -> None:
        """Postgres stops (orderly, at once, or by SIGKILL) and starts again."""
        async with self._database_lock, self._recoveries.database_away(f"restart {mode}"):
            await self._stage.servers.restart(mode)  # type: ignore[arg-type] # one of RESTARTS
        self.done["database restarts"] += 1

    async def fail_over(self, mode: str) -> None:
        """The primary dies and the standby takes over."""
        async with self._database_lock, self._recoveries.database_away("fail-over"):
            await self._stage.servers.fail_over(mode)  # type: ignore[arg-type] # a way to die
        self.done["fail-overs"] += 1

    async def backends_killed(self, seconds: float, a_second: int) -> None:
        """Somebody terminates the daemons' and the shop's backends, several a second."""

        async def terminate(connection: Any) -> None:
            until = time.monotonic() + seconds
            while time.monotonic() < until:
                killed = await connection.fetch(TERMINATE, 2)
                self.done["backends killed"] += len(killed)
                await asyncio.sleep(2 / a_second)

        async with self._recoveries.database_away("backends killed"):
            await self._with_connection(terminate)

    async def connections_exhausted(self, connections: int, seconds: float) -> None:
        """Idle connections take all that the server has."""
        opened: list[Any] = []
        with self._recoveries.trouble("connections exhausted"):
            try:
                for _ in range(OPEN_TRIES):
                    with contextlib.suppress(*DATABASE_AWAY):
                        while len(opened) < connections:
                            opened += [await asyncpg.connect(self._stage.shop_dsn, timeout=STATEMENT_SECONDS)]
                    if opened:
                        break
                    await asyncio.sleep(OPEN_AGAIN_SECONDS)  # another blow has taken the database away
                self.done["idle connections"] = max(self.done["idle connections"], len(opened))
                await asyncio.sleep(seconds)
            finally:
                for connection in opened:
                    connection.terminate()

    async def idle_transaction(self, seconds: float) -> None:
        """A transaction with an id of its own sits idle, and holds back what vacuum may remove."""

        async def hold(connection: Any) -> None:
            async with connection.transaction():
                await connection.fetchval("SELECT pg_current_xact_id()")
                await asyncio.sleep(seconds)

        await self._with_connection(hold)

    async def repeatable_readers(self, readers: int, seconds: float) -> None:
        """Long reports in REPEATABLE READ."""

        async def read(connection: Any) -> None:
            until = time.monotonic() + seconds
            async with connection.transaction(isolation="repeatable_read", readonly=True):
                while time.monotonic() < until:
                    await connection.fetchval(
                        "SELECT count(*) FROM omisync.outbox JOIN omisync.orders USING (order_number)"
                    )
                    await asyncio.sleep(0.5)

        await asyncio.gather(*(self._with_connection(read) for _ in range(readers)))

    async def burst(self, orders: int) -> None:
        """Many orders at once."""
        self._crowd.hurry(orders)

    async def weather(self, faults: Mapping[str, object]) -> None:
        """What Omisell does wrong from now on."""
        await self._stage.omisell.faults(faults)

    async def duplicates(self, mode: str, filter: bool = False) -> None:  # noqa: A002 - the schedule's word
        """What Omisell does with a number it knows, and whether its list heeds a filter by number."""
        await self._stage.omisell.configure({"orders": {"duplicates": mode}, "lists": {"lookup_filter": filter}})
        self.done[f"duplicates: {mode}"] += 1

    async def outage(self, seconds: float, refuse: bool) -> None:
        """Omisell as a whole is away."""
        with self._recoveries.trouble("outage of Omisell"):
            await self._stage.omisell.faults({"outage": {"values": ["refuse"] if refuse else []}})
            await asyncio.sleep(seconds)
            await self._stage.omisell.faults({"outage": None})

    async def tokens_revoked(self, refresh: bool) -> None:
        """All tokens are void."""
        await self._stage.omisell.control("POST", "revoke-tokens", json={"refresh": refresh})

    async def late_pushes(self, many: int, seed: int) -> None:
        """Old pushes come again, in any order."""
        log = await self._stage.omisell.control("GET", "pushes", params={"limit": "1000", "body": "0"})
        settled = [push["request_id"] for push in log["pushes"] if push["state"] == "delivered"]
        dice = random.Random(seed)  # noqa: S311 - no secret
        for request_id in dice.sample(settled, k=min(many, len(settled))):
            with contextlib.suppress(DemoError, aiohttp.ClientError):
                await self._stage.omisell.control("POST", "push", json={"request_id": request_id})
                self.done["pushes repeated late"] += 1

    async def hook(self, mode: str, seconds: float) -> None:
        """The merchant's function raises, dawdles, or meets the shop's transactions in a deadlock."""
        await self._on_database(SET_MOOD, mode)
        until = time.monotonic() + seconds
        if mode == "deadlock":
            await self._with_connection(lambda connection: self._embrace(connection, until))
        await asyncio.sleep(until - time.monotonic())
        await self._on_database(SET_MOOD, "calm")

    @staticmethod
    async def _embrace(connection: Any, until: float) -> None:
        """The shop's transaction takes first what the hook takes last, and the other way round."""
        while time.monotonic() < until:
            with contextlib.suppress(asyncpg.TransactionRollbackError):
                async with connection.transaction():
                    await connection.execute("UPDATE chaos.locks SET taken = taken + 1")
                    await asyncio.sleep(0.2)
                    await connection.execute(
                        "SELECT FROM omisync.orders WHERE NOT is_final ORDER BY random() LIMIT 20 FOR UPDATE"
                    )

    @contextlib.asynccontextmanager
    async def _held(self, replica: int) -> AsyncIterator[Replica]:
        async with self._replica_locks[replica]:
            held = self._stage.replicas[replica]
            try:
                held.daemon.check()
            except DemoError as error:
                self._say(f"replica {replica}: {error}")
                self.done[BY_ITSELF] += 1
                await held.start()
            yield held

    async def _on_database(self, statement: str, *values: object) -> None:
        async def execute(connection: Any) -> None:
            await connection.execute(statement, *values, timeout=STATEMENT_SECONDS)

        await self._with_connection(execute)

    async def _with_connection(self, work: Callable[[Any], Awaitable[None]]) -> None:
        """Work on the primary; another fault may take the connection away, and then this one is over."""
        deadline = time.monotonic() + TRY_SECONDS
        while True:
            try:
                connection = await asyncpg.connect(self._stage.servers.admin_dsn, timeout=STATEMENT_SECONDS)
            except DATABASE_AWAY:
                if time.monotonic() > deadline:
                    return
                await asyncio.sleep(0.2)
                continue
            try:
                with contextlib.suppress(*DATABASE_AWAY):
                    await work(connection)
                return
            finally:
                connection.terminate()
