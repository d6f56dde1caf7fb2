"""A Postgres server for the session, a fresh database for each test, and Omisell's simulator."""

import asyncio
import importlib
import os
import secrets
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

from omisync.demo.postgres import EmbeddedPostgres

if TYPE_CHECKING:
    from omisync.simulator import Simulator

WORKERS_A_CORE = 2
"""Test processes a core: they wait for servers and child processes more than they compute."""
MEMORY = Path("/dev/shm")  # noqa: S108 - a folder of mode 0700 is made in it
"""A file system in memory: a database for each test is hundreds of small files, made and removed."""
MEMORY_FREE = 2 * 1024**3
"""Bytes that must be free there; the servers of four test processes take about a quarter of that."""
ADMIN_SECONDS = 30.0
"""For creating and dropping databases: milliseconds, but two cores may be shared."""


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Side by side for the whole suite or a whole folder; in this process for files and single tests."""
    chosen = config.getini("testpaths") if config.args_source is not pytest.Config.ArgsSource.ARGS else config.args
    if config.option.usepdb or config.option.collectonly or any(".py" in name for name in chosen):
        return 0
    return WORKERS_A_CORE * (os.cpu_count() or 1)


def memory() -> Path | None:
    """The file system in memory, if there is one with room from which programs may be started."""
    try:
        there = os.statvfs(MEMORY)
    except OSError:
        return None
    usable = not there.f_flag & os.ST_NOEXEC and there.f_bavail * there.f_frsize >= MEMORY_FREE
    return MEMORY if usable else None


def with_database(dsn: str, database: str) -> str:
    """The same server's URL for another database."""
    return urlunsplit(urlsplit(dsn)._replace(path=f"/{database}"))


async def administer(dsn: str, *statements: str) -> None:
    """Run statements outside of a transaction."""
    connection = await asyncpg.connect(dsn, timeout=ADMIN_SECONDS)
    try:
        for statement in statements:
            await connection.execute(statement, timeout=ADMIN_SECONDS)
    finally:
        await connection.close(timeout=ADMIN_SECONDS)


@pytest.fixture(scope="session")
def postgres_dsn() -> Iterator[str]:
    """A superuser's URL: of OMISYNC_TEST_DSN's server if that is set, else of an embedded one."""
    given = os.environ.get("OMISYNC_TEST_DSN")
    if given:
        yield given
        return
    with EmbeddedPostgres(durable=False, settings={"max_wal_size": "64MB"}, parent=memory()) as server:
        yield server.dsn()


@pytest.fixture(scope="session")
def template_database(postgres_dsn: str) -> Iterator[str]:
    """The name of a database with our schema in it, migrated once and copied for each test."""
    name = f"omisync_template_{secrets.token_hex(4)}"

    async def prepare() -> None:
        await administer(postgres_dsn, f"CREATE DATABASE {name}")
        try:
            migrations = importlib.import_module("omisync.store.migrations")
        except ModuleNotFoundError as error:
            if not (error.name or "").startswith("omisync.store"):
                raise
            return  # not written yet: an empty template
        await migrations.migrate(with_database(postgres_dsn, name))

    asyncio.run(prepare())
    yield name
    asyncio.run(administer(postgres_dsn, f"DROP DATABASE IF EXISTS {name} WITH (FORCE)"))


async def _database(server: str, options: str) -> AsyncIterator[str]:
    name = f"omisync_test_{secrets.token_hex(6)}"
    await administer(server, f"CREATE DATABASE {name} {options}")
    try:
        yield with_database(server, name)
    finally:
        await administer(server, f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


@pytest.fixture
async def dsn(postgres_dsn: str, template_database: str) -> AsyncIterator[str]:
    """The URL of a fresh database with our schema, dropped after the test."""
    async for url in _database(postgres_dsn, f"TEMPLATE {template_database} STRATEGY file_copy"):
        yield url


@pytest.fixture
async def empty_dsn(postgres_dsn: str) -> AsyncIterator[str]:
    """The URL of a fresh, empty database, dropped after the test."""
    async for url in _database(postgres_dsn, "STRATEGY file_copy"):
        yield url


@pytest.fixture
async def simulator() -> AsyncIterator["Simulator"]:
    """Omisell's simulator with its own defaults, on a free port of loopback."""
    from omisync.simulator import Simulator, SimulatorConfig  # noqa: PLC0415 - only for the tests that ask for it

    server = Simulator(SimulatorConfig())
    await server.start(host="127.0.0.1", port=0)
    try:
        yield server
    finally:
        await server.stop()
