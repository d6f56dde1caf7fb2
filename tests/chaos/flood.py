"""A flood of pushes: many times what can be fetched, to one daemon, while the shop's day goes on."""

import argparse
import asyncio
import contextlib
import json
import random
import statistics
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import aiohttp
import asyncpg

from omisync.demo import people
from omisync.demo.people import change_of_mind
from omisync.omisell import sign
from tests.chaos.options import Options
from tests.chaos.servers import STATEMENT_SECONDS
from tests.chaos.stage import Stage, set_up
from tests.chaos.tables import conditions, table

SENDERS: Final = 16
"""Connections at a time."""
PUSH_SECONDS: Final = 30.0
CALLS_A_MINUTE: Final = 600
"""Omisell's limit in the measurement: ten fetches a second at the most."""
TIMES: Final = 10
"""So many pushes for each fetch that the limit allows."""
ORDERS: Final = 3_000
"""Made at Omisell itself, so that there is something to fetch for most pushes."""
STRANGERS: Final = 0.1
"""Of the pushes name an order that Omisell does not know."""
ENDED: Final = """
    SELECT kind, extract(epoch FROM finished_at - created_at)::float AS seconds FROM omisync.outbox
    WHERE state IN ('done', 'failed')
"""
LEFT: Final = "SELECT count(*) FROM omisync.outbox WHERE state IN ('pending', 'sending')"


@dataclass(slots=True)
class Flooded:
    """What came of it. `memory` is the daemon's resident memory in bytes, looked at all the time."""

    statuses: Counter[int | str] = field(default_factory=Counter)
    slowest: float = 0.0
    seconds: float = 0.0
    memory: list[int] = field(default_factory=list)

    @property
    def grown(self) -> int:
        """By how many bytes the daemon's memory was larger at its largest than at the beginning."""
        return max(self.memory) - self.memory[0]


def resident(pid: int) -> int:
    """A process's resident memory, in bytes."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) * 1024
    return 0


def push(omisell_order_number: str, order_number: str, updated_time: int, number: int) -> bytes:
    """A push that says that an order is of that time."""
    data = {
        "omisell_order_number": omisell_order_number,
        "order_number": order_number,
        "status_id": 300,
        "updated_time": updated_time,
    }
    return json.dumps({"event": "order.created", "data": data, "request_id": f"flood-{number}"}).encode()


async def flood(
    session: aiohttp.ClientSession,
    url: str,
    bodies: Sequence[bytes],
    *,
    headers: Callable[[bytes], Mapping[str, str]],
    pid: int,
    rate: float | None = None,
) -> Flooded:
    """Send them all, as fast as they are answered, or so many a second."""
    found = Flooded(memory=[resident(pid)])
    waiting = iter(enumerate(bodies))
    began = time.monotonic()

    async def send() -> None:
        for number, body in waiting:
            if rate is not None:
                await asyncio.sleep(began + number / rate - time.monotonic())
            sent = time.monotonic()
            try:
                async with session.post(
                    url, data=body, headers=headers(body), timeout=aiohttp.ClientTimeout(total=PUSH_SECONDS)
                ) as answer:
                    found.statuses[answer.status] += 1
            except (aiohttp.ClientError, TimeoutError) as error:
                found.statuses[type(error).__name__] += 1
            found.slowest = max(found.slowest, time.monotonic() - sent)
            if number % 100 == 0:
                found.memory.append(resident(pid))

    await asyncio.gather(*(send() for _ in range(SENDERS)))
    found.seconds = time.monotonic() - began
    found.memory.append(resident(pid))
    return found


@dataclass(frozen=True, slots=True)
class Measured:
    """The flood, and how the shop fared: seconds from commit to end, by kind of row."""

    flooded: Flooded
    calm: Mapping[str, Sequence[float]]
    flooding: Mapping[str, Sequence[float]]
    where: Mapping[str, object]

    @property
    def holds(self) -> bool:
        """No answer but 200 and 503, and every row of the shop's came to its end."""
        return set(self.flooded.statuses) <= {200, 503} and all(self.flooding.values())


async def measure(options: Options, say: Callable[[str], None]) -> Measured:
    """A minute without the flood, and as long with it; an order a second all the time, every fifth one cancelled.

    Raises:
        DemoError: A part could not be started.
    """
    async with set_up(options) as stage:
        where = {**await conditions(stage), "limit": f"a bucket of 100, {CALLS_A_MINUTE} calls a minute"}
        await stage.omisell.configure(
            {
                "life": {"automatic": False},
                "bucket": {"size": 100, "leak_per_minute": CALLS_A_MINUTE},
            }
        )
        await stage.omisell.faults({"push_drop": 1.0})
        await stage.omisell.control("POST", "create", json={"count": ORDERS, "status_id": 300})
        bodies = await _bodies(stage, options)
        dice = random.Random(options.seed)  # noqa: S311 - invented shoppers
        orders = people.orders(options.seed, stage.omisell.products, stage.omisell.places)
        async with _day(stage, orders, dice):
            await asyncio.sleep(options.seconds)
        calm = await _ended(stage)
        say(f"without the flood: {line(calm)}")
        pid = stage.replicas[0].daemon.pid
        assert pid is not None
        account = stage.omisell.account

        def headers(body: bytes) -> Mapping[str, str]:
            return {"Authorization": sign("hmac-body", account.webhook_secret, body)}

        async with _day(stage, orders, dice):
            found = await flood(
                stage.session, stage.webhook_url, bodies, headers=headers, pid=pid, rate=TIMES * CALLS_A_MINUTE / 60
            )
        flooding = await _ended(stage)
        say(f"with it: {line(flooding)}")
        return Measured(found, calm, {kind: taken[len(calm[kind]) :] for kind, taken in flooding.items()}, where)


async def _bodies(stage: Stage, options: Options) -> Sequence[bytes]:
    there = [order async for order in stage.omisell.paged("orders", detail="0")]
    dice = random.Random(options.seed)  # noqa: S311 - no secret
    made = []
    for number in range(int(options.seconds * TIMES * CALLS_A_MINUTE / 60)):
        order: Mapping[str, Any] = dice.choice(there)
        if dice.random() < STRANGERS:
            order = {"omisell_order_number": f"NOBODY-{number}", "order_number": f"N-{number}", "updated_time": 1}
        made.append(push(order["omisell_order_number"], order["order_number"], order["updated_time"] + number, number))
    return made


@contextlib.asynccontextmanager
async def _day(stage: Stage, orders: Any, dice: random.Random) -> AsyncIterator[None]:
    """The shop's day for as long as the block lasts, and until all its rows have ended."""

    async def sell() -> None:
        for number, order in enumerate(orders):
            await stage.shop.place(order)
            if number % 5 == 4:
                await stage.shop.cancel(order.order_number, change_of_mind(dice))
            await asyncio.sleep(1)

    selling = asyncio.create_task(sell())
    try:
        yield
    finally:
        selling.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await selling
    connection = await asyncpg.connect(stage.servers.admin_dsn, timeout=STATEMENT_SECONDS)
    try:
        async with asyncio.timeout(PUSH_SECONDS * 4):
            while await connection.fetchval(LEFT):  # noqa: ASYNC110 - another process's work
                await asyncio.sleep(0.2)
    finally:
        connection.terminate()


async def _ended(stage: Stage) -> Mapping[str, Sequence[float]]:
    connection = await asyncpg.connect(stage.servers.admin_dsn, timeout=STATEMENT_SECONDS)
    try:
        rows = await connection.fetch(f"{ENDED} ORDER BY id")
    finally:
        connection.terminate()
    return {kind: [row["seconds"] for row in rows if row["kind"] == kind] for kind in ("order.add", "order.cancel")}


def line(taken: Mapping[str, Sequence[float]]) -> str:
    """Of how many rows, and how long they took."""
    return "; ".join(f"{len(seconds)} {kind}s, {_spread(seconds)}" for kind, seconds in taken.items())


def _spread(seconds: Sequence[float]) -> str:
    if len(seconds) < 2:
        return "-"
    return f"p50 {statistics.median(seconds):.2f} s, p95 {statistics.quantiles(seconds, n=20)[-1]:.2f} s"


def markdown(measured: Measured) -> str:
    """The README's table."""
    found, megabyte = measured.flooded, 1 << 20
    answered = ", ".join(f"{status}: {number:,}" for status, number in sorted(found.statuses.items(), key=str))
    rows = [
        (
            "pushes",
            f"{found.statuses.total():,} in {found.seconds:.0f} s, {TIMES} for each fetch that the limit allows",
        ),
        ("answered", f"{answered}; the slowest after {found.slowest:.2f} s"),
        (
            "memory of the daemon",
            f"{found.memory[0] / megabyte:.0f} MiB before, {max(found.memory) / megabyte:.0f} at most",
        ),
        ("adds, from commit to end", f"before: {_spread(measured.calm['order.add'])}"),
        ("", f"meanwhile: {_spread(measured.flooding['order.add'])}"),
        ("cancels", f"before: {_spread(measured.calm['order.cancel'])}"),
        ("", f"meanwhile: {_spread(measured.flooding['order.cancel'])}"),
    ]
    told = "; ".join(f"{name} {value}" for name, value in measured.where.items()) + "."
    return "\n\n".join([table(("a flood of pushes", ""), rows), told])


def parse(arguments: Sequence[str]) -> Options:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos flood", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=60.0, help="without the flood, and with it")
    parser.add_argument("--report", type=Path, action="append", default=[], help="FILE.md for the table")
    given = parser.parse_args(arguments)
    return Options(seed=given.seed, seconds=given.seconds, replicas=1, hooks=False, reports=tuple(given.report))
