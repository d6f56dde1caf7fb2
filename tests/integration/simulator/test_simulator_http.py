"""Omisell's endpoints over real HTTP."""

import gzip
import io
from email.utils import parsedate_to_datetime
from typing import Any, Literal

import aiohttp
import pytest

from omisync.simulator import (
    AccountConfig,
    BucketConfig,
    ListConfig,
    ManualClock,
    OrderConfig,
    Simulator,
    SimulatorConfig,
    TokenConfig,
)

Start = Any

PUBLIC = "/api/v2/public"


@pytest.mark.parametrize("version", ["v1", "v2"])
@pytest.mark.parametrize("key", ["refresh", "refresh_token"])
async def test_tokens_are_handed_out_and_refreshed(start: Start, version: str, key: str) -> None:
    _, call = await start()
    got = await call("POST", f"/api/{version}/auth/token/get/", json={"api_key": "k_demo", "api_secret": "s_demo"})
    assert got.status == 201
    assert set(got.body) == {"data", "error", "error_code", "messages", "attr_error"}
    assert (got.body["error"], got.body["error_code"], got.body["messages"]) == (False, 201, "")
    again = await call("POST", f"/api/{version}/auth/token/refresh/", json={key: got.data["refresh_token"]})
    assert again.status == 201
    assert again.data["token"] != got.data["token"]
    call.token = again.data["token"]
    assert (await call("GET", f"{PUBLIC}/shop/list")).status == 200


@pytest.mark.parametrize("status", [400, 401, 403])
async def test_wrong_credentials_are_refused(start: Start, status: Literal[400, 401, 403]) -> None:
    _, call = await start(tokens=TokenConfig(wrong_credentials_status=status))
    wrong = await call("POST", "/api/v2/auth/token/get/", json={"api_key": "k_demo", "api_secret": "x"})
    assert (wrong.status, wrong.body["error"], wrong.data) == (status, True, None)
    void = await call("POST", "/api/v2/auth/token/refresh/", json={"refresh": "r.nothing"})
    assert (void.status, void.body["error_code"]) == (status, status)


async def test_a_token_opens_the_door_until_it_expires(start: Start) -> None:
    clock = ManualClock()
    sim, call = await start(clock, tokens=TokenConfig(rejected_status=403))
    assert (await call.list()).status == 200
    clock.advance(86_400)
    assert (await call.list()).status == 403
    await call.login()
    assert (await call.list()).status == 200
    sim.tokens.revoke_all()
    assert (await call.list()).status == 403


async def test_the_other_schemes(start: Start) -> None:
    _, call = await start(account=AccountConfig(account_key="acc", partner_key="par"))

    async def status(authorization: str, **headers: str) -> int:
        reply = await call("GET", f"{PUBLIC}/shop/list", headers={"Authorization": authorization, **headers})
        return int(reply.status)

    named = {"Seller-ID": "77", "Country": "VN"}
    assert await status("Account acc") == 200
    assert await status("Account par") == 401
    assert await status("Partner par", **named) == 200
    assert await status("Partner par") == 401
    assert await status("Partner x", **named) == 401
    assert await status(f"Bearer {call.token}") == 401
    assert await status(call.token) == 401
    _, plain = await start()
    assert (await plain("GET", f"{PUBLIC}/shop/list", headers={"Authorization": "Account acc"})).status == 401
    headers = {"Authorization": "Partner par", **named}
    assert (await plain("GET", f"{PUBLIC}/shop/list", headers=headers)).status == 401


async def test_an_orders_way_over_the_api(start: Start) -> None:
    sim, call = await start()
    added = await call.add()
    assert added.status == 200
    assert added.body["error"] is False
    assert added.body["request_id"]
    assert abs(added.body["timestamp"] - sim.clock.time()) < 5
    number = added.data["omisell_order_number"]
    assert (added.data["status_id"], added.data["status_name"]) == (200, "New")
    listed = await call.list(shop_id=21001)
    assert listed.data["results"] == [
        {
            "order_number": "WEB-1",
            "omisell_order_number": number,
            "status_id": 200,
            "status_name": "New",
            "created_time": 1_790_000_000,
            "updated_time": added.data["updated_time"],
        }
    ]
    sim.advance("WEB-1", 500)
    detail = await call.detail(number)
    assert detail.data == sim.detail("WEB-1")
    assert detail.data["parcels"][0]["courier_tracking_number"].startswith("TRK")
    refused = await call.cancel(number)
    assert (refused.status, refused.body["error"]) == (400, True)
    assert refused.body["messages"] == "Order cannot be cancelled in status Shipped."
    assert sim.ledger.adds_applied == {"WEB-1": 1}
    assert sim.ledger.cancels_refused == {"WEB-1": 1}


async def test_a_cancel_and_its_repeat(start: Start) -> None:
    sim, call = await start()
    number = (await call.add()).data["omisell_order_number"]
    first = await call.cancel(number, json={"cancel_reason": "Khách đổi ý"})
    assert first.status == 200
    assert first.data == {
        "order_number": "WEB-1",
        "omisell_order_number": number,
        "status_id": 700,
        "status_name": "Cancelled by seller",
        "updated_time": sim.orders.find("WEB-1").state.updated_time,
    }
    assert (await call.cancel(number)).data == first.data
    assert (sim.ledger.cancels_applied, sim.ledger.cancels_repeated) == ({"WEB-1": 1}, {"WEB-1": 1})
    assert (await call.cancel("ODVN00000000000000")).status == 404


async def test_detail_goes_by_omisells_number_only(start: Start) -> None:
    _, call = await start()
    await call.add()
    missing = await call.detail("WEB-1")
    assert (missing.status, missing.body["error"], missing.body["error_code"]) == (404, True, 404)


async def test_a_lagging_detail_is_old_or_missing(start: Start) -> None:
    clock = ManualClock()
    sim, call = await start(clock, orders=OrderConfig(detail_lag=(10, 10)))
    number = (await call.add()).data["omisell_order_number"]
    assert (await call.detail(number)).status == 404
    clock.advance(10)
    sim.advance("WEB-1")
    assert (await call.detail(number)).data["status_id"] == 200
    clock.advance(10)
    assert (await call.detail(number)).data["status_id"] == 250


@pytest.mark.parametrize("status", [400, 200])
async def test_a_bad_order_is_refused_with_its_fields(start: Start, status: int) -> None:
    sim, call = await start(orders=OrderConfig(refused_status=status))
    reply = await call.add(items=[{"sku": "NO-SUCH", "quantity": 1}])
    assert (reply.status, reply.body["error"], reply.body["error_code"], reply.data) == (status, True, 400, None)
    assert reply.body["attr_error"] == {"items": ["items[0].sku: SKU NO-SUCH does not exist in the catalogue."]}
    assert reply.body["messages"] == "items[0].sku: SKU NO-SUCH does not exist in the catalogue."
    assert sim.ledger.adds_refused == {"WEB-1": 1}
    assert len(sim.orders) == 0


async def test_a_duplicate_is_rejected_in_the_accounts_language(start: Start) -> None:
    sim, call = await start(language="vi")
    await call.add()
    reply = await call.add()
    assert (reply.status, reply.body["messages"]) == (400, "Mã đơn hàng WEB-1 đã tồn tại.")
    assert reply.body["attr_error"] == {"order_number": ["Mã đơn hàng WEB-1 đã tồn tại."]}
    assert (await call.add(shop_id=21002)).status == 200  # unique within one shop
    assert len(sim.orders) == 2


async def test_a_duplicate_may_return_the_first_order(start: Start) -> None:
    sim, call = await start(orders=OrderConfig(duplicates="return_existing"))
    first, second = await call.add(), await call.add()
    assert first.data == second.data
    assert len(sim.orders) == 1
    assert (sim.ledger.adds_applied, sim.ledger.adds_repeated) == ({"WEB-1": 1}, {"WEB-1": 1})


async def test_a_duplicate_may_make_a_second_order(start: Start) -> None:
    sim, call = await start(orders=OrderConfig(duplicates="create_second", answer_as_list=True))
    first, second = await call.add(), await call.add()
    assert first.data[0]["omisell_order_number"] != second.data[0]["omisell_order_number"]
    assert len(sim.orders.named("WEB-1")) == 2
    assert sim.ledger.adds_applied == {"WEB-1": 2}


@pytest.mark.parametrize(
    ("raw", "content_type", "status", "message"),
    [
        (b"[1]", "application/json", 400, "The body must be a JSON object."),
        (b'{"order_number": NaN}', "application/json", 400, "The body is not JSON."),
        (b"[" * 100_000, "application/json", 400, "The body is not JSON."),
        (b"\xff\xfe{", "application/json", 400, "The body is not JSON."),
        (b"", "application/json", 400, "The body is not JSON."),
        (b'{"order_number": "A"}', "text/plain", 400, "Content-Type must be application/json."),
        (b" " * (17 << 20), "application/json", 413, "Request entity too large."),
        (b'{"order_number": "\\ud800", "items": {}}', "application/json", 400, "Shop"),
    ],
    ids=["list", "nan", "deep", "not-utf8", "empty", "text", "large", "surrogate"],
)
async def test_hostile_bodies_are_answered(
    start: Start, raw: bytes, content_type: str, status: int, message: str
) -> None:
    sim, call = await start()
    headers = {"Content-Type": content_type}
    reply = await call("POST", f"{PUBLIC}/order/add", data=io.BytesIO(raw), headers=headers)
    assert reply.status == status
    assert reply.body["error"] is True
    if message != "Shop":
        assert reply.body["messages"] == message
    assert len(sim.orders) == 0


async def test_paths_are_exact(start: Start) -> None:
    _, call = await start()
    for method, path in (
        ("GET", f"{PUBLIC}/shop/list/"),
        ("POST", "/api/v2/auth/token/get"),
        ("POST", f"{PUBLIC}/order/list"),
        ("GET", f"{PUBLIC}/order/ODVN1/cancel"),
    ):
        reply = await call(method, path, json={})
        assert (reply.status, reply.body["messages"]) == (404, "Not found."), path


async def test_numbers_in_a_path_are_decoded(start: Start) -> None:
    _, call = await start()
    assert (await call.detail("a%2Fb%20c")).status == 404


async def test_pages_of_orders(start: Start) -> None:
    clock = ManualClock(start=1_790_000_000)
    sim, call = await start(clock)
    for place in range(45):
        sim.create({"order_number": f"N{place:02d}"})
        clock.advance(1)
    first = await call.list(page_size=20)
    assert (first.data["count"], first.data["previous"], len(first.data["results"])) == (45, None, 20)
    assert first.data["results"][0]["order_number"] == "N44"
    assert first.data["next"] == f"{sim.url}{PUBLIC}/order/list?page_size=20&page=2"
    last = await call("GET", first.data["next"].removeprefix(sim.url).replace("page=2", "page=3"))
    assert last.data["next"] is None
    assert last.data["previous"].endswith("page=2")
    assert [each["order_number"] for each in last.data["results"]] == ["N04", "N03", "N02", "N01", "N00"]
    assert len((await call.list(page_size=1000)).data["results"]) == 45
    assert len((await call.list()).data["results"]) == 20
    assert (await call.list(page=4)).status == 404
    for query in ({"page": 0}, {"page": "x"}, {"page_size": 0}, {"page_size": -1}, {"updated_from": "today"}):
        assert (await call.list(**query)).status == 400, query


async def test_the_lists_options(start: Start) -> None:
    clock = ManualClock(start=1_790_000_000)
    lists = ListConfig(lag=(3, 3), beyond_end="empty", sort="updated_time", max_page_size=2, half_open=True)
    sim, call = await start(clock, lists=lists)
    for place in range(3):
        sim.create({"order_number": f"N{place}", "created_time": 100 + place})
        clock.advance(1)
    assert (await call.list()).data["count"] == 1
    clock.advance(2)
    assert [row["order_number"] for row in (await call.list(page_size=50)).data["results"]] == ["N0", "N1"]
    beyond = await call.list(page=9)
    assert (beyond.status, beyond.data["results"], beyond.data["next"]) == (200, [], None)
    assert (await call.list(updated_from=1_790_000_001, updated_to=1_790_000_002)).data["count"] == 1
    assert (await call.list(external_created_from=101, external_created_to=102)).data["count"] == 1
    sim.advance("N1", 500)
    clock.advance(3)
    assert (await call.list(status="500,600")).data["count"] == 1
    assert (await call.list(status_group="all")).data["count"] == 3


async def test_a_filter_by_order_number_is_ignored_unless_the_account_has_it(start: Start) -> None:
    _, call = await start()
    await call.add()
    await call.add(order_number="WEB-2")
    assert (await call.list(order_number="WEB-2")).data["count"] == 2
    _, other = await start(lists=ListConfig(lag=(0, 0), lookup_filter=True))
    await other.add()
    await other.add(order_number="WEB-2")
    assert (await other.list(order_number="WEB-2")).data["count"] == 1
    assert (await other.list(order_number="WEB-3")).data["count"] == 0


async def test_the_other_lists(start: Start) -> None:
    _, call = await start()

    async def rows(path: str) -> list[Any]:
        return list((await call("GET", f"{PUBLIC}/{path}")).data["results"])

    assert [shop["shop_id"] for shop in await rows("shop/list?is_active=1")] == [21001, 21002, 21650]
    assert (await rows("pickup/list"))[0] == {
        "id": 167,
        "pickup_name": "Kho Hà Nội",
        "address": "Số 1 phố Mẫu, Quận Cầu Giấy, Hà Nội",
    }
    first = (await rows("catalogue/list"))[0]
    assert (first["sku"], first["price"], first["shop_id"], first["variants"]) == ("TEE-M", 120_000, 21001, [])
    assert (await call("GET", f"{PUBLIC}/catalogue/list")).data["count"] == 60
    assert (await rows("product/list"))[0] == {
        "id": 1,
        "sku": "TEE-M",
        "name": "Áo thun trơn, cỡ M",
        "price": 120_000,
        "weight": 200,
    }
    provinces = await rows("location/provinces")
    assert provinces[0] == {"id": 1, "name": "Hà Nội", "parent_id": None}
    districts = await rows("location/districts?province_id=2")
    assert {row["parent_id"] for row in districts} == {2}
    assert [row["name"] for row in await rows(f"location/subdistricts?district_id={districts[0]['id']}")] == [
        "Phường Bến Nghé",
        "Phường Bến Thành",
        "Phường Đa Kao",
    ]
    assert await rows("location/subdistricts?province_id=1") == []


async def test_a_new_product_can_be_ordered(start: Start) -> None:
    _, call = await start()
    assert (await call.add(items=[{"sku": "MOI-01", "quantity": 1}])).status == 400
    product = {"sku": "MOI-01", "name": "Hàng mới", "price": "50000", "weight": 100}
    made = await call("POST", f"{PUBLIC}/product/add", json=product)
    assert made.data == {"id": 21, "sku": "MOI-01", "name": "Hàng mới", "price": 50000, "weight": 100}
    assert (await call.add(items=[{"sku": "MOI-01", "quantity": 1}])).status == 200
    assert (await call("POST", f"{PUBLIC}/product/add", json=product)).status == 400
    assert (await call("POST", f"{PUBLIC}/product/add", json={"sku": "A"})).status == 400


async def test_the_bucket_limits_calls_and_says_so(start: Start) -> None:
    clock = ManualClock()
    sim, call = await start(clock, bucket=BucketConfig(size=4, leak_per_minute=60))
    fills = [(await call("GET", f"{PUBLIC}/shop/list")).headers["X-Omisell-Api-Call-Limit"] for _ in range(3)]
    assert fills == ["2/4", "3/4", "4/4"]  # the token call was the first
    refused = await call.add()
    assert refused.status == 429
    assert refused.headers["X-Omisell-Api-Call-Limit"] == "4/4"
    assert (refused.data, refused.body["messages"]) == ({"retry_after": 1}, "Request was throttled.")
    assert len(sim.orders) == 0
    assert sim.ledger.throttled == 1
    clock.advance(1)
    assert (await call.add()).status == 200
    assert (await call("GET", "/control/ledger")).status == 200  # free of it


async def test_the_buckets_options(start: Start) -> None:
    clock = ManualClock()
    bucket = BucketConfig(size=1, throttle_status=200, count_tokens=False, header_on_errors=False)
    _, call = await start(clock, bucket=bucket, stringly=True)
    error = await call("GET", f"{PUBLIC}/nothing")
    assert (error.status, "X-Omisell-Api-Call-Limit" in error.headers) == (404, False)
    refused = await call("GET", f"{PUBLIC}/shop/list")
    assert (refused.status, refused.body["error"], refused.body["error_code"]) == (200, True, 429)
    assert refused.data == {"retry_after": "1"}


async def test_each_shop_may_have_a_bucket_of_its_own(start: Start) -> None:
    clock = ManualClock()
    _, call = await start(clock, bucket=BucketConfig(size=2, scope="shop", count_tokens=False))
    number = (await call.add()).data["omisell_order_number"]
    assert (await call.detail(number)).headers["X-Omisell-Api-Call-Limit"] == "2/2"
    assert (await call.list(shop_id=21001)).status == 429
    assert (await call.list(shop_id=21002)).headers["X-Omisell-Api-Call-Limit"] == "1/2"
    assert (await call.list()).headers["X-Omisell-Api-Call-Limit"] == "1/2"


async def test_stringly_numbers_and_compressed_answers(start: Start) -> None:
    _, call = await start(stringly=True, compress=True)
    reply = await call.add()
    assert (reply.data["status_id"], reply.data["shop_id"]) == ("200", "21001")
    assert reply.data["is_fulfilled"] is False
    assert reply.headers["Content-Encoding"] in {"gzip", "deflate"}
    async with (
        aiohttp.ClientSession(auto_decompress=False) as session,
        session.get(
            f"{call.base}{PUBLIC}/shop/list", headers={"Authorization": f"Omi {call.token}", "Accept-Encoding": "gzip"}
        ) as answer,
    ):
        assert gzip.decompress(await answer.read()).startswith(b'{"data":')


async def test_the_date_header_is_omisells_clock(start: Start) -> None:
    clock = ManualClock(start=1_800_000_000)
    _, call = await start(clock)
    reply = await call.list()
    assert parsedate_to_datetime(reply.headers["Date"]).timestamp() == 1_800_000_000
    assert reply.body["timestamp"] == 1_800_000_000
    clock.advance(2)
    assert parsedate_to_datetime((await call.list()).headers["Date"]).timestamp() == 1_800_000_002


async def test_an_address_in_use_is_an_error_and_leaves_nothing_running(start: Start) -> None:
    sim, _ = await start()
    other = Simulator(SimulatorConfig())
    with pytest.raises(OSError, match="address already in use"):
        await other.start(port=sim.port)
    with pytest.raises(RuntimeError, match="not started"):
        _ = other.url
    await other.stop()


async def test_it_is_stopped_and_started_with_its_state(start: Start) -> None:
    sim, call = await start()
    await call.add()
    port = sim.port
    await sim.stop()
    with pytest.raises(aiohttp.ClientConnectorError):
        await call.list()
    await sim.start(port=port)
    assert (await call.list()).data["count"] == 1


async def test_connections_can_be_refused_for_a_while(start: Start) -> None:
    sim, call = await start()
    url = sim.url
    await sim.refuse_connections()
    await sim.refuse_connections()
    with pytest.raises(aiohttp.ClientConnectorError):
        await call.list()
    await sim.accept_connections()
    await sim.accept_connections()
    assert sim.url == url
    assert (await call.list()).status == 200


async def test_thousands_of_orders_are_listed_as_fast_as_few(start: Start) -> None:
    sim, call = await start()
    for place in range(5000):
        sim.create({"order_number": f"N{place}"})
    page = await call.list(shop_id=21001, page=50, page_size=100)
    assert (page.data["count"], len(page.data["results"])) == (5000, 100)
