"""Retention by a given clock: at its hours all that is due, by day what is far behind, table by table in turn."""

import datetime as dt

import pytest
from structlog.testing import capture_logs

from omisync.config.values import Hours
from omisync.store import StoreUnavailable
from omisync.sync.retention import Keeps, Retention

DAY = 86_400.0
NIGHTS = Hours(dt.time(1), dt.time(6))


class Tables:
    """Some tables with so many old rows; `did` says what was asked for, `slept` how long was waited between."""

    def __init__(self, **rows: int) -> None:
        self.rows = rows
        self.did: list[tuple[str, float]] = []
        self.slept: list[float] = []

    def keeps(self, table: str, seconds: float) -> Keeps:
        async def purge(keep_seconds: float, most: int) -> int:
            self.did.append((table, keep_seconds / DAY))
            gone = min(most, self.rows[table])
            self.rows[table] -= gone
            return gone

        return Keeps(table, seconds, purge)

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


def at(time: str) -> dt.datetime:
    return dt.datetime.fromisoformat(f"2026-07-01T{time}:00")


@pytest.fixture
def tables(monkeypatch: pytest.MonkeyPatch) -> Tables:
    given = Tables(outbox=2500, inbox=1000)
    monkeypatch.setattr("omisync.sync.retention.asyncio.sleep", given.sleep)
    return given


def retention_of(tables: Tables, time: str) -> Retention:
    keeps = [tables.keeps("outbox", 90 * DAY), tables.keeps("inbox", 30 * DAY)]
    return Retention(keeps, NIGHTS.hold, lambda: at(time))


async def test_by_night_all_that_is_due_goes_a_batch_of_each_table_in_turn(tables: Tables) -> None:
    with capture_logs() as logs:
        assert await retention_of(tables, "05:59").run() == {"outbox": 2500, "inbox": 1000}
    assert tables.did == [("outbox", 90), ("inbox", 30), ("outbox", 90), ("inbox", 30), ("outbox", 90)]
    assert tables.slept == [0.2, 0.2]
    (line,) = logs
    assert line == {
        "event": "old rows removed",
        "log_level": "info",
        "outbox": 2500,
        "inbox": 1000,
        "more": [],
    }


async def test_by_day_only_what_is_two_days_late_goes_and_slowly(tables: Tables) -> None:
    await retention_of(tables, "06:00").run()
    assert tables.did == [("outbox", 92), ("inbox", 32), ("outbox", 92), ("inbox", 32), ("outbox", 92)]
    assert tables.slept == [2.0, 2.0]


async def test_the_night_may_begin_while_it_works(tables: Tables) -> None:
    times = iter(["00:59", "01:00", "01:00"])
    keeps = [tables.keeps("outbox", 90 * DAY)]
    await Retention(keeps, NIGHTS.hold, lambda: at(next(times))).run()
    assert tables.did == [("outbox", 92), ("outbox", 90), ("outbox", 90)]


async def test_a_run_ends_in_time_and_leaves_the_rest_to_the_next(tables: Tables) -> None:
    seconds = iter([0.0, 1.0, 480.0])
    keeps = [tables.keeps("outbox", 90 * DAY), tables.keeps("inbox", 30 * DAY)]
    with capture_logs() as logs:
        await Retention(keeps, NIGHTS.hold, lambda: at("03:00"), lambda: next(seconds)).run()
    assert tables.rows == {"outbox": 1500, "inbox": 0}
    assert logs[0]["more"] == ["outbox", "inbox"]


async def test_where_nothing_is_due_nothing_is_said(tables: Tables) -> None:
    tables.rows = {"outbox": 0, "inbox": 0}
    with capture_logs() as logs:
        await retention_of(tables, "03:00").run()
    assert (logs, tables.slept, len(tables.did)) == ([], [], 2)


async def test_an_outage_ends_the_run(tables: Tables) -> None:
    async def away(keep_seconds: float, most: int) -> int:
        raise StoreUnavailable("the database cannot be used now")

    with pytest.raises(StoreUnavailable):
        await Retention([Keeps("outbox", DAY, away)], NIGHTS.hold, lambda: at("03:00")).run()
