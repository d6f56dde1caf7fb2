"""`omisync status` on a real database: once, again and again, as JSON, and while the database is away."""

import datetime as dt
import io
import json
import math
import re
from typing import Any

import pytest
from rich.console import Console

from omisync.cli import output
from omisync.cli.status_view import as_json, render
from omisync.config import OmisellSettings
from omisync.omisell.forecast import Clearing, Forecast
from omisync.omisell.shares import CallClass
from omisync.store import Database, Leases, StoreUnavailable
from omisync.store.history import Table
from omisync.store.imports import Import, Imports
from omisync.store.operator import Finding, Operator, Pause, Replica, Status, SweepRun
from omisync.sync.outlook import outlook

ACCOUNT = OmisellSettings.model_validate(
    {"api_key": "k", "api_secret": "s", "seller_id": "77", "country": "VN", "shop_id": 1, "leak_per_minute": 100}
)
NOW = dt.datetime(2026, 7, 1, 12, 0, tzinfo=dt.UTC)


def ago(seconds: float) -> dt.datetime:
    return NOW - dt.timedelta(seconds=seconds)


def status(**changes: Any) -> Status:
    """A quiet house, with changes."""
    quiet: dict[str, Any] = {
        "outbox": {"pending": 0, "sending": 0, "failed": 0},
        "oldest_pending_seconds": None,
        "failed": 0,
        "refresh_pending": 0,
        "refresh_lag_seconds": None,
        "inbox": {"new": 0, "waiting": 0},
        "token_expires_seconds": 7200.0,
        "budget_used_ratio": 0.25,
        "pauses": [],
        "leader": "shop-1",
        "replicas": [Replica("shop-1", "1.0", ago(3600), ago(1), leads=True, state={})],
        "sweeps": [SweepRun("incremental", ago(120), ago(118), 40, 0, None)],
        "webhook_forms": {"token": 12},
        "hooks_waiting": 0,
        "findings": [],
        "schema_version": "0006_bucket",
    }
    return Status(**{**quiet, **changes})


def lines(seen: Status) -> list[str]:
    """What people see, each line with single blanks."""
    screen = Console(file=io.StringIO(), width=200, color_system=None)
    screen.print(render(seen, outlook(seen, ACCOUNT), NOW))
    assert isinstance(screen.file, io.StringIO)
    return [" ".join(line.split()) for line in screen.file.getvalue().splitlines() if line.strip()]


def test_a_quiet_house() -> None:
    shown = lines(status())
    assert "outbox 0 pending, 0 sending, 0 failed" in shown
    assert "fetches 0 waiting" in shown
    assert "pushes 0 new, 0 waiting; authorized by token (12)" in shown
    assert "token ends in 2h" in shown
    assert "budget 25% used" in shown
    assert "replicas shop-1 1.0, up 1h, leads" in shown
    assert "schema 0006_bucket" in shown
    assert "incremental 2m ago 2s 40 0" in shown
    assert not [line for line in shown if line.startswith(("PAUSED", "hook", "needs"))]


def test_an_unfinished_import_is_named_with_the_command_that_goes_on_with_it() -> None:
    broken_off = Import(
        id=1, since_seconds=7_776_000, window_from=0, page_size=100, next_page=1, pass_number=2, quiet=True, pages=40,
        counted=3900, unread=0, seen=3912, known=700, fetched=500, others=3, lost=1, started_at=ago(7200),
        listed_at=ago(7000), finished_at=None,
    )  # fmt: skip
    shown = lines(status(unfinished_import=broken_off))
    assert (
        "import not finished: 1,204 of 3,912 orders, begun 2h ago"
        " (if it does not run: omisync import --since 90d goes on with it)"
    ) in shown


def test_all_that_needs_attention() -> None:
    shown = lines(
        status(
            outbox={"pending": 1200, "sending": 16, "failed": 3},
            failed=3,
            oldest_pending_seconds=4000.0,
            refresh_pending=7,
            refresh_lag_seconds=400.0,
            pauses=[
                Pause("order.add", "stock-taking", "an@shop", ago(60)),
                Pause("order.cancel", None, "an@shop", ago(60)),
            ],
            hooks_waiting=2,
            token_expires_seconds=-61.0,
            budget_used_ratio=0.97,
            leader=None,
            replicas=[
                Replica("shop-1", "1.0", ago(90), ago(1), leads=False, state={"away": "HTTP 503"}),
                Replica("shop-2", "1.0", ago(30), ago(1), leads=False, state={}),
            ],
            sweeps=[
                SweepRun("full", ago(5), None, 0, 0, None),
                SweepRun("manual", ago(90), ago(80), 5, 1, "silent"),
            ],
            findings=[Finding("duplicate", "WEB-1", "ODVN2", {"first": "ODVN1"}, ago(3600))] * 12,
        )
    )
    assert shown[0] == "PAUSED order.add since 1m ago by an@shop: stock-taking"
    assert shown[1] == "PAUSED order.cancel since 1m ago by an@shop"
    assert "outbox 1200 pending, 16 sending, 3 failed, oldest waits 1h 6m (omisync outbox list --state failed)" in shown
    assert "fetches 7 waiting, oldest 6m 40s" in shown
    assert "hook 2 calls failed and wait to be tried again" in shown
    assert "token expired 1m 1s ago" in shown
    assert "budget 97% used" in shown
    assert "replicas shop-1 1.0, up 1m 30s, Omisell is away: HTTP 503" in shown
    assert "nobody leads at this moment" in shown
    assert "full 5s ago runs 0 0" in shown
    assert "manual 1m 30s ago 10s 5 1 silent" in shown
    assert shown.count("duplicate WEB-1 ODVN2 first ODVN1 1h ago") == 10
    assert shown[-1] == "and 2 more (--json shows them)"


def test_what_the_tables_take_the_largest_ones_only() -> None:
    tables = [
        Table("outbox", 3 * 1024**3, 2_345_678, 1_500_000, ago(7200), ago(600)),
        Table("inbox", 24 * 1024, 12, 20_000, ago(60), None),
        *(Table(f"small_{place}", 512, 0, 0) for place in range(5)),
    ]
    shown = lines(status(tables=tables))
    begin = shown.index("table on disk rows, about dead vacuumed")
    assert shown[begin + 2 :] == [
        "outbox 3.0 GiB 2,345,678 1,500,000 10m ago",
        "inbox 24.0 KiB 12 20,000 1m ago",
        *(f"small_{place} 512 B 0 0 never" for place in range(4)),
    ]
    assert len(json.loads(output.to_json(as_json(status(tables=tables), outlook(status(), ACCOUNT))))["tables"]) == 7


def test_dead_rows_that_autovacuum_does_not_keep_up_with_stand_out() -> None:
    screen = Console(file=io.StringIO(), width=200, color_system="standard", force_terminal=True)
    tables = [Table("outbox", 8192, 100, 20_001), Table("inbox", 8192, 100_000, 40_000)]
    screen.print(render(status(tables=tables), outlook(status(), ACCOUNT), NOW))
    assert isinstance(screen.file, io.StringIO)
    drawn = screen.file.getvalue()
    assert "\x1b[33m20,001\x1b[0m" in drawn
    assert "\x1b[33m40,000" not in drawn


def test_nothing_runs_yet() -> None:
    shown = lines(
        status(
            replicas=[],
            leader=None,
            sweeps=[],
            webhook_forms={},
            token_expires_seconds=None,
            budget_used_ratio=None,
            findings=[Finding("duplicate", "WEB-1", "ODVN2", {}, ago(60))],
        )
    )
    assert "pushes 0 new, 0 waiting; authorized by none yet" in shown
    assert "token none yet" in shown
    assert "budget unknown: no daemon tells" in shown
    assert "replicas none: the daemon is not running (omisync run)" in shown
    assert "no sweep yet" in shown
    assert shown[-1] == "duplicate WEB-1 ODVN2 1m ago"


def test_what_the_backlog_will_take() -> None:
    backlog = {"order.cancel": 20, "order.add": 1000, "refresh": 200, "owed": 20}
    shown = lines(status(backlog=backlog, budget_used_ratio=None))
    assert "backlog 1,240 calls, clear in 13 min" in shown
    assert "cancels: 20 calls, clear in 16 s" in shown
    assert [line.partition(",")[0] for line in shown if line.startswith("fetches")] == [
        "fetches 0 waiting",
        "fetches: 200 calls",
        "fetches that can wait: 20 calls",
    ]


def test_a_quiet_house_has_nothing_to_do() -> None:
    assert "backlog nothing to do" in lines(status())


def test_what_is_paused_is_no_backlog() -> None:
    backlog = {"order.cancel": 0, "order.add": 1000, "refresh": 10, "owed": 0}
    pauses = [Pause("order.add", None, "an@shop", ago(60))]
    shown = lines(status(backlog=backlog, budget_used_ratio=None, pauses=pauses))
    assert "backlog 10 calls, clear in 6 s" in shown
    assert not [line for line in shown if line.startswith("adds")]


def test_room_in_the_bucket_is_used_at_once() -> None:
    shown = lines(status(backlog={"order.add": 60}, budget_used_ratio=0.25))
    assert "backlog 60 calls, clear in 1 s" in shown


def test_a_backlog_that_never_clears_is_null_as_json() -> None:
    never = Clearing(5, math.inf)
    shown = as_json(status(), Forecast(never, {CallClass.ADD: never, CallClass.TOKEN: Clearing(0, 0)}))
    assert shown["forecast"] == {
        "calls": 5,
        "seconds": None,
        "says": "5 calls, never clear",
        "classes": {"add": {"calls": 5, "seconds": None}},
    }


async def test_status_of_a_fresh_database(cli: Any) -> None:
    ran = await cli("status")
    assert (ran.code, ran.err) == (0, "")
    assert "outbox 0 pending, 0 sending, 0 failed" in ran.lines
    assert "replicas none: the daemon is not running (omisync run)" in ran.lines


async def test_status_as_json(cli: Any, dsn: str, sql: Any) -> None:
    payload = {"order_number": "WEB-1", "items": [{"sku": "TEE-M"}]}
    await sql.execute("SELECT omisync.add_order($1)", json.dumps(payload))
    database = Database(dsn)
    leases = Leases(database, "1.0")
    await leases.lead()
    await leases.beat({"budget_used_ratio": 0.5, "away": None})
    await database.close()
    shown = (await cli("status", "--json")).json
    assert shown["outbox"] == {"pending": 1, "sending": 0, "failed": 0}
    assert shown["budget_used_ratio"] == 0.5
    assert shown["backlog"] == {"order.cancel": 0, "order.add": 1, "refresh": 0, "owed": 0}
    assert shown["forecast"]["calls"] == 1
    assert shown["forecast"]["classes"]["add"]["calls"] == 1
    assert shown["forecast"]["says"].startswith("1 call, clear in ")
    assert shown["leader"] == shown["replicas"][0]["name"]
    assert shown["replicas"][0]["state"]["away"] is None


def ends_after(monkeypatch: pytest.MonkeyPatch, looks: int, *, away: int | None = None) -> None:
    """Ctrl-C at the look after so many; at look number `away` the database does not answer."""
    look = Operator.status
    count = 0

    async def counted(operator: Operator, *, space: bool = False) -> Status:
        nonlocal count
        count += 1
        if count > looks:
            raise KeyboardInterrupt
        if count == away:
            raise StoreUnavailable("the database cannot be used now: connection refused")
        return await look(operator, space=space)

    monkeypatch.setattr(Operator, "status", counted)


async def test_watching_into_a_file_repeats_itself(cli: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    ends_after(monkeypatch, 3)
    ran = await cli("status", "--watch", "--interval", "0.1")
    assert ran.code == 130
    assert ran.err == ""
    assert ran.lines.count("outbox 0 pending, 0 sending, 0 failed") == 3
    assert ran.lines.count("table on disk rows, about dead vacuumed") == 3


async def test_watching_as_json_is_a_line_a_look(cli: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    ends_after(monkeypatch, 3)
    ran = await cli("status", "--watch", "--interval", "0.1", "--json")
    assert ran.code == 130
    assert [json.loads(line)["failed"] for line in ran.out.splitlines()] == [0, 0, 0]


async def test_watching_on_a_terminal_survives_an_outage(cli: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Console(file=io.StringIO(), force_terminal=True, width=100, color_system=None)
    monkeypatch.setattr(output, "console", lambda: screen)
    ends_after(monkeypatch, 3, away=2)
    ran = await cli("status", "--watch", "--interval", "0.1")
    assert ran.code == 130
    assert isinstance(screen.file, io.StringIO)
    shown = screen.file.getvalue()
    assert "the database cannot be used now: connection refused" in shown
    assert "looking again every 0.1 s" in shown
    assert len(re.findall("0 pending, 0 sending", shown)) >= 2


async def test_watching_into_a_file_survives_an_outage(cli: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    ends_after(monkeypatch, 3, away=2)
    ran = await cli("status", "--watch", "--interval", "0.1")
    assert ran.code == 130
    assert "the database cannot be used now: connection refused" in ran.out
    assert ran.lines.count("outbox 0 pending, 0 sending, 0 failed") == 2


async def test_watching_as_json_survives_an_outage(cli: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    ends_after(monkeypatch, 3, away=2)
    ran = await cli("status", "--watch", "--interval", "0.1", "--json")
    assert ran.code == 130
    looks = [json.loads(line) for line in ran.out.splitlines()]
    assert looks[1] == {"error": "the database cannot be used now: connection refused"}
    assert [look.get("failed") for look in looks] == [0, None, 0]


async def test_the_first_look_must_succeed(cli: Any, nobody_there: str) -> None:
    cli.change({"database": {"dsn": nobody_there}})
    ran = await cli("status", "--watch", "--json")
    assert ran.code == 3
    assert ran.err.startswith("omisync: the database cannot be used now: ")


async def test_an_import_that_was_broken_off_shows_until_it_is_finished(cli: Any, dsn: str) -> None:
    database = Database(dsn)
    imports = Imports(database)
    entry = await imports.open(43_200, 0, 100)
    ran = await cli("status")
    assert "import not finished: 0 of 0 orders" in " ".join(ran.out.split())
    assert "omisync import --since 12h" in ran.out
    ran = await cli("status", "--json")
    assert ran.json["unfinished_import"]["since_seconds"] == 43_200
    await imports.finish(entry)
    ran = await cli("status", "--json")
    assert ran.json["unfinished_import"] is None
    await database.close()
