"""`omisync import` as real processes, killed on the way; every call to Omisell written down by a proxy in between.

`python -m tests.system.killed_import` imports 5,000 orders, killed twice, and prints what it cost.
"""

import argparse
import asyncio
import contextlib
import dataclasses
import json
import os
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import aiohttp
import asyncpg
from aiohttp import web

from omisync.demo import configuration
from omisync.demo.configuration import Account
from omisync.demo.postgres import EmbeddedPostgres, free_port
from omisync.demo.processes import command, environment
from omisync.simulator import BucketConfig, ListConfig, Simulator, SimulatorConfig
from omisync.store.migrations import migrate
from tests.chaos.world import until

SECONDS: Final = 600.0
CONCURRENCY: Final = 16
"""outbox.concurrency: details in flight."""


@dataclass
class Recorder:
    """Passes calls on to Omisell, and keeps their paths in the order in which they came."""

    to: str
    calls: list[str] = field(default_factory=list)
    url: str = ""
    session: aiohttp.ClientSession | None = None

    def asked(self, what: str) -> int:
        """How many calls had this in their path."""
        return sum(what in path for path in self.calls)

    def repeated(self, what: str) -> Counter[str]:
        """The calls of this kind that came more than once, and how often more."""
        counted = Counter(path for path in self.calls if what in path)
        return Counter({path: count - 1 for path, count in counted.items() if count > 1})

    async def handle(self, request: web.Request) -> web.Response:
        """One call."""
        self.calls.append(request.path_qs)
        assert self.session is not None
        headers = {name: value for name, value in request.headers.items() if name.lower() not in {"host", "connection"}}
        async with self.session.request(
            request.method, self.to + request.path_qs, headers=headers, data=await request.read()
        ) as answer:
            kept = {
                name: value
                for name, value in answer.headers.items()
                if name.lower() in {"x-omisell-api-call-limit", "date", "content-type"}
            }
            return web.Response(status=answer.status, headers=kept, body=await answer.read())


@contextlib.asynccontextmanager
async def recorder(to: str) -> AsyncIterator[Recorder]:
    """A proxy on a port of loopback."""
    made = Recorder(to)
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", made.handle)
    async with aiohttp.ClientSession() as session:
        made.session = session
        runner = web.AppRunner(app, shutdown_timeout=1.0)
        await runner.setup()
        port = free_port()
        await web.TCPSite(runner, "127.0.0.1", port).start()
        made.url = f"http://127.0.0.1:{port}"
        try:
            yield made
        finally:
            await runner.cleanup()


@dataclass
class Stage:
    """A database, a simulated Omisell with orders in it, and the configuration of who imports them."""

    dsn: str
    simulator: Simulator
    recorder: Recorder
    config: Path
    sql: Any

    async def begin(self, *arguments: str) -> asyncio.subprocess.Process:
        """Starts `omisync import`."""
        return await asyncio.create_subprocess_exec(
            *command("import", "--config", str(self.config), *arguments),
            env=environment(),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )

    async def killed_when(self, true: Callable[[], bool | Awaitable[bool]], *arguments: str) -> int:
        """Starts one and kills it (SIGKILL) as soon as it is true; returns how many calls had come by then."""
        process = await self.begin(*arguments)
        try:
            await until(lambda: process.returncode is not None or _now(true), SECONDS)
            assert process.returncode is None, (await process.communicate())[1].decode()
        finally:
            if process.returncode is None:
                os.kill(process.pid, signal.SIGKILL)
            await process.wait()
        return len(self.recorder.calls)

    async def ended(self, *arguments: str) -> dict[str, Any]:
        """Runs one to its end, which must be a good one; what it says with --json."""
        process = await self.begin("--json", *arguments)
        try:
            async with asyncio.timeout(SECONDS):
                out, err = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        assert process.returncode == 0, err.decode()
        said: dict[str, Any] = json.loads(out)
        return said

    def limit(self, size: float, leak_per_minute: float) -> None:
        """From now on Omisell takes no more than that."""
        config = self.simulator.config
        bucket = BucketConfig(size=size, leak_per_minute=leak_per_minute)
        self.simulator.configure(dataclasses.replace(config, bucket=bucket))

    async def leases_run_out(self) -> None:
        """The time passes in which a killed process's fetches are still taken to be under way."""
        await self.sql.execute(
            "UPDATE omisync.refreshes SET lease_until = now() - interval '1 s' WHERE lease_token IS NOT NULL"
        )

    async def differing(self) -> list[str]:
        """Orders at Omisell that our tables do not have as they are there."""
        rows = await self.sql.fetch(
            "SELECT order_number, omisell_order_number, status_id FROM omisync.orders WHERE detail IS NOT NULL"
        )
        here = {row["omisell_order_number"]: (row["order_number"], row["status_id"]) for row in rows}
        there = {order.omisell_order_number: (order.order_number, order.status_id) for order in self.simulator.orders}
        return sorted(number for number in here.keys() | there.keys() if here.get(number) != there.get(number))


def _now(true: Callable[[], bool | Awaitable[bool]]) -> bool:
    answer = true()
    assert isinstance(answer, bool)
    return answer


@contextlib.asynccontextmanager
async def stage(dsn: str, folder: Path, orders: int, page_size: int, **omisell: object) -> AsyncIterator[Stage]:
    """Puts it up on a fresh, migrated database."""
    config = SimulatorConfig(
        lists=ListConfig(lag=(0.0, 0.0)), bucket=BucketConfig(size=1000, leak_per_minute=60_000), seed=5
    )
    async with contextlib.AsyncExitStack() as stack:
        simulator = Simulator(config)
        await simulator.start()
        stack.push_async_callback(simulator.stop)
        for place in range(orders):
            simulator.create({"order_number": f"OLD-{place:05d}"}, status_id=(300, 600, 900)[place % 3])
        between = await stack.enter_async_context(recorder(simulator.url))
        account = config.account
        file = folder / "config.toml"
        configuration.write(
            file,
            dsn=dsn,
            account=Account(
                between.url,
                account.api_key,
                account.api_secret,
                account.seller_id,
                account.country,
                account.shops[0].shop_id,
                account.pickups[0].id,
                "the secret typed into the Console",
            ),
            webhook_port=free_port(),
            admin_port=free_port(),
            changes={
                "omisell": {
                    "bucket_size": 1000,
                    "leak_per_minute": 60_000,
                    "page_size": page_size,
                    "timeout": "20s",
                    **omisell,
                },
                "outbox": {"concurrency": CONCURRENCY},
            },
        )
        sql = await asyncpg.connect(dsn, timeout=30)
        stack.callback(sql.terminate)
        yield Stage(dsn, simulator, between, file, sql)


def late(calls: Sequence[str], repeated: Counter[str], until_call: Sequence[int]) -> list[str]:
    """Calls that were made again though they were not among the last before a kill, and so not in flight."""
    near = {path for end in until_call for path in calls[max(0, end - 2 * CONCURRENCY) : end]}
    return [path for path in repeated if path not in near]


async def measure(orders: int) -> bool:
    """Imports so many orders, killed twice; prints what it cost, and returns whether all holds."""
    with tempfile.TemporaryDirectory() as folder, EmbeddedPostgres(durable=False) as server:
        await migrate(server.dsn())
        async with stage(server.dsn(), Path(folder), orders, 100) as made:
            between = made.recorder
            pages = -(-orders // 100)
            began = time.monotonic()
            ends = [await made.killed_when(lambda: between.asked("order/list") > pages // 2, "--since", "90d")]
            say(f"killed (-9) after {ends[0]} calls, while the list was read")
            ends.append(await made.killed_when(lambda: between.asked("public/order/O") > orders // 2, "--since", "90d"))
            say(f"killed (-9) after {ends[1]} calls, while details were fetched")
            said = await made.ended("--since", "90d")
            took = time.monotonic() - began
            lists, details = between.repeated("order/list"), between.repeated("public/order/O")
            differing = await made.differing()
            say(json.dumps(said, indent=2))
            say(f"{orders:,} orders in {took:.0f} s, three processes (20 s of it for leases of the killed)")
            say(f"pages: {between.asked('order/list')} calls for {pages} pages, again: {sum(lists.values())}")
            again = sum(details.values())
            say(f"details: {between.asked('public/order/O')} calls for {orders} orders, again: {again}")
            say(f"differing from Omisell afterwards: {len(differing)}")
            return (
                not differing
                and sum(lists.values()) <= len(ends)
                and sum(details.values()) <= CONCURRENCY
                and late(between.calls, lists + details, ends) == []
                and said["seen"] == orders
            )


def say(words: str) -> None:
    """A line for whoever runs it."""
    sys.stdout.write(f"{words}\n")
    sys.stdout.flush()


def main() -> int:
    """Runs it; 0 if all holds."""
    parser = argparse.ArgumentParser(prog="python -m tests.system.killed_import", description=__doc__)
    parser.add_argument("--orders", type=int, default=5000)
    holds = asyncio.run(measure(parser.parse_args().orders))
    say("holds" if holds else "DOES NOT HOLD")
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
