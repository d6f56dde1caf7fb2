"""A receiver of pushes as one would write it first: plain aiohttp that says 200, with an INSERT each or without.

python -m tests.bench.peers.web_peer PORT SECRET [DSN]
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


async def main(port: int, secret: str, dsn: str | None) -> None:
    """Answer until SIGTERM."""
    pool = None if dsn is None else await asyncpg.create_pool(dsn, min_size=POOL, max_size=POOL)

    async def bare(request: web.Request) -> web.Response:
        await request.read()
        return web.json_response({"ok": True})

    async def insert(request: web.Request) -> web.Response:
        assert pool is not None
        if request.headers.get("Authorization") != secret:
            return web.json_response({"ok": False}, status=401)
        body = await request.read()
        push = json.loads(body)
        number = push["data"]["omisell_order_number"]
        await pool.execute(INSERT, push["request_id"], push["event"], number, body)
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
    asyncio.run(main(int(sys.argv[1]), sys.argv[2], sys.argv[3] if len(sys.argv) > 3 else None))
