"""The timetable: late rather than never, on the leader only, each job within its time; sweeps at their own pace."""

import asyncio
import datetime as dt
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from structlog.testing import capture_logs

from omisync import schedule as module
from omisync.omisell import Unavailable
from omisync.schedule import Schedule, Timetable
from omisync.store import Difference, StoreUnavailable
from omisync.sync.listing import Incomplete
from omisync.sync.tally import Swept

SECONDS = 10.0


class Parts:
    """Stands in for everything that the jobs call; `did` says what they did."""

    def __init__(self) -> None:
        self.did: list[str] = []
        self.succeeded: list[str] = []
        self.changed = asyncio.Condition()
        self.due = True
        self.found: Swept = Swept(0, ())
        self.full_age: float | None = None
        self.fails: dict[str, BaseException] = {}
        self.holds: asyncio.Event | None = None

    async def _note(self, what: str) -> None:
        self.did.append(what)
        async with self.changed:
            self.changed.notify_all()
        if self.holds is not None:
            await self.holds.wait()
        if what in self.fails:
            raise self.fails[what]

    async def refresh_if_due(self, margin: float) -> bool:
        await self._note(f"token {margin:g}")
        return self.due

    async def incremental(self) -> Swept:
        await self._note("sweep")
        return self.found

    async def full(self) -> Swept:
        await self._note("full")
        return self.found

    async def last_full(self) -> float | None:
        return self.full_age

    async def run(self) -> None:
        await self._note("retention")

    def job_succeeded(self, job: str) -> None:
        self.succeeded.append(job)

    async def until(self, true: Callable[[], object]) -> None:
        async with asyncio.timeout(SECONDS), self.changed:
            await self.changed.wait_for(true)


@pytest.fixture
def parts() -> Parts:
    return Parts()


def build(parts: Parts, leads: Callable[[], bool] = lambda: True, interval: float = 600.0) -> Schedule:
    given: Any = parts
    return Schedule(
        Timetable(interval, dt.time(3, 30)),
        leads=leads,
        tokens=given,
        sweeper=given,
        sweeps=given,
        retention=given,
        counters=given,
    )


@asynccontextmanager
async def running(schedule: Schedule) -> AsyncIterator[Any]:
    schedule.start()
    try:
        yield schedule._scheduler
    finally:
        await schedule.stop()


async def run(schedule: Schedule, name: str) -> None:
    """Runs a job as the scheduler would."""
    job = schedule._scheduler.get_job(name)
    await job.func(*job.args)


async def test_every_job_runs_late_rather_than_not_once_and_never_twice_at_a_time(parts: Parts) -> None:
    async with running(build(parts)) as scheduler:
        jobs = {job.id: job for job in scheduler.get_jobs()}
        assert set(jobs) == {"token", "sweep", "full", "full overdue", "retention"}
        for job in jobs.values():
            assert (job.coalesce, job.misfire_grace_time, job.max_instances) == (True, None, 1)
        assert {name: jobs[name].args[2] for name in jobs} == {
            "token": 150.0,
            "sweep": 1800.0,
            "full": 14_400.0,
            "full overdue": 14_400.0,
            "retention": 600.0,
        }
        assert str(jobs["full"].trigger) == "cron[hour='3', minute='30']"
        assert jobs["token"].trigger.interval == dt.timedelta(seconds=60)
        assert jobs["sweep"].trigger.interval == dt.timedelta(seconds=600)
        soon = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=3)
        assert jobs["sweep"].next_run_time < soon
        assert jobs["full overdue"].next_run_time < soon


async def test_the_first_sweep_comes_by_itself(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FIRST_SWEEP", 0.01)
    async with running(build(parts)):
        await parts.until(lambda: {"sweep", "full"} <= set(parts.did))


async def test_only_the_leader_runs_jobs_and_one_that_takes_over_sweeps_soon(parts: Parts) -> None:
    leads = False
    schedule = build(parts, leads=lambda: leads)
    async with running(schedule) as scheduler:
        for name in ("token", "sweep", "full", "full overdue", "retention"):
            await run(schedule, name)
        assert parts.did == []
        wait = scheduler.get_job("sweep").next_run_time - dt.datetime.now(dt.UTC)
        assert wait <= dt.timedelta(seconds=5)
        leads = True
        await run(schedule, "sweep")
        assert (parts.did, parts.succeeded) == (["sweep"], ["sweep"])


@pytest.mark.parametrize(
    ("found", "seconds"),
    [
        (Swept(0, (), ()), 750.0),
        (Swept(1, (Difference("O", "A", "status", 1, 2, 3),), ()), 600.0),
        (Swept(1, (Difference("O", "A", "status", 1, 2, 3),), (3,)), 150.0),
    ],
)
async def test_the_next_sweep_comes_as_the_last_one_found(parts: Parts, found: Swept, seconds: float) -> None:
    parts.found = found
    schedule = build(parts)
    async with running(schedule) as scheduler:
        await run(schedule, "sweep")
        wait = scheduler.get_job("sweep").next_run_time - dt.datetime.now(dt.UTC)
        assert abs(wait.total_seconds() - seconds) < 5


@pytest.mark.parametrize(
    ("error", "level"),
    [
        (StoreUnavailable("gone"), "warning"),
        (Unavailable("502", maybe_applied=False), "warning"),
        (Incomplete("moving"), "warning"),
        (RuntimeError("a fault"), "error"),
    ],
    ids=lambda given: type(given).__name__,
)
async def test_a_job_that_fails_is_told_and_runs_again_in_time(parts: Parts, error: Exception, level: str) -> None:
    parts.fails["sweep"] = error
    schedule = build(parts)
    async with running(schedule) as scheduler:
        with capture_logs() as logs:
            await run(schedule, "sweep")
        assert [log["log_level"] for log in logs] == [level]
        assert parts.succeeded == []
        wait = scheduler.get_job("sweep").next_run_time - dt.datetime.now(dt.UTC)
        assert abs(wait.total_seconds() - 600) < 5


async def test_a_job_that_takes_too_long_is_ended_and_told(parts: Parts) -> None:
    parts.holds = asyncio.Event()
    schedule = build(parts)
    async with running(schedule):
        with capture_logs() as logs:
            await schedule._guarded("token", schedule._token, 0.01)
    assert [(log["log_level"], log["job"]) for log in logs] == [("warning", "token")]
    assert parts.succeeded == []


@pytest.mark.parametrize(("due", "told"), [(True, ["token refreshed"]), (False, [])])
async def test_the_token_is_refreshed_an_hour_before_its_end(parts: Parts, due: bool, told: list[str]) -> None:
    parts.due = due
    schedule = build(parts)
    async with running(schedule):
        with capture_logs() as logs:
            await run(schedule, "token")
    assert (parts.did, [log["event"] for log in logs]) == (["token 3600"], told)


@pytest.mark.parametrize(("age", "ran"), [(None, ["full"]), (27 * 3600.0, ["full"]), (3600.0, [])])
async def test_a_daily_sweep_that_was_missed_is_made_up_for(parts: Parts, age: float | None, ran: list[str]) -> None:
    parts.full_age = age
    schedule = build(parts)
    async with running(schedule):
        await run(schedule, "full overdue")
    assert parts.did == ran


async def test_a_daily_sweep_under_way_is_not_overdue(parts: Parts) -> None:
    parts.holds = asyncio.Event()
    schedule = build(parts)
    async with running(schedule):
        daily = asyncio.create_task(run(schedule, "full"))
        await parts.until(lambda: "full" in parts.did)
        overdue = asyncio.create_task(run(schedule, "full overdue"))
        parts.full_age = 0.0
        parts.holds.set()
        await asyncio.wait_for(asyncio.gather(daily, overdue), SECONDS)
    assert parts.did == ["full"]
    assert parts.succeeded == ["full", "full overdue"]


async def test_old_rows_are_looked_for_so_often_that_a_short_off_peak_is_not_missed(parts: Parts) -> None:
    schedule = build(parts)
    async with running(schedule) as scheduler:
        assert scheduler.get_job("retention").trigger.interval == dt.timedelta(minutes=10)
        await run(schedule, "retention")
    assert (parts.did, parts.succeeded) == (["retention"], ["retention"])


async def test_a_stop_in_the_middle_of_a_job_is_no_fault_of_it(
    parts: Parts, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "FIRST_SWEEP", 0.01)
    parts.holds = asyncio.Event()
    async with running(build(parts)):
        await parts.until(lambda: "sweep" in parts.did)
    for _ in range(5):
        await asyncio.sleep(0)  # what the scheduler has been told by then, it has said
    assert [record.getMessage() for record in caplog.records if record.levelname == "ERROR"] == []


async def test_a_stop_ends_what_runs_and_arranges_nothing_more(parts: Parts) -> None:
    parts.holds = asyncio.Event()
    schedule = build(parts)
    schedule.start()
    sweep = asyncio.create_task(run(schedule, "sweep"))
    await parts.until(lambda: parts.did == ["sweep"])
    await schedule.stop()
    await asyncio.wait_for(sweep, SECONDS)
    assert parts.succeeded == []
    await schedule.stop()
    schedule._sweep_in(1.0)
    assert not schedule._scheduler.running


class Forgets:
    """Stands in for the removal of personal data: so many orders are due."""

    def __init__(self, due: int) -> None:
        self.due = due
        self.asked: list[tuple[float, int]] = []

    async def forget_due(self, keep_seconds: float, most: int) -> int:
        self.asked.append((keep_seconds, most))
        now = min(self.due, most)
        self.due -= now
        return now


async def test_personal_data_goes_in_small_batches_until_none_is_due(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PRIVACY_PAUSE", 0.0)
    forgets, given = Forgets(50), build(parts)
    given._privacy = forgets
    async with running(given) as scheduler:
        wait = scheduler.get_job("privacy").next_run_time - dt.datetime.now(dt.UTC)
        assert dt.timedelta(seconds=20) < wait <= dt.timedelta(seconds=30)
        with capture_logs() as logs:
            await run(given, "privacy")
    assert forgets.asked == [(180 * 86_400.0, 20)] * 3
    assert [(line["event"], line["orders"]) for line in logs if "orders" in line] == [
        ("buyers' data removed of orders long final", 50)
    ]
    assert parts.succeeded == ["privacy"]


async def test_a_run_that_removes_personal_data_ends_in_time_and_leaves_the_rest_to_the_next(
    parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PRIVACY_SPELL", 0.0)
    given = build(parts)
    given._privacy = forgets = Forgets(250)
    async with running(given):
        await run(given, "privacy")
    assert (forgets.asked, parts.succeeded) == ([], ["privacy"])
