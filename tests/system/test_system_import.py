"""`omisync import` as real processes: killed while it reads the list, and while it fetches details."""

import asyncio
from pathlib import Path

from omisync.demo.processes import command, environment
from tests.chaos.world import until
from tests.system.killed_import import CONCURRENCY, late, stage

ORDERS = 120
PAGE = 10


async def test_an_import_killed_twice_ends_complete_and_asks_again_only_for_what_was_in_flight(
    dsn: str, tmp_path: Path
) -> None:
    async with stage(dsn, tmp_path, ORDERS, PAGE) as made:
        calls = made.recorder
        ends = [await made.killed_when(lambda: calls.asked("order/list") >= 5, "--since", "90d")]
        assert await made.sql.fetchval("SELECT next_page FROM omisync.imports") >= 4
        ends.append(await made.killed_when(lambda: calls.asked("public/order/O") >= ORDERS // 2, "--since", "90d"))
        assert await made.sql.fetchval("SELECT count(*) FROM omisync.orders") < ORDERS
        await made.leases_run_out()
        said = await made.ended("--since", "90d")
        assert (said["resumed"], said["seen"], said["fetched"], said["lost"]) == (True, ORDERS, ORDERS, 0)
        assert await made.differing() == []
        pages, details = calls.repeated("order/list"), calls.repeated("public/order/O")
        assert sum(pages.values()) <= len(ends)
        assert sum(details.values()) <= CONCURRENCY
        assert late(calls.calls, pages + details, ends) == []
        assert calls.asked("token/get") == 1
        assert await made.sql.fetchval("SELECT count(*) FROM omisync.import_orders") == 0
        again = await made.ended("--since", "90d")
        assert (again["known"], again["fetched"], again["resumed"]) == (ORDERS, 0, False)


async def test_beside_a_daemon_the_limit_is_kept_and_only_fetches_in_flight_are_made_twice(
    dsn: str, tmp_path: Path
) -> None:
    async with stage(dsn, tmp_path, 100, 50, bucket_size=60, leak_per_minute=1200) as made:
        made.limit(60, 1200)
        daemon = await asyncio.create_subprocess_exec(
            *command("run", "--config", str(made.config)),
            env=environment(),
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            await until(lambda: made.recorder.asked("order/list") > 0)
            said = await made.ended("--since", "90d", "--share", "1")
        finally:
            daemon.terminate()
            await daemon.wait()
        assert said["seen"] == 100
        assert await made.differing() == []
        # a sweep that reads the list while a fetch ends does not see the new order yet, and asks for it once more
        assert made.recorder.repeated("public/order/O").total() <= CONCURRENCY
        assert made.simulator.ledger.throttled == 0
