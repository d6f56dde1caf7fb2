"""Everything a night of chaos needs, put up in order and taken down without a trace."""

import contextlib
import os
import secrets
import shutil
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import aiohttp

from omisync.demo import configuration
from omisync.demo.configuration import Account
from omisync.demo.guarded import Guarded
from omisync.demo.postgres import free_port
from omisync.demo.processes import Daemon, command, run_to_end
from omisync.demo.shop import LOGIN, Shop, create_login
from omisync.demo.stage import DAEMON_LOGIN, DATABASE
from tests.chaos import omisell as omisell_process
from tests.chaos.door import door
from tests.chaos.omisell import OmisellProcess
from tests.chaos.options import Options
from tests.chaos.pooler import Pooler
from tests.chaos.servers import Pair, Servers, Single, administer

FAKETIME: Final = (
    Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1"),
    Path("/usr/lib/aarch64-linux-gnu/faketime/libfaketime.so.1"),
)
"""Debian's libfaketime: a process's wall clock out of a file, its monotonic one left alone."""

HOOK: Final = (Path(__file__).parent / "hook.sql").read_text
SETTLE: Final = "8s"
"""Above what the simulator's faults can add up to: applied up to 2.5 s late, listed up to 2.5 s after that."""


def faketime() -> Path | None:
    """The library, if it is installed."""
    return next((path for path in FAKETIME if path.is_file()), None)


@dataclass(slots=True)
class Replica:
    """One daemon."""

    daemon: Daemon
    admin_url: str
    clock: Path | None
    starts: int = field(default=0)

    async def start(self) -> None:
        """Start it; it may take a moment until it is ready."""
        self.starts += 1
        await self.daemon.start()

    def step_clock(self, offset: int) -> None:
        """Set its wall clock, running or not, to so many seconds ahead of the machine's."""
        if self.clock is not None:
            fresh = self.clock.with_suffix(".new")
            fresh.write_text(f"{offset:+d}\n")
            fresh.replace(self.clock)


@dataclass(frozen=True, slots=True)
class Stage:
    """The parts, running."""

    options: Options
    servers: Servers
    omisell: OmisellProcess
    replicas: Sequence[Replica]
    shop: Shop
    shop_dsn: str
    session: aiohttp.ClientSession
    folder: Path
    pooler: Pooler | None
    webhook_url: str


@contextlib.asynccontextmanager
async def set_up(options: Options) -> AsyncIterator[Stage]:
    """Put up the stage: database, Omisell, replicas behind one address, the shop.

    Raises:
        DemoError: A part could not be started.
    """
    async with contextlib.AsyncExitStack() as stack:
        guarded = Guarded()
        stack.callback(guarded.close)
        folder = guarded.folder("omisync-chaos-")
        stack.callback(guarded.remove, folder)
        stack.callback(_keep, folder, options)
        session = await stack.enter_async_context(aiohttp.ClientSession())

        servers: Servers = Pair(options.binaries) if options.failovers else Single(options.binaries)
        stack.push_async_callback(servers.close)
        await servers.start()

        ports = [(free_port(), free_port()) for _ in range(options.replicas)]
        public = free_port()
        callback_url = configuration.callback_url(public)
        await stack.enter_async_context(door(public, [webhook for webhook, _ in ports]))
        omisell = await stack.enter_async_context(
            omisell_process.running(session, guarded, folder, callback_url=callback_url, asked=options)
        )

        passwords = {login: secrets.token_urlsafe(18) for login in (DAEMON_LOGIN, LOGIN)}
        pooler = _pooler(options, servers, guarded, passwords)
        if pooler is not None:
            stack.callback(pooler.close)
            await pooler.start()
        dsn = servers.dsn(DAEMON_LOGIN, passwords[DAEMON_LOGIN])
        if pooler is not None:
            dsn = f"postgresql://{DAEMON_LOGIN}:{passwords[DAEMON_LOGIN]}@127.0.0.1:{pooler.port}/{DATABASE}"
        replicas = [
            _replica(
                number,
                options,
                dsn=dsn,
                account=omisell.account,
                ports=pair,
                callback_url=callback_url,
                folder=folder,
                session=session,
                guarded=guarded,
            )
            for number, pair in enumerate(ports)
        ]
        config = folder / "0.toml"
        await run_to_end(
            command("migrate", "--config", str(config)),
            folder=folder,
            guarded=guarded,
            extra={"OMISYNC_DATABASE__DSN": servers.admin_dsn},
        )
        await create_login(servers.admin_dsn, DAEMON_LOGIN, passwords[DAEMON_LOGIN], role="omisync_daemon")
        await Shop.install(servers.admin_dsn, passwords[LOGIN])
        await administer(servers.admin_dsn, HOOK("utf-8"))
        shop_dsn = servers.dsn(LOGIN, passwords[LOGIN])
        shop = await stack.enter_async_context(Shop.opened(shop_dsn))

        for replica in replicas:
            stack.push_async_callback(replica.daemon.kill)
            await replica.start()
        for replica in replicas:
            await replica.daemon.ready()
        yield Stage(options, servers, omisell, replicas, shop, shop_dsn, session, folder, pooler, callback_url)


def _pooler(options: Options, servers: Servers, guarded: Guarded, users: Mapping[str, str]) -> Pooler | None:
    if not options.pgbouncer:
        return None
    assert isinstance(servers, Single), "PgBouncer stands in front of one server"
    return Pooler(guarded, server=servers.port, database=DATABASE, users=users)


def _replica(
    number: int,
    options: Options,
    *,
    dsn: str,
    account: Account,
    ports: tuple[int, int],
    callback_url: str,
    folder: Path,
    session: aiohttp.ClientSession,
    guarded: Guarded,
) -> Replica:
    own = folder / f"replica-{number}"
    own.mkdir()
    config = folder / f"{number}.toml"
    omisell: dict[str, object] = {"bucket_size": options.bucket, "leak_per_minute": options.calls_a_minute}
    if number % 2:
        omisell["lookup_filter"] = "order_number"  # which Omisell may well ignore
    changes: dict[str, dict[str, object]] = {
        "omisell": omisell,
        "webhook": {"callback_url": callback_url},
        "outbox": {"settle": SETTLE, "backoff_cap": "1s"},
        "daemon": {"grace": "5s"},
    }
    if not options.sweeps:
        changes["reconcile"] = {"interval": "10m", "overlap": "30s"}
    if options.hooks:
        changes["hooks"] = {"on_change": "chaos.heard", "timeout": "1s"}
    configuration.write(config, dsn=dsn, account=account, webhook_port=ports[0], admin_port=ports[1], changes=changes)
    library, clock = faketime(), own / "clock"
    clock.write_text("+0\n")
    extra = {} if library is None else _fake_clock(library, clock)
    admin_url = f"http://127.0.0.1:{ports[1]}"
    daemon = Daemon(
        command("run", "--config", str(config)),
        folder=own,
        ready_url=f"{admin_url}/readyz",
        session=session,
        guarded=guarded,
        extra=extra,
    )
    return Replica(daemon, admin_url, None if library is None else clock)


def _fake_clock(library: Path, clock: Path) -> Mapping[str, str]:
    return {
        "LD_PRELOAD": os.fspath(library),
        "FAKETIME_TIMESTAMP_FILE": os.fspath(clock),
        "FAKETIME_CACHE_DURATION": "1",
        "DONT_FAKE_MONOTONIC": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }


def _keep(folder: Path, options: Options) -> None:
    """Keep what may explain a failure, if that was asked for and there is one."""
    if options.artifacts is None or not (folder / "broken").exists():
        return
    for log in (*folder.glob("*.log"), *folder.glob("*/daemon.log"), *folder.glob("*.txt")):
        target = options.artifacts / str(options.seed) / log.relative_to(folder)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(log, target)
