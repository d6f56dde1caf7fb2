"""The merchant's database: pgbench's own load alone, with the outbox insert, with the daemon, with notify."""

import asyncio
import os
import re
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from omisync.store.sql import sql_folder
from tests.bench.figures import Finding, Series, alternate, program_version, verdict
from tests.bench.ground import Ground, ground, make_orders

ALONE: Final = "the shop alone"
BESIDE: Final = "the daemon beside it, at rest"
INSERT: Final = "an order in each transaction, no daemon"
POLLING: Final = "an order in each transaction, the daemon polling"
NOTIFY: Final = "an order in each transaction, the daemon with notify"
SOME: Final = "an order in one of twenty, no daemon"
SOME_POLLING: Final = "an order in one of twenty, the daemon polling"
SOME_NOTIFY: Final = "an order in one of twenty, the daemon with notify"
BASE: Final = {BESIDE: ALONE, POLLING: INSERT, NOTIFY: INSERT, SOME_POLLING: SOME, SOME_NOTIFY: SOME}
"""What each is held against to see what omisync, and not the shop's own insert, costs."""
NAMES: Final = (ALONE, BESIDE, INSERT, POLLING, NOTIFY, SOME, SOME_POLLING, SOME_NOTIFY)

CLIENTS: Final = 32
TPS: Final = "transactions a second"
ORDER: Final = "add-order.sql"

SCRIPT: Final = r"""\set aid random(1, 100000 * :scale)
\set bid random(1, 1 * :scale)
\set tid random(1, 10 * :scale)
\set delta random(-5000, 5000)
\set number random(1, 1000000000000000)
BEGIN;
UPDATE pgbench_accounts SET abalance = abalance + :delta WHERE aid = :aid;
SELECT abalance FROM pgbench_accounts WHERE aid = :aid;
UPDATE pgbench_tellers SET tbalance = tbalance + :delta WHERE tid = :tid;
UPDATE pgbench_branches SET bbalance = bbalance + :delta WHERE bid = :bid;
INSERT INTO pgbench_history (tid, bid, aid, delta, mtime) VALUES (:tid, :bid, :aid, :delta, CURRENT_TIMESTAMP);
SELECT omisync.add_order(jsonb_set(payload, '{order_number}', to_jsonb('P-' || :number))) FROM bench.orders;
END;
"""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is measured: seconds a round, and pgbench's scale (100,000 accounts each)."""

    rounds: int
    seconds: int
    scale: int


async def measure(plan: Plan) -> Finding | None:
    """All loads in turn; None where pgbench is missing."""
    async with ground() as this, this.stub(limit=100):
        pgbench = _pgbench(this)
        if pgbench is None:
            print("shop: pgbench is not installed (Debian: postgresql-contrib): left out", file=sys.stderr)
            return None
        dsn = await this.database("bench_shop")
        (this.folder / ORDER).write_text(SCRIPT)
        await _run(pgbench, dsn, "-i", "-q", f"-s{plan.scale}")
        async with this.connected(dsn) as connection:
            await make_orders(connection, 1)

            async def one(name: str, _: int) -> Mapping[str, float]:
                return {TPS: await _round(this, connection, pgbench, dsn, name, plan)}

            print(f"shop: {CLIENTS} clients, {plan.seconds} s a round")
            found = await alternate(plan.rounds, NAMES, one)
        settings = {**await this.settings(), "pgbench": program_version(pgbench, "--version")}
        return _finding(found, plan, settings)


async def _round(this: Ground, connection: Any, pgbench: str, dsn: str, name: str, plan: Plan) -> float:
    await connection.execute("TRUNCATE omisync.outbox, omisync.orders, omisync.order_events, pgbench_history CASCADE")
    notify = name in {NOTIFY, SOME_NOTIFY}
    trigger = "notify_on.sql" if notify else "notify_off.sql"
    await connection.execute((sql_folder() / "optional" / trigger).read_text())
    await connection.execute("VACUUM ANALYZE")
    await connection.execute("CHECKPOINT")
    daemon = None
    if name not in {ALONE, INSERT, SOME}:
        daemon = await this.daemon(this.configure(dsn, outbox={"notify": notify}))
    try:
        order = ("-f", os.fspath(this.folder / ORDER))
        match name:
            case _ if name in {ALONE, BESIDE}:
                load: tuple[str, ...] = ("-b", "tpcb-like")
            case _ if name in {SOME, SOME_POLLING, SOME_NOTIFY}:
                load = ("-b", "tpcb-like@19", "-f", f"{order[1]}@1")
            case _:
                load = order
        arguments = ("-n", "-M", "prepared", f"-c{CLIENTS}", "-j2", f"-T{plan.seconds}", "-D", f"scale={plan.scale}")
        said = await _run(pgbench, dsn, *arguments, *load)
    finally:
        if daemon is not None:
            daemon.check()
            await daemon.stop()
    found = re.search(r"tps = ([0-9.]+)", said)
    if found is None:
        raise RuntimeError(f"not one transaction in {plan.seconds} s; pgbench said: {said}")
    return float(found[1])


async def _run(pgbench: str, dsn: str, *arguments: str) -> str:
    process = await asyncio.create_subprocess_exec(
        pgbench, *arguments, dsn, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    output, _ = await process.communicate()
    if process.returncode:
        raise RuntimeError(f"pgbench failed: {output.decode()}")
    return output.decode()


def _pgbench(this: Ground) -> str | None:
    shipped = Path(this.postgres._binaries) / "pgbench"
    return str(shipped) if shipped.exists() else shutil.which("pgbench")


def _finding(found: Mapping[str, Mapping[str, Series]], plan: Plan, settings: Mapping[str, object]) -> Finding:
    rates = {name: series[TPS] for name, series in found.items()}
    lines = []
    for name, series in rates.items():
        base = BASE.get(name)
        beside = "" if base is None else f"{series.median / rates[base].median:.3f}"
        lines.append([name, str(series), f"{series.median / rates[ALONE].median:.3f}", beside])
    return Finding(
        name="shop",
        title=f"The shop's own throughput beside omisync ({CLIENTS} pgbench clients)",
        head=["", TPS, "of the shop alone", "of the same without omisync"],
        lines=lines,
        rounds=found,
        settings={**settings, "rounds": plan.rounds, "seconds": plan.seconds, "scale": plan.scale},
        goals=[
            verdict(f"{name}, of the same without", rates[name].median / rates[BASE[name]].median, 0.97)
            for name in (BESIDE, POLLING, SOME_POLLING)
        ],
        notes=[
            "the load is pgbench's tpcb-like; the order is one call of add_order with 2 KB in the same transaction",
            "the daemon sends within Omisell's default limit of 100 calls a minute, so that the outbox grows meanwhile",
        ],
        bars={TPS: rates},
        unit=TPS,
    )
