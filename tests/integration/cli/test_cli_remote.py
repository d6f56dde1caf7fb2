"""`omisync shops`, `pickups` and `reconcile` on a real database and the simulator."""

import csv
import dataclasses
from typing import Any

import pytest
from rich.console import Console

from omisync.simulator import AccountConfig, ListConfig, OrderConfig, SimulatorConfig

SOON = {f"read {seconds}s ago" for seconds in range(60)}
"""The machine may be busy."""


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
    assert ran.lines[-1] in SOON
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
    assert ran.lines[2:-1] == ["167 Kho Hà Nội", "168 Kho Sài Gòn"]
    assert ran.lines[-1] in SOON
    assert (await cli("pickups", "--json")).json["pickups"][1] == {"pickup_id": 168, "name": "Kho Sài Gòn"}


async def test_an_account_with_nothing_in_it(cli: Any, simulator: Any) -> None:
    simulator.configure(SimulatorConfig(account=AccountConfig(shops=(), pickups=())))
    simulator.reset()
    assert (await cli("shops")).out.startswith("no shops, read ")
    assert (await cli("pickups")).out.startswith("no pickup addresses, read ")


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


WITHOUT_PARCELS = "; parcels were not compared (--parcels, a call an order); nothing was changed"


async def test_nothing_differs(cli: Any, prompt: Any) -> None:
    ran = await cli("reconcile", "--dry-run")
    assert (ran.code, ran.out, ran.err) == (0, f"0 orders compared, 0 differences{WITHOUT_PARCELS}\n", "")


async def known(sql: Any, order: Any, **changed: object) -> None:
    """As if we had the order, an hour long, as it is at Omisell but for what is changed."""
    row = {
        "order_number": order.order_number,
        "omisell_order_number": order.omisell_order_number,
        "status_id": order.status_id,
        "updated": order.state.updated_time,
        **changed,
    }
    await sql.execute(
        "INSERT INTO omisync.orders (order_number, omisell_order_number, shop_id, status_id, omisell_updated_at,"
        " detail, detail_updated_at, known_since, status_seen_at, synced_at)"
        " SELECT $1, $2, 21001, $3, to_timestamp($4), '{}',"
        " to_timestamp($4), t, t, t FROM (SELECT now() - interval '1 hour' AS t) AS t",
        *row.values(),
    )


async def test_every_kind_of_difference_is_named_and_nothing_is_changed(cli: Any, prompt: Any, sql: Any) -> None:
    prompt.configure(dataclasses.replace(prompt.config, orders=OrderConfig(duplicates="create_second")))
    prompt.create({"order_number": "NEW"}, status_id=300)
    prompt.create({"order_number": "SAME"}, status_id=300)
    moved = prompt.create({"order_number": "MOVED"}, status_id=500)
    first, second = (prompt.create({"order_number": "TWICE"}, status_id=300) for _ in range(2))
    await known(sql, prompt.orders.named("SAME")[0])
    await known(sql, moved, status_id=300, updated=moved.state.updated_time - 60)
    await known(sql, first)
    now = moved.state.updated_time
    columns = "order_number, omisell_order_number, shop_id, status_id, omisell_updated_at, known_since"
    gone = f"INSERT INTO omisync.orders ({columns}) "
    await sql.execute(gone + "VALUES ('GONE', 'OD-GONE', 21001, 200, to_timestamp($1), now() - interval '1 h')", now)
    await sql.execute(gone + "VALUES ('JUST', 'OD-JUST', 21001, 200, to_timestamp($1), now())", now)
    ran = await cli("reconcile", "--dry-run", "--csv")
    assert (ran.code, ran.err) == (1, "")
    twice = ", ".join(sorted((first.omisell_order_number, second.omisell_order_number)))
    new = prompt.orders.named("NEW")[0].omisell_order_number
    rows = list(csv.reader(ran.out.splitlines()))
    assert rows[0] == ["kind", "order_number", "omisell_order_number", "here", "there", "asked"]
    assert sorted(rows[1:]) == sorted(
        [
            ["missing here", "NEW", new, "", "300", "False"],
            ["missing here", "TWICE", second.omisell_order_number, "", "300", "False"],
            ["status", "MOVED", moved.omisell_order_number, "300", "500", "False"],
            ["missing there", "GONE", "OD-GONE", "200", "", "False"],
            ["duplicate", "TWICE", twice, "", "2 orders", "False"],
        ]
    )
    ran = await cli("reconcile", "--dry-run")
    assert ran.lines[0] == "difference order at Omisell here there fetch"
    assert f"status MOVED {moved.omisell_order_number} 300 500" in ran.lines
    assert ran.lines[-1] == f"5 orders compared, 5 differences{WITHOUT_PARCELS}"
    assert await sql.fetchval("SELECT count(*) FROM omisync.refreshes") == 0
    assert await sql.fetchval("SELECT count(*) FROM omisync.sweeps") == 0
    assert prompt.ledger.calls["order.detail"] == 0


async def test_parcels_are_compared_on_demand(cli: Any, prompt: Any, sql: Any) -> None:
    order = prompt.create({"order_number": "WEB-1"}, status_id=500)
    await known(sql, order)
    ran = await cli("reconcile", "--dry-run", "--parcels", "--json")
    assert ran.code == 1
    assert (ran.json["seen"], ran.json["parcels_compared"]) == (1, True)
    [difference] = ran.json["differences"]
    [parcel] = prompt.detail("WEB-1")["parcels"]
    assert difference["kind"] == "parcels"
    assert (difference["order_number"], difference["here"]) == ("WEB-1", "")
    assert difference["there"] == f"{parcel['courier_tracking_number']} ({parcel['shipment_status']})"
    await sql.execute(
        "INSERT INTO omisync.parcels (order_number, package_number, courier_tracking_number, shipment_status)"
        " VALUES ('WEB-1', $1, $2, $3)",
        parcel["package_number"],
        parcel["courier_tracking_number"],
        parcel["shipment_status"],
    )
    ran = await cli("reconcile", "--dry-run", "--parcels")
    assert (ran.code, ran.out) == (0, "1 order compared, 0 differences; nothing was changed\n")
    assert prompt.ledger.calls["order.detail"] == 2


@pytest.mark.parametrize("options", [("--csv",), ("--parcels",), ("--dry-run", "--csv", "--json")])
async def test_options_that_do_not_go_together_are_2(cli: Any, options: tuple[str, ...]) -> None:
    assert (await cli("reconcile", *options)).code == 2


async def test_a_sweep_by_hand_tells_the_shops_function(cli: Any, prompt: Any, sql: Any) -> None:
    order = prompt.create({"order_number": "WEB-1"}, status_id=500)
    await known(sql, order, status_id=300, updated=order.state.updated_time - 60)
    await sql.execute("CREATE TABLE heard (number text)")
    await sql.execute(
        "CREATE FUNCTION on_change(e jsonb) RETURNS void LANGUAGE sql AS"
        " $$INSERT INTO public.heard VALUES (e ->> 'order_number')$$"
    )
    cli.change({"hooks": {"on_change": "public.on_change"}})
    assert (await cli("reconcile")).code == 0
    assert await sql.fetchval("SELECT count(*) FROM heard") == 1


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
