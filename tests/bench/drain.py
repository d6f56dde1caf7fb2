"""The outbox drained to the stub, beside pgqueuer, procrastinate, and the parts of it alone."""

import asyncio
import contextlib
import importlib.util
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from tests.bench.figures import Finding, Series, alternate, number, verdict
from tests.bench.ground import FILL, OUT_OF_THE_WAY, Ground, Replica, Worker, ground, make_orders
from tests.bench.processes import Meter

RATE: Final = "rows a second"
LOOK_SECONDS: Final = 0.05
START_SECONDS: Final = 120.0
GRACE_SECONDS: Final = 0.5
"""After the last call at the stub, for the last endings to be written."""
REMAINING: Final = "SELECT count(*) FROM omisync.outbox WHERE state IN ('pending', 'sending')"
OURS: Final = "omisync.outbox, omisync.orders, omisync.parcels, omisync.order_events, omisync.refreshes"
SWEPT: Final = (
    "INSERT INTO omisync.sweeps (kind, started_at, finished_at, window_from, window_to)"
    " SELECT kind, now(), now(), extract(epoch FROM now())::bigint, extract(epoch FROM now())::bigint"
    " FROM unnest('{incremental,full}'::text[]) kind"
)
"""A shop that runs: the first daemon on an empty database would begin with a full sweep, which is another's work."""

DIFFERENCES: Final = (
    """omisync does for each row what the peers do not: it looks whether an order of that number is known or an earlier
    row of it unfinished, keeps the budget of all replicas, writes the order, an event and a NOTIFY beside the finished
    row, fences every finish by its lease, checks the answer, counts it, and logs a line.""",
    """pgqueuer does what omisync does not: any function as a job, priorities, deferred jobs and schedules, waking by
    NOTIFY, retries by an exception; it deletes a finished job and keeps a row in a log. A job cut off in the middle is
    run again without a look whether it took effect.""",
    """procrastinate does what omisync does not: any function as a task, queues, locks, periodic tasks, retry
    strategies, waking by NOTIFY, an event a change of state by trigger; a finished job stays, as here. It takes one job
    a query. A job cut off is found as stalled only by a task that the user writes.""",
    "the client alone keeps nothing: after a crash nobody knows what was sent.",
    """both, and nothing else: omisync's claims and endings with the aiohttp client in between, without a budget,
    checks, time limits, retries, logs and metrics: the most that a sender on these two can do on this machine.""",
)


@dataclass(frozen=True, slots=True)
class Plan:
    """What is measured: rows in the queue, and at most so many seconds a round."""

    rows: int
    seconds: float
    rounds: int
    in_flight: Sequence[int]
    delays: Sequence[float]


@dataclass(frozen=True, slots=True)
class Contender:
    """One way of draining."""

    dsn: str
    clean: str
    remaining: str | None
    fill: Callable[[], Awaitable[None]]
    start: Callable[[int], Awaitable[Worker]]


async def measure(plan: Plan) -> Finding:
    """Every contender at every number in flight and every delay."""
    async with ground() as this:
        contenders = await _contenders(this, plan.rows)
        found: dict[tuple[float, int], dict[str, dict[str, Series]]] = {}
        for delay in plan.delays:
            async with this.stub(delay):
                for in_flight in plan.in_flight:
                    print(f"drain: {plan.rows} rows, {in_flight} in flight, the stub after {delay * 1000:g} ms")

                    async def one(name: str, _: int, in_flight: int = in_flight) -> Mapping[str, float]:
                        return await drain(this, contenders[name], plan, in_flight)

                    found[delay, in_flight] = await alternate(plan.rounds, list(contenders), one)
        return _finding(found, plan, await this.settings())


async def omisync_contender(this: Ground, rows: int) -> Contender:
    """The daemon as it is shipped, but for the budget and the number in flight."""
    dsn = await this.database("bench_omisync")
    async with this.connected(dsn) as connection:
        await make_orders(connection, rows)

    async def fill() -> None:
        async with this.connected(dsn) as connection:
            await connection.execute(SWEPT)
            await connection.execute(FILL)

    return Contender(dsn, OURS, REMAINING, fill, lambda n: this.daemon(_replica(this, dsn, n), wait=False))


async def _contenders(this: Ground, rows: int) -> dict[str, Contender]:
    ours = await omisync_contender(this, rows)
    dsn = ours.dsn

    async def nothing() -> None:
        return

    found = {
        "omisync": ours,
        "the client alone": Contender(dsn, OURS, None, nothing, lambda n: _peer(this, "client_alone", dsn, n)),
        "the database alone": Contender(
            dsn, OURS, REMAINING, ours.fill, lambda n: _peer(this, "database_alone", dsn, n)
        ),
        "both, and nothing else": Contender(
            dsn, OURS, REMAINING, ours.fill, lambda n: _peer(this, "bare_sender", dsn, n)
        ),
    }
    for name in ("pgqueuer", "procrastinate"):
        if importlib.util.find_spec(name) is None:
            print(f"{name} is not installed (extra `bench`): left out", file=sys.stderr)
            continue
        found[name] = await _queue(this, name, rows)
    return found


async def _queue(this: Ground, name: str, rows: int) -> Contender:
    peer = importlib.import_module(f"tests.bench.peers.{name}_peer")
    dsn = await this.database(f"bench_{name}", schema=False)
    async with this.connected(dsn) as connection:
        await make_orders(connection, rows)
    await peer.prepare(dsn)
    return Contender(
        dsn, peer.TABLES, peer.REMAINING, lambda: peer.fill(dsn), lambda n: _peer(this, f"{name}_peer", dsn, n)
    )


def _replica(this: Ground, dsn: str, in_flight: int) -> Replica:
    return this.configure(dsn, omisell=OUT_OF_THE_WAY, outbox={"concurrency": in_flight})


async def _peer(this: Ground, name: str, dsn: str, in_flight: int) -> Worker:
    return await this.start(
        sys.executable, "-m", f"tests.bench.peers.{name}", dsn, this.stub_url, str(in_flight), name=name
    )


async def drain(this: Ground, contender: Contender, plan: Plan, in_flight: int) -> dict[str, float]:
    """One round of one contender."""
    async with this.connected(contender.dsn) as connection:
        await connection.execute(f"TRUNCATE {contender.clean} CASCADE")
        await contender.fill()
        for one in contender.clean.split(", "):
            await connection.execute(f"VACUUM ANALYZE {one}")
        await connection.execute("CHECKPOINT")
        await this.ask_stub("reset")
        worker = await contender.start(in_flight)
        try:
            return await _watch(this, contender, plan, worker, connection)
        finally:
            await worker.stop()


async def _watch(this: Ground, contender: Contender, plan: Plan, worker: Worker, connection: Any) -> dict[str, float]:
    """From the first call on: how many rows were finished a second, and what each cost."""
    began = time.monotonic()
    meter = Meter(this.postgres.pid or 0, worker.pid)
    while True:
        await asyncio.sleep(LOOK_SECONDS)
        worker.check()
        told = await this.ask_stub("counts")
        now = time.monotonic()
        if not told["first"]:
            meter.start()
            if now - began > START_SECONDS:
                raise RuntimeError(f"nothing reaches the stub; see {worker.log}")
            continue
        over = now - told["first"] >= plan.seconds
        # the database is asked only when it must be: while it works it is left alone
        if not (over or told["adds"] >= plan.rows or (told["adds"] == 0 and now - told["first"] > GRACE_SECONDS)):
            continue
        costs = meter.read()
        if contender.remaining is None:
            return {RATE: told["adds"] / (told["last"] - told["first"]), **_a_row(costs, told["adds"])}
        left = await connection.fetchval(contender.remaining)
        done = plan.rows - left
        if over or left == 0:
            return {RATE: done / (time.monotonic() - told["first"]), **_a_row(costs, done)}


def _a_row(costs: tuple[float, float], rows: int) -> dict[str, float]:
    own, server = costs
    return {"own ms of processor a row": own / rows * 1000, "the database's": server / rows * 1000}


def _finding(
    found: Mapping[tuple[float, int], Mapping[str, Mapping[str, Series]]], plan: Plan, settings: Mapping[str, object]
) -> Finding:
    rates = {key: {name: series[RATE] for name, series in contenders.items()} for key, contenders in found.items()}
    lines = []
    goals = []
    for (delay, in_flight), of in rates.items():
        for name, series in of.items():
            ratio = of["omisync"].median / series.median if series.median else float("nan")
            beside = "" if name == "omisync" else f"{ratio:.2f}"
            _, own, server = found[delay, in_flight][name].values()
            costs = f"{number(own.median)} + {number(server.median)}"
            lines.append([f"{delay * 1000:g} ms", str(in_flight), name, str(series), beside, costs])
        if delay == 0:
            goals += _goals(in_flight, of)
    return Finding(
        name="drain",
        title=f"Outbox drained to a stub, rows a second ({number(plan.rows)} rows of about 2 KB)",
        head=[
            "stub answers after",
            "in flight",
            "",
            "rows a second: median (least to most)",
            "omisync is times it",
            "ms of processor a row, own + the database's",
        ],
        lines=lines,
        rounds={f"{delay * 1000:g} ms, {n} in flight": of for (delay, n), of in found.items()},
        settings={
            **settings,
            "rounds": plan.rounds,
            "rows": plan.rows,
            "seconds a round at most": plan.seconds,
            "loops": "pgqueuer and the stub run on uvloop, the others on asyncio",
        },
        goals=goals,
        notes=DIFFERENCES,
        bars={f"{delay * 1000:g} ms, {n} in flight": of for (delay, n), of in rates.items()},
        unit="rows a second",
    )


def _goals(in_flight: int, of: Mapping[str, Series]) -> list[str]:
    asked = {
        50: {"pgqueuer": 2.0, "procrastinate": 15.0, "the client alone": 0.7},
        200: {"pgqueuer": 1.5},
    }.get(in_flight, {})
    with contextlib.suppress(ZeroDivisionError):
        return [
            verdict(f"omisync beside {name}, {in_flight} in flight", of["omisync"].median / of[name].median, least)
            for name, least in asked.items()
            if name in of
        ]
    return []
