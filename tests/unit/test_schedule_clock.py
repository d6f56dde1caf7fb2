"""The timetable when the machine's clock is set back: by hand here, in a process of its own in tests/system."""

import asyncio
import datetime as dt
from collections.abc import AsyncIterator
from typing import Any

import pytest

from omisync import schedule as timetables
from omisync.schedule import Schedule, Timetable
from omisync.sync.retention import Retention


class Nobody:
    """Parts that are not called: this replica does not lead."""


@pytest.fixture
async def schedule() -> AsyncIterator[Schedule]:
    parts: Any = Nobody()
    built = Schedule(
        Timetable(600.0, dt.time(3, 30)),
        leads=lambda: False,
        tokens=parts,
        sweeper=parts,
        sweeps=parts,
        retention=Retention((), lambda _: False),
        counters=parts,
    )
    built.start()
    yield built
    await built.stop()


def set_back(schedule: Schedule, hours: int) -> dt.datetime:
    """What a clock set back looks like: every job is due so much later. Returns the present."""
    for job in schedule._scheduler.get_jobs():
        job.modify(next_run_time=job.next_run_time + dt.timedelta(hours=hours))
    return dt.datetime.now(dt.UTC)


def due(schedule: Schedule) -> dict[str, dt.datetime]:
    return {job.id: job.next_run_time for job in schedule._scheduler.get_jobs()}


async def test_no_job_waits_longer_than_its_interval(schedule: Schedule) -> None:
    now = set_back(schedule, 24)
    schedule.lay_anew()
    after = due(schedule)
    assert after["sweep"] - now < dt.timedelta(seconds=601)
    assert after["token"] - now < dt.timedelta(seconds=61)
    assert after["full"] - now <= dt.timedelta(hours=24)


async def test_what_is_due_sooner_stays(schedule: Schedule) -> None:
    before = due(schedule)
    schedule.lay_anew()
    assert due(schedule) == before


async def test_a_clock_set_back_is_noticed(schedule: Schedule, monkeypatch: pytest.MonkeyPatch) -> None:
    ahead = [0.0, 0.5, -3600.0]
    laid: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    monkeypatch.setattr(timetables, "CLOCK_LOOK", 0.001)
    monkeypatch.setattr(timetables, "_clock_ahead", lambda: ahead.pop(0) if len(ahead) > 1 else ahead[0])
    monkeypatch.setattr(schedule, "lay_anew", lambda: laid.set_result(None))
    watch = asyncio.create_task(schedule._watch_clock())
    async with asyncio.timeout(10):
        await laid
    watch.cancel()
