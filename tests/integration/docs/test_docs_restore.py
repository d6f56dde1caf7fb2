"""The way of a restore, as docs/operating.md has it: an order that was sent after the backup is not sent again."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import asyncpg

from omisync.demo import people
from omisync.demo.processes import command, environment
from omisync.demo.stage import Stage, set_up

PAGE = Path(__file__).parents[3] / "docs" / "operating.md"
SECONDS = 60.0
OWED_SECONDS = 200.0  # a detail that nobody hurries for may wait two minutes for the next push
LOOK_EVERY = 0.2


async def until(seen: Callable[[], Awaitable[bool]], seconds: float = SECONDS) -> None:
    """Waits for what other processes bring about."""
    async with asyncio.timeout(seconds):
        while not await seen():  # noqa: ASYNC110 - another process's doing
            await asyncio.sleep(LOOK_EVERY)


async def omisync(stage: Stage, *arguments: str) -> Any:
    """Runs a command against the stage's configuration; what it printed, as JSON."""
    process = await asyncio.create_subprocess_exec(
        *command(*arguments, "--json", "--config", str(stage.config)),
        env=environment(),
        stdout=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(SECONDS):
        said, _ = await process.communicate()
    assert process.returncode == 0
    return json.loads(said)


async def administer(stage: Stage, *statements: str) -> None:
    """Runs statements beside the shop's database, which nobody is using then."""
    connection = await asyncpg.connect(stage.postgres.dsn(), timeout=SECONDS, command_timeout=SECONDS)
    try:
        for statement in statements:
            await connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'shop'")
            await connection.execute(statement)
    finally:
        await connection.close(timeout=SECONDS)


async def test_an_order_sent_after_the_backup_was_made_is_adopted_and_not_sent_again() -> None:
    async with set_up(lambda _: None, faults=False, seed=1) as stage:
        await stage.daemon.stop()
        order = next(people.orders(1, stage.omisell.products, stage.omisell.places))
        await stage.shop.place(order)
        await administer(stage, "CREATE DATABASE backup TEMPLATE shop")

        async def is_sent() -> bool:
            return len(await stage.omisell.applied(full=False)) == 1

        await stage.daemon.start()
        await until(is_sent)
        await stage.daemon.stop()
        await administer(stage, "ALTER DATABASE shop RENAME TO lost", "ALTER DATABASE backup RENAME TO shop")
        assert [row["state"] for row in await omisync(stage, "outbox", "list")] == ["pending"]

        await omisync(stage, "pause", "--reason", "restored from a backup")
        await stage.daemon.start()
        await stage.daemon.ready()
        await omisync(stage, "reconcile", "--since", "2d")

        async def nothing_waits() -> bool:
            return bool((await omisync(stage, "status"))["refresh_pending"] == 0)

        await until(nothing_waits, OWED_SECONDS)
        await omisync(stage, "resume")

        async def is_done() -> bool:
            return [row["state"] for row in await omisync(stage, "outbox", "list")] == ["done"]

        await until(is_done)
        assert [row["outcome"] for row in await omisync(stage, "outbox", "list")] == ["adopted"]
        assert [one.order_number for one in await stage.omisell.applied(full=False)] == [order.order_number]


def test_the_page_names_these_commands_in_this_order() -> None:
    _, _, rest = PAGE.read_text().partition("## Backup and restore")
    section = rest.partition("\n## ")[0]
    places = [section.index(f"omisync {name}") for name in ("pause", "reconcile --since 2d", "status", "resume")]
    assert places == sorted(places)
