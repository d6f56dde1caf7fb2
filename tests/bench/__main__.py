"""`python -m tests.bench budget`: measures, prints a table, and writes JSON, a table for the README and a plot.

`ingest`, `drain`, `latency`, `shop`, `size`, `footprint` and `scaling` measure speed, `all` these seven.
"""

import argparse
import asyncio
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from tests.bench.budget import LOADS, Load, Outcome, measure
from tests.bench.cancels import Cancels, measure_cancels
from tests.bench.capacity import capacity_markdown
from tests.bench.report import budget_table, cancels_line, conditions, plot
from tests.bench.rig import Flow, Limit
from tests.bench.speed import ROUNDS, SPEEDS, Asked, run

ORDERS: dict[Load, int] = {"steady": 4000, "burst": 6000, "recovery": 2000}
"""At 6,000 calls a minute; in proportion at another limit, so that a run lasts as long."""
SHORT_ORDERS: dict[Load, int] = {"steady": 60, "burst": 60, "recovery": 40}
SEED = 20261124


def main() -> int:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument(
        "what",
        choices=["budget", "true-limit", "capacity", *SPEEDS, "all"],
        help="true-limit: ten minutes at 100 calls a minute; all: the speeds",
    )
    parser.add_argument("--short", action="store_true", help="a smoke test of the measurement itself")
    parser.add_argument("--limit", type=float, default=6000, help="calls a minute at the simulator")
    parser.add_argument("--load", choices=LOADS, action="append", help="only this load; may be repeated")
    parser.add_argument("--replicas", type=int, default=1, help="daemons on one database")
    parser.add_argument("--stranger", type=float, default=0.0, help="share of the leak that another program spends")
    parser.add_argument("--flow", choices=["guide", "omisync"], action="append", help="only this connector")
    parser.add_argument("--out", type=Path, help="a folder for the JSON, the table and the plot")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="of the speeds; at least five for the README")
    parser.add_argument("--rows", type=int, help="of drain and scaling, of the tables of size; orders of footprint")
    parser.add_argument("--in-flight", type=int, action="append", default=[], help="drain: so many calls at once")
    parser.add_argument("--delay", type=float, action="append", default=[], help="drain: so many seconds a call")
    parser.add_argument("--keep", type=Path, help="size: a data folder to fill once and to use again")
    given = parser.parse_args()
    if given.what in {*SPEEDS, "all"}:
        asked = Asked(
            given.short, given.rounds, given.rows, given.keep, given.out, tuple(given.in_flight), tuple(given.delay)
        )
        run(given.what, asked)
        return 0
    if given.what == "true-limit":
        return _true_limit(given)
    if given.what == "capacity":
        print(capacity_markdown())
        return 0
    sizes = SHORT_ORDERS if given.short else {load: round(n * given.limit / 6000) for load, n in ORDERS.items()}
    limit = Limit(given.limit)
    outcomes: list[Outcome] = []
    flows: Sequence[Flow] = given.flow or ("guide", "omisync")
    for load in given.load or LOADS:
        for flow in flows:
            print(f"{load}: {flow}, {sizes[load]} orders at {given.limit:g} calls a minute", flush=True)
            run_of = measure(
                flow, load, limit, sizes[load], seed=SEED, replicas=given.replicas, stranger=given.stranger
            )
            outcomes.append(asyncio.run(run_of))
            print(budget_table(outcomes[-1:]), flush=True)
    table = budget_table(outcomes)
    print(table)
    _write(given.out, "budget", [asdict(each) for each in outcomes], table, limit)
    if given.out is not None:
        plot(outcomes, given.out / "budget.png")
    return 0


def _true_limit(given: argparse.Namespace) -> int:
    limit = Limit(100)
    found: Cancels = asyncio.run(measure_cancels(limit, backlog=50 if given.short else 5000, short=given.short))
    line = cancels_line(found)
    print(line)
    _write(given.out, "true-limit", asdict(found), line, limit)
    return 0


def _write(out: Path | None, name: str, figures: object, table: str, limit: Limit) -> None:
    if out is None:
        return
    out.mkdir(parents=True, exist_ok=True)
    whole = {"conditions": conditions(limit), "figures": figures}
    (out / f"{name}.json").write_text(json.dumps(whole, indent=1, default=str) + "\n")
    (out / f"{name}.md").write_text(table + "\n")


if __name__ == "__main__":
    sys.exit(main())
