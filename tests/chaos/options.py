"""What a chaos run is asked to do."""

import argparse
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

DEBIAN_15: Final = Path("/usr/lib/postgresql/15/bin")
RATE_PER_MINUTE: Final = 300.0
CALLS_A_MINUTE: Final = 30_000
"""Omisell's own limit is 100, and 100 a minute: a day's trade is squeezed into minutes here."""
BUCKET_SHARE: Final = 1 / 30
"""The bucket's size beside the calls of a minute."""


@dataclass(frozen=True, slots=True)
class Options:
    """A run.

    Args:
        seed: Of everything left to chance: the faults, their times, the shoppers, Omisell's dice.
        seconds: How long orders are placed and faults strike; the calm comes after.
        orders: Stop placing after so many; None: place for all the time.
        rate: Orders a minute.
        replicas: Daemons on the one database.
        failovers: A primary and a streaming standby in place of one server, and fail-overs among the faults.
        pgbouncer: PgBouncer in transaction mode between the daemons and the database.
        hooks: Whether `hooks.on_change` is set (and raises, dawdles and deadlocks).
        kills_per_minute: SIGKILLs of daemons, crash loops counted by each kill.
        restarts_per_minute: Of Postgres, orderly, immediate and by SIGKILL in turn.
        binaries: Of another Postgres than the bundled one.
        artifacts: Where logs and ledgers are kept if the verdict does not hold.
        sweeps: Sweep every few seconds, as a night in minutes needs it; else as rarely as in life.
        calls_a_minute: Omisell's limit; the bucket is a thirtieth of that.
        reports: Files for the figures: a name that ends with `.md` gets the README's tables, any other all, as JSON.
    """

    seed: int
    seconds: float = 60.0
    orders: int | None = None
    rate: float = RATE_PER_MINUTE
    replicas: int = 2
    failovers: bool = False
    pgbouncer: bool = False
    hooks: bool = True
    kills_per_minute: float = 6.0
    restarts_per_minute: float = 0.8
    binaries: Path | None = None
    artifacts: Path | None = None
    sweeps: bool = True
    calls_a_minute: int = CALLS_A_MINUTE
    reports: tuple[Path, ...] = ()

    @property
    def bucket(self) -> int:
        """The size of Omisell's bucket, in calls."""
        return round(self.calls_a_minute * BUCKET_SHARE)

    @property
    def replay(self) -> str:
        """The command line that does the same again."""
        words = [
            f"python -m tests.chaos --seed {self.seed} --minutes {self.seconds / 60:g} --rate {self.rate:g}",
            f"--replicas {self.replicas} --kills {self.kills_per_minute:g} --restarts {self.restarts_per_minute:g}",
        ]
        if self.orders is not None:
            words.append(f"--orders {self.orders}")
        words += ["--failovers"] * self.failovers + ["--pgbouncer"] * self.pgbouncer + ["--no-hooks"] * (not self.hooks)
        if self.binaries is not None:
            words.append(f"--binaries {self.binaries}")
        return " ".join(words)


def parse(arguments: Sequence[str]) -> Options:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.chaos",
        description="Daemons, Postgres and Omisell's simulator for real, under a random schedule of faults; then calm; "
        "then a verdict from three ledgers. Ends with 0 if nothing is lost, double or different.",
    )
    parser.add_argument("--seed", type=int, default=None, help="replays a run; another each time if left out")
    parser.add_argument("--minutes", type=float, default=2.0, help="of faults; the calm comes after")
    parser.add_argument("--orders", type=int, default=None, help="stop after so many orders")
    parser.add_argument("--rate", type=float, default=RATE_PER_MINUTE, help="orders a minute")
    parser.add_argument("--replicas", type=int, default=2)
    parser.add_argument("--failovers", action="store_true", help="a primary and a standby, and fail-overs")
    parser.add_argument("--pgbouncer", action="store_true", help="PgBouncer in transaction mode in between")
    parser.add_argument("--no-hooks", action="store_true", help="without hooks.on_change: details applied in batches")
    parser.add_argument("--kills", type=float, default=6.0, help="SIGKILLs a minute")
    parser.add_argument("--restarts", type=float, default=0.8, help="of Postgres, a minute")
    parser.add_argument("--binaries", type=Path, default=None, help=f"of another Postgres, such as {DEBIAN_15}")
    parser.add_argument("--artifacts", type=Path, default=None, help="keeps logs and ledgers if it does not hold")
    parser.add_argument(
        "--report", type=Path, action="append", default=[], help="writes the figures: FILE.md as tables, else as JSON"
    )
    given = parser.parse_args(arguments)
    return Options(
        seed=random.SystemRandom().randrange(1_000_000) if given.seed is None else given.seed,
        seconds=given.minutes * 60,
        orders=given.orders,
        rate=given.rate,
        replicas=given.replicas,
        failovers=given.failovers,
        pgbouncer=given.pgbouncer,
        hooks=not given.no_hooks,
        kills_per_minute=given.kills,
        restarts_per_minute=given.restarts,
        binaries=given.binaries,
        artifacts=given.artifacts,
        reports=tuple(given.report),
    )
