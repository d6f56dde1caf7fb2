"""The composition root: builds the parts, runs them in one TaskGroup, stops them in order."""

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Awaitable, Callable

import aiohttp
import structlog

from omisync import __version__
from omisync.config import Settings
from omisync.log import keep_telling_repeats, tell_repeats
from omisync.omisell import Budget, Shares, connect
from omisync.pulse import Pulse
from omisync.reloading import Reloaded
from omisync.schedule import Schedule, Timetable
from omisync.service_manager import notify, watchdog_interval
from omisync.store import (
    Database,
    Delivery,
    Inbox,
    Leases,
    ListLag,
    Notices,
    StoreError,
    StoreUnavailable,
    Sweeps,
    TokenTable,
)
from omisync.store.bucket import SharedBucket
from omisync.store.due import due
from omisync.store.history import History
from omisync.store.migrations import require_current
from omisync.store.mirrors import Mirrors
from omisync.store.operator import Operator
from omisync.store.privacy import Privacy
from omisync.store.sweeps import DIARY_RETENTION
from omisync.sync.add import Adder
from omisync.sync.breaker import Breaker
from omisync.sync.budget import SharedBudget
from omisync.sync.cancel import Canceller
from omisync.sync.checking import checker, wanted_lists
from omisync.sync.lookup import Lookup
from omisync.sync.loop import Wake, forever
from omisync.sync.mirrors import MirrorKeeper
from omisync.sync.outlook import outlook
from omisync.sync.refresher import Refresher
from omisync.sync.retention import Keeps, Retention
from omisync.sync.rules import rules_of
from omisync.sync.sender import Sender
from omisync.sync.sweeper import Sweeper
from omisync.sync.teller import Teller
from omisync.sync.tokens import SharedTokens
from omisync.sync.watch import FALLBACK, Watch
from omisync.traced import tracing
from omisync.web import Clients, Metrics, admin_app, serve, webhook_app

LEAD_EVERY = 3.0  # seconds between looks at who leads
BEAT_EVERY = 5.0  # seconds between signs of life and fresh gauges
HOOKS_EVERY = 1.0  # seconds between looks at hook calls of which none can be made: those behind one that failed are due
WARM_UP = 5.0  # seconds for the first connection; should it take longer, pushes are answered 503 meanwhile
DATABASE_WAIT = 2.0  # seconds between tries while the database is away at the start
LISTENER_GRACE = 5.0  # seconds for pushes under way when the listener closes
GOODBYE = 5.0  # seconds for giving the lead back at the end


class Daemon:
    """`omisync run`, from the first connection to the last lease given back.

    Args:
        settings: the checked configuration.
        reload: reads the configuration again, for SIGHUP.
        settled: called when all is up, right before the service manager hears READY.

    Raises:
        TlsError: the certificate cannot be used.
        ConfigError: traces are wanted, and OpenTelemetry is not installed.
    """

    def __init__(
        self,
        settings: Settings,
        reload: Callable[[], Settings] | None = None,
        settled: Callable[[], None] = lambda: None,
    ) -> None:
        self._settings = settings
        self._settled = settled
        self._log = structlog.get_logger("daemon")
        self._stopping = asyncio.Event()
        self._leads = False
        self.metrics = Metrics()
        database = settings.database
        self._database = Database(
            database.dsn.get_secret_value(), database.schema, database.pool_size, name=f"omisync {__version__}"
        )
        self._parts = tracing(settings)
        self._hooks = self._parts.hooks(self._database, settings)
        self._outbox = self._parts.outbox(self._database, self._hooks)
        self._orders = self._parts.orders(self._database, self._hooks)
        self._inbox = Inbox(self._database)
        self._add = self._parts.adding(self._inbox.add)
        self._teller = Teller(Notices(self._database, self._hooks))
        self._sweeps = Sweeps(self._database)
        self._leases = Leases(self._database, __version__)
        self._operator = Operator(self._database)
        self._budget = Budget(
            settings.omisell.bucket_size,
            settings.omisell.leak_per_minute,
            shares=Shares(**settings.omisell.shares.model_dump()),
            pool=SharedBudget(SharedBucket(self._database)),
        )
        self._reloaded = Reloaded(settings, reload, self._log)
        self._wake_refresher: Callable[[], None] = lambda: None

    def stop(self) -> None:
        """Begins the ordered stop."""
        self._stopping.set()

    async def run(self) -> int:
        """Runs until `stop` or a signal; returns the process's exit code.

        Raises:
            ListenError: an address cannot be had.
            SchemaError: the schema is not this version's.
            StoreMisused: the database refuses the user, or is not there.
        """
        self._take_signals()
        await self._warm_up()
        webhook = await serve(
            webhook_app(
                path=self._settings.webhook.path,
                max_body=self._settings.webhook.max_body,
                authorizer=self._reloaded.authorizer,
                inbox=self,
                metrics=self.metrics,
                log=structlog.get_logger("webhook"),
                pinned=self._settings.webhook.authorization != "auto",
                clients=Clients(self._settings.webhook.trusted_proxies, self._settings.webhook.allow),
            ),
            self._settings.webhook.listen,
            name="webhook",
            tls=self._reloaded.certificate,
        )
        self._say_hello(webhook.port)
        admin = await serve(
            admin_app(
                source=self._operator,
                metrics=self.metrics,
                token=self._reloaded.access,
                log=structlog.get_logger("admin"),
                forecast=lambda status: outlook(status, self._settings.omisell),
            ),
            self._settings.admin.listen,
            name="admin",
        )
        try:
            await self._until_the_database_is_there()
            if not self._stopping.is_set():
                await self._work()
        finally:
            notify("STOPPING=1", "STATUS=stopping")
            await webhook.close(LISTENER_GRACE)
            await admin.close(LISTENER_GRACE)
            await self._budget.close()
            with contextlib.suppress(StoreError, TimeoutError):
                async with asyncio.timeout(GOODBYE):
                    await self._leases.resign()
            await self._database.close()
            await self._parts.close()
            tell_repeats(everything=True)
            self._log.info("stopped")
        return 0

    async def add(self, delivery: Delivery) -> bool:
        """Stores a push (the listener's inbox) and wakes whoever waits for it."""
        new = await self._add(delivery)
        if new:
            self._wake_refresher()
        return new

    async def _work(self) -> None:
        settings = self._settings
        omisell_settings = settings.omisell
        async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session:
            omisell = connect(
                omisell_settings,
                session=session,
                token_store=SharedTokens(TokenTable(self._database, self._leases)),
                budget=self._budget,
                observer=self._parts.observer(self.metrics),
            )
            self._reloaded.replace_key = omisell.replace_key
            breaker = Breaker(omisell)
            lookup = Lookup(
                omisell,
                omisell_settings.shop_id,
                filtered=bool(omisell_settings.lookup_filter),
                record=ListLag(self._database),
            )
            rules = rules_of(settings)
            lists = wanted_lists(settings.checks)
            mirrors = MirrorKeeper(omisell, Mirrors(self._database), every=lists, shop_id=omisell_settings.shop_id)
            checks = checker(settings.checks, omisell_settings.country, omisell, self._database)
            sender = Sender(
                self._outbox,
                Adder(omisell, lookup, rules, self._parts.checks(checks)),
                Canceller(omisell, lookup, rules),
                breaker,
                self._budget,
                self.metrics,
                concurrency=settings.outbox.concurrency,
                interval=FALLBACK,
                around=self._parts.around,
            )
            refresher = Refresher(
                self._inbox,
                self._orders,
                omisell,
                breaker,
                self._budget,
                shop_id=omisell_settings.shop_id,
                concurrency=settings.outbox.concurrency,
                interval=FALLBACK,
                around=self._parts.around,
            )
            sweeper = Sweeper(
                omisell,
                self._orders,
                self._sweeps,
                self.metrics,
                shop_id=omisell_settings.shop_id,
                overlap=settings.reconcile.overlap,
                record=ListLag(self._database),
            )
            schedule = Schedule(
                Timetable(
                    settings.reconcile.interval,
                    settings.reconcile.full_at,
                    settings.privacy.keep,
                ),
                leads=lambda: self._leads,
                tokens=omisell.tokens,
                sweeper=sweeper,
                sweeps=self._sweeps,
                retention=self._retention(),
                counters=self.metrics,
                mirrors=mirrors,
                privacy=Privacy(self._database, self._hooks),
            )
            self._wake_refresher = refresher.wake
            await self._run_parts(sender, refresher, schedule, breaker)

    def _retention(self) -> Retention:
        settings = self._settings
        keeps = settings.retention
        tables = [
            Keeps("outbox", settings.outbox.retention, self._outbox.purge),
            Keeps("inbox", keeps.pushes, self._inbox.purge),
            Keeps("sweeps", DIARY_RETENTION, self._sweeps.purge),
        ]
        if keeps.events is not None:
            tables.append(Keeps("order_events", keeps.events, History(self._database).purge))
        return Retention(tables, keeps.hours.hold)

    async def _run_parts(self, sender: Sender, refresher: Refresher, schedule: Schedule, breaker: Breaker) -> None:
        grace = self._settings.daemon.grace
        pulse = Pulse(self._leases, self._operator, self.metrics, self._budget, breaker)
        hooks, notices = Wake(), Wake()
        with contextlib.suppress(StoreError):  # it may have gone away again; the loop looks anew, and says so
            await self._look_who_leads()
        async with self._scheduled(schedule), asyncio.TaskGroup() as group:
            background = [
                group.create_task(self._forever("leader", self._look_who_leads, LEAD_EVERY)),
                group.create_task(self._forever("pulse", pulse.beat, BEAT_EVERY)),
                group.create_task(self._forever("hooks", self._retry_hooks, FALLBACK, hooks)),
                group.create_task(self._forever("teller", self._teller.tell, FALLBACK, notices)),
                group.create_task(breaker.run()),
                group.create_task(self._feed_watchdog()),
                group.create_task(keep_telling_repeats(BEAT_EVERY)),
            ]
            group.create_task(sender.run(grace))
            group.create_task(refresher.run(grace))
            background.append(group.create_task(self._watch(sender, refresher, hooks, notices)))
            if self._settings.outbox.notify:
                background.append(group.create_task(self._listen(sender.notified)))
            self._settled()
            notify("READY=1", "STATUS=working")
            self._log.info("ready", version=__version__, schema=self._settings.database.schema)
            await self._stopping.wait()
            self._log.info("stopping: nothing new is claimed", grace=grace)
            sender.stop()
            refresher.stop()
            for task in background:
                task.cancel()

    async def _watch(self, sender: Sender, refresher: Refresher, hooks: Wake, notices: Wake) -> None:
        interval = self._settings.outbox.poll_interval
        wakes = {
            "adds": sender.adds_due,
            "cancels": lambda: sender.wake("order.cancel"),
            "pushes": refresher.wake,
            "wanted": lambda: refresher.wake_fetches(owed=False),
            "owed": lambda: refresher.wake_fetches(owed=True),
            "hooks": hooks.set,
            "notices": notices.set,
        }
        watch = Watch(lambda: sender.front.look(lambda since: due(self._database, since)), wakes, interval)
        await forever("watch", watch.step, interval=interval, wake=Wake(), stopping=self._stopping)

    @contextlib.asynccontextmanager
    async def _scheduled(self, schedule: Schedule) -> AsyncIterator[None]:
        schedule.start()
        try:
            yield
        finally:
            await schedule.stop()

    async def _forever(
        self, name: str, step: Callable[[], Awaitable[bool]], interval: float, wake: Wake | None = None
    ) -> None:
        await forever(name, step, interval=interval, wake=wake or Wake(), stopping=self._stopping, steady=True)

    async def _warm_up(self) -> None:
        """Connects before the first push is taken: after a restart many wait, and none has long to be stored."""
        with contextlib.suppress(StoreError, TimeoutError):
            async with asyncio.timeout(WARM_UP):
                await self._database.value("checkup.clock")

    async def _until_the_database_is_there(self) -> None:
        waiting = False
        database = self._settings.database
        while not self._stopping.is_set():
            try:
                await require_current(database.dsn.get_secret_value(), database.schema)
            except StoreUnavailable as error:
                if not waiting:
                    self._log.warning("waiting for the database", error=str(error))
                    notify("STATUS=waiting for the database")
                waiting = True
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(DATABASE_WAIT):
                        await self._stopping.wait()
            else:
                return

    async def _look_who_leads(self) -> bool:
        try:
            leads = await self._leases.lead()
        except StoreError:
            self._leads = False  # who cannot renew does not lead: another may by now
            self.metrics.set_leader(False)
            raise
        if leads != self._leads:
            self._log.info("this replica leads" if leads else "another replica leads")
        self._leads = leads
        self.metrics.set_leader(leads)
        return False

    async def _retry_hooks(self) -> bool:
        well = await self._hooks.retry_due()
        if not well:
            await asyncio.sleep(HOOKS_EVERY)
        return well > 0

    async def _listen(self, wake: Callable[[], None]) -> None:
        while True:
            try:
                await self._database.listen("omisync_outbox", wake)
            except StoreError as error:
                self._log.info("not listening; polling goes on", error=str(error))
            await asyncio.sleep(DATABASE_WAIT)

    async def _feed_watchdog(self) -> None:
        # fed by the event loop alone: a database outage must not become a restart loop
        interval = watchdog_interval()
        while interval is not None:
            notify("WATCHDOG=1")
            await asyncio.sleep(interval)

    def _say_hello(self, port: int) -> None:
        self._log.info("listening for pushes", path=self._settings.webhook.path, port=port)
        if self._settings.webhook.authorization == "none":
            self._log.warning(
                "webhook.authorization is none: anyone who reaches the listener can make omisync fetch orders"
            )

    def _take_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop)
        loop.add_signal_handler(signal.SIGHUP, self._reloaded.read_again)


async def run(
    settings: Settings, reload: Callable[[], Settings] | None = None, settled: Callable[[], None] = lambda: None
) -> int:
    """Runs the daemon; see `Daemon.run`."""
    return await Daemon(settings, reload, settled).run()
