"""Everything the demo needs, put up in order and taken down without a trace: Postgres, Omisell, daemon, shop."""

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar
from urllib.parse import urlsplit, urlunsplit

import aiohttp
import asyncpg

from omisync.demo import configuration
from omisync.demo.guarded import Guarded
from omisync.demo.postgres import EmbeddedPostgres, free_port
from omisync.demo.processes import Daemon, command, run_to_end
from omisync.demo.remote import Omisell
from omisync.demo.shop import LOGIN, STATEMENT_SECONDS, Shop, create_login

DATABASE: Final = "shop"
DAEMON_LOGIN: Final = "omisync"

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Stage:
    """The parts, running."""

    postgres: EmbeddedPostgres
    omisell: Omisell
    daemon: Daemon
    shop: Shop
    session: aiohttp.ClientSession
    admin_url: str
    config: Path


async def in_thread(work: Callable[[], T]) -> T:
    """Do blocking work beside the event loop; when cancelled, wait for its end first: it cannot be cut off."""
    task = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task})
        raise


def as_user(dsn: str, login: str, password: str) -> str:
    """The same database's URL for another user."""
    parts = urlsplit(dsn)
    return urlunsplit(parts._replace(netloc=f"{login}:{password}@{parts.hostname}:{parts.port}"))


@contextlib.asynccontextmanager
async def set_up(say: Callable[[str], None], *, faults: bool, seed: int) -> AsyncIterator[Stage]:
    """Put up the stage.

    Args:
        say: Told what is being started.
        faults: Whether Omisell begins to misbehave at once.
        seed: Of Omisell's chances.

    Raises:
        DemoError: A part could not be started.
    """
    async with contextlib.AsyncExitStack() as stack:
        guarded = Guarded()
        stack.callback(guarded.close)
        folder = guarded.folder("omisync-demo-")
        stack.callback(guarded.remove, folder)
        session = await stack.enter_async_context(aiohttp.ClientSession())

        say("starting an own Postgres")
        postgres = EmbeddedPostgres()
        stack.push_async_callback(in_thread, postgres.close)
        await in_thread(postgres.start)

        webhook_port, admin_port = free_port(), free_port()
        say("starting Omisell's simulator")
        omisell = await stack.enter_async_context(
            Omisell.running(session, callback_url=configuration.callback_url(webhook_port), seed=seed)
        )

        say("migrating the database")
        await _create_database(postgres)
        admin_dsn = postgres.dsn(DATABASE)
        passwords = {login: secrets.token_urlsafe(18) for login in (DAEMON_LOGIN, LOGIN)}
        config = folder / "config.toml"
        configuration.write(
            config,
            dsn=as_user(admin_dsn, DAEMON_LOGIN, passwords[DAEMON_LOGIN]),
            account=omisell.account,
            webhook_port=webhook_port,
            admin_port=admin_port,
        )
        await run_to_end(
            command("migrate", "--config", str(config)),
            folder=folder,
            guarded=guarded,
            extra={"OMISYNC_DATABASE__DSN": admin_dsn},  # the owner migrates; the daemon has no more than it needs
        )
        await create_login(admin_dsn, DAEMON_LOGIN, passwords[DAEMON_LOGIN], role="omisync_daemon")
        await Shop.install(admin_dsn, passwords[LOGIN])
        shop = await stack.enter_async_context(Shop.opened(as_user(admin_dsn, LOGIN, passwords[LOGIN])))

        say("starting the daemon")
        admin_url = f"http://127.0.0.1:{admin_port}"
        daemon = Daemon(
            command("run", "--config", str(config)),
            folder=folder,
            ready_url=f"{admin_url}/readyz",
            session=session,
            guarded=guarded,
        )
        stack.push_async_callback(daemon.kill)
        await daemon.start()
        await daemon.ready()
        if faults:
            await omisell.misbehave()
        yield Stage(postgres, omisell, daemon, shop, session, admin_url, config)


async def _create_database(postgres: EmbeddedPostgres) -> None:
    connection = await asyncpg.connect(postgres.dsn(), timeout=STATEMENT_SECONDS)
    try:
        await connection.execute(f"CREATE DATABASE {DATABASE}", timeout=STATEMENT_SECONDS)
    finally:
        await connection.close(timeout=STATEMENT_SECONDS)
