"""A receiver of pushes as one would write it first: plain aiohttp that says 200, with an INSERT each or without.

With `batched`, those that come while an INSERT is under way go into the next one together.

python -m tests.bench.peers.web_peer PORT SECRET [DSN [batched]]
"""

import asyncio
import json
import signal
import sys

import asyncpg
from aiohttp import web

POOL = 10
"""asyncpg's own default."""

INSERT = """
INSERT INTO bench.pushes (request_id, event, omisell_order_number, body) VALUES ($1, $2, $3, $4)
ON CONFLICT (request_id) DO NOTHING
"""
MANY = """
INSERT INTO bench.pushes (request_id, event, omisell_order_number, body)
SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::bytea[]) ON CONFLICT (request_id) DO NOTHING
"""
TABLE = """
CREATE SCHEMA IF NOT EXISTS bench;
CREATE TABLE IF NOT EXISTS bench.pushes (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    request_id text NOT NULL UNIQUE,
    event text NOT NULL,
    omisell_order_number text NOT NULL,
    body bytea NOT NULL,
    received_at timestamptz NOT NULL DEFAULT now()
)
"""

Row = tuple[str, str, str, bytes]


class Batches:
    """Pushes that wait for the next INSERT."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool
        self._waiting: list[tuple[Row, asyncio.Future[None]]] = []
        self._writing: asyncio.Task[None] | None = None

    async def add(self, row: Row) -> None:
        """Returns once it is on disk."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((row, future))
        if self._writing is None:
            self._writing = asyncio.create_task(self._write())
        await future

    async def _write(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting, []
            await self._pool.execute(MANY, *(list(column) for column in zip(*(row for row, _ in batch), strict=True)))
            for _, future in batch:
                future.set_result(None)
        self._writing = None


async def main(port: int, secret: str, dsn: str | None, *, batched: bool) -> None:
    """Answer until SIGTERM."""
    pool = None if dsn is None else await asyncpg.create_pool(dsn, min_size=POOL, max_size=POOL)
    batches = Batches(pool)

    async def bare(request: web.Request) -> web.Response:
        await request.read()
        return web.json_response({"ok": True})

    async def insert(request: web.Request) -> web.Response:
        assert pool is not None
        if request.headers.get("Authorization") != secret:
            return web.json_response({"ok": False}, status=401)
        body = await request.read()
        push = json.loads(body)
        row = push["request_id"], push["event"], push["data"]["omisell_order_number"], body
        if batched:
            await batches.add(row)
        else:
            await pool.execute(INSERT, *row)
        return web.json_response({"ok": True})

    async def ready(_: web.Request) -> web.Response:
        return web.Response()

    application = web.Application()
    application.router.add_post("/webhooks/omisell", bare if pool is None else insert)
    application.router.add_get("/ready", ready)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    stopping = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
    await stopping.wait()
    await runner.cleanup()


if __name__ == "__main__":
    port, secret, *database = sys.argv[1:]
    asyncio.run(main(int(port), secret, database[0] if database else None, batched="batched" in database))
