"""What runs by the clock: token refresh, sweeps, retention; on the leader only, each with a time-out of its own."""

import asyncio
import contextlib
import datetime as dt
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

import structlog
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.interval import IntervalTrigger

from omisync.omisell import OmisellError, Tokens
from omisync.store import StoreError, Sweeps
from omisync.sync.listing import Incomplete
from omisync.sync.mirrors import MirrorKeeper
from omisync.sync.pace import Pace
from omisync.sync.retention import Retention
from omisync.sync.sweeper import Sweeper
from omisync.sync.tally import Swept

SWEEP = "sweep"
TOKEN_EVERY = 60.0  # seconds between looks at the token's end
TOKEN_MARGIN = 3600.0  # seconds before its end at which a token is refreshed: hours of retries before it matters
TOKEN_TIMEOUT = 150.0
SWEEP_TIMEOUT = 1800.0
FULL_TIMEOUT = 4 * 3600.0
MIRRORS_EVERY = 15.0  # seconds between looks at which copy of a list is due: one small query
MIRRORS_TIMEOUT = 3600.0  # a large catalogue is read page by page, behind everything else
RETENTION_EVERY = 600.0  # seconds between looks, so that an off-peak of half an hour is not missed
RETENTION_TIMEOUT = 600.0
PRIVACY_EVERY = 3600.0
PRIVACY_FIRST = 30.0  # seconds after the start, so that a daemon that is restarted often does it, too
PRIVACY_SPELL = 600.0  # seconds that one run works at most; what is left comes in the next
PRIVACY_TIMEOUT = 900.0
PRIVACY_BATCH = 20  # orders at a time: each key of their documents is looked at, some 20 ms an order on a busy machine
PRIVACY_PAUSE = 0.2  # seconds between batches, for the shop's own work
FULL_OVERDUE = 26 * 3600.0  # seconds without a daily sweep (the machine was off at its hour): then it runs at once
FIRST_SWEEP = 2.0  # seconds after the start
CLOCK_LOOK = 5.0  # seconds between looks at whether the machine's clock was set back
CLOCK_STEP = 2.0  # seconds; less than that is a clock being slewed
STANDBY = 5.0  # seconds between looks of a replica that does not lead, so that one that takes over sweeps at once


class JobCounters(Protocol):
    """Where it is told that a job went well."""

    def job_succeeded(self, job: str) -> None:
        """The job has just ended well."""
        ...


class Forgets(Protocol):
    """Removes personal data; see `omisync.store.privacy.Privacy`."""

    async def forget_due(self, keep_seconds: float, most: int) -> int:
        """That of up to `most` orders that were final `keep_seconds` ago; how many."""
        ...


@dataclass(frozen=True, slots=True)
class Timetable:
    """When things run, and how long buyers' data is kept. Times in seconds; `full_at` by the machine's local time."""

    sweep_interval: float
    full_at: dt.time
    privacy_keep: float = 180 * 86_400.0


class Schedule:
    """The daemon's timetable, kept by APScheduler.

    APScheduler's defaults drop a job that is a second late; here every job runs late rather than not at all, once, and
    never twice at a time. It reckons with the machine's clock: should that be set back while we run, every job would
    wait for its old time to come again, so then the timetable is laid anew.
    """

    def __init__(
        self,
        timetable: Timetable,
        *,
        leads: Callable[[], bool],
        tokens: Tokens,
        sweeper: Sweeper,
        sweeps: Sweeps,
        retention: Retention,
        counters: JobCounters,
        mirrors: MirrorKeeper | None = None,
        privacy: Forgets | None = None,
    ) -> None:
        self._timetable = timetable
        self._leads = leads
        self._tokens = tokens
        self._sweeper = sweeper
        self._sweeps = sweeps
        self._retention = retention
        self._counters = counters
        self._mirrors = mirrors
        self._privacy = privacy
        self._pace = Pace(timetable.sweep_interval)
        self._full_sweep = asyncio.Lock()
        self._scheduler = AsyncIOScheduler(
            job_defaults={"coalesce": True, "misfire_grace_time": None, "max_instances": 1}
        )
        self._running: set[asyncio.Task[None]] = set()
        self._clock_watch: asyncio.Task[None] | None = None
        self._log = structlog.get_logger("schedule")

    def start(self) -> None:
        """Puts every job on the timetable."""
        soon = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=FIRST_SWEEP)
        full_at = self._timetable.full_at
        self._add("token", self._token, TOKEN_TIMEOUT, IntervalTrigger(seconds=TOKEN_EVERY))
        self._add(SWEEP, self._sweep, SWEEP_TIMEOUT, IntervalTrigger(seconds=self._timetable.sweep_interval), soon)
        self._add("full", self._full, FULL_TIMEOUT, CronTrigger(hour=full_at.hour, minute=full_at.minute))
        self._add("full overdue", self._full_if_overdue, FULL_TIMEOUT, IntervalTrigger(hours=1), soon)
        self._add("retention", self._retention.run, RETENTION_TIMEOUT, IntervalTrigger(seconds=RETENTION_EVERY))
        if self._privacy is not None:
            first = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=PRIVACY_FIRST)
            self._add("privacy", self._forget, PRIVACY_TIMEOUT, IntervalTrigger(seconds=PRIVACY_EVERY), first)
        if self._mirrors is not None:
            self._add("mirrors", self._mirrors.keep, MIRRORS_TIMEOUT, IntervalTrigger(seconds=MIRRORS_EVERY), soon)
        self._scheduler.start()
        self._clock_watch = asyncio.create_task(self._watch_clock())

    async def stop(self) -> None:
        """Takes everything off the timetable and ends what runs: a sweep is begun anew by the next leader."""
        if self._scheduler.running:
            self._scheduler.shutdown(wait=False)
        running = list(self._running)
        if self._clock_watch is not None:
            running.append(self._clock_watch)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    def lay_anew(self) -> None:
        """Brings forward what is further off than its interval: the clock was set back under its feet."""
        now = dt.datetime.now(dt.UTC)
        for job in self._scheduler.get_jobs():
            latest = now + job.trigger.interval if isinstance(job.trigger, IntervalTrigger) else None
            due = job.trigger.get_next_fire_time(None, now) if latest is None else latest
            if job.next_run_time > due:
                job.modify(next_run_time=due)

    async def _watch_clock(self) -> None:
        ahead = _clock_ahead()
        while True:
            await asyncio.sleep(CLOCK_LOOK)
            before, ahead = ahead, _clock_ahead()
            if ahead < before - CLOCK_STEP:
                self._log.warning(
                    "the machine's clock was set back; the timetable is laid anew", seconds=before - ahead
                )
                self.lay_anew()

    def _add(
        self,
        name: str,
        job: Callable[[], Awaitable[object]],
        limit: float,
        trigger: IntervalTrigger | CronTrigger,
        first: dt.datetime | None = None,
    ) -> None:
        options = {} if first is None else {"next_run_time": first}
        self._scheduler.add_job(self._guarded, trigger, args=(name, job, limit), id=name, **options)

    async def _guarded(self, name: str, job: Callable[[], Awaitable[object]], limit: float) -> None:
        if not self._leads():
            if name == SWEEP:
                self._sweep_in(STANDBY)
            return
        task = asyncio.ensure_future(self._run(name, job, limit))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        with contextlib.suppress(asyncio.CancelledError):  # the scheduler's, which shuts down; `stop` ends the task
            await asyncio.wait({task})

    async def _run(self, name: str, job: Callable[[], Awaitable[object]], limit: float) -> None:
        try:
            async with asyncio.timeout(limit):
                await job()
        except TimeoutError:
            self._log.warning("a scheduled job took too long and was ended", job=name, seconds=limit)
        except (StoreError, OmisellError, Incomplete) as error:
            self._log.warning("a scheduled job did not succeed; it runs again in time", job=name, error=str(error))
        except Exception:  # noqa: BLE001 - a fault in a job must not end the timetable; told with its traceback
            self._log.exception("a scheduled job failed", job=name)
        else:
            self._counters.job_succeeded(name)

    async def _token(self) -> None:
        if await self._tokens.refresh_if_due(TOKEN_MARGIN):
            self._log.info("token refreshed")

    async def _sweep(self) -> None:
        swept: Swept | None = None
        try:
            swept = await self._sweeper.incremental()
        finally:
            self._sweep_in(self._pace.after(swept))

    def _sweep_in(self, seconds: float) -> None:
        if self._scheduler.running:
            self._scheduler.modify_job(SWEEP, next_run_time=dt.datetime.now(dt.UTC) + dt.timedelta(seconds=seconds))

    async def _full(self) -> None:
        async with self._full_sweep:
            await self._sweeper.full()

    async def _full_if_overdue(self) -> None:
        async with self._full_sweep:  # one that runs just now is waited for, and is not overdue then
            age = await self._sweeps.last_full()
            if age is None or age > FULL_OVERDUE:
                await self._sweeper.full()

    async def _forget(self) -> None:
        if self._privacy is None:
            return
        until, forgotten = time.monotonic() + PRIVACY_SPELL, 0
        while time.monotonic() < until:
            now = await self._privacy.forget_due(self._timetable.privacy_keep, PRIVACY_BATCH)
            forgotten += now
            if now < PRIVACY_BATCH:
                break
            await asyncio.sleep(PRIVACY_PAUSE)
        if forgotten:
            self._log.info("buyers' data removed of orders long final", orders=forgotten)


def _clock_ahead() -> float:
    """The wall clock against the monotonic one, which nobody can set."""
    return time.time() - time.monotonic()
