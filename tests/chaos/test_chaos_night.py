"""A short night of chaos, its schedule, and the parts of its verdict."""

import os
import shutil
from pathlib import Path

import pytest

from omisync.demo.proof import Fault, Finding
from tests.chaos.hands import BY_ITSELF
from tests.chaos.night import run
from tests.chaos.omisell import Delivered
from tests.chaos.options import Options, parse
from tests.chaos.plan import plan
from tests.chaos.pooler import pgbouncer
from tests.chaos.verdict import events_once, hooks_heard, pushes_kept

SEED = int(os.environ.get("OMISYNC_CHAOS_SEED", "20260701"))
"""Another one may be tried; a failing one prints itself."""


ONE_AT_A_TIME = pytest.mark.xdist_group("night")
"""Where tests run beside one another, nights still follow one another: each is a load of its own."""


async def night(options: Options) -> None:
    report = await run(options)
    print(report.render())  # noqa: T201 - shown if it fails
    assert [str(finding) for finding in report.judgement.findings] == []
    # how soon each blow was got over is in the report, and judged by `python -m tests.chaos`: no test asserts a time
    assert report.judgement.orders.placed > options.seconds * options.rate / 60 * 0.5
    assert report.done["SIGKILL"] >= 3
    assert report.done.get(BY_ITSELF, 0) == 0
    assert report.done.get("SIGTERM without exit 0", 0) == 0
    assert report.done["database restarts"] >= 1
    assert report.done["backends killed"] > 0
    assert report.done["idle connections"] > 0
    assert report.omisell["faults"]["push_drop"] > 0


@ONE_AT_A_TIME
@pytest.mark.chaos
async def test_a_short_night_loses_and_doubles_nothing() -> None:
    await night(Options(seed=SEED, seconds=28, rate=180))


@ONE_AT_A_TIME
@pytest.mark.chaos
async def test_a_fail_over_to_the_standby_loses_and_doubles_nothing() -> None:
    await night(Options(seed=SEED + 1, seconds=18, rate=180, failovers=True, hooks=False))


@ONE_AT_A_TIME
@pytest.mark.chaos
@pytest.mark.skipif(pgbouncer() is None, reason="pgbouncer is not installed: apt-get install pgbouncer")
async def test_a_night_behind_pgbouncer_in_transaction_mode_loses_and_doubles_nothing() -> None:
    await night(Options(seed=SEED + 2, seconds=18, rate=180, pgbouncer=True))


def test_a_seed_gives_the_same_night_again() -> None:
    options = Options(seed=7, seconds=120, failovers=True)
    assert plan(options) == plan(options)
    assert plan(options) != plan(Options(seed=8, seconds=120, failovers=True))


def test_a_night_has_every_kind_of_fault_and_every_mode() -> None:
    blows = plan(Options(seed=7, seconds=240, failovers=True, restarts_per_minute=1))
    assert {blow.kind for blow in blows} == {
        *("kill", "crash_loop", "terminate", "database_restart", "fail_over", "backends_killed", "burst", "clock"),
        *("connections_exhausted", "idle_transaction", "repeatable_readers", "weather", "duplicates", "outage"),
        *("tokens_revoked", "late_pushes", "hook"),
    }
    assert {blow.details["mode"] for blow in blows if blow.kind == "duplicates"} == {
        *("create_second", "reject", "return_existing"),
    }
    assert {blow.details["mode"] for blow in blows if blow.kind == "hook"} == {"raise", "slow", "deadlock"}
    assert {blow.details["mode"] for blow in blows if blow.kind == "database_restart"} == {"immediate", "fast", "kill"}


def test_the_command_line_is_what_it_prints_to_replay() -> None:
    words = "--seed 5 --minutes 1.5 --orders 900 --replicas 3 --rate 600 --failovers --no-hooks --kills 9 --restarts 2"
    options = parse(words.split())
    assert (options.seed, options.seconds, options.orders, options.replicas) == (5, 90, 900, 3)
    assert parse(options.replay.split()[3:]) == options
    assert shutil.which("python") is None or options.replay.startswith("python -m tests.chaos --seed 5 ")


def test_a_push_that_was_answered_and_is_not_kept_is_lost() -> None:
    kept, lost = Delivered("r-1", "A-1", 200), Delivered("r-2", "A-2", 500)
    why = "push r-2 of status 500 was answered 200, but is not in the inbox"
    assert list(pushes_kept([kept, lost], ["r-1", None])) == [Finding("A-2", Fault.LOST, why)]


def test_an_order_that_was_added_twice_in_its_events_is_double() -> None:
    events = [(1, "A-1", "added"), (2, "A-2", "added"), (3, "A-1", "status"), (4, "A-1", "adopted")]
    assert list(events_once(events)) == [Finding("A-1", Fault.DOUBLE, "its events say that it was added and adopted")]


@pytest.mark.parametrize(
    ("heard", "fault", "why"),
    [
        ([1], Fault.LOST, "the hook did not hear of events [2]"),
        ([1, 2, 2], Fault.DOUBLE, "the hook heard [1, 2, 2] of events [1, 2]"),
        ([2, 1], Fault.DIFFERENT, "the hook heard in the order [2, 1] of events [1, 2]"),
    ],
)
def test_a_hook_that_heard_less_more_or_otherwise_is_told(heard: list[int], fault: Fault, why: str) -> None:
    events = [(1, "A-1", "added"), (2, "A-1", "status"), (3, "A-2", "added")]
    calls = [*((event_id, "A-1") for event_id in heard), (3, "A-2")]
    assert list(hooks_heard(events, calls)) == [Finding("A-1", fault, why)]


def test_the_artifacts_of_a_failed_night_can_be_kept(tmp_path: Path) -> None:
    assert parse(["--seed", "1", "--artifacts", str(tmp_path)]).artifacts == tmp_path
