"""`omisync import` on a real database and the simulator; killed processes are in tests/system."""

import dataclasses
from typing import Any

import pytest
from rich.console import Console

from omisync.simulator import BucketConfig, ListConfig, SimulatorConfig
from omisync.store.imports import Imports
from omisync.sync import importer


@pytest.fixture
def old(simulator: Any, cli: Any) -> Any:
    """The simulator with seven orders from before our time, listing every change at once."""
    simulator.configure(
        SimulatorConfig(lists=ListConfig(lag=(0, 0)), bucket=BucketConfig(size=500, leak_per_minute=30_000))
    )
    cli.change({"omisell": {"bucket_size": 500, "leak_per_minute": 30_000, "page_size": 3}})
    for place in range(7):
        simulator.create({"order_number": f"OLD-{place}"}, status_id=600)
    return simulator


async def test_a_dry_run_says_how_many_orders_and_calls_and_how_long(cli: Any, old: Any, sql: Any) -> None:
    cli.change({"omisell": {"leak_per_minute": 60}})
    ran = await cli("import", "--since", "90d", "--dry-run", "--share", "0.5")
    assert (ran.code, ran.err) == (0, "")
    assert ran.lines == [
        "7 orders at Omisell",
        "3 calls for the list and at most 7 for details",
        "about 20s at 30 calls a minute; nothing was changed",
    ]
    assert old.ledger.calls["order.list"] == 1
    assert await sql.fetchval("SELECT count(*) FROM omisync.imports") == 0
    found = (await cli("import", "--dry-run", "--json")).json
    assert (found["orders"], found["pages"], found["details"], found["calls"], found["unfinished"]) == (
        7,
        3,
        7,
        10,
        None,
    )


async def test_every_order_comes_with_its_detail_event_and_parcels(cli: Any, old: Any, sql: Any) -> None:
    ran = await cli("import", "--since", "90d")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out == "7 orders at Omisell: 7 fetched\n"
    assert await sql.fetchval("SELECT count(*) FROM omisync.orders WHERE status_id = 600 AND detail IS NOT NULL") == 7
    assert await sql.fetchval("SELECT count(*) FROM omisync.order_events WHERE kind = 'adopted'") == 7
    assert await sql.fetchval("SELECT count(DISTINCT order_number) FROM omisync.parcels") == 7
    calls = old.ledger.calls
    assert (calls["order.list"], calls["order.detail"]) == (3, 7)
    again = await cli("import", "--since", "90d", "--json")
    assert (again.json["known"], again.json["fetched"], again.json["pages"]) == (7, 0, 3)
    assert old.ledger.calls["order.detail"] == 7


async def test_the_shops_function_hears_of_each_order(cli: Any, old: Any, sql: Any) -> None:
    await sql.execute("CREATE SCHEMA shop; CREATE TABLE shop.heard (number text)")
    await sql.execute(
        "CREATE FUNCTION shop.on_change(e jsonb) RETURNS void LANGUAGE sql AS"
        " $$INSERT INTO shop.heard VALUES (e ->> 'order_number')$$"
    )
    cli.change({"hooks": {"on_change": "shop.on_change"}})
    assert (await cli("import")).code == 0
    assert await sql.fetchval("SELECT count(DISTINCT number) FROM shop.heard") == 7


async def test_an_order_that_is_not_to_be_had_is_named_and_the_exit_code_is_1(
    cli: Any, old: Any, sql: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("omisync.sync.refresher.UNKNOWN_ORDER", 1)
    lost = old.orders.named("OLD-3")[0].omisell_order_number
    await sql.execute(
        "CREATE FUNCTION lose() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.omisell_order_number :="
        " NEW.omisell_order_number || 'X'; RETURN NEW; END $$"
    )
    await sql.execute(
        "CREATE TRIGGER lose BEFORE INSERT ON omisync.import_orders FOR EACH ROW"
        " WHEN (NEW.order_number = 'OLD-3') EXECUTE FUNCTION lose()"
    )
    ran = await cli("import")
    assert ran.code == 1
    assert ran.lines == ["7 orders at Omisell: 6 fetched, 1 not to be had", f"OLD-3, at Omisell {lost}X"]
    assert "1 order of the list could not be had: look them up in Omisell, and import again" in ran.err


async def test_a_list_that_moves_is_read_until_all_that_it_counts_was_seen(
    cli: Any, old: Any, sql: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    old.configure(dataclasses.replace(old.config, lists=ListConfig(lag=(0, 0), sort="updated_time")))
    take = Imports.take_page
    moved: list[str] = []

    async def and_move(self: Any, entry: Any, orders: Any, **rest: Any) -> Any:
        if not moved:  # the first of the first page goes to the end: the second page begins one too far
            moved.append(old.advance(orders[0].order_number, 650) and orders[0].order_number)
        return await take(self, entry, orders, **rest)

    monkeypatch.setattr(Imports, "take_page", and_move)
    ran = await cli("import", "--json")
    assert moved
    assert (ran.json["seen"], ran.json["fetched"]) == (7, 7)
    assert ran.json["pages"] > 3
    assert await sql.fetchval("SELECT count(*) FROM omisync.orders") == 7


async def test_omisell_away_is_3_and_what_was_done_is_gone_on_with(
    cli: Any, old: Any, sql: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importer, "PATIENCE", 0.0)
    old.faults.set("error_before", times=1, endpoints=["order.list"])
    ran = await cli("import")
    assert (ran.code, ran.out) == (3, "")
    assert "order.list" in ran.err
    ahead = await cli("import", "--dry-run")
    assert ahead.code == 0
    assert (await cli("import")).out == "7 orders at Omisell: 7 fetched\n"
    assert await sql.fetchval("SELECT count(*) FROM omisync.imports") == 1


async def test_one_that_was_broken_off_is_told_by_a_dry_run(cli: Any, old: Any, sql: Any) -> None:
    await sql.execute(
        "INSERT INTO omisync.imports (since_seconds, window_from, holder, page_size, next_page, pages, counted, seen,"
        " known, started_at) VALUES (7776000, 1, gen_random_uuid(), 3, 2, 1, 7, 3, 1, now() - interval '2 hours')"
    )
    ran = await cli("import", "--dry-run")
    assert ran.lines[0] == "goes on with the import begun 2h ago, 1 settled"
    assert ran.lines[2] == "2 calls for the list and at most 6 for details"
    assert old.ledger.calls["order.list"] == 0


async def test_progress_on_a_terminal_has_an_eta(cli: Any, old: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Console, "is_terminal", property(lambda _: True))
    monkeypatch.setenv("TERM", "xterm")
    ran = await cli("import")
    assert ran.code == 0
    assert "fetching details" in ran.err
    assert "left" in ran.err


async def test_without_the_schema_omisell_is_not_asked(cli: Any, old: Any, empty_dsn: str) -> None:
    cli.change({"database": {"dsn": empty_dsn}})
    ran = await cli("import")
    assert ran.code == 1
    assert "omisync migrate" in ran.err
    assert not old.ledger.calls


@pytest.mark.parametrize("options", [("--since", "soon"), ("--since", "400d"), ("--share", "2")])
async def test_what_makes_no_sense_is_2(cli: Any, options: tuple[str, ...]) -> None:
    assert (await cli("import", *options)).code == 2
