"""Whether the suite would notice: bugs planted on purpose are caught, and the sound daemon passes the same trial."""

import asyncio
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path
from typing import Final

import pytest

from omisync.demo.proof import Fault
from tests.chaos.broken import BUGS
from tests.chaos.verdict import Judgement
from tests.chaos.world import Replica, World, until, world
from tests.conftest import administer, with_database

LOCK_INBOX: Final = "LOCK TABLE omisync.inbox IN SHARE ROW EXCLUSIVE MODE"
WAITS_FOR_INBOX: Final = """
    SELECT EXISTS (SELECT FROM pg_locks WHERE relation = 'omisync.inbox'::regclass AND NOT granted)
"""
KILL_THE_OTHERS: Final = """
    SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()
"""

Trial = Callable[[World, Sequence[str]], Awaitable[None]]


async def push_while_storing_takes_long(made: World, bugs: Sequence[str]) -> None:
    """The daemon and its connections die while a push is being stored."""
    only = made.replica(planted=["no_timetable", *bugs])
    await made.start(only, pushed_to=True)
    await made.place("A-1")
    await made.known("A-1", 200)
    await made.at_rest()
    transaction = made.sql.transaction()
    await transaction.start()
    await made.sql.execute(LOCK_INBOX)
    made.simulator.advance("A-1", 500)
    await until(lambda: made.sql.fetchval(WAITS_FOR_INBOX))
    if bugs:
        await until(lambda: made.simulator.pushes.waiting == 0)
    await only.daemon.kill()
    await made.sql.fetchval(KILL_THE_OTHERS)
    await transaction.rollback()
    await made.start(only)


async def push_of_a_shipped_order(made: World, bugs: Sequence[str]) -> None:
    """An order is shipped, and no sweep comes by."""
    only = made.replica(planted=["no_timetable", *bugs])
    await made.start(only, pushed_to=True)
    await made.place("A-1")
    await made.known("A-1", 200)
    made.simulator.advance("A-1", 500)


async def _long_pause(made: World, bugs: Sequence[str], aid: str) -> tuple[Replica, Replica]:
    patient = {"omisell": {"timeout": "20s"}}
    first = made.replica(planted=["short_leases", "no_timetable", *bugs, aid], changes=patient)
    await made.start(first)
    await made.place("A-1")
    await until(lambda: first.stands_still)
    second = made.replica(planted=["short_leases", "no_timetable", *bugs], changes=patient)
    return first, second


async def long_pause_before_sending(made: World, bugs: Sequence[str]) -> None:
    """A machine stands still between claim and request; another replica sends meanwhile."""
    first, second = await _long_pause(made, bugs, "stops_before_sending")
    await made.start(second, pushed_to=True)
    await made.known("A-1", 200)
    first.signal(signal.SIGCONT)
    await until(lambda: first.said("put off") or len(made.simulator.orders) == 2)


async def long_pause_before_the_end(made: World, bugs: Sequence[str]) -> None:
    """A machine stands still between answer and ending; another replica is sending when it goes on."""
    made.simulator.faults.set("throttle", times=1, endpoints=["order.add"], seconds=0)
    first, second = await _long_pause(made, bugs, "stops_before_the_end")
    made.simulator.faults.set("apply_late", times=1, endpoints=["order.add"], seconds=3)
    calls = made.simulator.ledger.calls
    await made.start(second, pushed_to=True)
    await until(lambda: calls["order.add"] == 2)
    first.signal(signal.SIGCONT)
    await until(lambda: len(made.simulator.orders) == (2 if bugs else 1))
    await made.known("A-1", 200)


async def answer_that_was_lost(made: World, bugs: Sequence[str]) -> None:
    """Omisell applies an add, and its answer is lost."""
    made.simulator.faults.set("reset_after", times=1, endpoints=["order.add"])
    only = made.replica(planted=["no_timetable", *bugs])
    await made.place("A-1")
    await made.start(only)
    await made.known("A-1", 200)


async def killed_before_the_answer(made: World, bugs: Sequence[str]) -> None:
    """The daemon is killed after Omisell has applied an add, before it has heard so."""
    made.simulator.faults.set("hang_after", times=1, endpoints=["order.add"], seconds=30)
    only = made.replica(planted=["short_leases", "no_timetable", *bugs], changes={"omisell": {"timeout": "20s"}})
    await made.place("A-1")
    await made.start(only)
    await until(lambda: len(made.simulator.orders) == 1)
    await only.daemon.kill()
    await made.start(only)
    await made.known("A-1", 200)


async def cancel_while_the_add_is_on_its_way(made: World, bugs: Sequence[str]) -> None:
    """The shop cancels while Omisell takes its time over the add."""
    made.simulator.faults.set("apply_late", times=1, endpoints=["order.add"], seconds=5)
    only = made.replica(planted=["no_timetable", *bugs], changes={"omisell": {"timeout": "20s"}})
    await made.start(only, pushed_to=True)
    await made.place("A-1")
    await until(lambda: made.simulator.ledger.calls["order.add"] == 1)
    await made.cancel("A-1")
    await until(lambda: len(made.simulator.orders) == 1)


async def long_pause_before_applying(made: World, bugs: Sequence[str]) -> None:
    """A machine stands still between a detail's fetch and its application; the order moves on meanwhile."""
    first = made.replica(planted=["short_leases", "no_timetable", *bugs, "stops_before_applying"])
    await made.start(first, pushed_to=True)
    await made.place("A-1")
    await made.known("A-1", 200)
    made.simulator.advance("A-1", 460)
    await until(lambda: first.stands_still)
    second = made.replica(planted=["short_leases", "no_timetable", *bugs])
    await made.start(second, pushed_to=True)
    made.simulator.advance("A-1", 500)
    await made.known("A-1", 500)
    await made.at_rest()
    await second.daemon.stop()
    first.signal(signal.SIGCONT)
    applied = "SELECT status_id <> 500 FROM omisync.orders WHERE order_number = 'A-1'"
    if bugs:
        await until(lambda: made.sql.fetchval(applied))


TRIALS: Final[dict[str, tuple[Trial, Fault]]] = {
    "answers_before_commit": (push_while_storing_takes_long, Fault.LOST),
    "drops_inbox_rows": (push_of_a_shipped_order, Fault.LOST),
    "no_fence_at_the_end": (long_pause_before_the_end, Fault.DOUBLE),
    "no_fence_before_sending": (long_pause_before_sending, Fault.DOUBLE),
    "sends_again_without_looking": (answer_that_was_lost, Fault.DOUBLE),
    "takes_a_dead_workers_row_for_a_new_one": (killed_before_the_answer, Fault.DOUBLE),
    "cancels_before_adding": (cancel_while_the_add_is_on_its_way, Fault.DIFFERENT),
    "refreshes_by_arrival": (long_pause_before_applying, Fault.DIFFERENT),
}


@pytest.fixture
async def two_databases(postgres_dsn: str, template_database: str) -> AsyncIterator[tuple[str, str]]:
    """Two fresh databases with our schema, for the sound and the broken."""
    names = ("omisync_planted_sound", "omisync_planted_broken")
    drop = [f"DROP DATABASE IF EXISTS {name} WITH (FORCE)" for name in names]
    await administer(postgres_dsn, *drop)
    for name in names:
        await administer(postgres_dsn, f"CREATE DATABASE {name} TEMPLATE {template_database} STRATEGY file_copy")
    yield with_database(postgres_dsn, names[0]), with_database(postgres_dsn, names[1])
    await administer(postgres_dsn, *drop)


def test_every_planted_bug_has_its_trial() -> None:
    assert set(TRIALS) == set(BUGS)


@pytest.mark.parametrize("bug", TRIALS)
async def test_a_planted_bug_is_caught(bug: str, two_databases: tuple[str, str], tmp_path: Path) -> None:
    trial, fault = TRIALS[bug]

    async def judged(dsn: str, bugs: Sequence[str]) -> Judgement:
        folder = tmp_path / ("broken" if bugs else "sound")
        folder.mkdir()
        async with world(dsn, folder) as made:
            await trial(made, bugs)
            await made.at_rest()
            return await made.verdict()

    sound, broken = await asyncio.gather(judged(two_databases[0], ()), judged(two_databases[1], (bug,)))
    assert sound.findings == ()
    assert sound.holds
    assert "A-1" in {finding.order_number for finding in broken.findings if finding.fault is fault}, broken.findings
