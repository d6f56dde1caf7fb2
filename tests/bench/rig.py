"""What a measurement of the budget stands on: a Postgres, the simulator in this process, one connector as a process."""

import asyncio
import contextlib
import json
import sys
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import aiohttp
import asyncpg

from omisync.demo import people
from omisync.demo.guarded import Guarded
from omisync.demo.postgres import EmbeddedPostgres, free_port
from omisync.demo.processes import Daemon, command
from omisync.simulator import (
    BucketConfig,
    LifeConfig,
    ListConfig,
    Order,
    PushConfig,
    Simulator,
    SimulatorConfig,
    State,
)
from omisync.store.migrations import migrate

Flow = Literal["guide", "omisync"]

SECRET = "bench-secret"
SCHEMA = "omisync"
STATEMENT_SECONDS = 60.0
LIST_LAG = (0.0, 0.3)
"""Seconds until a change is listed: the default's 0 to 5 at the true limit, less where all else is scaled too."""


@dataclass(frozen=True, slots=True)
class Limit:
    """Omisell's limit. `scale` says how many times faster than the true one everything goes."""

    per_minute: float = 6000.0
    size: float = 100.0

    @property
    def scale(self) -> float:
        """How many of Omisell's true minutes go into one of ours."""
        return self.per_minute / 100.0


@dataclass(slots=True)
class Recorder:
    """What changed at Omisell and when our row followed; all times monotonic."""

    changes: dict[str, list[tuple[int, float, bool]]] = field(default_factory=lambda: defaultdict(list))
    """By order: status, when, and whether a push told it."""
    pushed: dict[str, tuple[int, float]] = field(default_factory=dict)
    """By order: `updated_time` of the last change that a push told after the creation, and when that was."""
    rows: dict[str, list[tuple[int, float]]] = field(default_factory=lambda: defaultdict(list))
    """By order: the status that the row took, and when its commit was heard of."""
    cancelled: dict[str, float] = field(default_factory=dict)
    """When Omisell took the cancel."""

    def watch(self, simulator: Simulator) -> None:
        """Hear of every change at Omisell."""
        announce = simulator.life._announce

        def heard(order: Order, state: State, event: str | None) -> None:
            now = time.monotonic()
            changes = self.changes[order.order_number]
            if event is not None and changes:
                self.pushed[order.order_number] = (state.updated_time, now)
            changes.append((state.status_id, now, event is not None))
            if 700 <= state.status_id < 800 or state.status_id == 370:
                self.cancelled.setdefault(order.order_number, now)
            announce(order, state, event)

        simulator.life._announce = heard

    def row(self, payload: str) -> None:
        """Hear of a commit, by NOTIFY."""
        told = json.loads(payload)
        if told.get("status_id") is not None:
            self.rows[told["order_number"]].append((told["status_id"], time.monotonic()))

    def lags(self) -> list[float]:
        """Seconds from each pushed change, creations left out, until the row told of it or of a later one."""
        found = []
        for number, changes in self.changes.items():
            place = {status: index for index, (status, _, _) in enumerate(changes)}
            rows = [(place.get(status, -1), at) for status, at in self.rows[number]]
            for index, (_, at, pushed) in enumerate(changes):
                if pushed and index > 0:
                    later = [when for reached, when in rows if reached >= index and when >= at]
                    if later:
                        found.append(min(later) - at)
        return found


class Rig:
    """One run of one connector against a fresh Omisell and a fresh database."""

    def __init__(self, flow: Flow, simulator: Simulator, recorder: Recorder, dsn: str, orders: Iterator[people.Order]):
        self.flow = flow
        self.simulator = simulator
        self.recorder = recorder
        self.dsn = dsn
        self.placed = 0
        self.daemon: Daemon | None = None
        self._orders = orders
        self._pool: Any = None
        self._listener: Any = None

    async def open(self) -> None:
        """Connect the shop, and listen for what the connector commits."""
        self._pool = await asyncpg.create_pool(self.dsn, min_size=1, max_size=4, command_timeout=STATEMENT_SECONDS)
        self._listener = await asyncpg.connect(self.dsn)
        await self._listener.add_listener("omisync_orders", lambda *heard: self.recorder.row(heard[3]))

    async def close(self) -> None:
        """Let go of the database."""
        await self._listener.close()
        await self._pool.close()

    async def place(self, count: int) -> list[str]:
        """Commit so many orders, a hundred in a transaction; their numbers."""
        numbers = []
        while count > 0:
            batch = [next(self._orders) for _ in range(min(count, 100))]
            await self._pool.executemany(
                "SELECT omisync.add_order($1::text::jsonb)", [(json.dumps(order.payload()),) for order in batch]
            )
            numbers += [order.order_number for order in batch]
            self.placed += len(batch)
            count -= len(batch)
        return numbers

    async def cancel(self, number: str) -> None:
        """Commit a cancel."""
        await self._pool.execute("SELECT omisync.cancel_order($1, 'changed their mind')", number)

    async def mapped(self) -> set[str]:
        """The orders whose number at Omisell is known here."""
        rows = await self._pool.fetch("SELECT order_number FROM omisync.orders WHERE omisell_order_number IS NOT NULL")
        return {row["order_number"] for row in rows}

    async def details(self) -> dict[str, int]:
        """By order number, the `updated_time` of the detail that the row holds."""
        rows = await self._pool.fetch(
            "SELECT order_number, (detail ->> 'updated_time')::bigint AS at FROM omisync.orders"
            " WHERE detail IS NOT NULL"
        )
        return {row["order_number"]: row["at"] for row in rows}

    def waiting(self, details: Mapping[str, int], told: float) -> int:
        """How many calls wait: orders not added yet, and details older than what a push told `told` seconds ago."""
        since = time.monotonic() - told
        behind = sum(
            details.get(number, 0) < at for number, (at, when) in self.recorder.pushed.items() if when <= since
        )
        return behind + max(0, self.placed - len(self.simulator.orders))

    async def whole_details(self) -> dict[str, Any]:
        """By order number, the detail that the row holds."""
        rows = await self._pool.fetch("SELECT order_number, detail::text FROM omisync.orders WHERE detail IS NOT NULL")
        return {row["order_number"]: json.loads(row["detail"]) for row in rows}

    def finished(self) -> dict[str, int]:
        """By order number, `updated_time` of the orders at Omisell that move no further."""
        final = {order.order_number: order.state for order in self.simulator.orders}
        return {
            number: state.updated_time
            for number, state in final.items()
            if state.status_id in (800, 850, 900) or 700 <= state.status_id < 800
        }


def configuration(folder: Path, rig_dsn: str, simulator: Simulator, limit: Limit, ports: tuple[int, int]) -> Path:
    """The connector's configuration file: the defaults, what is meant in minutes divided by the scale."""
    account = simulator.config.account
    scale = max(limit.scale, 1.0)
    sections: Mapping[str, Mapping[str, object]] = {
        "database": {"dsn": rig_dsn},
        "omisell": {
            "base_url": simulator.url,
            "api_key": account.api_key,
            "api_secret": account.api_secret,
            "seller_id": account.seller_id,
            "country": account.country,
            "shop_id": account.shops[0].shop_id,
            "pickup_id": account.pickups[0].id,
            "bucket_size": int(limit.size),
            "leak_per_minute": int(limit.per_minute),
        },
        "webhook": {"listen": f"127.0.0.1:{ports[0]}", "secret": SECRET, "authorization": "token"},
        "outbox": {"concurrency": 32, "settle": "5s"},
        "reconcile": {"interval": f"{max(600 / scale, 5):.0f}s", "overlap": f"{max(600 / scale, 10):.0f}s"},
        "admin": {"listen": f"127.0.0.1:{ports[1]}"},
        "log": {"format": "json", "level": "warning"},
    }
    path = folder / "config.toml"
    lines = []
    for section, values in sections.items():
        lines += [f"[{section}]", *(f"{key} = {json.dumps(value)}" for key, value in values.items()), ""]
    path.write_text("\n".join(lines))
    return path


@contextlib.asynccontextmanager
async def rig(flow: Flow, limit: Limit, life: LifeConfig, *, seed: int, replicas: int = 1) -> AsyncIterator[Rig]:
    """Everything up and ready; all of it gone in the end."""
    async with contextlib.AsyncExitStack() as stack:
        guarded = Guarded()
        stack.callback(guarded.close)
        folder = guarded.folder("omisync-bench-")
        stack.callback(guarded.remove, folder)
        postgres = stack.enter_context(EmbeddedPostgres())
        admin = await asyncpg.connect(postgres.dsn())
        await admin.execute("CREATE DATABASE bench")
        await admin.close()
        dsn = postgres.dsn("bench")
        await migrate(dsn)
        ports = (free_port(), free_port())
        simulator = Simulator(
            SimulatorConfig(
                bucket=BucketConfig(size=limit.size, leak_per_minute=limit.per_minute),
                lists=ListConfig(lag=LIST_LAG if limit.scale > 1 else ListConfig().lag),
                life=life,
                push=PushConfig(
                    callback_url=f"http://127.0.0.1:{ports[0]}/webhooks/omisell", secret=SECRET, log_size=100_000
                ),
                clock_factor=1.0,
                seed=seed,
            )
        )
        recorder = Recorder()
        recorder.watch(simulator)
        await simulator.start()
        stack.push_async_callback(simulator.stop)
        config = configuration(folder, dsn, simulator, limit, ports)
        products = [people.Product(each.sku, each.name, each.price) for each in simulator.config.account.products]
        places = [people.Place(e.province, e.district, e.subdistrict) for e in simulator.account.locations]
        this = Rig(flow, simulator, recorder, dsn, people.orders(seed, products, places))
        await this.open()
        stack.push_async_callback(this.close)
        session = await stack.enter_async_context(aiohttp.ClientSession())
        for number in range(replicas):
            config_of = config if number == 0 else _replica(config, folder, number)
            arguments = (
                command("run", "--config", str(config_of))
                if flow == "omisync"
                else (sys.executable, str(Path(__file__).with_name("guide_flow.py")), str(config_of))
            )
            daemon = Daemon(
                arguments,
                folder=folder,
                ready_url=_ready_url(config_of),
                session=session,
                guarded=guarded,
            )
            stack.push_async_callback(daemon.kill)
            await daemon.start()
            await daemon.ready()
            this.daemon = daemon
        yield this


def _replica(config: Path, folder: Path, number: int) -> Path:
    text = config.read_text().splitlines()
    listens = iter((free_port(), free_port()))
    lines = [f'listen = "127.0.0.1:{next(listens)}"' if line.startswith("listen") else line for line in text]
    path = folder / f"config-{number}.toml"
    path.write_text("\n".join(lines))
    return path


def _ready_url(config: Path) -> str:
    listen = [line for line in config.read_text().splitlines() if line.startswith("listen")][-1]
    return f"http://{json.loads(listen.partition(' = ')[2])}/readyz"


async def receiver_away(this: Rig, *, away: bool) -> None:
    """Take the receiver out of Omisell's reach, or give it back and let it have all pushes that it missed together."""
    config = this.simulator.config
    if away:
        this._callback = config.push.callback_url  # type: ignore[attr-defined]
        push = replace(config.push, callback_url="http://127.0.0.1:9/", retries=())
        this.simulator.configure(replace(config, push=push))
        return
    push = replace(config.push, callback_url=this._callback, retries=PushConfig().retries)  # type: ignore[attr-defined]
    this.simulator.configure(replace(config, push=push))
    await asyncio.sleep(0)
    for missed in this.simulator.pushes:
        if missed.state == "given_up":
            this.simulator.pushes.resend(missed.request_id)
