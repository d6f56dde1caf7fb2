"""`omisync shops`, `pickups` and `reconcile` on a real database and the simulator."""

from typing import Any

import pytest
from rich.console import Console

from omisync.simulator import AccountConfig, ListConfig, SimulatorConfig


@pytest.fixture
def prompt(simulator: Any) -> Any:
    """The simulator, listing every change at once."""
    simulator.configure(SimulatorConfig(lists=ListConfig(lag=(0, 0))))
    return simulator


# shops and pickups


async def test_shops_are_found_before_anything_but_omisell_is_configured(cli: Any) -> None:
    cli.given = {"omisell": {**cli.given["omisell"], "shop_id": None, "pickup_id": None}}
    cli.change({})
    ran = await cli("shops")
    assert (ran.code, ran.err) == (0, "")
    assert ran.lines[0] == "shop_id name platform"
    assert ran.lines[2:] == [
        "21001 Cửa hàng Web custom",
        "21002 Cửa hàng App custom",
        "21650 Cửa hàng trên Shopee shopee",
    ]


async def test_shops_as_json(cli: Any, simulator: Any) -> None:
    ran = await cli("shops", "--json")
    assert ran.json["shops"][0] == {"shop_id": 21001, "name": "Cửa hàng Web", "platform": "custom"}
    assert len(ran.json["shops"]) == ran.json["list"]["row_count"] == 3
    assert (await cli("shops")).code == 0
    assert simulator.ledger.calls["token.get"] == 1


async def test_shops_are_of_the_last_look_and_say_how_long_ago_that_was(cli: Any, simulator: Any, sql: Any) -> None:
    await cli("shops")
    await sql.execute("UPDATE omisync.mirrors SET refreshed_at = now() - interval '2 hours' WHERE name = 'shops'")
    await sql.execute("UPDATE omisync.mirror_shops SET name = 'as of then' WHERE shop_id = 21001")
    ran = await cli("shops")
    assert ran.lines[2] == "21001 as of then custom"
    assert ran.lines[-1] == "read 2h ago"
    assert simulator.ledger.calls["shop.list"] == 1
    ran = await cli("shops", "--refresh")
    assert ran.lines[2] == "21001 Cửa hàng Web custom"
    assert ran.lines[-1] == "read 0s ago"
    assert simulator.ledger.calls["shop.list"] == 2


async def test_without_a_database_shops_and_pickups_are_read_at_omisell(cli: Any, empty_dsn: str) -> None:
    cli.change({"database": {"dsn": empty_dsn}})
    ran = await cli("shops", "--json")
    assert (ran.code, ran.json["list"], len(ran.json["shops"])) == (0, None, 3)
    assert (await cli("pickups")).lines[2:] == ["167 Kho Hà Nội", "168 Kho Sài Gòn"]


async def test_an_account_that_offers_no_list_says_that_the_check_is_off(cli: Any) -> None:
    cli.change({"omisell.paths": {"pickup_list": "/api/v2/public/nothing"}})
    ran = await cli("pickups")
    assert (ran.code, ran.out) == (1, "")
    assert "this account offers no list of warehouses at the path in [omisell.paths]" in ran.err
    assert "the check that needs it is off" in ran.err


async def test_pickups(cli: Any) -> None:
    ran = await cli("pickups")
    assert ran.code == 0
    assert ran.lines[0] == "pickup_id name"
    assert ran.lines[2:] == ["167 Kho Hà Nội", "168 Kho Sài Gòn", "read 0s ago"]
    assert (await cli("pickups", "--json")).json["pickups"][1] == {"pickup_id": 168, "name": "Kho Sài Gòn"}


async def test_an_account_with_nothing_in_it(cli: Any, simulator: Any) -> None:
    simulator.configure(SimulatorConfig(account=AccountConfig(shops=(), pickups=())))
    simulator.reset()
    assert (await cli("shops")).out == "no shops, read 0s ago\n"
    assert (await cli("pickups")).out == "no pickup addresses, read 0s ago\n"


async def test_wrong_credentials_are_1(cli: Any) -> None:
    cli.change({"omisell": {"api_secret": "wr0ng"}})
    ran = await cli("shops")
    assert (ran.code, ran.out) == (1, "")
    [line] = ran.err.splitlines()
    assert line == "omisync: Omisell gives no token: HTTP 401; check omisell.api_key and omisell.api_secret"


async def test_omisell_away_is_3(cli: Any, simulator: Any) -> None:
    simulator.faults.set("outage")
    for command in (["shops"], ["pickups"], ["reconcile"]):
        ran = await cli(*command)
        assert (ran.code, ran.out) == (3, "")
        assert ran.err.startswith("omisync: Omisell did not answer token.get: HTTP 503")
        assert ran.err.count("\n") == 1


async def test_omisell_refusing_is_1_with_its_words(cli: Any, simulator: Any, empty_dsn: str) -> None:
    cli.change({"omisell.paths": {"shop_list": "/api/v2/public/nothing"}, "database": {"dsn": empty_dsn}})
    ran = await cli("shops")
    assert ran.code == 1
    assert ran.err.startswith("omisync: Omisell refused shop.list: HTTP 404")


# reconcile


async def test_nothing_differs(cli: Any, prompt: Any) -> None:
    ran = await cli("reconcile", "--dry-run")
    assert (ran.code, ran.out, ran.err) == (0, "0 orders compared, 0 differ, 0 would be fetched\n", "")


async def test_a_dry_run_shows_the_differences_and_changes_nothing(cli: Any, prompt: Any, sql: Any) -> None:
    prompt.create({"order_number": "WEB-1"}, status_id=300)
    ran = await cli("reconcile", "--dry-run")
    assert ran.code == 1
    assert ran.err == ""
    assert ran.lines[0] == "order at Omisell difference here there"
    number = prompt.orders.named("WEB-1")[0].omisell_order_number
    assert ran.lines[2] == f"WEB-1 {number} not in our tables 300"
    assert ran.lines[-1] == "1 order compared, 1 differs, 1 would be fetched"
    assert await sql.fetchval("SELECT count(*) FROM omisync.refreshes") == 0
    assert await sql.fetchval("SELECT count(*) FROM omisync.sweeps") == 0


async def test_a_dry_run_as_json(cli: Any, prompt: Any) -> None:
    prompt.create({"order_number": "WEB-1"}, status_id=300)
    ran = await cli("reconcile", "--dry-run", "--json")
    assert ran.code == 1
    assert ran.json["seen"] == 1
    assert ran.json["dry_run"] is True
    [difference] = ran.json["differences"]
    assert difference["order_number"] == "WEB-1"
    assert difference["kind"] == "missing"
    assert difference["status_id"] == 300


async def test_a_sweep_asks_the_daemon_to_fetch(cli: Any, prompt: Any, sql: Any) -> None:
    prompt.create({"order_number": "WEB-1"})
    ran = await cli("reconcile", "--since", "2h")
    assert ran.code == 0
    assert ran.lines[-1] == "1 order compared, 1 differs, 1 will be fetched"
    assert await sql.fetchval("SELECT count(*) FROM omisync.refreshes") == 1
    assert await sql.fetchval("SELECT kind FROM omisync.sweeps") == "manual"
    again = await cli("reconcile", "--json")
    assert again.code == 0
    assert again.json["seen"] == 1


async def test_progress_on_a_terminal(cli: Any, prompt: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    prompt.create({"order_number": "WEB-1"})
    monkeypatch.setattr(Console, "is_terminal", property(lambda _: True))
    monkeypatch.setenv("TERM", "xterm")
    ran = await cli("reconcile", "--dry-run")
    assert ran.code == 1
    assert "reading Omisell's list" in ran.err
    quiet = await cli("reconcile", "--dry-run", "--json")
    assert quiet.err == ""


@pytest.mark.parametrize(
    ("since", "words"),
    [("soon", "omisync: --since soon: "), ("400d", "omisync: --since 400d: at most 366d\n")],
)
async def test_a_time_that_makes_no_sense_is_2(cli: Any, since: str, words: str) -> None:
    ran = await cli("reconcile", "--since", since)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith(words)


async def test_without_the_schema_omisell_is_not_asked(cli: Any, simulator: Any, empty_dsn: str) -> None:
    cli.change({"database": {"dsn": empty_dsn}})
    ran = await cli("reconcile")
    assert ran.code == 1
    assert "omisync migrate" in ran.err
    assert not simulator.ledger.calls
