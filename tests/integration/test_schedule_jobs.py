"""The timetable's jobs on a real database against the simulator: a sweep that repairs, retention that removes."""

import asyncio
import datetime as dt
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import asyncpg
import pytest

from omisync import schedule as module
from omisync.config import OmisellSettings
from omisync.omisell import Budget, connect
from omisync.remote import OwnToken, Uncounted
from omisync.schedule import Schedule, Timetable
from omisync.simulator import ListConfig, Simulator, SimulatorConfig
from omisync.store import Database, Hooks, Inbox, Orders, Outbox, Sweeps
from omisync.store.history import History
from omisync.sync import retention
from omisync.sync.retention import Keeps, Retention
from omisync.sync.sweeper import Sweeper

SECONDS = 20.0
DAY = 86_400.0


class Succeeded:
    """Waits for jobs that end well."""

    def __init__(self) -> None:
        self.jobs: asyncio.Queue[str] = asyncio.Queue()

    def job_succeeded(self, job: str) -> None:
        self.jobs.put_nowait(job)

    async def have(self, *wanted: str) -> None:
        missing = set(wanted)
        async with asyncio.timeout(SECONDS):
            while missing:
                missing.discard(await self.jobs.get())


@pytest.fixture
async def stage(dsn: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Any]:
    """A schedule whose first sweep comes at once, and what it works on."""
    monkeypatch.setattr(module, "FIRST_SWEEP", 0.05)
    monkeypatch.setattr(retention, "BATCH", 10)
    monkeypatch.setattr(retention, "PAUSE", 0.0)
    simulator = Simulator(SimulatorConfig(lists=ListConfig(lag=(0, 0)), seed=3))
    await simulator.start()
    database = Database(dsn)
    sql = await asyncpg.connect(dsn)
    async with aiohttp.ClientSession() as session:
        account = simulator.config.account
        shop_id = next(simulator.account.custom_shops()).shop_id
        settings = OmisellSettings(
            base_url=simulator.url,
            api_key=account.api_key,
            api_secret=account.api_secret,
            seller_id=account.seller_id,
            country=account.country,
            shop_id=shop_id,
        )
        omisell = connect(
            settings, session=session, token_store=OwnToken(), budget=Budget(1000, 6000), observer=Uncounted()
        )
        hooks, sweeps, succeeded = Hooks(database), Sweeps(database), Succeeded()
        schedule = Schedule(
            Timetable(600.0, dt.time(3, 30)),
            leads=lambda: True,
            tokens=omisell.tokens,
            sweeper=Sweeper(omisell, Orders(database, hooks), sweeps, Uncounted(), shop_id=shop_id, overlap=60),
            sweeps=sweeps,
            retention=Retention(
                (
                    Keeps("outbox", 90 * DAY, Outbox(database, hooks).purge),
                    Keeps("inbox", 30 * DAY, Inbox(database).purge),
                    Keeps("order_events", 365 * DAY, History(database).purge),
                    Keeps("sweeps", 30 * DAY, sweeps.purge),
                ),
                lambda _: True,
            ),
            counters=succeeded,
        )
        try:
            yield schedule, succeeded, simulator, sql
        finally:
            await schedule.stop()
            await sql.close()
            await database.close()
            await simulator.stop()


async def test_the_first_sweeps_come_at_once_and_ask_for_what_is_missing(stage: Any) -> None:
    schedule, succeeded, simulator, sql = stage
    order = simulator.create({"order_number": "A-1"})
    schedule.start()
    await succeeded.have("sweep", "full overdue")
    asked = await sql.fetch("SELECT omisell_order_number, source FROM omisync.refreshes")
    assert [tuple(row) for row in asked] == [(order.omisell_order_number, "sweep")]
    kinds = await sql.fetch("SELECT kind FROM omisync.sweeps WHERE error IS NULL AND finished_at IS NOT NULL")
    assert {row["kind"] for row in kinds} == {"incremental", "full"}


async def test_retention_removes_what_is_old_and_handled_and_nothing_else(stage: Any) -> None:
    schedule, succeeded, _, sql = stage
    await sql.execute(
        """INSERT INTO omisync.inbox (dedup_key, event, category, authorization_form, state, received_at, body)
        SELECT gen_random_uuid(), 'order.x', 'order', 'token', s.state, now() - interval '31 days', ''
        FROM generate_series(1, 25), (VALUES ('done'), ('new'), ('waiting')) AS s (state);
        INSERT INTO omisync.sweeps (kind, started_at)
        SELECT 'full', now() - interval '31 days' FROM generate_series(1, 25);
        INSERT INTO omisync.sweeps (kind) VALUES ('full');
        INSERT INTO omisync.order_events (order_number, kind, source, recorded_at)
        SELECT 'A-' || n, 'added', 'outbox', now() - make_interval(days => CASE WHEN n <= 25 THEN 366 ELSE 364 END)
        FROM generate_series(1, 40) AS n;
        INSERT INTO omisync.hook_calls (event_id, order_number)
        SELECT id, order_number FROM omisync.order_events WHERE order_number = 'A-3';
        INSERT INTO omisync.outbox (kind, order_number, payload)
        SELECT 'order.add', 'A-' || n, jsonb_build_object('order_number', 'A-' || n, 'items', '[{}]'::jsonb)
        FROM generate_series(1, 40) AS n;
        UPDATE omisync.outbox SET state = 'done', outcome = 'added', finished_at = now() - interval '91 days'
        WHERE id <= 30 AND id <> 6;
        UPDATE omisync.outbox SET finished_at = now() - interval '89 days' WHERE id <= 5;
        UPDATE omisync.outbox SET state = 'sending', lease_token = gen_random_uuid(), lease_until = now() WHERE id = 6;
        UPDATE omisync.outbox SET state = 'failed', error = 'refused', lease_token = NULL, lease_until = NULL,
            finished_at = now() - interval '91 days' WHERE id = 6"""
    )
    schedule.start()
    await schedule._guarded("retention", schedule._retention.run, SECONDS)
    await succeeded.have("retention")
    states = await sql.fetch("SELECT state, count(*) AS rows FROM omisync.inbox GROUP BY state ORDER BY state")
    assert [tuple(row) for row in states] == [("new", 25), ("waiting", 25)]
    assert await sql.fetchval("SELECT count(*) FROM omisync.sweeps WHERE started_at < now() - interval '30 days'") == 0
    events = await sql.fetch("SELECT order_number FROM omisync.order_events ORDER BY id")
    assert [row["order_number"] for row in events] == ["A-3", *(f"A-{n}" for n in range(26, 41))]
    rows = await sql.fetch("SELECT id FROM omisync.outbox ORDER BY id")
    assert [row["id"] for row in rows] == [*range(1, 7), *range(31, 41)]
