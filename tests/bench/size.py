"""Large tables: the hot queries at ten million orders, after a million claims, and beside a transaction held open."""

import asyncio
import json
import statistics
import time
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

from omisync.store import Claim, Database, Fetch, Hooks, Orders, Outbox, Snapshot
from omisync.store.operator import Operator
from omisync.sync.front import Front
from tests.bench.archive import filled, kept
from tests.bench.figures import Finding, Series, number, verdict
from tests.bench.ground import Ground, ground, payload
from tests.bench.peers.database_alone import ending

PENDING: Final = 100
CLAIM: Final = 50
BATCH: Final = 200
"""Rows that are enqueued, claimed and finished at once while many go through."""
PACE: Final = 800.0
"""Rows a second beside the transaction that is held open."""
WINDOW_SECONDS: Final = 10.0
FRESH: Final = "fresh"
AFTER: Final = "after the claims"
ENQUEUE: Final = """
INSERT INTO omisync.outbox (kind, order_number, payload)
SELECT 'order.add', $1 || n, jsonb_set($2::text::jsonb, '{order_number}', to_jsonb($1 || n))
FROM generate_series(1, $3::int) AS n
"""
ASK: Final = """
INSERT INTO omisync.refreshes (omisell_order_number, order_number, source, wanted_at)
SELECT 'OA-' || n, 'A-' || n, 'webhook', now() FROM generate_series($1::int, $2::int) AS n ON CONFLICT DO NOTHING
"""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Plan:
    """What is measured: the archive's rows, repetitions of each query, claims, seconds of the open transaction."""

    rows: int
    repeats: int
    claims: int
    held_seconds: float
    keep: Path | None = None


class _House:
    """The store's parts, and a connection of the shop's."""

    def __init__(self, database: Database, connection: Any) -> None:
        hooks = Hooks(database, None, 5.0)
        self.outbox = Outbox(database, hooks)
        self.front = Front()
        self.orders = Orders(database, hooks)
        self.operator = Operator(database)
        self.sql = connection

    async def enqueue(self, count: int) -> None:
        """So many new adds."""
        await self.sql.execute(ENQUEUE, f"H{time.time_ns()}-", json.dumps(payload()), count)

    async def claim(self, count: int) -> Sequence[Claim]:
        """As the sender does."""
        return await self.front.claim(lambda since: self.outbox.claim("order.add", count, since))

    async def finish(self, claims: Sequence[Claim]) -> None:
        """As one group commit does."""
        await asyncio.gather(*(self.outbox.finish(ending(claim)) for claim in claims))

    async def through(self, count: int) -> int:
        """So many rows enqueued, claimed and finished."""
        await self.enqueue(count)
        claims = await self.claim(count)
        await self.finish(claims)
        return len(claims)


async def measure(plan: Plan) -> Finding:
    """All of it."""
    with kept(plan.keep) as postgres:
        async with ground(postgres) as this:
            dsn = await filled(this, plan.rows)
            database = Database(dsn)
            try:
                async with this.connected(dsn) as connection:
                    house = _House(database, connection)
                    found = {FRESH: await _hot(house, plan.repeats)}
                    await _claims(house, plan.claims)
                    found[AFTER] = await _hot(house, plan.repeats)
                    held = await _held(this, dsn, house, plan.held_seconds)
            finally:
                await database.close()
            return _finding(found, held, plan, await this.settings())


async def _hot(house: _House, repeats: int) -> dict[str, Series]:
    """Milliseconds of each hot query, with `PENDING` rows waiting."""
    found: dict[str, list[float]] = {}

    async def timed(name: str, work: Awaitable[T]) -> T:
        began = time.perf_counter()
        result = await work
        found.setdefault(name, []).append((time.perf_counter() - began) * 1000)
        return result

    await house.enqueue(PENDING)
    for turn in range(repeats):
        await timed("is anything due", house.outbox.is_due("order.add"))
        one = await timed("claim of 1", house.claim(1))
        claims = await timed(f"claim of {CLAIM}", house.claim(CLAIM))
        await timed(f"finish of {CLAIM}", house.finish(claims))
        await house.finish(one)
        await timed("look for annulled", house.outbox.annul())
        await house.sql.execute(ASK, turn * CLAIM + 1, (turn + 1) * CLAIM)
        fetches = await timed(f"claim of {CLAIM} fetches", house.orders.claim(CLAIM))
        await timed(f"apply of {CLAIM}", _apply(house, fetches))
        await timed("the page's status", house.operator.status())
        await timed("the page's failed rows", house.operator.outbox_list("failed", None, 50))
        await timed("an order with its history", house.operator.order_show(claims[0].order_number))
        await house.enqueue(CLAIM + 1)
    while claims := await house.outbox.claim("order.add", BATCH):
        await house.finish(claims)
    return {name: Series(tuple(values)) for name, values in found.items()}


async def _apply(house: _House, fetches: Sequence[Fetch]) -> None:
    now = int(time.time())
    await asyncio.gather(*(house.orders.apply(_snapshot(fetch, now)) for fetch in fetches))


def _snapshot(fetch: Fetch, now: int) -> Snapshot:
    return Snapshot(
        fetch=fetch,
        order_number=fetch.order_number or "",
        shop_id=1,
        status_id=900,
        status_name="Completed",
        is_final=True,
        created_time=1_700_000_000,
        updated_time=now,
        rts_time=None,
        shipped_time=None,
        completed_time=now,
        tracking_numbers="[]",
        detail=json.dumps({"order_number": fetch.order_number, "updated_time": now, **payload()}),
        parcels="[]",
    )


async def _claims(house: _House, claims: int) -> None:
    """So many rows through the queue, while autovacuum does what it does."""
    print(f"size: {claims:,} claims", flush=True)
    done = 0
    began = time.monotonic()
    while done < claims:
        done += await house.through(BATCH)
        if done % (BATCH * 500) == 0:
            print(f"size: {done:,} claims, {done / (time.monotonic() - began):,.0f} a second", flush=True)


async def _held(this: Ground, dsn: str, house: _House, seconds: float) -> list[tuple[float, float]]:
    """By the window, how many of the rows a second that were asked for went through, beside an open transaction."""
    windows: list[tuple[float, float]] = []
    async with this.connected(dsn) as idle, idle.transaction(isolation="repeatable_read"):
        await idle.fetchval("SELECT pg_current_xact_id()")  # from here on nothing that dies can be cleaned up
        await idle.fetchval("SELECT count(*) FROM omisync.pauses")
        began = since = time.monotonic()
        done = before = 0
        while (now := time.monotonic()) - began < seconds:
            if (due := int((now - began) * PACE) - done) < 1:
                await asyncio.sleep(0.005)
                continue
            done += await house.through(min(due, BATCH))
            if now - since >= min(WINDOW_SECONDS, seconds / 3):
                windows.append((now - began, (done - before) / (now - since)))
                print(f"size: open for {now - began:.0f} s: {windows[-1][1]:,.0f} rows a second", flush=True)
                since, before = now, done
    return windows


def _finding(
    found: Mapping[str, Mapping[str, Series]],
    held: Sequence[tuple[float, float]],
    plan: Plan,
    settings: Mapping[str, object],
) -> Finding:
    fresh, after = found[FRESH], found[AFTER]
    lines = [[name, *(f"{of[name].median:.2f} / {_p95(of[name]):.2f}" for of in (fresh, after))] for name in fresh]
    in_the_end = statistics.median([rate for _, rate in held[-3:]]) if held else float("nan")
    beside = f"rows a second in the end, {number(PACE)} asked for, {plan.held_seconds:g} s into an open transaction"
    claim = f"claim of {CLAIM}"
    return Finding(
        name="size",
        title=f"{plan.rows:,} orders in the tables, {PENDING} rows waiting: ms a query, p50 / p95",
        head=["", "at first", f"after {plan.claims:,} claims"],
        lines=[*lines, [beside, "", number(in_the_end)]],
        rounds={**found, "beside an open transaction": held},
        settings={**settings, "rows": plan.rows, "repeats": plan.repeats, "seconds held open": plan.held_seconds},
        goals=[
            verdict("claim of 1, p50 in ms", fresh["claim of 1"].median, most=1),
            verdict("claim of 1 after the claims, times before", _times(after, fresh, "claim of 1"), most=2),
            verdict(f"{claim} after the claims, times before", _times(after, fresh, claim), most=2),
            verdict("beside an open transaction, of what was asked for", in_the_end / PACE, 0.9),
        ],
        notes=["autovacuum as Postgres ships it and as the tables' own settings have it"],
    )


def _times(after: Mapping[str, Series], before: Mapping[str, Series], name: str) -> float:
    return after[name].median / before[name].median


def _p95(series: Series) -> float:
    values = series.values
    return statistics.quantiles(values, n=20, method="inclusive")[18] if len(values) > 1 else series.median
