"""Pushes to a durable 200, by wrk: omisync with everything on, an INSERT each, and aiohttp that keeps nothing."""

import asyncio
import json
import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from omisync.demo.postgres import free_port
from tests.bench.figures import Finding, Series, alternate, program_version, verdict
from tests.bench.ground import HERE, SECRET, Ground, Worker, ground
from tests.bench.peers.web_peer import TABLE
from tests.bench.processes import Meter

OMISYNC: Final = "omisync"
INSERT: Final = "aiohttp, an INSERT each"
BATCHED: Final = "aiohttp, many an INSERT"
BARE: Final = "aiohttp, no database"
RATE: Final = "pushes a second"
P99: Final = "p99 ms"
ORDERS: Final = 20_000
"""That the pushes name; all of them known."""
WARM_SECONDS: Final = 1

KNOWN = """
INSERT INTO omisync.orders (order_number, omisell_order_number, shop_id, status_id, status_name, omisell_updated_at,
                            detail, detail_updated_at, synced_at)
SELECT 'B-' || n, 'OS-' || n, 1, 300, 'Approved', to_timestamp(1700000000), '{"n": 1}', to_timestamp(1700000000),
       to_timestamp(1700000001)
FROM generate_series(1, $1) AS n
"""
CLEAN = "TRUNCATE omisync.inbox, omisync.refreshes, omisync.orders, omisync.parcels, omisync.order_events CASCADE"

NOTES: Final = (
    """omisync as it is shipped: the secret checked, the body read and held against its documented types, repeats told
    by the guide's keys, stored with what identifies the change, counted and timed for /metrics; the rest of the daemon
    runs beside it, judges the pushes and fetches details within Omisell's default limit.""",
    "an INSERT each: the secret compared, the body read as JSON, one row with a unique key, asyncpg's pool of ten.",
    """many an INSERT: the same, but all that came while the last INSERT was under way go into the next; nothing else is
    done, neither then nor later: the most that a durable receiver on aiohttp and asyncpg can do on this machine.""",
    "no database: the body is read and forgotten; what any receiver on aiohttp could do at most.",
    "each contender is a fresh process with fresh tables in every round; wrk has one thread and the same two cores.",
)


@dataclass(frozen=True, slots=True)
class Plan:
    """What is measured."""

    seconds: int
    rounds: int
    connections: Sequence[int]


async def measure(plan: Plan) -> Finding | None:
    """Every contender at every number of connections; None where wrk is missing."""
    if shutil.which("wrk") is None:
        print("ingest: wrk is not installed (Debian: apt-get install wrk): left out", file=sys.stderr)
        return None
    async with ground() as this, this.stub(limit=100):
        dsn = await this.database("bench_ingest")
        async with this.connected(dsn) as connection:
            await connection.execute(TABLE)
            found: dict[int, dict[str, dict[str, Series]]] = {}
            for connections in plan.connections:
                print(f"ingest: {connections} connections, {plan.seconds} s a round")

                async def one(name: str, this_round: int, connections: int = connections) -> Mapping[str, float]:
                    await _clean(connection)
                    run = f"{connections}-{this_round}"
                    return await _round(this, dsn, name, plan.seconds, connections, run)

                found[connections] = await alternate(plan.rounds, [OMISYNC, INSERT, BATCHED, BARE], one)
        return _finding(found, plan, await this.settings())


async def _clean(connection: Any) -> None:
    await connection.execute(CLEAN)
    await connection.execute("TRUNCATE bench.pushes")
    await connection.execute(KNOWN, ORDERS)
    await connection.execute("VACUUM ANALYZE omisync.orders")
    await connection.execute("CHECKPOINT")


async def _round(this: Ground, dsn: str, name: str, seconds: int, connections: int, run: str) -> dict[str, float]:
    worker, url = await _start(this, dsn, name)
    try:
        await _wrk(url, WARM_SECONDS, connections, f"{run}-warm")
        meter = Meter(this.postgres.pid or 0, worker.pid)
        told = await _wrk(url, seconds, connections, run)
        own, _ = meter.read()
        worker.check()
        if told["refused"] or told["broken"]:
            raise RuntimeError(f"{name}: {told['refused']} not answered 200, {told['broken']} broken; see {worker.log}")
        return {
            RATE: told["requests"] / told["seconds"],
            "p50 ms": told["p50_ms"],
            P99: told["p99_ms"],
            "own ms of processor each": own / told["requests"] * 1000,
        }
    finally:
        await worker.stop()


async def _start(this: Ground, dsn: str, name: str) -> tuple[Worker, str]:
    if name == OMISYNC:
        replica = this.configure(dsn)
        return await this.daemon(replica), replica.webhook
    port = free_port()
    database = {INSERT: [dsn], BATCHED: [dsn, "batched"]}.get(name, [])
    worker = await this.start(
        sys.executable, "-m", "tests.bench.peers.web_peer", str(port), SECRET, *database, name="web"
    )
    await this.answers(f"http://127.0.0.1:{port}/ready", worker)
    return worker, f"http://127.0.0.1:{port}/webhooks/omisell"


async def _wrk(url: str, seconds: int, connections: int, run: str) -> Any:
    process = await asyncio.create_subprocess_exec(
        *("wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-s", os.fspath(HERE / "push.lua"), url),
        env={**os.environ, "PUSH_RUN": run, "PUSH_SECRET": SECRET},
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await process.communicate()
    for line in output.decode().splitlines():
        if line.startswith("FOUND "):
            return json.loads(line.removeprefix("FOUND "))
    raise RuntimeError(f"wrk found nothing: {output.decode()}")


def _finding(
    found: Mapping[int, Mapping[str, Mapping[str, Series]]], plan: Plan, settings: Mapping[str, object]
) -> Finding:
    lines = []
    goals = []
    for connections, of in found.items():
        for name, series in of.items():
            rate, middle, slow, own = series.values()
            beside = "" if name == OMISYNC else f"{of[OMISYNC][RATE].median / rate.median:.2f}"
            lines.append([str(connections), name, str(rate), str(middle), str(slow), str(own), beside])
        ours = of[OMISYNC]
        goals += [
            verdict(f"{connections} connections, beside no database", ours[RATE].median / of[BARE][RATE].median, 0.75),
            verdict(f"{connections} connections, beside INSERTs", ours[RATE].median / of[INSERT][RATE].median, 2.7),
        ]
        if connections == 32:
            goals.append(verdict("32 connections, p99 in ms", ours[P99].median, most=10))
    return Finding(
        name="ingest",
        title="Pushes received: on disk before the 200",
        head=["connections", "", RATE, "p50, ms", "p99, ms", "own ms of processor each", "omisync is times it"],
        lines=lines,
        rounds=found,
        settings={**settings, "rounds": plan.rounds, "seconds": plan.seconds, "wrk": program_version("wrk", "-v")},
        goals=goals,
        notes=NOTES,
        bars={f"{connections} connections": {n: s[RATE] for n, s in of.items()} for connections, of in found.items()},
        unit=RATE,
    )
