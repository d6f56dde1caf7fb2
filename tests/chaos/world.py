"""A small world for aimed faults: a fresh database, Omisell's simulator in this process, daemons as processes."""

import asyncio
import contextlib
import dataclasses
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import aiohttp
import asyncpg

from omisync.demo import configuration
from omisync.demo.configuration import Account
from omisync.demo.guarded import Guarded
from omisync.demo.postgres import free_port
from omisync.demo.processes import READY_SECONDS, Daemon, command, tail
from omisync.demo.proof import Applied, Entry, judge
from omisync.simulator import ListConfig, OrderConfig, PushConfig, Simulator, SimulatorConfig
from tests.chaos.omisell import Delivered
from tests.chaos.verdict import EVENTS, INBOX, Judgement, events_once, pushes_kept

ROOT: Final = Path(__file__).parents[2]
SECONDS: Final = 30.0
"""For what takes a moment; two cores may be shared."""
LOOK_SECONDS: Final = 0.02
STACK_LINES: Final = 200
"""Of the log of a daemon that does not start: what it said, and the stacks."""
CLOCK_FACTOR: Final = 0.002
"""Omisell's first repeat of a push after 5 minutes comes after 0.6 s."""

ENTRIES: Final = """
    SELECT o.order_number, a.state AS add_state, a.outcome AS add_outcome, a.error AS add_error,
           c.state AS cancel_state, c.outcome AS cancel_outcome, c.error AS cancel_error,
           k.omisell_order_number, k.status_id, k.status_id AS read_status_id, k.tracking_numbers,
           extract(epoch FROM k.omisell_updated_at)::bigint AS updated_time
    FROM unnest($1::text[]) AS o (order_number)
    LEFT JOIN omisync.orders AS k USING (order_number)
    LEFT JOIN omisync.outbox AS a ON a.order_number = o.order_number AND a.kind = 'order.add'
    LEFT JOIN omisync.outbox AS c ON c.order_number = o.order_number AND c.kind = 'order.cancel'
"""


async def until(true: Callable[[], bool | Awaitable[bool]], seconds: float = SECONDS) -> None:
    """Wait until it is true.

    Raises:
        TimeoutError: It did not become so.
    """
    async with asyncio.timeout(seconds):
        while True:
            answer = true()
            if answer if isinstance(answer, bool) else await answer:
                return
            await asyncio.sleep(LOOK_SECONDS)


@dataclass
class Replica:
    """A daemon of the world."""

    daemon: Daemon
    config: Path
    webhook_port: int
    admin_url: str

    @property
    def log(self) -> list[dict[str, Any]]:
        """Its log so far, one event each."""
        text = self.daemon.log.read_text() if self.daemon.log.exists() else ""
        whole = text.rpartition("\n")[0]  # the last line may still be on its way
        return [json.loads(line) for line in whole.splitlines() if line.startswith("{")]

    def said(self, event: str) -> bool:
        """Whether an event of its log begins with these words."""
        return any(str(line.get("event", "")).startswith(event) for line in self.log)

    def count(self, event: str) -> int:
        """How often its log has this event."""
        return sum(line.get("event") == event for line in self.log)

    @property
    def stands_still(self) -> bool:
        """Whether the process has been stopped (SIGSTOP)."""
        pid = self.daemon.pid
        if pid is None:
            return False
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"

    async def stacks(self) -> str:
        """The end of its log, once it has been ended in a way that tells where each of its threads stood."""
        if self.daemon.pid is not None:
            self.signal(signal.SIGABRT)
            await self.daemon.stop()
        return tail(self.daemon.log, STACK_LINES)

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        assert self.daemon.pid is not None
        os.kill(self.daemon.pid, number)


@dataclass
class World:
    """Everything, and the shop's ledger: what it has committed."""

    dsn: str
    simulator: Simulator
    session: aiohttp.ClientSession
    guarded: Guarded
    folder: Path
    sql: Any
    placed: list[str] = field(default_factory=list)
    cancelled: set[str] = field(default_factory=set)
    replicas: list[Replica] = field(default_factory=list)

    @property
    def account(self) -> Account:
        """The simulated account."""
        config = self.simulator.config
        account, push = config.account, config.push
        return Account(
            self.simulator.url,
            account.api_key,
            account.api_secret,
            account.seller_id,
            account.country,
            account.shops[0].shop_id,
            account.pickups[0].id,
            push.secret,
        )

    def replica(
        self,
        *,
        planted: Sequence[str] | None = None,
        dsn: str | None = None,
        changes: Mapping[str, Mapping[str, object]] | None = None,
        extra: Mapping[str, str] | None = None,
    ) -> Replica:
        """A daemon, not started yet.

        Args:
            planted: Names out of `broken`; None: the product's own program.
            dsn: Another database than the world's.
            changes: To its configuration.
            extra: Of its environment.
        """
        folder = self.folder / f"replica-{len(self.replicas)}"
        folder.mkdir()
        config = folder / "config.toml"
        webhook_port, admin_port = free_port(), free_port()
        merged: dict[str, dict[str, object]] = {
            "webhook": {"authorization": "token"},
            "outbox": {"settle": "1s", "poll_interval": "50ms"},
            "daemon": {"grace": "5s"},
        }
        for section, values in (changes or {}).items():
            merged.setdefault(section, {}).update(values)
        configuration.write(
            config,
            dsn=dsn or self.dsn,
            account=self.account,
            webhook_port=webhook_port,
            admin_port=admin_port,
            changes=merged,
        )
        arguments = command("run", "--config", str(config))
        if planted is not None:
            arguments = (sys.executable, "-m", "tests.chaos.broken", ",".join(planted), "run", "--config", str(config))
            path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
            extra = {"PYTHONPATH": path, **(extra or {})}
        admin_url = f"http://127.0.0.1:{admin_port}"
        daemon = Daemon(
            arguments,
            folder=folder,
            ready_url=f"{admin_url}/readyz",
            session=self.session,
            guarded=self.guarded,
            extra={"PYTHONFAULTHANDLER": "1", **(extra or {})},
        )
        self.replicas.append(Replica(daemon, config, webhook_port, admin_url))
        return self.replicas[-1]

    async def start(self, replica: Replica, *, pushed_to: bool = False) -> None:
        """Start it and wait until it can work; with `pushed_to` Omisell's pushes go to it from now on."""
        if pushed_to:
            self.push_to(replica)
        lives = replica.count("ready")
        await replica.daemon.start()

        def works() -> bool:
            replica.daemon.check()
            return replica.count("ready") > lives

        try:
            await until(works, READY_SECONDS)
        except TimeoutError as error:
            where = await replica.stacks()
            raise AssertionError(f"not ready within {READY_SECONDS:.0f} s:\n{where}") from error

    def push_to(self, replica: Replica) -> None:
        """Omisell's pushes go to this one."""
        self.push_to_port(replica.webhook_port)

    def push_to_port(self, port: int) -> None:
        """Omisell's pushes go to this port: a replica's, or that of what stands before several."""
        url = configuration.callback_url(port)
        config = self.simulator.config
        self.simulator.configure(_with_callback(config, url))

    async def place(self, number: str) -> None:
        """The shop commits an order."""
        sku = self.simulator.config.account.products[0].sku
        payload = {"order_number": number, "items": [{"sku": sku, "quantity": 1}]}
        await self.sql.fetchval("SELECT omisync.add_order($1::jsonb)", json.dumps(payload))
        self.placed.append(number)

    async def cancel(self, number: str) -> None:
        """The shop commits a cancel."""
        await self.sql.fetchval("SELECT omisync.cancel_order($1, 'changed their mind')", number)
        self.cancelled.add(number)

    async def known(self, number: str, status_id: int) -> None:
        """Wait until our table says so."""
        query = "SELECT EXISTS (SELECT FROM omisync.orders WHERE order_number = $1 AND status_id = $2)"
        await until(lambda: self.sql.fetchval(query, number, status_id))

    async def at_rest(self) -> None:
        """Wait until no row of the outbox and no fetch is left."""
        query = """
            SELECT NOT EXISTS (SELECT FROM omisync.outbox WHERE state IN ('pending', 'sending'))
               AND NOT EXISTS (SELECT FROM omisync.refreshes WHERE priority < 2 OR lease_token IS NOT NULL)
               AND NOT EXISTS (SELECT FROM omisync.inbox WHERE state = 'new')
        """
        await until(lambda: self.sql.fetchval(query))
        await until(lambda: self.simulator.pushes.waiting == 0)
        await until(lambda: self.sql.fetchval(query))

    async def verdict(self) -> Judgement:
        """Compare the ledgers."""
        applied = [
            Applied(order.order_number, order.omisell_order_number, order.status_id, order.state.updated_time, None)
            for order in self.simulator.orders
        ]
        times = {order.order_number: order.updated_time for order in applied}
        entries = [
            Entry.of(
                {
                    **dict(row),
                    "cancelled": row["order_number"] in self.cancelled,
                    # of an order that was adopted, the time is told by the next sweep or push; here comes none
                    "updated_time": row["updated_time"] or times.get(row["order_number"]),
                }
            )
            for row in await self.sql.fetch(ENTRIES, self.placed)
        ]
        delivered = [
            Delivered(push.request_id, push.order_number, push.status_id or 0)
            for push in self.simulator.pushes
            if any(each.status == 200 for each in push.tries)
        ]
        kept = [row["request_id"] for row in await self.sql.fetch(INBOX)]
        events = [tuple(row) for row in await self.sql.fetch(EVENTS)]
        return Judgement(judge(entries, applied), (*pushes_kept(delivered, kept), *events_once(events)))


def _with_callback(config: SimulatorConfig, url: str) -> SimulatorConfig:
    return dataclasses.replace(config, push=dataclasses.replace(config.push, callback_url=url))


@contextlib.asynccontextmanager
async def world(dsn: str, folder: Path) -> AsyncIterator[World]:
    """Put it up on a fresh, migrated database; its daemons end with it."""
    config = SimulatorConfig(
        lists=ListConfig(lag=(0.0, 0.0)),
        orders=OrderConfig(duplicates="create_second"),
        push=PushConfig(secret="the secret typed into the Console"),
        clock_factor=CLOCK_FACTOR,
    )
    async with contextlib.AsyncExitStack() as stack:
        guarded = Guarded()
        stack.callback(guarded.close)
        simulator = Simulator(config)
        await simulator.start()
        stack.push_async_callback(simulator.stop)
        session = await stack.enter_async_context(aiohttp.ClientSession())
        sql = await asyncpg.connect(dsn, timeout=SECONDS)
        stack.callback(sql.terminate)
        made = World(dsn, simulator, session, guarded, folder, sql)
        stack.push_async_callback(_end, made)
        yield made


async def _end(made: World) -> None:
    for replica in made.replicas:
        await replica.daemon.kill()
