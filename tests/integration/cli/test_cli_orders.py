"""`omisync orders` on a real database: lists, an order's timeline, and asking for a fetch."""

import io
import json
from typing import Any

import pytest


async def order(sql: Any, number: str, omisell: str | None, status: int | None = 200, *, final: bool = False) -> None:
    await sql.execute(
        "INSERT INTO omisync.orders (order_number, omisell_order_number, shop_id, status_id, status_name, is_final,"
        " omisell_updated_at, synced_at, tracking_numbers)"
        " VALUES ($1, $2, 21001, $3, $4, $5, now(), now(), '{T-1,T-2}')",
        number,
        omisell,
        status,
        None if status is None else f"Status {status}",
        final,
    )


async def claim(sql: Any, row_id: int) -> None:
    """As if a daemon were sending it."""
    await sql.execute(
        "UPDATE omisync.outbox SET state = 'sending', lease_token = gen_random_uuid(), maybe_sent_at = now(),"
        " lease_until = now() + interval '1 minute' WHERE id = $1",
        row_id,
    )


async def story(sql: Any) -> int:
    """An order with all that can happen to one."""
    payload = {"order_number": "WEB-1", "items": [{"sku": "TEE-M"}]}
    row_id: int = await sql.fetchval("SELECT omisync.add_order($1)", json.dumps(payload))
    await claim(sql, row_id)
    await sql.execute(
        "UPDATE omisync.outbox SET state = 'done', outcome = 'added', attempts = 1, finished_at = now(),"
        " lease_token = NULL, lease_until = NULL WHERE id = $1",
        row_id,
    )
    await order(sql, "WEB-1", "ODVN1", 500)
    await sql.execute(
        "INSERT INTO omisync.order_events (order_number, omisell_order_number, kind, old_status_id, new_status_id,"
        " source, data) VALUES ('WEB-1', 'ODVN1', 'added', NULL, 200, 'outbox', NULL),"
        " ('WEB-1', 'ODVN1', 'status', 200, 500, 'webhook', NULL),"
        """ ('WEB-1', 'ODVN1', 'parcels', 500, 500, 'webhook', '{"parcels": 1}')"""
    )
    await sql.execute(
        "INSERT INTO omisync.parcels (order_number, package_number, courier_name, courier_tracking_number,"
        " shipment_status, shipment_status_name) VALUES ('WEB-1', '1', 'Giao Hàng Mẫu', 'T-1', 30, 'On the way'),"
        " ('WEB-1', '2', NULL, NULL, NULL, NULL)"
    )
    await sql.execute(
        "INSERT INTO omisync.inbox (dedup_key, event, category, omisell_order_number, status_id, authorization_form,"
        " state, body) VALUES (gen_random_uuid(), 'order.shipped', 'order', 'ODVN1', 500, 'token', 'done', '{}'),"
        " (gen_random_uuid(), 'order.created', 'order', 'ODVN1', NULL, 'hmac-body', 'known', '{}')"
    )
    return row_id


async def test_no_orders(cli: Any) -> None:
    ran = await cli("orders", "list")
    assert (ran.code, ran.out) == (0, "no orders\n")
    assert (await cli("orders", "list", "--json")).json == []


async def test_orders_are_listed(cli: Any, sql: Any) -> None:
    await order(sql, "WEB-1", "ODVN1", 500)
    await order(sql, "WEB-2", "ODVN2", 600, final=True)
    await order(sql, "WEB-3", None, None)
    ran = await cli("orders", "list")
    assert ran.code == 0
    assert ran.lines[0] == "order at Omisell status name changed tracking"
    rows = {line.split()[0]: line for line in ran.lines[2:]}
    assert rows["WEB-1"].startswith("WEB-1 ODVN1 500 Status 500 ")
    assert rows["WEB-1"].endswith("T-1, T-2")
    assert set(rows) == {"WEB-1", "WEB-2", "WEB-3"}
    [row] = (await cli("orders", "list", "--status", "500", "--json")).json
    assert row["omisell_order_number"] == "ODVN1"
    assert row["tracking_numbers"] == ["T-1", "T-2"]
    open_ones = (await cli("orders", "list", "--open", "--json")).json
    assert {row["order_number"] for row in open_ones} == {"WEB-1", "WEB-3"}
    assert (await cli("orders", "list", "--limit", "1")).lines[-1] == (
        "the one changed last is shown; more with --limit"
    )


@pytest.mark.parametrize("number", ["WEB-1", "ODVN1"])
async def test_an_order_with_its_timeline(cli: Any, sql: Any, number: str) -> None:
    row_id = await story(sql)
    ran = await cli("orders", "show", number)
    assert ran.code == 0
    lines = ran.lines
    assert lines[:3] == ["order WEB-1", "at Omisell ODVN1", "status 500 Status 500"]
    assert "tracking T-1, T-2" in lines
    assert "1 Giao Hàng Mẫu T-1 30 On the way" in lines
    told = "\n".join(line.split(" ", 2)[2] for line in lines if line[:2] == "20")
    assert set(told.splitlines()) == {
        f"order.add enqueued shop outbox {row_id}",
        "order.add done outbox added, 1 try",
        "added outbox 200",
        "status webhook 200 → 500",
        "parcels webhook 500, parcels 1",
        "push order.shipped Omisell status 500, done, token",
        "push order.created Omisell known, hmac-body",
    }


async def test_why_a_row_failed_is_told_once(cli: Any, sql: Any) -> None:
    payload = {"order_number": "WEB-1", "items": [{"sku": "TEE-X"}]}
    row_id = await sql.fetchval("SELECT omisync.add_order($1)", json.dumps(payload))
    await sql.execute(
        "UPDATE omisync.outbox SET state = 'sending', lease_token = gen_random_uuid(), lease_until = now()"
        " WHERE id = $1",
        row_id,
    )
    await sql.execute(
        "UPDATE omisync.outbox SET state = 'failed', lease_token = NULL, lease_until = NULL, attempts = 1,"
        " error = 'no such SKU', finished_at = now()"
        " WHERE id = $1",
        row_id,
    )
    assert (await cli("orders", "show", "WEB-1")).lines[-1].endswith("order.add failed outbox 1 try, no such SKU")
    await sql.execute(
        "INSERT INTO omisync.order_events (order_number, kind, source, occurred_at, data)"
        " VALUES ('WEB-1', 'failed', 'outbox', now() - interval '1 s', $1)",
        json.dumps({"outbox_id": row_id, "why": "no such SKU"}),
    )
    lines = (await cli("orders", "show", "WEB-1")).lines
    assert [line for line in lines if line.endswith("order.add failed outbox 1 try")]
    assert "\n".join(lines).count("no such SKU") == 1


async def test_an_order_as_json(cli: Any, sql: Any) -> None:
    row_id = await story(sql)
    shown = (await cli("orders", "show", "WEB-1", "--json")).json
    assert shown["order_number"] == "WEB-1"
    assert shown["order"]["status_id"] == 500
    assert [parcel["package_number"] for parcel in shown["parcels"]] == ["1", "2"]
    assert [event["kind"] for event in shown["events"]] == ["added", "status", "parcels"]
    assert shown["events"][2]["data"] == {"parcels": 1}
    assert [row["id"] for row in shown["outbox"]] == [row_id]
    assert "payload" not in shown["outbox"][0]
    assert {push["event"] for push in shown["pushes"]} == {"order.created", "order.shipped"}


async def test_an_order_that_only_the_outbox_knows(cli: Any, sql: Any) -> None:
    payload = {"order_number": "WEB-9", "items": [{"sku": "TEE-M"}]}
    row_id = await sql.fetchval("SELECT omisync.add_order($1)", json.dumps(payload))
    await claim(sql, row_id)
    await sql.execute(
        "UPDATE omisync.outbox SET state = 'failed', error = 'no such SKU', attempts = 2, finished_at = now(),"
        " lease_token = NULL, lease_until = NULL, maybe_sent_at = NULL WHERE id = $1",
        row_id,
    )
    ran = await cli("orders", "show", "WEB-9")
    assert ran.code == 0
    assert ran.lines[:2] == ["order WEB-9", "at Omisell not yet"]
    assert ran.lines[-1].endswith("order.add failed outbox 2 tries, no such SKU")
    assert (await cli("orders", "show", "WEB-9", "--json")).json["order"] is None


async def test_an_order_that_has_only_just_been_mapped(cli: Any, sql: Any) -> None:
    await sql.execute("INSERT INTO omisync.orders (order_number) VALUES ('WEB-5')")
    ran = await cli("orders", "show", "WEB-5")
    assert ran.lines[:5] == ["order WEB-5", "at Omisell not yet", "status unknown", "changed never", "fetched never"]
    await sql.execute("UPDATE omisync.orders SET status_id = 600, is_final = true WHERE order_number = 'WEB-5'")
    assert "status 600 (final)" in (await cli("orders", "show", "WEB-5")).lines


async def test_an_order_that_nobody_knows_is_1(cli: Any) -> None:
    ran = await cli("orders", "show", "WEB-404")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err == "omisync: order WEB-404: neither the outbox nor Omisell's orders have it\n"


async def test_a_fetch_is_asked_for(cli: Any, sql: Any) -> None:
    await order(sql, "WEB-1", "ODVN1")
    ran = await cli("orders", "refresh", "WEB-1", "WEB-404", "--dry-run")
    assert (ran.code, ran.out) == (1, "1 of 2 would be fetched; 1 not known\n")
    assert await sql.fetchval("SELECT count(*) FROM omisync.refreshes") == 0
    assert await sql.fetchval("SELECT count(*) FROM omisync.audit") == 0
    ran = await cli("orders", "refresh", "WEB-1", "WEB-1")
    assert (ran.code, ran.out) == (0, "1 of 1 will be fetched\n")
    assert await sql.fetchval("SELECT omisell_order_number FROM omisync.refreshes") == "ODVN1"
    ran = await cli("orders", "refresh", "ODVN1", "WEB-404")
    assert ran.code == 1
    assert ran.out == "1 of 2 will be fetched; 1 not known\n"
    assert (await cli("orders", "refresh", "ODVN1", "--json")).json == {"asked": 1, "known": 1}


async def test_the_timeline_tells_who_asked_for_a_fetch(cli: Any, sql: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("omisync.cli.orders.operator_name", lambda: "an@shop")
    await order(sql, "WEB-1", "ODVN1")
    await cli("orders", "refresh", "ODVN1")
    assert (await cli("orders", "show", "WEB-1")).lines[-1].endswith("refresh by hand an@shop")
    (change,) = (await cli("orders", "show", "WEB-1", "--json")).json["by_hand"]
    assert (change["who"], change["action"], change["subject"]) == ("an@shop", "refresh", "WEB-1")


async def test_a_refresh_without_a_number_is_2(cli: Any) -> None:
    ran = await cli("orders", "refresh")
    assert ran.code == 2
    assert ran.err.startswith("omisync: Missing argument")


async def final_order(sql: Any) -> None:
    """The story's order, delivered, with a detail that names the buyer."""
    await story(sql)
    await sql.execute(
        "UPDATE omisync.orders SET status_id = 900, is_final = true,"
        """ detail = '{"order_number": "WEB-1", "receiver": {"phone": "0901234567"}}'"""
    )


async def test_a_return_is_shown_with_its_order(cli: Any, sql: Any) -> None:
    await story(sql)
    await sql.execute(
        "INSERT INTO omisync.returns (order_number, returned_at, received_at, event, status_id, status_name, data)"
        " VALUES ('WEB-1', now(), now(), 'return.updated', 800, 'Returned', '{\"return_number\": \"RET1\"}')"
    )
    ran = await cli("orders", "show", "WEB-1")
    assert [line.rsplit(" ", 2)[0] for line in ran.lines if line.startswith(("returned 2", "received back 2"))] == [
        "returned",
        "received back",
    ]
    assert "return's push return.updated 800 Returned" in ran.lines
    shown = (await cli("orders", "show", "WEB-1", "--json")).json["return"]
    assert (shown["status_id"], shown["data"]) == (800, {"return_number": "RET1"})
    await sql.execute("DELETE FROM omisync.returns")
    assert (await cli("orders", "show", "WEB-1", "--json")).json["return"] is None


async def test_an_order_is_forgotten_when_it_is_meant(cli: Any, sql: Any) -> None:
    await final_order(sql)
    held = "order WEB-1: the buyer's data would be removed from 1 payload, 1 detail, 2 parcels, 2 pushes\n"
    ran = await cli("orders", "forget", "ODVN1", "--dry-run")
    assert (ran.code, ran.out) == (0, held)
    for asked in ([], ["--json"]):
        ran = await cli("orders", "forget", "WEB-1", *asked)
        assert (ran.code, ran.out) == (2, "")
        assert ran.err == "omisync: orders forget cannot be undone: give --yes, or look first with --dry-run\n"
    assert await sql.fetchval("SELECT detail::text LIKE '%0901234567%' FROM omisync.orders")
    ran = await cli("orders", "forget", "WEB-1", "--yes")
    assert (ran.code, ran.out) == (0, "the buyer's data of order WEB-1 is removed\n")
    detail = json.loads(await sql.fetchval("SELECT detail FROM omisync.orders"))
    assert detail == {"order_number": "WEB-1", "receiver": {}}
    shown = (await cli("orders", "show", "WEB-1")).lines
    assert [line for line in shown if line.startswith("buyer's data removed 2")]
    assert [line for line in shown if line.endswith("forgotten operator 900")]
    assert await sql.fetchval("SELECT action || ' ' || subject FROM omisync.audit") == "forget WEB-1"
    again = (await cli("orders", "forget", "WEB-1", "--yes", "--json")).json
    assert again == {
        "order_number": "WEB-1",
        "refused": None,
        "again": True,
        "rows": {"payloads": 1, "details": 1, "parcels": 2, "returns": 0, "pushes": 2},
        "removed": True,
    }
    assert await sql.fetchval("SELECT count(*) FROM omisync.hook_calls") == 0


class Terminal(io.StringIO):
    """Somebody who types."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("typed", "code", "gone"), [("y\n", 0, True), ("n\n", 130, False)])
async def test_at_a_terminal_it_asks_first(
    cli: Any, sql: Any, monkeypatch: pytest.MonkeyPatch, typed: str, code: int, gone: bool
) -> None:
    await final_order(sql)
    monkeypatch.setattr("sys.stdin", Terminal(typed))
    ran = await cli("orders", "forget", "WEB-1")
    assert (ran.code, "Remove the buyer's data of order WEB-1 for good? [y/N]:" in ran.out) == (code, True)
    assert await sql.fetchval("SELECT forgotten_at IS NOT NULL FROM omisync.orders") is gone


async def test_with_a_hook_the_daemon_is_left_its_call(cli: Any, sql: Any) -> None:
    await final_order(sql)
    cli.change({"hooks": {"on_change": "shop.changed"}})
    assert (await cli("orders", "forget", "WEB-1", "--yes")).code == 0
    assert await sql.fetchval("SELECT order_number FROM omisync.hook_calls") == "WEB-1"


async def test_an_order_that_must_be_kept_is_1_and_why_is_said(cli: Any, sql: Any) -> None:
    await story(sql)
    ran = await cli("orders", "forget", "WEB-1", "--yes")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith("omisync: order WEB-1: nothing is removed, for it is not final (500 Status 500)")
    ran = await cli("orders", "forget", "WEB-1", "--yes", "--json")
    assert (ran.code, ran.json["removed"]) == (1, False)
    assert ran.json["refused"].startswith("it is not final")
    ran = await cli("orders", "forget", "WEB-404", "--dry-run")
    assert (ran.code, ran.err) == (1, "omisync: order WEB-404: neither the outbox nor Omisell's orders have it\n")
