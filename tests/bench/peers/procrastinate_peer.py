"""procrastinate as its documents advise: an asynchronous psycopg pool, `concurrency`, defers in batches."""

import asyncio
import sys

import asyncpg
import procrastinate

from tests.bench.peers.caller import Caller

FILL_AT_ONCE = 1000
REMAINING = "SELECT count(*) FROM procrastinate_jobs WHERE status IN ('todo', 'doing')"
TABLES = "procrastinate_jobs, procrastinate_events"


def application(dsn: str, caller: Caller | None, in_flight: int) -> procrastinate.App:
    """The app with its one task."""
    connector = procrastinate.PsycopgConnector(conninfo=dsn, min_size=4, max_size=max(10, min(in_flight, 20)))
    app = procrastinate.App(connector=connector)

    @app.task(name="add_order")
    async def add_order(body: str) -> None:
        assert caller is not None
        await caller.add(body)

    return app


async def prepare(dsn: str) -> None:
    """Its tables."""
    app = application(dsn, None, 1)
    async with app.open_async():
        await app.schema_manager.apply_schema_async()


async def fill(dsn: str) -> None:
    """A job for each order."""
    connection = await asyncpg.connect(dsn)
    rows = await connection.fetch("SELECT payload::text AS body FROM bench.orders ORDER BY n")
    await connection.close()
    app = application(dsn, None, 1)
    async with app.open_async():
        for start in range(0, len(rows), FILL_AT_ONCE):
            deferred = app.configure_task("add_order")
            await deferred.batch_defer_async(*({"body": row["body"]} for row in rows[start : start + FILL_AT_ONCE]))


async def work(dsn: str, url: str, in_flight: int) -> None:
    """Run a worker until it is stopped."""
    caller = Caller(url, in_flight)
    app = application(dsn, caller, in_flight)
    async with app.open_async():
        await app.run_worker_async(concurrency=in_flight, listen_notify=True, delete_jobs="never")
    await caller.close()


if __name__ == "__main__":
    asyncio.run(work(sys.argv[1], sys.argv[2], int(sys.argv[3])))
