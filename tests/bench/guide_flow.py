"""Omisell's own guide followed to the letter, to compare with: one detail a push, first come first served.

It is done fairly: the same client, the same limiter (but for its order of service), as many calls in flight, and less
work than omisync does (its queue is in memory, nothing is durable before the 200). It writes into the same tables.
"""

import asyncio
import contextlib
import json
import signal
import sys
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg
from aiohttp import web

from omisync.config import Settings, load_settings
from omisync.omisell import Budget, CallClass, NotFound, OmisellClient, OmisellError, Refused, Throttled, connect
from omisync.omisell.budget import Call
from omisync.remote import OwnToken, Uncounted
from omisync.store.database import COMMAND_TIMEOUT

WORKERS = 36
"""Calls in flight: about as many as omisync may have with outbox.concurrency 32."""
POLL = 0.25
FINAL = (800, 850, 900)

TODO = """
SELECT id, kind, order_number, payload::text AS payload FROM omisync.outbox
WHERE state = 'pending' AND id > $1 ORDER BY id LIMIT 2000
"""
ADDED = """
WITH done AS (UPDATE omisync.outbox SET state = 'done', outcome = $3, finished_at = now() WHERE id = $1)
INSERT INTO omisync.orders (order_number, omisell_order_number, status_id, is_final)
SELECT o.order_number, $2, $4, false FROM omisync.outbox AS o WHERE o.id = $1 ON CONFLICT DO NOTHING
"""
DETAIL = """
UPDATE omisync.orders SET status_id = $2, is_final = $3, omisell_updated_at = to_timestamp($4),
    detail = $5::text::jsonb, synced_at = now()
WHERE order_number = $1 AND (detail IS NULL OR (detail ->> 'updated_time')::bigint <= $4)
"""
HEARD = "SELECT pg_notify('omisync_orders', json_build_object('order_number', $1::text, 'status_id', $2::int)::text)"


class FirstComeFirstServed(Budget):
    """The same limiter without an order of service."""

    def call(self, cls: CallClass, *, ahead: bool = False) -> Call:
        """Every call is of one class, and none goes ahead."""
        del cls, ahead
        return super().call(CallClass.ADD)


class GuideFlow:
    """The connector."""

    def __init__(self, settings: Settings, omisell: OmisellClient, pool: Any) -> None:
        self._settings = settings
        self._omisell = omisell
        self._pool = pool
        self._queue: asyncio.Queue[tuple[str, Any]] = asyncio.Queue()
        self._numbers: dict[str, str] = {}

    async def push(self, request: web.Request) -> web.Response:
        """Answer at once, fetch later, as the guide says."""
        data = json.loads(await request.read())["data"]
        self._queue.put_nowait(("detail", data["omisell_order_number"]))
        return web.Response()

    async def poll(self) -> None:
        """Take what the shop has committed."""
        last = 0
        while True:
            for row in await self._pool.fetch(TODO, last):
                last = row["id"]
                self._queue.put_nowait((row["kind"], row))
            await asyncio.sleep(POLL)

    async def work(self) -> None:
        """Make one call after the other."""
        while True:
            kind, subject = await self._queue.get()
            try:
                await self._one(kind, subject)
            except Throttled:
                self._queue.put_nowait((kind, subject))
            except (Refused, NotFound):
                pass  # a cancel that came too late
            except OmisellError as error:
                print(f"{kind}: {error}", file=sys.stderr)
                self._queue.put_nowait((kind, subject))

    async def _one(self, kind: str, subject: Any) -> None:
        if kind == "detail":
            await self._fetch(subject)
        elif kind == "order.add":
            await self._add(subject)
        elif subject["order_number"] in self._numbers:
            await self._omisell.cancel_order(self._numbers[subject["order_number"]], None)
        else:
            await asyncio.sleep(POLL)  # its add is still under way
            self._queue.put_nowait((kind, subject))

    async def _add(self, row: Any) -> None:
        omisell = self._settings.omisell
        body = {"shop_id": omisell.shop_id, "pickup_id": omisell.pickup_id, **json.loads(row["payload"])}
        added = await self._omisell.add_order(body)
        self._numbers[row["order_number"]] = added.omisell_order_number
        await self._pool.execute(ADDED, row["id"], added.omisell_order_number, "added", added.status_id)
        await self._pool.execute(HEARD, row["order_number"], added.status_id)

    async def _fetch(self, number: str) -> None:
        detail = await self._omisell.order_detail(number)
        status = detail.status_id or 0
        final = status in FINAL or 700 <= status < 800
        text = json.dumps(detail.raw)
        told = await self._pool.execute(DETAIL, detail.order_number, status, final, detail.updated_time, text)
        if told == "UPDATE 0":
            self._queue.put_nowait(("detail", number))  # the push came before the add's answer was written
            return
        await self._pool.execute(HEARD, detail.order_number, status)


async def main(path: Path) -> None:
    """Run until SIGTERM."""
    settings = load_settings(path)
    stopping = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
    omisell = settings.omisell
    async with contextlib.AsyncExitStack() as stack:
        session = await stack.enter_async_context(aiohttp.ClientSession())
        dsn = settings.database.dsn.get_secret_value()
        pool = await stack.enter_async_context(
            asyncpg.create_pool(dsn, min_size=1, max_size=8, command_timeout=COMMAND_TIMEOUT)
        )
        budget = FirstComeFirstServed(omisell.bucket_size, omisell.leak_per_minute)
        client = connect(omisell, session=session, token_store=OwnToken(), budget=budget, observer=Uncounted())
        flow = GuideFlow(settings, client, pool)
        for listen, path_of, handler in (
            (settings.webhook.listen, settings.webhook.path, flow.push),
            (settings.admin.listen, "/readyz", _ready),
        ):
            application = web.Application()
            application.router.add_route("*", path_of, handler)
            runner = web.AppRunner(application, access_log=None)
            await runner.setup()
            stack.push_async_callback(runner.cleanup)
            await web.TCPSite(runner, listen.host, listen.port).start()
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(flow.poll()), *(group.create_task(flow.work()) for _ in range(WORKERS))]
            await stopping.wait()
            for task in tasks:
                task.cancel()


async def _ready(_: web.Request) -> web.Response:
    return web.Response()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
