"""`python -m tests.system.restarts`: the daemon restarted again and again under pushes, through the socket unit.

Real Postgres (fsync on), the simulator, the daemon as a process with a socket passed to it as systemd passes one, and
before each start the unit's own check. A push comes on a connection of its own, as from a proxy without keep-alive, and
is never sent twice: what is not answered with 200 the first time is counted as such. Meanwhile a shop places orders,
and their statuses change at Omisell, which pushes them by the same way.
"""

import argparse
import asyncio
import collections
import contextlib
import json
import random
import shutil
import signal
import socket
import sys
import tempfile
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Final

import aiohttp

from omisync.demo.postgres import EmbeddedPostgres
from omisync.demo.stage import in_thread
from omisync.simulator.detail import push_data
from omisync.simulator.statuses import event_of, is_final
from omisync.store.migrations import migrate
from tests.chaos.world import World, world
from tests.conftest import administer
from tests.system.manager import Manager, Service, managed, open_socket

PUSH_SECONDS: Final = 120.0
"""A push that is not answered by then counts as unanswered; Omisell would not wait so long."""
OMISELL_WAITS: Final = 3.0
"""Seconds after which Omisell is taken to repeat a push, as the simulator does."""
PATIENCE: Final = 180.0
"""Seconds for each step of a restart: the machine may be busy, and how long they took is told."""
ORDER_EVERY: Final = 10.0
MOVE_EVERY: Final = 2.0
"""Seconds between changes at Omisell: 30 fetches a minute of the 100 calls that it takes."""
CALM_SECONDS: Final = 420.0
"""At the end, until everything is applied; a sweep comes after four minutes at the latest."""
TOLD_EVERY: Final = 60.0
KEPT: Final = "SELECT request_id, state FROM omisync.inbox"
STANDING: Final = "SELECT order_number, status_id FROM omisync.orders"


@dataclass
class Count:
    """What was seen. `answered`: request ids by status; `waits`: seconds until a 200."""

    sent: int = 0
    answered: dict[str, int] = field(default_factory=dict)
    waits: list[float] = field(default_factory=list)
    refused: int = 0
    cut_off: int = 0
    unanswered: int = 0
    moved: int = 0
    restarts: int = 0
    failed_starts: int = 0
    away: list[float] = field(default_factory=list)  # seconds from each SIGTERM until READY

    @property
    def good(self) -> list[str]:
        """The request ids of the pushes that were answered with 200."""
        return [request_id for request_id, status in self.answered.items() if status == 200]


class Restarts:
    """One run.

    Args:
        made: database, simulator, and the daemon's configuration.
        manager: starts the daemon.
        passed: the socket, as systemd holds it.
        seconds: how long there are pushes.
        every: seconds from one restart to the next.
        rate: pushes a second.
    """

    def __init__(
        self, made: World, manager: Manager, passed: socket.socket, *, seconds: float, every: float, rate: float
    ) -> None:
        self._made = made
        self._manager = manager
        self._passed = passed
        self._url = f"http://127.0.0.1:{passed.getsockname()[1]}/webhooks/omisell"
        self._seconds, self._every, self._rate = seconds, every, rate
        self._chance = random.Random(20)  # noqa: S311 - which order is pushed about
        self._over = asyncio.Event()
        self._running: set[asyncio.Task[None]] = set()
        self.count = Count()

    async def run(self, first: Service) -> bool:
        """All of it; whether everything was applied in time."""
        timeout = aiohttp.ClientTimeout(total=PUSH_SECONDS)
        connector = aiohttp.TCPConnector(force_close=True, limit=0)
        async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session, asyncio.TaskGroup() as group:
            group.create_task(self._push(session))
            group.create_task(self._shop())
            group.create_task(self._tell())
            group.create_task(self._restart(first))
            await asyncio.sleep(self._seconds)
            self._over.set()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CALM_SECONDS):
                await self._calm()
                return True
        return False

    async def _push(self, session: aiohttp.ClientSession) -> None:
        begin = time.monotonic()
        while not self._over.is_set():
            self.count.sent += 1
            task = asyncio.create_task(self._one(session, *self._body()))
            self._running.add(task)
            task.add_done_callback(self._running.discard)
            await self._wait(begin + self.count.sent / self._rate - time.monotonic())
        await asyncio.gather(*self._running)

    async def _one(self, session: aiohttp.ClientSession, request_id: str, body: bytes) -> None:
        headers = {"Authorization": self._made.simulator.config.push.secret, "Content-Type": "application/json"}
        begin = time.monotonic()
        try:
            async with session.post(self._url, data=body, headers=headers) as answer:
                self.count.answered[request_id] = answer.status
                if answer.status == 200:
                    self.count.waits.append(time.monotonic() - begin)
        except aiohttp.ClientConnectorError:
            self.count.refused += 1
        except aiohttp.ClientError:
            self.count.cut_off += 1
        except TimeoutError:
            self.count.unanswered += 1

    def _body(self) -> tuple[str, bytes]:
        """A push about an order as it stands at Omisell, under a request id of its own."""
        simulator = self._made.simulator
        order = self._chance.choice(list(simulator.orders))
        request_id = uuid.uuid4().hex
        body = {
            "data": push_data(order, order.state, "en"),
            "event": event_of(order.status_id) or "order.created",
            "shop_id": order.shop.shop_id,
            "request_id": request_id,
            "timestamp": int(time.time()),
        }
        return request_id, json.dumps(body).encode()

    async def _shop(self) -> None:
        """Orders are placed through the outbox; one after the other moves on at Omisell."""
        placed = time.monotonic()
        while not self._over.is_set():
            if time.monotonic() >= placed + ORDER_EVERY:
                placed = time.monotonic()
                await self._made.place(f"WEB-{len(self._made.placed)}")
            living = [order for order in self._made.simulator.orders if not is_final(order.status_id)]
            if living:
                self._made.simulator.advance(self._chance.choice(living).order_number)
                self.count.moved += 1
            await self._wait(MOVE_EVERY)

    async def _restart(self, service: Service) -> None:
        due = time.monotonic() + self._every
        while True:
            await self._wait(due - time.monotonic())
            if self._over.is_set():
                return
            while due <= time.monotonic():  # a restart that took longer than that is not followed by another at once
                due += self._every
            begin = time.monotonic()
            if await service.stops(signal.SIGTERM) != 0 or await self._manager.checks() != 0:
                self.count.failed_starts += 1
            self._manager.services.clear()
            service = await self._manager.starts(passed=self._passed)
            await service.tells("READY=1")
            self.count.restarts += 1
            self.count.away.append(time.monotonic() - begin)

    async def _tell(self) -> None:
        begin = time.monotonic()
        while not self._over.is_set():
            await self._wait(TOLD_EVERY)
            count = self.count
            say(
                f"{time.monotonic() - begin:6.0f} s: {count.sent} sent, {len(count.good)} answered 200, "
                f"{count.refused} refused, {count.cut_off} cut off, {count.restarts} restarts"
            )

    async def _wait(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._over.wait(), max(seconds, 0.0))

    async def _calm(self) -> None:
        """Until nothing waits and our table says what Omisell says."""
        while True:
            states = {row["state"] for row in await self._made.sql.fetch(KEPT)}
            known = {row["order_number"]: row["status_id"] for row in await self._made.sql.fetch(STANDING)}
            there = {order.order_number: order.status_id for order in self._made.simulator.orders}
            if states <= {"done", "known"} and known == there and not self._made.simulator.pushes.waiting:
                return
            await asyncio.sleep(1.0)


async def report(made: World, count: Count) -> tuple[str, bool]:
    """The figures, and whether nothing was refused or lost."""
    kept = {row["request_id"]: row["state"] for row in await made.sql.fetch(KEPT)}
    lost = sum(request_id not in kept for request_id in count.good)
    verdict = await made.verdict()
    tries = [attempt for push in made.simulator.pushes for attempt in push.tries]
    errors = collections.Counter(attempt.error or attempt.status for attempt in tries if attempt.status != 200)
    waits = sorted(count.waits)
    late = sum(wait > OMISELL_WAITS for wait in waits)
    other = collections.Counter(status for status in count.answered.values() if status != 200)
    holds = (
        len(count.good) == count.sent
        and lost == 0
        and verdict.findings == ()
        and count.failed_starts == 0
        and "ClientConnectorError" not in errors
    )
    away = f"{sum(count.away) / max(len(count.away), 1):.1f} s on average, {max(count.away, default=0):.1f} s at most"
    median, most = waits[len(waits) // 2] * 1000, waits[len(waits) * 99 // 100]
    orders = f"{len(made.placed)}, at Omisell {len(list(made.simulator.orders))}"
    lines = [
        f"pushes sent                  {count.sent}",
        f"answered 200                 {len(count.good)}",
        f"answered otherwise           {dict(other) or 0}",
        f"connections refused          {count.refused}",
        f"cut off without an answer    {count.cut_off}",
        f"no answer within {PUSH_SECONDS:.0f} s        {count.unanswered}",
        f"lost (200, but no row)       {lost}",
        f"inbox rows by state          {dict(collections.Counter(kept.values()))}",
        f"restarts                     {count.restarts}, of which not in order {count.failed_starts}",
        f"from SIGTERM to READY        {away}",
        f"wait for a 200               median {median:.0f} ms, 99 % {most:.2f} s, longest {waits[-1]:.2f} s",
        f"of these longer than {OMISELL_WAITS:.0f} s     {late} (Omisell would have sent them again)",
        f"orders placed                {orders}; changes of status there {count.moved}",
        f"pushes of the simulator      {len(made.simulator.pushes)}; tries without a 200 {dict(errors) or 0}",
        f"ledgers                      {'hold' if not verdict.findings else verdict.findings}",
        "HOLDS" if holds else "DOES NOT HOLD",
    ]
    return "\n".join(lines), holds


def say(words: str) -> None:
    """Prints at once, though it may go to a file."""
    print(words, flush=True)  # noqa: T201 - its output


async def run(made: World, folder: Path, log: IO[bytes], *, seconds: float, every: float, rate: float) -> bool:
    """Restarts the daemon under load, and judges."""
    changes: Mapping[str, Mapping[str, object]] = {
        "omisell": {"timeout": "20s", "bucket_size": 100, "leak_per_minute": 100},
        "reconcile": {"interval": "2m"},
        "daemon": {"grace": "25s"},
    }
    replica = made.replica(changes=changes)
    made.push_to(replica)
    with open_socket(replica.webhook_port) as passed:
        async with managed(folder, replica.config, log, patience=PATIENCE) as manager:
            service = await manager.starts(passed=passed)
            await service.tells("READY=1")
            await made.place("WEB-0")
            await made.known("WEB-0", 200)
            this = Restarts(made, manager, passed, seconds=seconds, every=every, rate=rate)
            applied = await this.run(service)
            words, holds = await report(made, this.count)
    say(words if applied else f"{words}\nnot everything was applied {CALM_SECONDS:.0f} s after the last push")
    return applied and holds


async def put_up(seconds: float, every: float, rate: float, keep: Path | None) -> bool:
    """Puts up what is needed, and takes it down; the daemon's log is copied to `keep`."""
    server = EmbeddedPostgres()
    with tempfile.TemporaryDirectory(prefix="omisync-restarts-") as name:
        folder = Path(name)
        try:
            await in_thread(server.start)
            await administer(server.dsn(), "CREATE DATABASE shop")
            await migrate(server.dsn("shop"))
            with (folder / "daemon.log").open("wb") as log:
                async with world(server.dsn("shop"), folder) as made:
                    return await run(made, folder, log, seconds=seconds, every=every, rate=rate)
        finally:
            if keep is not None:
                shutil.copy(folder / "daemon.log", keep)
            await in_thread(server.close)


def main() -> int:
    """Exit code 0 if nothing was refused and nothing lost."""
    parser = argparse.ArgumentParser(prog="python -m tests.system.restarts", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0, help="how long there are pushes")
    parser.add_argument("--every", type=float, default=10.0, help="seconds from one restart to the next")
    parser.add_argument("--rate", type=float, default=50.0, help="pushes a second")
    parser.add_argument("--log", type=Path, default=None, help="keep the daemon's log here")
    given = parser.parse_args()
    say(f"{given.minutes:g} minutes, a restart every {given.every:g} s, {given.rate:g} pushes a second")
    return 0 if asyncio.run(put_up(given.minutes * 60, given.every, given.rate, given.log)) else 1


if __name__ == "__main__":
    sys.exit(main())
