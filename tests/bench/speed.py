"""The sizes of the speed measurements, in full and in short, and the running of them one after the other."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.bench import drain, footprint, ingest, latency, scaling, shop_load, size
from tests.bench.figures import Finding, publish

ROUNDS: Final = 5


@dataclass(frozen=True, slots=True)
class Asked:
    """What the command line asked for; of the drain these numbers in flight and seconds until an answer, or all."""

    short: bool
    rounds: int
    rows: int | None
    keep: Path | None
    out: Path | None
    in_flight: Sequence[int] = ()
    delays: Sequence[float] = ()


def _ingest(asked: Asked) -> Awaitable[Finding | None]:
    if asked.short:
        return ingest.measure(ingest.Plan(seconds=1, rounds=1, connections=(8,)))
    return ingest.measure(ingest.Plan(seconds=10, rounds=asked.rounds, connections=(32, 128)))


def _drain(asked: Asked) -> Awaitable[Finding | None]:
    if asked.short:
        return drain.measure(drain.Plan(rows=100, seconds=10, rounds=1, in_flight=(10,), delays=(0.0,)))
    plan = drain.Plan(
        rows=asked.rows or 50_000,
        seconds=20,
        rounds=asked.rounds,
        in_flight=asked.in_flight or (10, 50, 200),
        delays=asked.delays or (0.0, 0.05),
    )
    return drain.measure(plan)


def _latency(asked: Asked) -> Awaitable[Finding | None]:
    if asked.short:
        return latency.measure(latency.Plan(rounds=1, calm=2, seconds=0.5, silence=0))
    return latency.measure(latency.Plan(rounds=asked.rounds, calm=30, seconds=10, silence=35))


def _shop(asked: Asked) -> Awaitable[Finding | None]:
    if asked.short:
        return shop_load.measure(shop_load.Plan(rounds=1, seconds=3, scale=10))
    return shop_load.measure(shop_load.Plan(rounds=asked.rounds, seconds=20, scale=50))


def _size(asked: Asked) -> Awaitable[Finding | None]:
    if asked.short:
        return size.measure(size.Plan(rows=2000, repeats=2, claims=400, held_seconds=1, keep=asked.keep))
    rows = asked.rows or 10_000_000
    return size.measure(
        size.Plan(rows=rows, repeats=100, claims=min(rows, 1_000_000), held_seconds=600, keep=asked.keep)
    )


def _footprint(asked: Asked) -> Awaitable[Finding | None]:
    if asked.short:
        return footprint.measure(footprint.Plan(rounds=1, seconds=1, silence=0, orders=200))
    orders = asked.rows or 1_000_000
    return footprint.measure(footprint.Plan(rounds=max(asked.rounds, 5), seconds=30, silence=35, orders=orders))


def _scaling(asked: Asked) -> Awaitable[Finding | None]:
    if asked.short:
        return scaling.measure(scaling.Plan(rounds=1, rows=200, seconds=5, replicas=(1, 2)))
    plan = scaling.Plan(rounds=asked.rounds, rows=asked.rows or 50_000, seconds=15, replicas=(1, 2, 4))
    return scaling.measure(plan)


SPEEDS: Final[Mapping[str, Callable[[Asked], Awaitable[Finding | None]]]] = {
    "ingest": _ingest,
    "drain": _drain,
    "latency": _latency,
    "shop": _shop,
    "size": _size,
    "footprint": _footprint,
    "scaling": _scaling,
}


def run(what: str, asked: Asked) -> None:
    """One measurement, or all of them."""
    for name in SPEEDS if what == "all" else (what,):
        began = time.monotonic()
        finding = asyncio.run(_one(name, asked))
        if finding is not None:
            publish(finding, asked.out)
        print(f"{name}: {time.monotonic() - began:.0f} s", flush=True)


async def _one(name: str, asked: Asked) -> Finding | None:
    return await SPEEDS[name](asked)
