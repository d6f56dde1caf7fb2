"""A run's figures as Markdown, for the README."""

import os
import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Any, Final

import asyncpg

from omisync.demo.proof import Fault
from tests.chaos.hands import BY_ITSELF
from tests.chaos.plan import DUPLICATES
from tests.chaos.report import Report
from tests.chaos.servers import STATEMENT_SECONDS
from tests.chaos.stage import SETTLE, Stage

ROUGH: Final[Mapping[str, str]] = {
    "kill": "single kills",
    "crash_loop": "crash loops, four kills each",
    "terminate": "orderly stops (SIGTERM)",
    "clock": "clocks stepped by up to a day",
    "backends_killed": "spells of killed backends, five a second",
    "connections_exhausted": "spells without a free connection",
    "idle_transaction": "transactions held open",
    "repeatable_readers": "spells of four REPEATABLE READ readers",
    "burst": "bursts of orders",
    "outage": "outages of Omisell",
    "tokens_revoked": "times that all tokens were void",
    "late_pushes": "times that old pushes came again",
    "hook": "spells of a hook that raises, dawdles or deadlocks",
    "weather": "changes of what Omisell does wrong",
}
"""Blows in words; what is in rows of its own is left out."""


async def conditions(stage: Stage) -> Mapping[str, object]:
    """Where and with what a run was made."""
    connection = await asyncpg.connect(stage.servers.admin_dsn, timeout=STATEMENT_SECONDS)
    try:
        postgres = await connection.fetchval("SHOW server_version")
    finally:
        await connection.close(timeout=STATEMENT_SECONDS)
    packages = ("omisync", "aiohttp", "asyncpg", "pydantic")
    return {
        "cores": os.cpu_count(),
        "load of the machine at the beginning": round(os.getloadavg()[0], 1),
        "python": platform.python_version(),
        **{name: version(name) for name in packages},
        "postgres": f"{postgres}, durable{', a primary and a synchronous standby' * stage.options.failovers}",
        "pgbouncer": stage.options.pgbouncer,
        "replicas": stage.options.replicas,
        "limit": f"a bucket of {stage.options.bucket:,}, {stage.options.calls_a_minute:,} calls a minute",
        "outbox.settle": SETTLE,
    }


def markdown(report: Report) -> str:
    """What was done, what came of it, how soon each blow was over, and how the run was made."""
    pushes, done, faults = report.omisell["pushes"], report.done, report.omisell["faults"]
    minutes = report.options.seconds / 60
    summary: list[tuple[str, object]] = [
        ("minutes of faults", f"{minutes:g}"),
        ("orders", report.judgement.orders.placed),
        ("cancels", report.cancelled),
        ("SIGKILLs of a daemon", done.get("SIGKILL", 0)),
        ("database restarts (orderly, immediate, SIGKILL)", done.get("database restarts", 0)),
        ("fail-overs to the standby", done.get("fail-overs", 0)),
        ("backends killed", done.get("backends killed", 0)),
        *((words, done.get(kind, 0)) for kind, words in ROUGH.items()),
        *(
            (f"times that duplicates were answered by `{mode}`", done.get(f"duplicates: {mode}", 0))
            for mode in DUPLICATES
        ),
        (BY_ITSELF, done.get(BY_ITSELF, 0)),
        ("faults of Omisell's", sum(faults.values())),
        ("pushes sent", pushes.get("sent", 0)),
        ("pushes dropped or given up", pushes.get("dropped", 0) + pushes.get("given_up", 0)),
        *((f"**{fault.value}**", f"**{report.judgement.count(fault)}**") for fault in Fault),
    ]
    struck = [(f"`{kind}`", number) for kind, number in sorted(faults.items()) if number]
    over = [
        (kind, each["measured"], f"{each['median']} s", f"{each['longest']} s", late(report, kind))
        for kind, each in report.recovered().items()
    ]
    parts = [
        table(("what", "how many"), summary),
        f"Everything {'recovered in time' if not report.late else 'did not recover in time'}; the bound is 20 s.",
        table(("what was struck", "measured", "over after (median)", "longest", "later than 20 s"), over),
        "Omisell's faults, each as often as it struck:",
        table(("fault", "times"), struck),
        "; ".join(f"{name} {value}" for name, value in report.conditions.items()) + ".",
        f"Again: `{report.options.replay}`",
    ]
    return "\n\n".join(parts)


def late(report: Report, kind: str) -> int:
    """How many of a kind were over too late."""
    return sum(each.kind == kind for each in report.late)


def table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """A Markdown table; whole numbers with commas."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(_cell(cell) for cell in line)} |" for line in lines)


def _cell(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)
