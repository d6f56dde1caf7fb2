"""What a run reckons and tells: rates, when they were back, and the README's tables."""

from collections import Counter

import pytest

from omisync.demo.proof import Fault, Finding, Verdict
from tests.chaos.flood import Flooded, Measured
from tests.chaos.flood import markdown as flood_markdown
from tests.chaos.options import Options
from tests.chaos.recovery import Recovery
from tests.chaos.report import Report
from tests.chaos.tables import markdown
from tests.chaos.throughput import FAIL_OVER, PHASES, Meter, Phase, back_after, parse
from tests.chaos.throughput import markdown as throughput_markdown
from tests.chaos.verdict import Judgement


def report(*, findings: tuple[Finding, ...] = (), late: float = 3.0, ended: int = 0) -> Report:
    return Report(
        options=Options(seed=7, seconds=2400, failovers=True),
        judgement=Judgement(Verdict(12_345, 12_000, 345, 200, 20, 0, 0, findings), ()),
        done={"SIGKILL": 320, "database restarts": 28, "daemons that ended by themselves": ended},
        recoveries=(Recovery("SIGKILL", 0.5), Recovery("SIGKILL", late)),
        samples=(),
        happened=(),
        omisell={"pushes": {"sent": 90_000, "dropped": 4_000, "given_up": 1}, "faults": {"reset_after": 12}},
        cancelled=2_100,
        starts=322,
        conditions={"cores": 2},
    )


def test_a_nights_table_has_what_was_done_what_came_of_it_and_how_to_do_it_again() -> None:
    told = markdown(report())
    for row in (
        "| orders | 12,345 |",
        "| SIGKILLs of a daemon | 320 |",
        "| database restarts (orderly, immediate, SIGKILL) | 28 |",
        "| fail-overs to the standby | 0 |",
        "| pushes dropped or given up | 4,001 |",
        "| **lost** | **0** |",
        "| **double** | **0** |",
        "| **different** | **0** |",
        "| SIGKILL | 2 | 1.8 s | 3.0 s | 0 |",
        "| `reset_after` | 12 |",
    ):
        assert row in told
    assert "Everything recovered in time" in told
    assert "cores 2" in told
    assert told.endswith(f"Again: `{report().options.replay}`")


@pytest.mark.parametrize(
    "broken",
    [
        report(findings=(Finding("A-1", Fault.LOST, "not at Omisell"),)),
        report(late=20.5),
        report(ended=1),
    ],
    ids=["lost", "late", "a daemon that ended by itself"],
)
def test_a_night_does_not_hold_if_anything_was_not_as_promised(broken: Report) -> None:
    assert report().holds
    assert not broken.holds


def test_a_rate_is_reckoned_between_two_looks_in_proportion() -> None:
    meter = Meter([(0.0, 0), (1.0, 10), (2.0, 30), (4.0, 30)])
    assert meter.at(1.5) == 20
    assert meter.rate(0.5, 1.5) == 15
    assert meter.rate(2.0, 4.0) == 0


def test_the_throughput_is_back_when_it_stays_near_what_it_was_for_two_seconds() -> None:
    stood_still = [(float(second), 100) for second in range(5)]
    meter = Meter([*stood_still, *((float(second), 100 + 50 * (second - 4)) for second in range(5, 20))])
    assert back_after(meter, 0.0, 19.0, 50.0) == pytest.approx(3.75, abs=0.3)
    assert back_after(meter, 0.0, 19.0, 100.0) is None


def test_phases_are_chosen_by_how_they_begin_and_a_fail_over_needs_a_standby() -> None:
    options, phases, window = parse(["--seed", "4", "--phase", "worker killed (", "--window", "3"])
    assert (options.seed, options.replicas, window) == (4, 1, 3.0)
    assert phases == ["worker killed (SIGKILL), started again"]
    assert parse(["--seed", "4"])[1] == list(PHASES)
    assert parse(["--seed", "4", "--failovers"])[1] == [*PHASES, *FAIL_OVER]


def test_each_faults_throughput_is_told_before_during_and_after() -> None:
    phase = Phase("a fault", before=100.0, during=20.0, after=98.0, lasted=3.0, back=1.25, freed=None)
    told = throughput_markdown([phase], {"placed": 9_000, "lost": 0, "double": 0}, {"cores": 2})
    assert "| a fault | 100/s | 20/s | 98/s | 98% | 1.2 s | - |" in told
    assert "Of 9,000 orders placed meanwhile 0 were lost and 0 doubled." in told


def test_a_flood_holds_only_if_nothing_but_200_and_503_was_answered() -> None:
    taken = {"order.add": [0.2, 0.4], "order.cancel": [0.1]}
    sound = Measured(Flooded(Counter({200: 5_990, 503: 10}), 1.5, 60.0, [90 << 20, 95 << 20]), taken, taken, {})
    assert sound.holds
    assert "200: 5,990, 503: 10" in flood_markdown(sound)
    assert not Measured(Flooded(Counter({200: 1, 500: 1})), taken, taken, {}).holds
