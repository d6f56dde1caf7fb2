"""The client against the simulator, and against the sample answers of the documents, byte for byte."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from omisync import __version__
from omisync.omisell import AuthenticationFailed, NotFound, OmisellError, Refused, StoredToken, Unavailable
from omisync.remote import OwnToken
from omisync.simulator import ListConfig, OrderConfig, Simulator, SimulatorConfig, TokenConfig
from omisync.store import Database, Leases, TokenTable
from omisync.sync.tokens import SharedTokens

GUIDE_TOKEN = b"""{
"data": {
"expired_time": 1703578845,
"refresh_expired_time": 1704788445,
"refresh_token": "xxxxx",
"token": "xxxxxxxx"
},
"error": false,
"error_code": 201,
"messages": ""
}"""
TOKEN = b"""{"data": {"token": "t.aaa", "expired_time": 1790086400, "refresh_token": "r.bbb",
              "refresh_expired_time": 1791296000},
     "error": false, "error_code": 201, "attr_error": null, "messages": ""}"""
LIST = b"""{"data": {"count": 1, "next": null, "previous": null, "results": [
       {"order_number": "WEB-1001", "omisell_order_number": "ODVN2609210A1B2C3D", "status_id": 300,
        "status_name": "Approved", "created_time": 1790000100, "updated_time": 1790000450}]},
     "error": false, "error_code": 200, "messages": ""}"""
DETAIL = b"""{"data": {"seller_id": 77, "shop_id": 21001, "shop_name": "My Web Shop", "platform": "custom",
      "platform_name": "Custom", "order_number": "WEB-1001",
      "omisell_order_number": "ODVN2609210A1B2C3D", "order_note": null, "order_type": "normal",
      "status_id": 460, "status_name": "Ready to ship", "is_fulfilled": false,
      "created_time": 1790000100, "updated_time": 1790003300,
      "parcels": [{"package_number": "1", "pickup_id": 167,
        "omisell_shipment_number": "SHP0001", "wms_order_number": "",
        "courier_tracking_number": "TRK0001", "courier_name": "Demo Express",
        "courier_service": "Standard", "shipment_status": 220, "shipment_status_name": "Ready to ship",
        "catalogue_items": [{"catalogue_sku": "TEE-M", "product_name": "Tee M", "product_type": "single",
          "quantity": 2, "weight": 200, "original_price": 120000, "discounted_price": 110000,
          "discount_seller": 10000, "discount_platform": 0, "voucher_seller": 0, "voucher_platform": 0}],
        "inventory_items": [{"inventory_sku": "TEE-M", "catalogue_sku": "TEE-M", "product_name": "Tee M",
          "quantity": 2, "sale_price": 110000, "serial_numbers": [], "vendor_name": "",
          "vendor_id": "", "vendor_pickup_id": ""}]}],
      "payment_information": [{"origin_payment_method": "cod", "payment_method": "COD",
        "payment_method_name": "Cash on delivery", "transaction_amount": 220000,
        "transaction_status": "100", "transaction_code": "", "transaction_external_code": "",
        "transaction_reference": "", "transaction_time": 1790000100, "transaction_note": ""}],
      "invoice_information": {}, "shipping_information": {"origin_shipping_fee": 0,
        "buyer_shipping_fee": 0, "seller_shipping_fee": 0, "platform_shipping_discount": 0},
      "receiver": {"fullname": "Nguyen Van A", "email": "", "phone": "+84900000000",
        "address": "1 Demo St", "country": "VN", "zip_code": "", "province_name": "Ha Noi",
        "province_id": 1}},
     "error": false, "error_code": 200, "messages": ""}"""
THROTTLED = b"""{"data": {"retry_after": 7}, "error": true, "error_code": 429, "messages": "Request was throttled."}"""

BODY = {
    "order_number": "WEB-1",
    "shop_id": 21001,
    "pickup_id": 167,
    "created_time": 1_790_000_000,
    "receiver": {"fullname": "Nguyễn Thị An", "province_name": "Hà Nội"},
    "payment_information": {"payment_type": 1, "payment_status": 100},
    "items": [{"sku": "TEE-M", "quantity": 1, "original_price": 120000, "discounted_price": 110000}],
}


def http(body: bytes, status: str = "200 OK") -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body


def answer(data: object) -> bytes:
    return http(json.dumps({"data": data, "error": False}).encode())


@pytest.fixture
async def omisell() -> AsyncIterator[Simulator]:
    """A simulator without lags."""
    simulator = Simulator(SimulatorConfig(lists=ListConfig(lag=(0, 0)), seed=5))
    await simulator.start()
    yield simulator
    await simulator.stop()


# The documents' samples


@pytest.mark.parametrize(
    ("sample", "token", "expires", "refresh", "refresh_expires"),
    [
        (GUIDE_TOKEN, "xxxxxxxx", 1703578845, "xxxxx", 1704788445),
        (TOKEN, "t.aaa", 1790086400, "r.bbb", 1791296000),
    ],
)
async def test_the_sample_of_a_token(
    desk: Any, sample: bytes, token: str, expires: int, refresh: str, refresh_expires: int
) -> None:
    desk.server.will(http(sample, "201 Created"))
    found = await desk.client.tokens._exchange.get()
    assert (found.token, found.expired_time) == (token, expires)
    assert (found.refresh_token, found.refresh_expired_time) == (refresh, refresh_expires)
    method, path, headers, body = desk.server.asked[0]
    assert (method, path, json.loads(body)) == (
        "POST",
        "/api/v2/auth/token/get/",
        {"api_key": "k_demo", "api_secret": "s_demo"},
    )
    assert "Authorization" not in headers


async def test_the_sample_of_the_list(desk: Any) -> None:
    desk.server.will(http(LIST))
    page = await desk.client.order_page(updated_from=1790000000, updated_to=1790003600, shop_id=None)
    (row,) = page.orders
    assert (page.count, page.has_next) == (1, False)
    assert (row.order_number, row.omisell_order_number) == ("WEB-1001", "ODVN2609210A1B2C3D")
    assert (row.status_id, row.status_name) == (300, "Approved")
    assert (row.created_time, row.updated_time) == (1790000100, 1790000450)
    assert desk.server.asked[0][1] == (
        "/api/v2/public/order/list?page=1&page_size=100&updated_from=1790000000&updated_to=1790003600"
    )


async def test_the_sample_of_a_detail(desk: Any) -> None:
    desk.server.will(http(DETAIL))
    order = await desk.client.order_detail("ODVN2609210A1B2C3D")
    assert (order.order_number, order.shop_id, order.status_id) == ("WEB-1001", 21001, 460)
    assert (order.created_time, order.updated_time) == (1790000100, 1790003300)
    assert (order.rts_time, order.shipped_time, order.completed_time) == (None, None, None)
    (parcel,) = order.parcels
    assert (parcel.package_number, parcel.pickup_id, parcel.courier_name) == ("1", 167, "Demo Express")
    assert (parcel.courier_tracking_number, parcel.shipment_status) == ("TRK0001", 220)
    assert parcel.items[0]["catalogue_sku"] == "TEE-M"
    assert order.raw == json.loads(DETAIL)["data"]
    assert "Nguyen" not in repr(order)


async def test_the_sample_of_throttling(desk: Any) -> None:
    desk.server.will(http(THROTTLED, "429 Too Many Requests"))
    with pytest.raises(OmisellError, match="again in 8 s"):
        await desk.client.order_detail("ODVN2609210A1B2C3D")


# What goes out, and what odd answers become


async def test_the_headers_of_a_call(desk: Any) -> None:
    desk.server.will(http(DETAIL))
    await desk.client.order_detail("OD/1 ?")
    method, path, headers, _ = desk.server.asked[0]
    assert (method, path) == ("GET", "/api/v2/public/order/OD%2F1%20%3F")
    assert headers["Authorization"] == "Omi t.aaa"
    assert headers["Content-Type"] == "application/json"
    assert (headers["Seller-ID"], headers["Country"]) == ("77", "VN")


async def test_an_add_goes_out_untouched(desk: Any) -> None:
    body = '{"order_number": "WEB-1",   "total": 10.10, "note": "Nguyễn"}'
    desk.server.will(answer([{"omisell_order_number": "OD1"}]), answer({"omisell_order_number": "OD2"}))
    assert (await desk.client.add_order(body)).omisell_order_number == "OD1"
    assert desk.server.asked[0][3] == body.encode()
    assert (await desk.client.add_order({"order_number": "Nguyễn"})).omisell_order_number == "OD2"
    assert desk.server.asked[1][3] == '{"order_number": "Nguyễn"}'.encode()


@pytest.mark.parametrize(("reason", "body"), [("Khách đổi ý", {"cancel_reason": "Khách đổi ý"}), (None, {})])
async def test_a_cancel_carries_its_reason(desk: Any, reason: str | None, body: object) -> None:
    desk.server.will(answer(None))
    await desk.client.cancel_order("OD1", reason)
    method, path, _, sent = desk.server.asked[0]
    assert (method, path, json.loads(sent)) == ("PATCH", "/api/v2/public/order/OD1/cancel", body)


async def test_rows_without_a_number_are_nobodys(desk: Any) -> None:
    desk.server.will(answer({"results": [{}, None, 7, {"omisell_order_number": 5}], "next": "x", "count": "4"}))
    page = await desk.client.order_page(updated_from=None, updated_to=None, shop_id=None)
    assert [row.omisell_order_number for row in page.orders] == ["5"]
    assert (page.count, page.has_next, page.unread) == (4, True, 3)


async def test_a_page_beyond_the_end_is_empty_and_a_first_page_that_is_not_there_is_a_fault(desk: Any) -> None:
    desk.server.will(http(b"{}", "404 Not Found"), http(b"{}", "404 Not Found"))
    page = await desk.client.order_page(page=2, updated_from=None, updated_to=None, shop_id=None)
    assert (page.orders, page.has_next) == ((), False)
    with pytest.raises(NotFound):
        await desk.client.order_page(updated_from=None, updated_to=None, shop_id=None)


async def test_the_filter_is_sent_only_where_it_is_configured(desk: Any, client_of: Any) -> None:
    wanted = {"updated_from": None, "updated_to": None, "shop_id": None, "order_number": "WEB-1"}
    desk.server.will(http(LIST), http(LIST))
    await desk.client.order_page(**wanted)
    filtered = client_of(desk.server.url, tokens=desk.client.tokens._store, lookup_filter="order_number")
    await filtered.order_page(**wanted)
    assert ["order_number=WEB-1" in path for _, path, _, _ in desk.server.asked] == [False, True]


async def test_shops_are_read_page_by_page_until_there_is_none(desk: Any) -> None:
    first = answer({"results": [{"shop_id": "1", "shop_name": "A"}, {"name": "lost"}], "next": "x"})
    second = answer({"results": [{"id": 2, "name": "B", "platform": "custom"}], "next": "x"})
    desk.server.will(first, second, http(b"{}", "404 Not Found"))
    shops = await desk.client.shops()
    assert [(shop.shop_id, shop.name, shop.platform) for shop in shops] == [(1, "A", ""), (2, "B", "custom")]
    desk.server.will(http(b"{}", "404 Not Found"))
    with pytest.raises(NotFound):
        await desk.client.shops()


async def test_an_endless_list_has_an_end(desk: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("omisync.omisell.client.MOST_PAGES", 4)
    desk.server.will(*[answer({"results": [{"id": 1, "pickup_name": "W"}], "next": "x"})] * 3)
    assert [(one.id, one.name) for one in await desk.client.pickups()] == [(1, "W")] * 3


@pytest.mark.parametrize(
    "data", [None, {}, {"token": ""}, {"token": 0.5, "x": 1} | {"token": None}, {"token": "a\r\nX: 1"}, {"token": "ü"}]
)
async def test_an_answer_without_a_token_is_no_answer(desk: Any, data: object) -> None:
    desk.server.will(answer(data))
    with pytest.raises(Unavailable, match="no token"):
        await desk.client.tokens._exchange.get()


async def test_a_refresh_that_brings_no_new_refresh_token_keeps_the_old(desk: Any) -> None:
    desk.server.will(answer({"token": "t.2", "expired_time": 5}))
    assert (await desk.client.tokens._exchange.refresh("r.old")).refresh_token == "r.old"
    assert json.loads(desk.server.asked[0][3]) == {"refresh": "r.old"}


async def test_a_token_exchange_that_times_out_is_an_outage_and_leaks_nothing(desk: Any) -> None:
    async def hang(writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, TimeoutError):
            await asyncio.wait_for(asyncio.Event().wait(), 1.5)

    desk.server.will(hang)
    desk.client.tokens._store = OwnToken()
    with pytest.raises(Unavailable, match=r"token\.get: time-out") as caught:
        await desk.client.add_order("{}")
    assert caught.value.maybe_applied is False
    assert "s_demo" not in str(caught.value)


# Against the simulator


async def test_the_life_of_an_order(omisell: Simulator, client_of: Any) -> None:
    client = client_of(omisell.url)
    added = await client.add_order(BODY)
    assert added.order_number == "WEB-1"
    assert added.status_id == 200
    page = await client.order_page(updated_from=0, updated_to=None, shop_id=21001)
    assert [row.omisell_order_number for row in page.orders] == [added.omisell_order_number]
    detail = await client.order_detail(added.omisell_order_number)
    assert (detail.order_number, detail.status_id) == ("WEB-1", 200)
    await client.cancel_order(added.omisell_order_number, "test")
    assert (await client.order_detail(added.omisell_order_number)).status_id == 700
    await client.ping()
    assert 21001 in [shop.shop_id for shop in await client.shops()]
    assert 167 in [pickup.id for pickup in await client.pickups()]


async def test_a_duplicate_is_a_refusal_that_says_so(omisell: Simulator, client_of: Any) -> None:
    client = client_of(omisell.url)
    await client.add_order(BODY)
    with pytest.raises(Refused) as caught:
        await client.add_order(BODY)
    assert caught.value.may_be_duplicate


async def test_numbers_as_strings_and_an_array_and_compression_are_read(client_of: Any) -> None:
    config = SimulatorConfig(stringly=True, compress=True, orders=OrderConfig(answer_as_list=True))
    simulator = Simulator(config)
    await simulator.start()
    try:
        client = client_of(simulator.url)
        added = await client.add_order(BODY)
        assert (await client.order_detail(added.omisell_order_number)).status_id == 200
    finally:
        await simulator.stop()


async def test_wrong_credentials_are_said(omisell: Simulator, client_of: Any) -> None:
    client = client_of(omisell.url, api_secret="wrong")
    with pytest.raises(AuthenticationFailed, match=r"check omisell\.api_key and omisell\.api_secret"):
        await client.ping()


@pytest.mark.parametrize("fault", ["reset_after", "error_after", "gateway_page_after"])
async def test_an_add_that_was_applied_without_a_word_is_uncertain(
    omisell: Simulator, client_of: Any, fault: str
) -> None:
    client = client_of(omisell.url)
    omisell.faults.set(fault, times=1)
    with pytest.raises(Unavailable) as caught:
        await client.add_order(BODY)
    assert caught.value.maybe_applied is True
    assert len(omisell.orders.named("WEB-1")) == 1


@pytest.mark.parametrize("fault", ["reset_before", "error_before"])
async def test_an_add_that_was_not_applied_is_uncertain_all_the_same(
    omisell: Simulator, client_of: Any, fault: str
) -> None:
    client = client_of(omisell.url)
    await client.ping()
    omisell.faults.set(fault, times=1, endpoints=["order.add"])
    with pytest.raises(Unavailable) as caught:
        await client.add_order(BODY)
    assert caught.value.maybe_applied is True
    assert len(omisell.orders.named("WEB-1")) == 0


# One renewal at a time


async def test_many_requests_that_meet_a_401_renew_the_token_once(omisell: Simulator, client_of: Any) -> None:
    client = client_of(omisell.url)
    await client.ping()
    before = omisell.ledger.calls["token.get"] + omisell.ledger.calls["token.refresh"]
    omisell.tokens.revoke_all()
    await asyncio.gather(*(client.ping() for _ in range(25)))
    assert omisell.ledger.calls["token.get"] + omisell.ledger.calls["token.refresh"] == before + 1


async def test_two_clients_on_one_database_renew_the_token_once(dsn: str, omisell: Simulator, client_of: Any) -> None:
    databases = [Database(dsn), Database(dsn)]
    try:
        clients = [
            client_of(omisell.url, tokens=SharedTokens(TokenTable(one, Leases(one, __version__)))) for one in databases
        ]
        await asyncio.gather(*(client.ping() for client in clients for _ in range(10)))
        assert omisell.ledger.calls["token.get"] == 1
        omisell.tokens.revoke_all()
        await asyncio.gather(*(client.ping() for client in clients for _ in range(10)))
        assert (omisell.ledger.calls["token.get"], omisell.ledger.calls["token.refresh"]) == (1, 1)
    finally:
        for one in databases:
            await one.close()


async def test_a_refresh_token_that_is_void_falls_back_to_the_key(omisell: Simulator, client_of: Any) -> None:
    store = OwnToken()
    client = client_of(omisell.url, tokens=store)
    await client.ping()
    omisell.tokens.revoke_all(refresh=True)
    await client.ping()
    assert (omisell.ledger.calls["token.get"], omisell.ledger.calls["token.refresh"]) == (2, 1)


async def test_a_token_without_an_end_is_used_for_a_while(client_of: Any) -> None:
    simulator = Simulator(SimulatorConfig(tokens=TokenConfig(omit_expired_time=True)))
    await simulator.start()
    try:
        store = OwnToken()
        client = client_of(simulator.url, tokens=store)
        await client.ping()
        await client.ping()
        assert simulator.ledger.calls["token.get"] == 1
        held = await store.load()
        assert isinstance(held, StoredToken)
        assert held.expired_time is None
        await store.save(replace(held, obtained_at=held.obtained_at - 1700))
        fresh = client_of(simulator.url, tokens=store)
        await fresh.ping()
        assert simulator.ledger.calls["token.refresh"] == 1
    finally:
        await simulator.stop()
