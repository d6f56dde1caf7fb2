"""What omisync costs at rest: processor time, memory, queries, start-up, the command line, the size on disk."""

import asyncio
import re
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any, Final

from tests.bench.figures import Finding, Series, verdict
from tests.bench.ground import OUT_OF_THE_WAY, Ground, Replica, Worker, ground, make_orders
from tests.bench.processes import cpu_seconds, resident_bytes

MIB: Final = 1024 * 1024
SETTLE_SECONDS: Final = 3.0
FILL_AT_ONCE: Final = 50_000
DRAIN_SECONDS: Final = 3600.0
HELP_SECONDS: Final = 30.0
FILL: Final = (
    "INSERT INTO omisync.outbox (kind, order_number, payload) SELECT 'order.add', $1 || order_number,"
    " jsonb_set(payload, '{order_number}', to_jsonb($1 || order_number)) FROM bench.orders"
)
LEFT: Final = "SELECT EXISTS (SELECT FROM omisync.outbox WHERE state IN ('pending', 'sending'))"


@dataclass(frozen=True, slots=True)
class Plan:
    """What is measured: starts and runs of --help, seconds at rest (and the silence before the second look), orders."""

    rounds: int
    seconds: float
    silence: float
    orders: int


async def measure(plan: Plan) -> Finding:
    """All of it."""
    async with ground() as this, this.stub():
        dsn = await this.database("bench_footprint")
        replica = this.configure(dsn, omisell=OUT_OF_THE_WAY, outbox={"concurrency": 50}, log_level="warning")
        found: dict[str, Series] = {}
        found["omisync --help, s"] = await _helps(plan.rounds)
        found["from the start to READY, s"] = await _starts(this, replica, plan.rounds)
        print("footprint: at rest")
        daemon = await this.daemon(replica)
        async with this.connected(dsn) as connection:
            await asyncio.sleep(SETTLE_SECONDS)
            found |= await _rest("", this, daemon, connection, plan.seconds)
            if plan.silence:
                await asyncio.sleep(plan.silence)
                found |= await _rest(", after a silence", this, daemon, connection, plan.seconds)
            before = resident_bytes(daemon.pid)
            found["memory at rest, MiB"] = Series((before / MIB,))
            print(f"footprint: {plan.orders:,} orders")
            await _send(connection, daemon, plan.orders)
            found["memory after the orders, MiB"] = Series((resident_bytes(daemon.pid) / MIB,))
        await daemon.stop()
        for name, size in (("omisync itself", _size({"omisync"})), ("with all it needs", _size(_needed("omisync")))):
            found[f"installed, MiB: {name}"] = Series((size / MIB,))
        return _finding(found, plan, await this.settings())


async def _helps(rounds: int) -> Series:
    script = Path(sys.executable).with_name("omisync")
    arguments = (str(script),) if script.exists() else (sys.executable, "-m", "omisync")
    values = []
    for _ in range(rounds):
        began = time.monotonic()
        process = await asyncio.create_subprocess_exec(*arguments, "--help", stdout=asyncio.subprocess.DEVNULL)
        await asyncio.wait_for(process.wait(), HELP_SECONDS)
        values.append(time.monotonic() - began)
    return Series(tuple(values))


async def _starts(this: Ground, replica: Replica, rounds: int) -> Series:
    values = []
    for _ in range(rounds):
        began = time.monotonic()
        daemon = await this.daemon(replica)
        values.append(time.monotonic() - began)
        await daemon.stop()
    return Series(tuple(values))


async def _rest(when: str, this: Ground, daemon: Worker, connection: Any, seconds: float) -> dict[str, Series]:
    server = this.postgres.pid or 0
    before = (cpu_seconds(daemon.pid), cpu_seconds(server), await _transactions(connection), time.monotonic())
    await asyncio.sleep(seconds)
    took = time.monotonic() - before[3]
    return {
        f"processor at rest{when}, %": Series(((cpu_seconds(daemon.pid) - before[0]) / took * 100,)),
        f"the database's{when}, %": Series(((cpu_seconds(server) - before[1]) / took * 100,)),
        f"transactions a second{when}": Series(((await _transactions(connection) - before[2]) / took,)),
    }


async def _transactions(connection: Any) -> int:
    await connection.execute("SELECT pg_stat_clear_snapshot()")
    count: int = await connection.fetchval(
        "SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = current_database()"
    )
    return count


async def _send(connection: Any, daemon: Worker, orders: int) -> None:
    sent = 0
    await make_orders(connection, min(orders, FILL_AT_ONCE))
    async with asyncio.timeout(DRAIN_SECONDS):
        while sent < orders:
            await connection.execute(FILL, f"{sent}-")
            sent += min(orders, FILL_AT_ONCE)
            while await connection.fetchval(LEFT):
                daemon.check()
                await asyncio.sleep(0.25)


def _needed(name: str) -> set[str]:
    """A distribution and all that it requires, extras left out."""
    found: set[str] = set()
    waiting = [name]
    while waiting:
        this = waiting.pop().lower().replace("_", "-")
        if this in found:
            continue
        try:
            requires = distribution(this).requires or []
        except PackageNotFoundError:
            continue  # of another platform
        found.add(this)
        waiting += [re.split(r"[ ;<>=!~\[(]", each, maxsplit=1)[0] for each in requires if "extra ==" not in each]
    return found


def _size(names: set[str]) -> int:
    sizes = {
        path: path.stat().st_size
        for name in names
        for file in distribution(name).files or []
        if (path := Path(str(file.locate()))).is_file() and path.suffix != ".pyc"
    }
    if "omisync" in names:  # installed for development, it lists none of its files
        package = Path(__file__).parents[2]
        folders = [package / name for name in ("omisync", "sql", "systemd")]
        sizes |= {f: f.stat().st_size for d in folders for f in d.rglob("*") if f.is_file() and f.suffix != ".pyc"}
    return sum(sizes.values())


def _finding(found: Mapping[str, Series], plan: Plan, settings: Mapping[str, object]) -> Finding:
    grown = found["memory after the orders, MiB"].median - found["memory at rest, MiB"].median
    return Finding(
        name="footprint",
        title=f"The footprint ({plan.orders:,} orders)",
        head=["", "median (least to most)"],
        lines=[[name, str(series)] for name, series in found.items()],
        rounds=found,
        settings={**settings, "rounds": plan.rounds, "seconds at rest": plan.seconds, "orders": plan.orders},
        goals=[
            verdict("processor at rest, %", found["processor at rest, %"].median, most=0.5),
            verdict("memory at rest, MB", found["memory at rest, MiB"].median * MIB / 1e6, most=60),
            verdict("memory grown by the orders, MB", grown * MIB / 1e6, most=20),
            verdict("omisync --help, s", found["omisync --help, s"].median, most=0.25),
        ],
        notes=["a silence: 30 s without work, after which polling has slowed down by itself"] if plan.silence else [],
    )
