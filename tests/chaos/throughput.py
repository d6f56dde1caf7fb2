"""What each fault does to the throughput: one at a time, under a constant backlog, measured at Omisell's end."""

import argparse
import asyncio
import contextlib
import random
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final

from omisync.demo import people
from tests.chaos.backlog import Backlog
from tests.chaos.hands import BY_ITSELF, Hands
from tests.chaos.night import ready
from tests.chaos.options import Options
from tests.chaos.recovery import Recoveries
from tests.chaos.stage import Stage, set_up
from tests.chaos.tables import conditions, table

LOOK_SECONDS: Final = 0.25
WINDOW_SECONDS: Final = 12.0
"""Before and after: long enough that one checkpoint or one pause of the machine is not all that is seen."""
CALLS_A_MINUTE: Final = 1_200
"""Omisell's limit, low enough that it is what bounds the throughput, as in life, and not the machine."""
SETTLE_SECONDS: Final = 90.0
"""After a fault, until the window after it begins: sooner, as soon as nothing is held and no outcome is unknown."""
BACK_SHARE: Final = 0.8
BACK_SECONDS: Final = 2.0
"""The throughput is back from the moment on from which over so long there is so much of what was before."""
WARM_UP_SECONDS: Final = 10.0
WORK_OFF_SECONDS: Final = 600.0

Deed = Callable[[Hands], Awaitable[None]]


async def _nothing(_: Hands) -> None:
    await asyncio.sleep(5)


async def _held_back(hands: Hands) -> None:
    await hands.idle_transaction(seconds=15)


PHASES: Final[Mapping[str, Deed]] = {
    "nothing (how much it varies by itself)": _nothing,
    "worker killed (SIGKILL), started again": lambda hands: hands.kill(replica=0, down=0),
    "worker killed five times": lambda hands: hands.crash_loop(replica=0, delays=[2.0] * 5),
    "worker stopped (SIGTERM), started again": lambda hands: hands.terminate(replica=0),
    "Postgres restarted (fast)": lambda hands: hands.database_restart(mode="fast"),
    "Postgres restarted (immediate)": lambda hands: hands.database_restart(mode="immediate"),
    "Postgres killed (SIGKILL)": lambda hands: hands.database_restart(mode="kill"),
    "five backends a second killed, for 8 s": lambda hands: hands.backends_killed(seconds=8, a_second=5),
    "all connections taken by 300 idle ones, for 8 s": lambda hands: hands.connections_exhausted(300, 8),
    "a transaction held open, for 15 s": _held_back,
    "four REPEATABLE READ readers, for 12 s": lambda hands: hands.repeatable_readers(readers=4, seconds=12),
    "a burst of 5,000 orders in one transaction": lambda hands: hands.burst(orders=5_000),
    "Omisell away, for 5 s": lambda hands: hands.outage(seconds=5, refuse=True),
    "all tokens void": lambda hands: hands.tokens_revoked(refresh=True),
}
FAIL_OVER: Final[Mapping[str, Deed]] = {"fail-over to the standby": lambda hands: hands.fail_over(mode="immediate")}


@dataclass(slots=True)
class Meter:
    """How many orders were at Omisell when; seconds by the monotonic clock."""

    points: list[tuple[float, int]] = field(default_factory=list)

    async def read(self, stage: Stage) -> None:
        """Look for ever."""
        while True:
            self.points.append((time.monotonic(), await stage.omisell.orders()))
            await asyncio.sleep(LOOK_SECONDS)

    def at(self, moment: float) -> float:
        """How many at a moment, between two looks in proportion."""
        before = max((point for point in self.points if point[0] <= moment), default=self.points[0])
        after = min((point for point in self.points if point[0] > moment), default=before)
        if after[0] == before[0]:
            return before[1]
        return before[1] + (after[1] - before[1]) * (moment - before[0]) / (after[0] - before[0])

    def rate(self, begin: float, end: float) -> float:
        """Orders a second between two moments."""
        return (self.at(end) - self.at(begin)) / (end - begin)


@dataclass(frozen=True, slots=True)
class Phase:
    """One fault. Rates are orders a second at Omisell; times in seconds from the fault's end.

    Attributes:
        back: Until the throughput was back; None: not within what was looked at.
        freed: Until what a dead daemon held was taken up again, or all replicas worked again; None: not measured.
    """

    name: str
    before: float
    during: float
    after: float
    lasted: float
    back: float | None
    freed: float | None

    @property
    def ratio(self) -> float:
        """After against before."""
        return self.after / self.before if self.before else 0.0


def back_after(meter: Meter, end: float, until: float, before: float) -> float | None:
    """Seconds from `end` until the rate was back."""
    moment = end
    while moment + BACK_SECONDS <= until:
        if meter.rate(moment, moment + BACK_SECONDS) >= BACK_SHARE * before:
            return moment - end
        moment += LOOK_SECONDS
    return None


async def _phase(
    name: str, deed: Deed, hands: Hands, backlog: Backlog, recoveries: Recoveries, meter: Meter, window: float
) -> Phase:
    await backlog.settled(SETTLE_SECONDS)
    begin = time.monotonic()
    await asyncio.sleep(window)
    struck = time.monotonic()
    measured = len(recoveries.measured)
    await deed(hands)
    end = time.monotonic()
    await recoveries.done()
    await backlog.settled(SETTLE_SECONDS)
    calm = time.monotonic()
    await asyncio.sleep(window)
    before, until = meter.rate(begin, struck), time.monotonic()
    freed = [each.seconds for each in recoveries.measured[measured:] if each.seconds is not None]
    return Phase(
        name,
        before=before,
        during=meter.rate(struck, max(end, struck + 1)),
        after=meter.rate(calm, until),
        lasted=end - struck,
        back=back_after(meter, end, until, before),
        freed=max(freed, default=None),
    )


async def measure(
    options: Options, phases: Sequence[str], window: float, say: Callable[[str], None]
) -> tuple[Sequence[Phase], Mapping[str, int], Mapping[str, object]]:
    """Every phase in turn, then the backlog to its end, and whether all is at Omisell once.

    Raises:
        DemoError: A part could not be started.
    """
    deeds = {**PHASES, **(FAIL_OVER if options.failovers else {})}
    found: list[Phase] = []
    async with set_up(options) as stage:
        where = await conditions(stage)
        await stage.omisell.configure({"life": {"automatic": False}})  # orders stay as they are: only sending is seen
        backlog = Backlog(stage, people.orders(options.seed, stage.omisell.products, stage.omisell.places))
        recoveries = Recoveries(stage.servers, options.replicas, lambda: ready(stage))
        hands = Hands(stage, backlog, recoveries, say)
        meter = Meter()
        async with asyncio.TaskGroup() as group:
            keeping = group.create_task(backlog.keep())
            watching = group.create_task(hands.watch())
            reading = group.create_task(meter.read(stage))
            await asyncio.sleep(WARM_UP_SECONDS)
            for name in phases or deeds:
                phase = await _phase(name, deeds[name], hands, backlog, recoveries, meter, window)
                found.append(phase)
                say(line(phase))
            keeping.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await keeping
            say("the backlog is worked off")
            ended = await backlog.worked_off(WORK_OFF_SECONDS)
            reading.cancel()
            watching.cancel()
        proof = {**await backlog.proof(), "unfinished": int(not ended), BY_ITSELF: hands.done[BY_ITSELF]}
    return found, proof, where


def line(phase: Phase) -> str:
    """A phase on the terminal."""
    return (
        f"{phase.name}: {phase.before:.0f} a second before, {phase.during:.0f} during {phase.lasted:.1f} s, "
        f"{phase.after:.0f} after ({phase.ratio:.0%}), back after {_seconds(phase.back)}, "
        f"leases free after {_seconds(phase.freed)}"
    )


def markdown(phases: Sequence[Phase], proof: Mapping[str, int], where: Mapping[str, object]) -> str:
    """The README's table."""
    head = ("fault", "before", "during", "after", "after / before", "back after", "all taken up again after")
    rows = [
        (
            phase.name,
            f"{phase.before:.0f}/s",
            f"{phase.during:.0f}/s",
            f"{phase.after:.0f}/s",
            f"{phase.ratio:.0%}",
            _seconds(phase.back),
            _seconds(phase.freed),
        )
        for phase in phases
    ]
    judged = f"Of {proof['placed']:,} orders placed meanwhile {proof['lost']} were lost and {proof['double']} doubled."
    told = "; ".join(f"{name} {value}" for name, value in where.items()) + "."
    return "\n\n".join([table(head, rows), judged, told])


def _seconds(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds:.1f} s"


def as_json(phases: Sequence[Phase], proof: Mapping[str, int], where: Mapping[str, object]) -> dict[str, object]:
    """Everything that is worth keeping."""
    return {
        "conditions": where,
        "proof": proof,
        "phases": [{**asdict(phase), "ratio": round(phase.ratio, 3)} for phase in phases],
    }


def parse(arguments: Sequence[str]) -> tuple[Options, Sequence[str], float]:
    """Read the command line: the stage, which phases, and the window's seconds."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos throughput", description=__doc__)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--replicas", type=int, default=1, help="with more than one the others work on meanwhile")
    parser.add_argument("--failovers", action="store_true", help="a primary and a standby; and a fail-over")
    parser.add_argument("--window", type=float, default=WINDOW_SECONDS, help="seconds before and after each fault")
    parser.add_argument("--phase", action="append", default=[], metavar="WORDS", help="only those that begin so")
    parser.add_argument("--binaries", type=Path, default=None, help="of another Postgres than the bundled one")
    parser.add_argument("--report", type=Path, action="append", default=[], help="FILE.md as a table, else as JSON")
    given = parser.parse_args(arguments)
    names = [*PHASES, *(FAIL_OVER if given.failovers else ())]
    chosen = [name for name in names if not given.phase or any(name.startswith(words) for words in given.phase)]
    options = Options(
        seed=random.SystemRandom().randrange(1_000_000) if given.seed is None else given.seed,
        replicas=given.replicas,
        failovers=given.failovers,
        hooks=False,
        binaries=given.binaries,
        sweeps=False,  # a minute's overlap at such a pace is thousands of orders to read again every few seconds
        calls_a_minute=CALLS_A_MINUTE,
        reports=tuple(given.report),
    )
    return options, chosen, given.window
