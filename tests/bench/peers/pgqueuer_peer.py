"""pgqueuer as its documents advise: asyncpg, uvloop, jobs enqueued in lists and taken and finished in batches.

Calls in flight are limited in the handler. Its own `max_concurrent_tasks` would be the plainer way, and is offered
(`--own-limit`), but a worker that has reached it sleeps for a tenth of a second, so that it is slower.
"""

import argparse
import json
from datetime import timedelta

import asyncpg
import uvloop
from pgqueuer import PgQueuer, Queries
from pgqueuer.db import AsyncpgPoolDriver
from pgqueuer.models import Job

from tests.bench.peers.caller import Caller

ENTRYPOINT = "add_order"
FILL_AT_ONCE = 1000
REMAINING = "SELECT count(*) FROM pgqueuer WHERE status IN ('queued', 'picked')"
TABLES = "pgqueuer, pgqueuer_log, pgqueuer_statistics"


async def prepare(dsn: str) -> None:
    """Its tables."""
    async with asyncpg.create_pool(dsn, min_size=1) as pool:
        await Queries(AsyncpgPoolDriver(pool)).install()


async def fill(dsn: str) -> None:
    """A job for each order."""
    async with asyncpg.create_pool(dsn, min_size=1) as pool:
        rows = await pool.fetch("SELECT payload::text AS body FROM bench.orders ORDER BY n")
        queries = Queries(AsyncpgPoolDriver(pool))
        for start in range(0, len(rows), FILL_AT_ONCE):
            bodies: list[bytes | None] = [row["body"].encode() for row in rows[start : start + FILL_AT_ONCE]]
            await queries.enqueue([ENTRYPOINT] * len(bodies), bodies, [0] * len(bodies))


async def work(dsn: str, url: str, in_flight: int, batch: int, *, own_limit: bool) -> None:
    """Run a worker until it is stopped."""
    caller = Caller(url, in_flight)
    async with asyncpg.create_pool(dsn, min_size=4, max_size=10) as pool:
        queue = PgQueuer(AsyncpgPoolDriver(pool))

        @queue.entrypoint(ENTRYPOINT)
        async def add_order(job: Job) -> None:
            await caller.add(job.payload or json.dumps({}))

        await queue.run(
            dequeue_timeout=timedelta(seconds=1),
            batch_size=max(1, in_flight // 2) if own_limit else batch,
            max_concurrent_tasks=in_flight if own_limit else None,
        )


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("dsn")
    parser.add_argument("url")
    parser.add_argument("in_flight", type=int)
    parser.add_argument("--batch", type=int, default=100)
    parser.add_argument("--own-limit", action="store_true")
    given = parser.parse_args()
    uvloop.run(work(given.dsn, given.url, given.in_flight, given.batch, own_limit=given.own_limit))


if __name__ == "__main__":
    main()
