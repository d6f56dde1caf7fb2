"""Figures of a comparison: rounds that alternate, medians with their spread, tables, JSON and plots of them."""

import json
import os
import platform
import statistics
import subprocess
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from omisync.demo.postgres import EmbeddedPostgres

PACKAGES = (
    "omisync",
    "aiohttp",
    "asyncpg",
    "pydantic",
    "structlog",
    "uvloop",
    "pgqueuer",
    "procrastinate",
    "psycopg",
    "psycopg-binary",
)
SERVER_SETTINGS = (
    "server_version",
    "fsync",
    "synchronous_commit",
    "full_page_writes",
    "shared_buffers",
    "max_wal_size",
    "autovacuum",
)


@dataclass(frozen=True, slots=True)
class Series:
    """One quantity over all rounds."""

    values: tuple[float, ...]

    @property
    def median(self) -> float:
        """The middle one."""
        return statistics.median(self.values) if self.values else float("nan")

    def __str__(self) -> str:
        """The median, and least to most."""
        if len(self.values) < 2:
            return number(self.median)
        return f"{number(self.median)} ({number(min(self.values))} to {number(max(self.values))})"


@dataclass(frozen=True, slots=True)
class Finding:
    """What one measurement found.

    Attributes:
        name: of its files.
        title: over its table.
        head: of the table.
        lines: of the table.
        rounds: every figure of every round, for the JSON.
        goals: what the issue asks for, and what it came to.
        notes: under the table.
        bars: for the plot: by panel, by contender, its series.
        unit: of the plot.
    """

    name: str
    title: str
    head: Sequence[str]
    lines: Sequence[Sequence[str]]
    rounds: object
    settings: Mapping[str, object] = field(default_factory=dict)
    goals: Sequence[str] = ()
    notes: Sequence[str] = ()
    bars: Mapping[str, Mapping[str, Series]] = field(default_factory=dict)
    unit: str = ""


async def alternate(
    rounds: int, names: Sequence[str], measure: Callable[[str, int], Awaitable[Mapping[str, float]]]
) -> dict[str, dict[str, Series]]:
    """Measure each contender once a round, in an order that turns from round to round; series by name and quantity."""
    found: dict[str, dict[str, list[float]]] = {name: {} for name in names}
    for this in range(rounds):
        turn = this % len(names)
        for name in (*names[turn:], *names[:turn]):
            figures = await measure(name, this)
            told = ", ".join(f"{what} {number(value)}" for what, value in figures.items())
            print(f"  round {this + 1}/{rounds}: {name}: {told}", flush=True)
            for what, value in figures.items():
                found[name].setdefault(what, []).append(value)
    return {name: {what: Series(tuple(each)) for what, each in of.items()} for name, of in found.items()}


def number(value: float) -> str:
    """Three digits that count, thousands apart."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def verdict(what: str, value: float, least: float | None = None, most: float | None = None) -> str:
    """One goal and whether it was reached; nothing is asserted."""
    asked = f"at least {number(least)}" if least is not None else f"at most {number(most or 0)}"
    good = (least is None or value >= least) and (most is None or value <= most)
    return f"{what}: {number(value)} (asked: {asked}) {'reached' if good else 'MISSED'}"


def table(finding: Finding) -> str:
    """A Markdown table with its title, goals and notes."""
    rows = [finding.head, ["---"] * len(finding.head), *finding.lines]
    text = [f"### {finding.title}", "", *("| " + " | ".join(map(str, row)) + " |" for row in rows)]
    for lines in (finding.goals, finding.notes):
        if lines:
            text += ["", *(f"- {' '.join(line.split())}" for line in lines)]
    return "\n".join(text)


def machine() -> dict[str, object]:
    """Where and with what it was measured."""
    found: dict[str, object] = {
        "cores": os.cpu_count(),
        "processor": _processor(),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "load at the start": os.getloadavg()[0],
    }
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


def program_version(*command: str) -> str:
    """The first line of what a program says of itself."""
    try:
        run = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)  # noqa: S603 - ours
    except OSError:
        return "not installed"
    return ((run.stdout or run.stderr).splitlines() or ["?"])[0]


async def server(connection: Any) -> dict[str, object]:
    """The settings of Postgres that matter here."""
    return {name: await connection.fetchval(f"SHOW {name}") for name in SERVER_SETTINGS}


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or "unknown"


def publish(finding: Finding, out: Path | None) -> None:
    """Print the table; write table, JSON and plot into `out`."""
    text = table(finding)
    print(text, flush=True)
    if out is None:
        return
    out.mkdir(parents=True, exist_ok=True)
    whole = {
        "title": finding.title,
        "machine": machine(),
        "settings": finding.settings,
        "goals": finding.goals,
        "notes": finding.notes,
        "figures": finding.rounds,
    }
    (out / f"{finding.name}.json").write_text(json.dumps(whole, indent=1, default=_plain) + "\n")
    (out / f"{finding.name}.md").write_text(text + "\n")
    if finding.bars:
        try:
            _plot(finding, out / f"{finding.name}.svg")
        except ModuleNotFoundError as error:
            print(f"no plot: {error}; install the extra `bench`", file=sys.stderr)


def _plain(value: object) -> object:
    return {"median": value.median, "values": value.values} if isinstance(value, Series) else str(value)


def _plot(finding: Finding, path: Path) -> None:
    import matplotlib as mpl  # noqa: PLC0415 - only where a plot is wanted

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "omisync"
    from matplotlib import pyplot as plt  # noqa: PLC0415 - after the choice of what draws

    figure, panels = plt.subplots(1, len(finding.bars), figsize=(3.4 * len(finding.bars), 3.2), squeeze=False)
    for panel, (title, contenders) in zip(panels[0], finding.bars.items(), strict=True):
        names = list(contenders)
        middles = [contenders[name].median for name in names]
        low = [m - min(contenders[n].values) for n, m in zip(names, middles, strict=True)]
        high = [max(contenders[n].values) - m for n, m in zip(names, middles, strict=True)]
        colours = ["#0b6e4f" if name.startswith("omisync") else "#b9b09f" for name in names]
        panel.barh(names, middles, xerr=[low, high], color=colours, ecolor="#444444", capsize=2)
        panel.invert_yaxis()
        panel.set_title(title, fontsize=9)
        panel.set_xlabel(finding.unit)
    figure.suptitle(finding.title, fontsize=10)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


def durable() -> EmbeddedPostgres:
    """The server of every comparison: durable, its memory as a small production server's."""
    return EmbeddedPostgres(durable=True, settings={"shared_buffers": "512MB", "max_wal_size": "4GB"})
