"""Orders on their way through the checks: the outbox, the copies of the lists and the simulator, all real."""

import json
import math
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import aiohttp
import asyncpg
import pytest

from omisync.config import OmisellSettings
from omisync.omisell import Budget, OmisellClient, connect
from omisync.remote import OwnToken, Uncounted
from omisync.simulator import BucketConfig, Simulator, SimulatorConfig
from omisync.store import Database, Hooks, Outbox
from omisync.store.mirrors import Mirrors, ProductSource
from omisync.sync.add import Adder
from omisync.sync.backoff import Backoff
from omisync.sync.flight import Held
from omisync.sync.lookup import Lookup
from omisync.sync.mirrors import MirrorKeeper
from omisync.sync.prepare import Checker, CheckRules
from omisync.sync.products import ProductMaker
from omisync.sync.rules import SendingRules

SHOP = 21001
PRODUCT = """
CREATE SCHEMA shop;
CREATE VIEW shop.wares AS SELECT 'NEW-1'::text AS sku, 'Mới'::text AS name, 9000 AS price;
CREATE FUNCTION shop.product(sku text) RETURNS jsonb LANGUAGE sql STABLE
    AS $$ SELECT to_jsonb(w) FROM shop.wares AS w WHERE w.sku = product.sku $$;
"""


@dataclass
class Desk:
    """The outbox and whoever works it, a step at a time."""

    sql: asyncpg.Connection
    database: Database
    simulator: Simulator
    client: OmisellClient

    def __post_init__(self) -> None:
        self.outbox = Outbox(self.database, Hooks(self.database))
        self.mirrors = Mirrors(self.database)
        self.keeper = MirrorKeeper(
            self.client, self.mirrors, every={"catalogue": 60.0, "products": 60.0, "locations": 60.0}, shop_id=SHOP
        )

    async def send(self, checker: Checker) -> None:
        """Works everything that is due."""
        rules = SendingRules(3, 1.0, Backoff(0.1, 1.0), SHOP, {"shop_id": SHOP})
        adder = Adder(self.client, Lookup(self.client, SHOP), rules, checker)
        for claim in await self.outbox.claim("order.add", 10):
            held = Held(claim.lease_token, math.inf)
            assert await self.outbox.finish(await adder.work(claim, held))

    def checker(self, **more: Any) -> Checker:
        options = {"addresses": "off", "phones": "off", "skus": "off", "country": "VN", **more}
        products = options.pop("products", None)
        return Checker(self.mirrors, CheckRules(**options), products)

    async def add(self, number: str, sku: str = "TEE-M", **receiver: object) -> None:
        body = {"order_number": number, "receiver": receiver, "items": [{"sku": sku, "quantity": 1}]}
        await self.sql.fetchval("SELECT omisync.add_order($1)", json.dumps(body))

    async def row(self, number: str) -> Mapping[str, Any]:
        found = await self.sql.fetchrow("SELECT * FROM omisync.outbox WHERE order_number = $1", number)
        return dict(found)

    async def events(self, number: str) -> list[tuple[str, dict[str, Any]]]:
        rows = await self.sql.fetch(
            "SELECT kind, data FROM omisync.order_events WHERE order_number = $1 ORDER BY id", number
        )
        return [(row["kind"], json.loads(row["data"])) for row in rows]

    def at_omisell(self, number: str) -> list[dict[str, Any]]:
        return [
            self.simulator.detail(each.order_number) for each in self.simulator.orders if each.order_number == number
        ]


@pytest.fixture
async def desk(dsn: str) -> AsyncIterator[Desk]:
    async with AsyncExitStack() as stack:
        simulator = Simulator(SimulatorConfig(bucket=BucketConfig(size=100_000)))
        await simulator.start()
        stack.push_async_callback(simulator.stop)
        database = Database(dsn)
        stack.push_async_callback(database.close)
        sql = await asyncpg.connect(dsn)
        stack.push_async_callback(sql.close)
        session = await stack.enter_async_context(aiohttp.ClientSession())
        account = simulator.config.account
        settings = OmisellSettings(
            base_url=simulator.url,
            api_key=account.api_key,
            api_secret=account.api_secret,
            seller_id=account.seller_id,
            country=account.country,
            shop_id=SHOP,
        )
        budget = Budget(100_000, 6_000_000)
        client = connect(settings, session=session, token_store=OwnToken(), budget=budget, observer=Uncounted())
        yield Desk(sql, database, simulator, client)


async def test_an_address_is_sent_in_omisells_spelling_and_the_timeline_says_what_was_changed(desk: Desk) -> None:
    await desk.keeper.keep()
    await desk.add("A-1", province_name="TP.HCM", district_name="Q1", subdistrict_name="Ben Nghe Ward")
    await desk.send(desk.checker(addresses="fix"))
    assert (await desk.row("A-1"))["outcome"] == "added"
    [order] = desk.at_omisell("A-1")
    assert order["receiver"]["province_name"] == "Hồ Chí Minh"
    [(kind, data)] = await desk.events("A-1")
    assert kind == "added"
    assert data["changed"] == [
        {"field": "receiver.province_name", "given": "TP.HCM", "sent": "Hồ Chí Minh"},
        {"field": "receiver.district_name", "given": "Q1", "sent": "Quận 1"},
        {"field": "receiver.subdistrict_name", "given": "Ben Nghe Ward", "sent": "Phường Bến Nghé"},
    ]


async def test_without_the_check_the_same_order_is_refused_with_a_line_on_what_to_do(desk: Desk) -> None:
    await desk.add("A-1", province_name="TP.HCM")
    await desk.send(desk.checker())
    row = await desk.row("A-1")
    assert row["state"] == "failed"
    words, advice = row["error"].split("\n")
    assert words == "receiver.province_name: Province TP.HCM does not exist in the address system."
    assert advice.startswith("What to do: the names of province, district and subdistrict must be Omisell's own")


async def test_an_address_that_fits_nowhere_fails_before_any_call_and_names_what_is_near(desk: Desk) -> None:
    await desk.keeper.keep()
    await desk.add("A-1", province_name="Hồ Chí Minh", district_name="Quận Bình Tân")
    calls = desk.simulator.ledger.calls["order.add"]
    await desk.send(desk.checker(addresses="fix"))
    row = await desk.row("A-1")
    assert (row["state"], row["maybe_sent_at"]) == ("failed", None)
    assert row["error"].startswith(
        "receiver.district_name: is not in Omisell's address system; near it are: Quận Bình Thạnh"
    )
    assert desk.simulator.ledger.calls["order.add"] == calls
    [(kind, data)] = await desk.events("A-1")
    assert (kind, data["why"]) == ("failed", row["error"])
    # corrected, it may be enqueued anew
    await desk.add("A-1", province_name="Hồ Chí Minh", district_name="Quận Bình Thạnh")
    await desk.send(desk.checker(addresses="fix"))
    assert len(desk.at_omisell("A-1")) == 1


async def test_an_order_waits_for_its_sku_and_goes_by_itself_once_the_copy_has_it(desk: Desk) -> None:
    await desk.keeper.keep()
    checker = desk.checker(skus="hold")
    await desk.add("A-1", sku="NEW-1")
    await desk.add("A-2")
    await desk.send(checker)
    row = await desk.row("A-1")
    assert (row["state"], row["attempts"], row["maybe_sent_at"]) == ("pending", 0, None)
    assert row["error"] == "waits for what is not in Omisell's catalogue: SKU NEW-1; it goes by itself once it is"
    assert (await desk.row("A-2"))["outcome"] == "added"
    assert row["available_at"] > row["created_at"]
    await desk.client.add_product('{"sku": "NEW-1", "name": "Mới"}')
    await desk.keeper.refresh(["products"])
    await desk.sql.execute("UPDATE omisync.outbox SET available_at = now() WHERE state = 'pending'")
    await desk.send(checker)
    assert (await desk.row("A-1"))["outcome"] == "added"
    assert desk.simulator.ledger.adds_refused.total() == 0


async def test_an_order_that_waits_can_be_cancelled(desk: Desk) -> None:
    await desk.keeper.keep()
    await desk.add("A-1", sku="NEW-1")
    await desk.send(desk.checker(skus="hold"))
    await desk.sql.execute("SELECT omisync.cancel_order('A-1')")
    assert sorted(await desk.outbox.annul()) == ["order.add", "order.cancel"]


async def test_a_missing_product_is_created_from_the_merchants_view(desk: Desk) -> None:
    await desk.keeper.keep()
    await desk.sql.execute(PRODUCT)
    products = ProductMaker(desk.client, ProductSource(desk.database, "shop.product"), desk.mirrors)
    await desk.add("A-1", sku="NEW-1")
    await desk.add("A-2", sku="NEW-2")
    await desk.send(desk.checker(skus="hold", products=products))
    assert (await desk.row("A-1"))["outcome"] == "added"
    assert desk.simulator.account.products["NEW-1"].price == 9000
    row = await desk.row("A-2")
    assert row["state"] == "pending"
    assert "SKU NEW-2 (checks.product_function has no product for it)" in row["error"]


async def test_what_is_only_reported_stands_in_the_timeline_without_the_buyers_number(desk: Desk) -> None:
    await desk.add("A-1", phone="0901 234 56x")
    await desk.send(desk.checker(phones="report"))
    [(_, data)] = await desk.events("A-1")
    assert data["noted"] == [{"field": "receiver.phone", "why": "has letters in it"}]
