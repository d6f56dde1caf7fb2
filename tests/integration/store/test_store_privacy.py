"""Personal data: what is taken for it, of whom it is removed and when, and that it does not come back."""

import asyncio
import json
from typing import Any

import asyncpg
import pytest

from omisync.store import Ending, Hooks, Reached
from omisync.store.migrations import shipped
from omisync.store.privacy import Privacy
from tests.integration.store.test_store_orders import SHOP, fetch_one, push, snapshot

DAY = 86_400.0

PERSONAL = ("Nguyen Van An", "0901234567", "12 Le Loi", "an@example.vn", "Hang Trong", "Cong ty An", "call the guard")
"""What must be nowhere afterwards."""

PAYLOAD = {
    "order_number": "A-1",
    "shop_id": SHOP,
    "shipping_fee": 16000,
    "order_note": "call the guard 0901234567",
    "receiver": {
        "fullname": "Nguyen Van An",
        "phone": "0901234567",
        "email": "an@example.vn",
        "address": "12 Le Loi",
        "country": "VN",
        "zip_code": "100000",
        "province_name": "Ha Noi",
        "district_name": "Hoan Kiem",
        "subdistrict_name": "Hang Trong",
    },
    "invoice_information": {"company": "Cong ty An", "tax_code": "0101", "country_name": "Vietnam"},
    "payment_information": {"payment_type": 1, "payment_status": 100},
    "items": [{"sku": "TEE-M", "quantity": 2, "original_price": 120000, "name": "Tee M"}],
}

DETAIL = {
    "order_number": "A-1",
    "omisell_order_number": "OMI-1",
    "shop_name": "My Web Shop",
    "status_id": 900,
    "status_name": "Completed",
    "order_note": "call the guard",
    "parcels": [
        {
            "package_number": "1",
            "courier_name": "Demo Express",
            "courier_tracking_number": "TRK1",
            "catalogue_items": [{"catalogue_sku": "TEE-M", "product_name": "Tee M", "quantity": 2}],
        }
    ],
    "payment_information": [
        {"payment_method_name": "Cash", "transaction_amount": 256000, "transaction_note": "0901234567"}
    ],
    "shipping_information": {"buyer_shipping_fee": 16000},
    "receiver": {**PAYLOAD["receiver"], "province_id": 1},  # type: ignore[dict-item] # a mapping, as written above
}

PARCELS = [{"package_number": "1", "items": [], "data": {"courier_service": "Standard", "driver_phone": "0901234567"}}]


TABLE = "SELECT to_jsonb(t)::text AS told FROM omisync.{} AS t"


async def thinned(house: Any, document: object) -> Any:
    return json.loads(await house.sql.fetchval("SELECT omisync.without_personal_data($1)", json.dumps(document)))


async def everything(house: Any) -> str:
    """All that our tables hold, as text."""
    tables = await house.sql.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'omisync'")
    rows = [row["told"] for table in tables for row in await house.sql.fetch(TABLE.format(table["tablename"]))]
    bodies = await house.sql.fetch("SELECT body FROM omisync.inbox")
    return "\n".join(rows) + "\n".join(row["body"].decode() for row in bodies)


async def personal(house: Any) -> list[str]:
    held = await everything(house)
    return [each for each in PERSONAL if each in held]


async def an_order(house: Any, *, status: int = 900) -> int:
    """One with personal data wherever there can be some."""
    outbox_id: int = await house.sql.fetchval("SELECT omisync.add_order($1)", json.dumps(PAYLOAD))
    (claim,) = await house.outbox.claim("order.add", 1)
    noted = {"outbox_id": outbox_id, "noted": [{"field": "receiver.address", "why": "12 Le Loi fits two places"}]}
    told: dict[str, Any] = {"omisell_order_number": "OMI-1", "status_id": 200, "event_data": json.dumps(noted)}
    assert await house.outbox.finish(Ending(claim, "done", "added", event="added", **told))
    await house.cancel("A-1", "call the guard")
    (claim,) = await house.outbox.claim("order.cancel", 1)
    why = "it cannot be cancelled: 0901234567 has paid"
    failed = Ending(claim, "failed", error=why, event="cancel_refused", event_data=json.dumps({"why": why}))
    assert await house.outbox.finish(failed)
    await house.operator.discard([claim.id], by="an")
    body = json.dumps({"event": "order.returned", "data": {"buyer": "Nguyen Van An"}}).encode()
    await house.inbox.add(push(event="order.returned", status_id=status, body=body))
    await house.inbox.route(SHOP)
    await apply(house, status=status)
    await house.sql.execute(
        "INSERT INTO omisync.returns (order_number, data) VALUES ('A-1', $1)",
        json.dumps({"return_number": "RET1", "customer": {"name": "Nguyen Van An"}, "phone": "0901234567"}),
    )
    assert await personal(house) == list(PERSONAL)
    return outbox_id


async def apply(house: Any, *, status: int = 900, updated: int = 1000) -> None:
    detail = json.dumps({**DETAIL, "status_id": status})
    shown = snapshot(await fetch_one(house), status, updated, detail=detail, parcels=json.dumps(PARCELS))
    assert (await house.orders.apply(shown)).applied


async def test_of_a_payload_the_order_stays_and_the_person_goes(house: Any) -> None:
    assert await thinned(house, PAYLOAD) == {
        "order_number": "A-1",
        "shop_id": SHOP,
        "shipping_fee": 16000,
        "receiver": {"country": "VN", "province_name": "Ha Noi"},
        "invoice_information": {"country_name": "Vietnam"},
        "payment_information": {"payment_type": 1, "payment_status": 100},
        "items": [{"sku": "TEE-M", "quantity": 2, "original_price": 120000, "name": "Tee M"}],
    }


async def test_of_a_detail_the_parcels_the_money_and_the_names_of_things_stay(house: Any) -> None:
    left = await thinned(house, DETAIL)
    assert left.pop("receiver") == {"country": "VN", "province_name": "Ha Noi", "province_id": 1}
    assert left.pop("payment_information") == [{"payment_method_name": "Cash", "transaction_amount": 256000}]
    assert left == {
        name: value for name, value in DETAIL.items() if name not in {"receiver", "payment_information", "order_note"}
    }


async def test_personal_keys_are_known_in_every_spelling_and_depth_and_others_are_left_alone(house: Any) -> None:
    gone = {
        "Phone": 1,
        "buyer_phone_number": 1,
        "eMail": 1,
        "e-mail": 1,
        "billingAddress": {"a": 1},
        "full_name": 1,
        "CustomerName": 1,
        "buyer": "An",
        "contact": ["An"],
        "taxCode": 1,
        "Zip": 1,
        "ward_name": 1,
        "note": 1,
        "dia_chi": 1,
        "ho_ten": 1,
        "so_dien_thoai": 1,
        "sdt": 1,
        "delivery_notes": 1,
    }
    left = {
        "name": "Tee",
        "product_name": "Tee",
        "shop_name": "S",
        "status_name": "New",
        "courier_name": "C",
        "sku": "T",
        "buyer_shipping_fee": 1,
        "user_id": 7,
        "forward": 1,
        "platform": "custom",
        "warehouse": "W",
        "titles": [None, 1.5],
    }
    assert await thinned(
        house, {"a": [{"b": {**gone, **left}}], "Customers": [{"name": "An", "country": "VN"}, "An"]}
    ) == {
        "a": [{"b": {**left, "contact": []}}],
        "Customers": [{"country": "VN"}],
    }
    others: list[object] = [{}, [], "text", 7, None]
    assert [await thinned(house, document) for document in others] == others
    assert await house.sql.fetchval("SELECT omisync.without_personal_data(NULL)") is None


async def test_a_named_order_is_forgotten_everywhere_and_it_is_recorded(house: Any) -> None:
    outbox_id = await an_order(house)
    new = json.dumps({"event": "return.updated", "data": {"phone": "0901234567"}}).encode()
    await house.inbox.add(push("not judged yet", event="return.updated", category="return", body=new))
    before = await house.sql.fetch("SELECT id, kind, occurred_at, new_status_id FROM omisync.order_events ORDER BY id")
    looked = await house.operator.forget("OMI-1", by="an@desk", dry_run=True)
    assert (looked.order_number, looked.refused, looked.again) == ("A-1", None, False)
    assert looked.rows == {"payloads": 2, "details": 1, "parcels": 1, "returns": 1, "pushes": 2}
    assert await personal(house) == list(PERSONAL)
    assert await house.operator.forget("A-1", by="an@desk") == looked
    assert await personal(house) == []
    order = await house.order("A-1")
    assert (order["status_id"], order["forgotten_at"] is not None) == (900, True)
    assert json.loads((await house.row(outbox_id))["payload"])["items"] == PAYLOAD["items"]
    returned = json.loads(await house.sql.fetchval("SELECT data FROM omisync.returns"))
    assert returned == {"return_number": "RET1", "customer": {}}
    assert json.loads(await house.sql.fetchval("SELECT data FROM omisync.parcels")) == {"courier_service": "Standard"}
    after = await house.sql.fetch("SELECT id, kind, occurred_at, new_status_id FROM omisync.order_events ORDER BY id")
    assert after[:-1] == before
    assert (await house.events("A-1"))[-1] == ("forgotten", 900, 900, "operator")
    audit = await house.sql.fetchrow("SELECT who, action, subject FROM omisync.audit ORDER BY id DESC LIMIT 1")
    assert tuple(audit) == ("an@desk", "forget", "A-1")
    view = await house.operator.order_show("A-1")
    assert [(each.action, each.who) for each in view.by_hand][-1] == ("forget", "an@desk")


async def test_what_comes_later_brings_it_not_back(house: Any) -> None:
    await an_order(house)
    await house.operator.forget("A-1", by="an")
    await apply(house, status=800, updated=2000)
    assert await personal(house) == []
    assert (await house.order("A-1"))["status_id"] == 800
    assert json.loads((await house.order("A-1"))["detail"])["parcels"] == DETAIL["parcels"]
    body = json.dumps({"event": "return.updated", "data": {"phone": "0901234567"}}).encode()
    await house.inbox.add(push("late", event="return.updated", category="return", body=body))
    await house.inbox.route(SHOP)
    assert await personal(house) == []
    # the same payload enqueued again meets the row that is there
    again = await house.sql.fetchval("SELECT omisync.add_order($1)", json.dumps(PAYLOAD))
    assert again == await house.sql.fetchval("SELECT min(id) FROM omisync.outbox")
    with pytest.raises(asyncpg.UniqueViolationError, match="with another payload"):
        await house.sql.execute("SELECT omisync.add_order($1)", json.dumps({**PAYLOAD, "shipping_fee": 1}))
    assert (await house.operator.forget("A-1", by="an")).again


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (
            "UPDATE omisync.orders SET is_final = false, status_id = 600, status_name = 'Delivering'",
            "it is not final (600 Delivering)",
        ),
        ("SELECT omisync.cancel_order('A-1')", "is pending: its payload is still needed"),
    ],
)
async def test_an_order_still_on_its_way_is_refused_and_why_is_said(house: Any, change: str, why: str) -> None:
    await an_order(house)
    await house.sql.execute(change)
    assert why in (await house.operator.forget("A-1", by="an")).refused
    assert await Privacy(house.database, house.hooks).forget_due(0.0, 10) == 0
    assert await personal(house) == list(PERSONAL)
    assert "forgotten" not in [event[0] for event in await house.events("A-1")]


async def test_a_failed_row_is_discarded_first(house: Any) -> None:
    outbox_id = await house.sql.fetchval("SELECT omisync.add_order($1)", json.dumps(PAYLOAD))
    (claim,) = await house.outbox.claim("order.add", 1)
    why: dict[str, Any] = {"error": "no such place: 12 Le Loi", "event": "failed", "event_data": '{"why": "12 Le Loi"}'}
    await house.outbox.finish(Ending(claim, "failed", reached=Reached.NO, **why))
    refused = (await house.operator.forget("A-1", by="an")).refused
    assert f"`omisync outbox discard {outbox_id}` first" in refused
    await house.operator.discard([outbox_id], by="an")
    assert (await house.operator.forget("A-1", by="an")).refused is None
    assert await personal(house) == []
    assert await house.operator.forget("A-404", by="an") is None


async def test_what_is_long_final_or_was_given_up_is_forgotten_in_batches_and_what_is_younger_stays(house: Any) -> None:
    await house.sql.execute(
        """INSERT INTO omisync.orders
            (order_number, omisell_order_number, status_id, is_final, omisell_updated_at, detail)
        SELECT 'N-' || n, 'OMI-N-' || n, 900, n <= 6, now() - make_interval(days => 30 * n),
               '{"receiver": {"phone": "0901234567"}}' FROM generate_series(1, 8) AS n"""
    )
    given_up = await house.add("G-1", receiver={"phone": "0901234567"})
    young = await house.add("G-2", receiver={"phone": "0901234567"})
    await house.operator.discard([given_up, young], by="an")
    await house.sql.execute(
        "UPDATE omisync.outbox SET finished_at = now() - interval '200 days' WHERE id = $1", given_up
    )
    privacy = Privacy(house.database, house.hooks)
    assert [await privacy.forget_due(75 * DAY, 3) for _ in range(3)] == [3, 2, 0]
    rows = await house.sql.fetch("SELECT order_number FROM omisync.orders WHERE forgotten_at IS NOT NULL ORDER BY 1")
    assert [row["order_number"] for row in rows] == ["N-3", "N-4", "N-5", "N-6"]
    assert json.loads((await house.row(given_up))["payload"])["receiver"] == {}
    assert json.loads((await house.row(young))["payload"])["receiver"] == {"phone": "0901234567"}
    assert await house.events("N-6") == [("forgotten", 900, 900, "retention")]


async def test_the_shops_own_function_hears_of_it(house: Any) -> None:
    await house.sql.execute(
        "CREATE SCHEMA shop; CREATE TABLE shop.seen (kind text);"
        "CREATE FUNCTION shop.changed(event jsonb) RETURNS void LANGUAGE sql AS"
        " $$INSERT INTO shop.seen VALUES (event ->> 'kind')$$"
    )
    await an_order(house)
    await house.operator.forget("A-1", by="an", hook=True)
    assert await house.sql.fetchval("SELECT count(*) FROM shop.seen") == 0
    hooks = Hooks(house.database, "shop.changed")
    assert await hooks.retry_due() == 1  # the daemon's
    await house.sql.execute("UPDATE omisync.orders SET forgotten_at = NULL")
    assert await Privacy(house.database, hooks).forget_due(0.0, 10) == 1
    seen = await house.sql.fetch("SELECT kind FROM shop.seen")
    assert [row["kind"] for row in seen] == ["forgotten", "forgotten"]


async def test_a_detail_applied_at_the_same_moment_is_without_it_too(house: Any) -> None:
    await an_order(house)
    shown = snapshot(await fetch_one(house), 900, 3000, detail=json.dumps(DETAIL), parcels=json.dumps(PARCELS))
    other = await asyncpg.connect(house.dsn)
    try:
        async with other.transaction():
            await other.execute("SELECT FROM omisync.orders WHERE order_number = 'A-1' FOR NO KEY UPDATE")
            tasks = [
                asyncio.create_task(house.operator.forget("A-1", by="an")),
                asyncio.create_task(house.orders.apply(shown)),
            ]
            waiting = (
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
            )
            async with asyncio.timeout(10):
                while await house.sql.fetchval(waiting) < 2:  # noqa: ASYNC110 - it happens in the server
                    await asyncio.sleep(0.01)
        forgotten, applied = await asyncio.gather(*tasks)
    finally:
        await other.close()
    assert (forgotten.refused, applied.applied) == (None, True)
    assert await personal(house) == []


async def test_the_operators_role_may_forget_and_still_not_read_a_push(house: Any) -> None:
    await an_order(house)
    await house.sql.execute("DROP ROLE IF EXISTS desk_of_privacy; CREATE ROLE desk_of_privacy LOGIN PASSWORD 'x'")
    await house.sql.execute("GRANT omisync_operator TO desk_of_privacy")
    await house.sql.execute("SET ROLE desk_of_privacy")
    try:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await house.sql.fetch("SELECT body FROM omisync.inbox")
        for name, more in (("privacy.locked", []), ("privacy.held", []), ("privacy.forget", ["operator"])):
            query = house.database.queries[name]
            await house.sql.fetch(query.text, ["A-1"], *more)
    finally:
        await house.sql.execute("RESET ROLE")
        await house.sql.execute("REVOKE omisync_operator FROM desk_of_privacy; DROP ROLE desk_of_privacy")
    assert await personal(house) == []


async def test_an_upgrade_finds_the_returns_that_are_there_and_keeps_the_history(empty_dsn: str) -> None:
    raw = await asyncpg.connect(empty_dsn)
    try:
        await raw.execute("CREATE SCHEMA omisync; CREATE TABLE omisync.migrations (version integer)")
        for migration in shipped():
            if migration.version == 11:
                await raw.execute(
                    "INSERT INTO omisync.orders (order_number, status_id, omisell_updated_at)"
                    " VALUES ('A-1', 800, to_timestamp(1000)), ('A-2', 900, NULL);"
                    "INSERT INTO omisync.order_events (order_number, kind, source) VALUES ('A-1', 'status', 'sweep');"
                    "INSERT INTO omisync.parcels (order_number, package_number) VALUES ('A-1', '1')"
                )
            await raw.execute(migration.text)
        rows = await raw.fetch("SELECT order_number, extract(epoch FROM returned_at)::int, data FROM omisync.returns")
        assert [tuple(row) for row in rows] == [("A-1", 1000, "{}")]
        assert await raw.fetchval("SELECT kind FROM omisync.order_events") == "status"
        assert await raw.fetchval("SELECT data FROM omisync.parcels") == "{}"
        with pytest.raises(asyncpg.CheckViolationError):
            await raw.execute("UPDATE omisync.order_events SET kind = 'something'")
    finally:
        await raw.close()
