"""Postgres for a night of chaos: one server, or a primary with a synchronous standby that takes over."""

import asyncio
import contextlib
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Protocol

import asyncpg

from omisync.demo.postgres import EmbeddedPostgres, PostgresError, StopMode
from omisync.demo.stage import DATABASE, in_thread

SETTINGS: Final[Mapping[str, str]] = {
    "max_connections": "150",
    "superuser_reserved_connections": "12",  # for the hands that do the harm
    "log_min_messages": "log",
    "log_lock_waits": "on",
    "checkpoint_timeout": "30s",
}
PAIRED: Final[Mapping[str, str]] = {
    "wal_level": "replica",
    "hot_standby": "on",
    "max_wal_senders": "8",
    "wal_keep_size": "512MB",
    "wal_retrieve_retry_interval": "200ms",
    "wal_receiver_timeout": "3s",
    "wal_sender_timeout": "3s",
}
SYNCHRONOUS: Final = "synchronous_standby_names"
"""Set only while a standby follows: without one, every commit would wait for it."""
FOLLOW_SECONDS: Final = 60.0
"""Until a fresh standby follows: a copy of a small database, and the WAL since."""
STATEMENT_SECONDS: Final = 15.0
LOOK_SECONDS: Final = 0.1


class Servers(Protocol):
    """What a run does with its database."""

    async def start(self) -> None: ...

    async def close(self) -> None: ...

    @property
    def admin_dsn(self) -> str:
        """The shop's database, as superuser, where it can be written."""
        ...

    def dsn(self, login: str, password: str) -> str:
        """The shop's database for a user, wherever the primary is by then."""
        ...

    async def restart(self, mode: StopMode) -> None:
        """Stop the server in that way and start it again."""
        ...

    async def fail_over(self, mode: StopMode) -> None:
        """The primary dies, the standby takes over, and the dead one becomes its standby."""
        ...


async def administer(dsn: str, *statements: str) -> None:
    """Run statements, each in a transaction of its own."""
    connection = await asyncpg.connect(dsn, timeout=STATEMENT_SECONDS)
    try:
        for statement in statements:
            await connection.execute(statement, timeout=STATEMENT_SECONDS)
    finally:
        await connection.close(timeout=STATEMENT_SECONDS)


class Single:
    """One durable server.

    Args:
        binaries: Of another Postgres than the bundled one.
    """

    def __init__(self, binaries: Path | None = None) -> None:
        self._server = EmbeddedPostgres(durable=True, bin_dir=binaries, settings=SETTINGS)

    async def start(self) -> None:
        """Start it, with the shop's database in it."""
        await in_thread(self._server.start)
        await administer(self._server.dsn(), f"CREATE DATABASE {DATABASE}")

    async def close(self) -> None:
        """Stop it for good."""
        await in_thread(self._server.close)

    @property
    def port(self) -> int:
        """Where it listens."""
        return self._server.port

    @property
    def admin_dsn(self) -> str:
        """The shop's database, as superuser."""
        return self._server.dsn(DATABASE)

    def dsn(self, login: str, password: str) -> str:
        """The shop's database for a user."""
        return f"postgresql://{login}:{password}@127.0.0.1:{self._server.port}/{DATABASE}?sslmode=disable"

    async def restart(self, mode: StopMode) -> None:
        """Stop it in that way and start it again."""
        await in_thread(lambda: self._server.restart(mode))

    async def fail_over(self, mode: StopMode) -> None:
        """There is nobody to take over."""
        raise NotImplementedError


class _Member(EmbeddedPostgres):
    """A server of a pair: made anew, or as a copy of the other one that follows it."""

    def __init__(self, binaries: Path | None, password: str | None = None) -> None:
        super().__init__(durable=True, bin_dir=binaries, settings={**SETTINGS, **PAIRED})
        self._password = password or self._password
        self._leader: EmbeddedPostgres | None = None

    @property
    def password(self) -> str:
        """The superuser's, the same for both."""
        return self._password

    def follow(self, leader: EmbeddedPostgres) -> None:
        """Start as a standby of another server, with a fresh copy of it."""
        self._leader = leader
        self.start()

    def _initialise(self, binaries: Path, directory: Path) -> None:
        if self._leader is None:
            super()._initialise(binaries, directory)
            return
        copied = self._run(
            [
                str(binaries / "pg_basebackup"),
                f"--dbname={self._leader.dsn()}&application_name=standby",
                f"--pgdata={directory / 'data'}",
                "--checkpoint=fast",
                "--wal-method=stream",
                "--write-recovery-conf",
            ],
            directory,
        )
        if copied.returncode != 0:
            raise PostgresError(f"pg_basebackup failed: {copied.stderr.strip() or copied.stdout.strip()}")
        with (directory / "data" / "postgresql.auto.conf").open("a") as configuration:
            configuration.write(f"{SYNCHRONOUS} = ''\n")  # it has no standby of its own yet


class Pair:
    """A primary, and a standby that has every commit before its answer is given.

    Args:
        binaries: Of another Postgres than the bundled one.
    """

    def __init__(self, binaries: Path | None = None) -> None:
        self._binaries = binaries
        self._primary = _Member(binaries)
        self._standby = _Member(binaries, self._primary.password)
        self._ports: tuple[int, int] = (0, 0)
        self._changing = asyncio.Lock()

    async def start(self) -> None:
        """Start both; returns once the standby follows."""
        await in_thread(self._primary.start)
        await administer(self._primary.dsn(), f"CREATE DATABASE {DATABASE}")
        await in_thread(lambda: self._standby.follow(self._primary))
        self._ports = (self._primary.port, self._standby.port)
        await self._followed()

    async def close(self) -> None:
        """Stop both for good."""
        await in_thread(self._standby.close)
        await in_thread(self._primary.close)

    @property
    def admin_dsn(self) -> str:
        """The shop's database on the primary of this moment, as superuser."""
        return self._primary.dsn(DATABASE)

    def dsn(self, login: str, password: str) -> str:
        """The shop's database for a user: both hosts, and whichever can be written."""
        hosts = ",".join(f"127.0.0.1:{port}" for port in self._ports)
        options = "target_session_attrs=read-write&sslmode=disable"
        return f"postgresql://{login}:{password}@{hosts}/{DATABASE}?{options}"

    async def restart(self, mode: StopMode) -> None:
        """Stop the primary in that way and start it again; the standby follows again by itself."""
        async with self._changing:
            await in_thread(lambda: self._primary.restart(mode))

    async def fail_over(self, mode: StopMode) -> None:
        """The primary dies, the standby is promoted, and the dead one comes back as its standby."""
        async with self._changing:
            dead = self._primary
            await in_thread(lambda: dead.stop(mode))
            self._primary = self._standby
            await administer(self._primary.dsn(), "SELECT pg_promote(true, 30)")
            port = dead.port
            await in_thread(dead.close)
            self._standby = _Member(self._binaries, self._primary.password)
            self._standby._port = port
            await in_thread(lambda: self._standby.follow(self._primary))
            await self._followed()

    async def _followed(self) -> None:
        """Wait for the standby, and from then on for it at each commit."""
        deadline = time.monotonic() + FOLLOW_SECONDS
        connection = await asyncpg.connect(self._primary.dsn(), timeout=STATEMENT_SECONDS)
        try:
            while await connection.fetchval("SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'") == 0:
                if time.monotonic() > deadline:
                    raise PostgresError(f"the standby does not follow; its log ends with:\n{self._standby.log_tail()}")
                await asyncio.sleep(LOOK_SECONDS)
            await connection.execute(f"ALTER SYSTEM SET {SYNCHRONOUS} = '*'")
            await connection.execute("SELECT pg_reload_conf()")
        finally:
            with contextlib.suppress(OSError, TimeoutError, asyncpg.PostgresError):
                await connection.close(timeout=STATEMENT_SECONDS)
