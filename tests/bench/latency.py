"""From the shop's commit to the request at the stub: by polling and with `outbox.notify`, calm and at 200 a second."""

import asyncio
import random
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import asyncpg

from omisync.store.sql import sql_folder
from tests.bench.figures import Finding, Series, alternate, verdict
from tests.bench.ground import OUT_OF_THE_WAY, Ground, ground, make_orders

MODES: Final = ("polling", "notify")
PACE: Final = 200.0
"""Orders a second under load."""
CALM_SECONDS: Final = (0.7, 1.3)
"""Between two orders while calm; by chance, so that no phase of the poll is met again and again."""
CONNECTIONS: Final = 8
LAST_SECONDS: Final = 30.0
"""Until the last order must be at the stub."""
ADD: Final = "SELECT omisync.add_order(payload) FROM bench.orders WHERE n = $1"


@dataclass(frozen=True, slots=True)
class Plan:
    """What is measured.

    Attributes:
        calm: orders one by one in each round.
        seconds: at `PACE` after them.
        silence: seconds before one more order, in which polling has slowed down; 0 leaves it out.
    """

    rounds: int
    calm: int
    seconds: float
    silence: float


async def measure(plan: Plan) -> Finding:
    """Both modes, in turn."""
    async with ground() as this:
        loads = {"calm": "calm", "load": f"{PACE:g} a second"} | ({"silent": "after a silence"} if plan.silence else {})

        async def one(mode: str, _: int) -> Mapping[str, float]:
            return await _round(this, mode, plan)

        print(f"latency: {plan.calm} orders one by one, {plan.seconds:g} s at {PACE:g} a second")
        found = await alternate(plan.rounds, MODES, one)
        return _finding(found, loads, plan, await this.settings())


async def _round(this: Ground, mode: str, plan: Plan) -> dict[str, float]:
    dsn = await this.database("bench_latency")
    async with this.stub(record=True), this.connected(dsn) as connection:
        count = plan.calm + int(plan.seconds * PACE) + 2
        await make_orders(connection, count)
        await connection.execute("ALTER TABLE bench.orders ADD PRIMARY KEY (n); ANALYZE bench.orders")
        if mode == "notify":
            await connection.execute((sql_folder() / "optional" / "notify_on.sql").read_text())
        outbox = {"concurrency": 50, "notify": mode == "notify"}
        daemon = await this.daemon(this.configure(dsn, omisell=OUT_OF_THE_WAY, outbox=outbox, log_level="warning"))
        pool = await asyncpg.create_pool(dsn, min_size=CONNECTIONS, max_size=CONNECTIONS)
        try:
            orders = iter(range(1, count + 1))
            figures = _quantiles("calm", await _calm(this, pool, orders, plan.calm))
            figures |= _quantiles("load", await _load(this, pool, orders, plan.seconds))
            if plan.silence:
                await asyncio.sleep(plan.silence)
                figures["silent p50"] = statistics.median(await _calm(this, pool, orders, 1))
        finally:
            await pool.close()
            await daemon.stop()
        return figures


async def _calm(this: Ground, pool: Any, orders: Any, count: int) -> list[float]:
    committed: dict[str, float] = {}
    for _ in range(count):
        await asyncio.sleep(random.uniform(*CALM_SECONDS))  # noqa: S311 - no secret
        await _commit(pool, next(orders), committed)
    return await _arrived(this, committed)


async def _load(this: Ground, pool: Any, orders: Any, seconds: float) -> list[float]:
    committed: dict[str, float] = {}
    began = time.monotonic()
    async with asyncio.TaskGroup() as group:
        for at in range(int(seconds * PACE)):
            await asyncio.sleep(max(0.0, began + at / PACE - time.monotonic()))
            group.create_task(_commit(pool, next(orders), committed))
    return await _arrived(this, committed)


async def _commit(pool: Any, n: int, committed: dict[str, float]) -> None:
    await pool.execute(ADD, n)
    committed[f"B-{n}"] = time.monotonic()


async def _arrived(this: Ground, committed: Mapping[str, float]) -> list[float]:
    """Milliseconds from each commit until the stub had the request."""
    async with asyncio.timeout(LAST_SECONDS):
        while True:
            seen = (await this.ask_stub("seen"))["seen"]
            if committed.keys() <= seen.keys():
                return [max(0.0, seen[number] - at) * 1000 for number, at in committed.items()]
            await asyncio.sleep(0.2)


def _quantiles(load: str, milliseconds: Sequence[float]) -> dict[str, float]:
    cuts = statistics.quantiles(milliseconds, n=100, method="inclusive")
    return {f"{load} p50": cuts[49], f"{load} p99": cuts[98]}


def _finding(
    found: Mapping[str, Mapping[str, Series]], loads: Mapping[str, str], plan: Plan, settings: Mapping[str, object]
) -> Finding:
    lines = [
        [load, mode, str(found[mode][f"{key} p50"]), str(found[mode].get(f"{key} p99", ""))]
        for key, load in loads.items()
        for mode in MODES
    ]
    return Finding(
        name="latency",
        title="From the shop's commit to the request at Omisell, in ms",
        head=["load", "", "p50: median of the rounds (least to most)", "p99"],
        lines=lines,
        rounds=found,
        settings={
            **settings,
            "rounds": plan.rounds,
            "orders a round, calm": plan.calm,
            "seconds a round": plan.seconds,
        },
        goals=[
            verdict("polling, calm, p50 in ms", found["polling"]["calm p50"].median, most=60),
            verdict("polling, under load, p50 in ms", found["polling"]["load p50"].median, most=60),
            verdict("notify, calm, p50 in ms", found["notify"]["calm p50"].median, most=5),
        ],
        notes=[
            "the idle processor time of polling is in the footprint; what notify costs the shop is in the shop's load"
        ],
        bars={load: {mode: found[mode][f"{key} p50"] for mode in MODES} for key, load in loads.items()},
        unit="ms, p50",
    )
