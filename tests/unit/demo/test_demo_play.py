"""Looking, striking and coming to rest, on a stage of cardboard."""

import asyncio
import io
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import aiohttp
import pytest
from aiohttp import web
from rich.console import Console

from omisync.demo import play
from omisync.demo.errors import DemoError
from omisync.demo.live import AtOmisell, Gauges, Screen, Snapshot
from omisync.demo.play import Looks, settle, trouble
from omisync.demo.proof import Applied
from omisync.demo.shop import Counts
from omisync.demo.stage import Stage
from omisync.demo.trade import Trade
from omisync.demo.trouble import Blow, Kind

ROW = {
    "order_number": "WEB-1",
    "placed": True,
    "cancelled": False,
    "read_status_id": 900,
    "add_state": "done",
    "add_outcome": "added",
    "add_error": None,
    "cancel_state": None,
    "cancel_outcome": None,
    "cancel_error": None,
    "omisell_order_number": "ODVN1",
    "status_id": 900,
    "updated_time": 1790000000,
    "tracking_numbers": ["TRK1"],
}
KINDS: tuple[Kind, ...] = ("kill", "restart", "crash")
APPLIED = Applied("WEB-1", "ODVN1", 900, 1790000000, frozenset({"TRK1"}))


@dataclass
class Cardboard:
    """Plays every part; notes what was done to it."""

    admin_url: str = "http://127.0.0.1:1"
    rows: list[Sequence[Mapping[str, Any]] | Exception] = field(default_factory=lambda: [[ROW]])
    away: bool = False
    ended: bool = False
    to_cancel: Mapping[str, int] = field(default_factory=dict)
    done: list[str] = field(default_factory=list)
    session: aiohttp.ClientSession | None = None
    pid: int = 1

    @property
    def shop(self) -> "Cardboard":
        return self

    omisell = daemon = postgres = shop

    async def counts(self) -> Counts:
        if self.away:
            raise ConnectionRefusedError
        return Counts(placed=5)

    async def figures(self) -> AtOmisell:
        return AtOmisell(orders=4)

    async def applied(self, *, full: bool = True) -> Sequence[Applied]:
        return [APPLIED]

    async def ledgers(self) -> Sequence[Mapping[str, Any]]:
        rows = self.rows.pop(0) if len(self.rows) > 1 else self.rows[0]
        if isinstance(rows, Exception):
            raise rows
        return rows

    def check(self) -> None:
        if self.ended:
            raise DemoError("the daemon ended by itself")

    async def kill(self) -> None:
        self.done.append("kill")

    async def start(self) -> None:
        self.done.append("start")
        self.pid += 1

    def restart(self, mode: str = "fast") -> None:
        self.done.append(f"restart {mode}")


def stage(parts: Cardboard) -> Stage:
    return cast("Stage", parts)


def trade(parts: Cardboard) -> Trade:
    return cast("Trade", parts)


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(play, "LOOK_SECONDS", 0.0)
    monkeypatch.setattr(play, "DOWN_SECONDS", 0.0)


@pytest.fixture
async def parts() -> AsyncIterator[Cardboard]:
    async def metrics(_: web.Request) -> web.Response:
        return web.Response(text="# TYPE omisync_budget_used_ratio gauge\nomisync_budget_used_ratio 0.25\n")

    app = web.Application()
    app.router.add_get("/metrics", metrics)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    async with aiohttp.ClientSession() as session:
        yield Cardboard(admin_url=f"http://127.0.0.1:{runner.addresses[0][1]}", session=session)
    await runner.cleanup()


async def test_a_look_asks_shop_omisell_and_the_daemons_metrics(parts: Cardboard) -> None:
    seen = await Looks(stage(parts))(Snapshot())
    assert (seen.counts.placed, seen.omisell.orders, seen.gauges.budget) == (5, 4, 0.25)


async def test_what_cannot_be_learned_stays_and_a_dead_daemons_gauges_are_unknown(parts: Cardboard) -> None:
    parts.away = True
    parts.admin_url = "http://127.0.0.1:1"
    seen = await Looks(stage(parts))(Snapshot(counts=Counts(placed=3), gauges=Gauges(budget=0.5)))
    assert seen.counts.placed == 3
    assert seen.gauges == Gauges()


async def test_trouble_kills_the_daemon_and_restarts_postgres(
    parts: Cardboard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(play, "plan", lambda _: tuple(Blow(0.0, kind) for kind in KINDS))
    written = io.StringIO()
    await trouble(stage(parts), 1.0, Screen(Console(file=written, width=200), Looks(stage(parts)), goal=None))
    assert parts.done == ["kill", "start", "restart fast", "restart immediate"]
    assert "daemon 1 killed (SIGKILL), and started again as 2" in written.getvalue()
    assert "Postgres crashed, and recovered" in written.getvalue()


async def test_it_settles_once_all_is_final_equal_and_nothing_waits(parts: Cardboard) -> None:
    parts.rows = [
        [{**ROW, "status_id": 600}],
        ConnectionRefusedError(),
        [{**ROW, "cancel_state": "pending"}],
        [ROW],
        [{**ROW, "status_id": 600}],
        [ROW],
        [ROW],
        AssertionError("looked once too often"),
    ]
    verdict = await asyncio.wait_for(settle(stage(parts), trade(parts), 10.0), 5)
    assert verdict.holds
    assert len(parts.rows) == 1


async def test_when_the_time_is_over_the_verdict_is_what_it_is(parts: Cardboard) -> None:
    parts.rows = [[{**ROW, "status_id": 600}]]
    assert not (await settle(stage(parts), trade(parts), 0.0)).holds


async def test_a_daemon_that_ended_by_itself_ends_the_waiting(parts: Cardboard) -> None:
    parts.ended = True
    with pytest.raises(DemoError, match="ended by itself"):
        await settle(stage(parts), trade(parts), 10.0)
