"""The simulator put together: its parts, its HTTP server, and what tests call in-process."""

import asyncio
import itertools
from collections.abc import Callable, Mapping
from random import Random, SystemRandom

from aiohttp import web

from omisync.simulator.account import Account
from omisync.simulator.api import Api
from omisync.simulator.clock import Clock, SystemClock
from omisync.simulator.config import Live, SimulatorConfig
from omisync.simulator.control import Control
from omisync.simulator.detail import detail
from omisync.simulator.envelope import Json
from omisync.simulator.faults import Faults
from omisync.simulator.gate import Gate
from omisync.simulator.ledger import Ledger
from omisync.simulator.life import Life
from omisync.simulator.orders import Order, OrderBook, State
from omisync.simulator.page import Page
from omisync.simulator.pushes import Push, Pushes
from omisync.simulator.routes import Routes
from omisync.simulator.samples import sample_body
from omisync.simulator.tokens import TokenDesk

BODY_LIMIT_BYTES = 16 << 20
"""More than any order; what is larger is answered with 413."""
STOP_SECONDS = 0.2
"""How long a stop waits for calls under way; those that hang on purpose would never end."""


class Simulator:
    """An Omisell to run at home; all state is in memory.

    Args:
        config: Every option; the defaults are those of omisell-api.md.
        clock: Time; `ManualClock` for tests that do not sleep.
    """

    def __init__(self, config: SimulatorConfig | None = None, *, clock: Clock | None = None) -> None:
        config = config or SimulatorConfig()
        self._live = Live(config)
        self._chance = SystemRandom() if config.seed is None else Random(config.seed)  # noqa: S311 - a simulation
        self.clock: Clock = clock or SystemClock(config.clock_offset)
        self.ledger = Ledger()
        self.faults = Faults(self._chance, self.ledger)
        self.account = Account(config.account)
        self.orders = OrderBook(self.clock.monotonic, self._list_lag, self._detail_lag)
        self.tokens = TokenDesk(self._live, self.clock.time, self._chance)
        self.pushes = Pushes(self._live, self.clock, self._chance, self.faults, self.ledger, self._changed)
        self.life = Life(self._live, self.clock, self.account, self.orders, self._chance, self._announce)
        self.gate = Gate(
            self._live,
            self.clock,
            self.tokens,
            self.orders,
            self.faults,
            self.ledger,
            self._chance,
            self._changed,
        )
        self.faults.before_change = self.gate.settle
        self._api = Api(
            self._live,
            self.account,
            self.tokens,
            self.orders,
            self.life,
            self.ledger,
            self.faults,
            self._chance,
        )
        self._waiters: list[tuple[Callable[[], object], asyncio.Future[None]]] = []
        self._samples = itertools.count(1)
        self._runner: web.AppRunner | None = None
        self._site: web.TCPSite | None = None
        self._address = ("127.0.0.1", 0)
        self.faults.patch(config.faults)

    @property
    def config(self) -> SimulatorConfig:
        """The configuration of this moment."""
        return self._live.config

    @property
    def url(self) -> str:
        """Where it listens, as `omisell.base_url` wants it.

        Raises:
            RuntimeError: It was not started.
        """
        if self._runner is None:
            raise RuntimeError("the simulator is not started: await start() first")
        host, port = self._address
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    @property
    def port(self) -> int:
        """The port it listens on; 0 before the first start."""
        return self._address[1]

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> None:
        """Listen, send pushes, let orders live.

        Args:
            host: The address; anybody who can reach it can do anything to the simulator.
            port: 0 takes a free one.

        Raises:
            OSError: The address cannot be listened on.
        """
        application = web.Application(client_max_size=BODY_LIMIT_BYTES)
        Routes(self._live, self._api, self.gate).add_to(application)
        Control(self).add_to(application)
        Page(self).add_to(application)
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=STOP_SECONDS)
        await runner.setup()
        self._runner = runner
        self._address = (host, port)
        try:
            await self.accept_connections()
        except OSError:
            await runner.cleanup()
            self._runner = None
            raise
        await self.pushes.start()
        self.life.wake()

    async def stop(self) -> None:
        """Stop all of it; the state stays, and another start goes on with it."""
        self.life.stop()
        await self.pushes.stop()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None
            self._site = None

    async def refuse_connections(self) -> None:
        """Close the listening socket and all connections: connecting fails, until `accept_connections`."""
        if self._site is None or self._runner is None:
            return
        await self._site.stop()
        self._site = None
        if self._runner.server is not None:
            for connection in self._runner.server.connections:
                if isinstance(connection.transport, asyncio.Transport):
                    connection.transport.abort()

    async def accept_connections(self) -> None:
        """Listen (again) on the same address and port."""
        if self._runner is None or self._site is not None:
            return
        site = web.TCPSite(self._runner, *self._address, reuse_address=True, backlog=1024)
        await site.start()
        self._site = site
        self._address = (self._address[0], self._runner.addresses[-1][1])

    def configure(self, config: SimulatorConfig) -> None:
        """Put another configuration in force; shops, products and locations take a `reset` to change."""
        before, self._live.config = self._live.config, config
        if self._runner is not None and (before.life, before.clock_factor) != (config.life, config.clock_factor):
            self.life.wake()
        if isinstance(self.clock, SystemClock):
            self.clock.offset = config.clock_offset

    def reset(self) -> None:
        """Forget orders, pushes, tokens, counts and faults; the configuration stays."""
        self.life.stop()
        self.pushes.clear()
        self.orders.clear()
        self.tokens.revoke_all(refresh=True)
        self.gate.clear()
        self.account.reset(self.config.account)
        self.faults.off()
        self.faults.patch(self.config.faults)
        self.ledger.clear()
        if self._runner is not None:
            self.life.wake()
        self._changed()

    def create(self, body: Mapping[str, object] | None = None, *, status_id: int | None = None) -> Order:
        """Make an order at Omisell itself, not by Add Order.

        Args:
            body: Fields of Add Order; what is missing is invented.
            status_id: Where to move it at once.
        """
        given = body or {}
        number = given.get("order_number") or self._free_number()
        sample = sample_body(self._chance, self.account)
        order = self.life.create({**sample, **given, "order_number": number}, source="omisell")
        self.ledger.created_here[order.order_number] += 1
        if status_id is not None and status_id != order.status_id:
            self.life.advance(order, status_id)
        return order

    def _free_number(self) -> str:
        return next(number for place in self._samples if (number := f"OMS-{place:05d}") not in self.orders)

    def advance(self, number: str, status_id: int | None = None) -> State:
        """Move an order (by either number) to a status, or to the next on its way.

        Raises:
            UnknownOrderError: There is no such order.
            NoNextStatusError: It is at its end, and no status was given.
        """
        return self.life.advance(self.orders.find(number), status_id)

    def cancel(self, number: str, status_id: int = 703) -> State:
        """Let Omisell's side cancel an order, whatever its status.

        Raises:
            UnknownOrderError: There is no such order.
        """
        return self.life.advance(self.orders.find(number), status_id)

    def event(self, number: str, event: str) -> State:
        """Push an event without a change of status: order.reconciled, order.return_receive.

        Raises:
            UnknownOrderError: There is no such order.
        """
        return self.life.touch(self.orders.find(number), event)

    def push(self, number: str, event: str = "order.created") -> Push:
        """Push an event about an order as it stands, changing nothing.

        Raises:
            UnknownOrderError: There is no such order.
        """
        order = self.orders.find(number)
        return self.pushes.push_order(order, order.state, event)

    def detail(self, number: str) -> Json:
        """An order's detail as the API would answer it without lag.

        Raises:
            UnknownOrderError: There is no such order.
        """
        order = self.orders.find(number)
        return detail(order, order.state, self.config, self.account)

    async def wait_for(self, predicate: Callable[[], object], seconds: float = 5.0) -> None:
        """Wait until something is true; looked at after each call, change and push.

        Raises:
            TimeoutError: It did not come true in time.
        """
        if predicate():
            return
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        entry = (predicate, waiter)
        self._waiters.append(entry)
        try:
            async with asyncio.timeout(seconds):
                await waiter
        finally:
            self._waiters.remove(entry)

    def _changed(self) -> None:
        for predicate, waiter in self._waiters:
            if waiter.done():
                continue
            try:
                if predicate():
                    waiter.set_result(None)
            except Exception as error:  # noqa: BLE001 - it is the waiting test's, not the caller's of the API
                waiter.set_exception(error)

    def _announce(self, order: Order, state: State, event: str | None) -> None:
        self.pushes.announce(order, state, event)
        self._changed()

    def _list_lag(self) -> float:
        fault = self.faults.strikes("list_lag")
        return self._chance.uniform(*self.config.lists.lag) + (self.faults.seconds(fault) if fault else 0.0)

    def _detail_lag(self) -> float:
        fault = self.faults.strikes("detail_lag")
        return self._chance.uniform(*self.config.orders.detail_lag) + (self.faults.seconds(fault) if fault else 0.0)
