"""The faults over real HTTP: what the caller sees, and what was applied all the same."""

import asyncio
from typing import Any

import aiohttp
import pytest

from omisync.simulator import BucketConfig, ManualClock, Simulator, SimulatorConfig

Start = Any

CUT = (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError)


async def test_an_error_before_and_an_error_after(start: Start) -> None:
    sim, call = await start()
    sim.faults.set("error_before", times=1, statuses=[502])
    assert (await call.add()).status == 502
    assert len(sim.orders) == 0
    sim.faults.set("error_after", times=1)
    reply = await call.add()
    assert reply.status in {500, 502, 503}
    assert reply.body["error"] is True
    assert len(sim.orders) == 1
    assert sim.ledger.adds_applied == {"WEB-1": 1}
    assert sim.ledger.faults == {"error_before": 1, "error_after": 1}


async def test_a_reset_before_and_a_reset_after(start: Start) -> None:
    sim, call = await start()
    sim.faults.set("reset_before", times=1, endpoints=["order.add"])
    with pytest.raises(CUT):
        await call.add()
    assert len(sim.orders) == 0
    sim.faults.set("reset_after", times=1)
    with pytest.raises(CUT):
        await call.add()
    assert len(sim.orders) == 1
    assert sim.ledger.answers["order.add reset"] == 2


async def test_a_hang_before_and_a_hang_after(start: Start) -> None:
    clock = ManualClock()
    sim, call = await start(clock)
    for kind, applied in (("hang_before", 0), ("hang_after", 1)):
        sim.faults.set(kind, times=1, seconds=40, endpoints=["order.add"])
        adding = asyncio.create_task(call.add())
        await sim.wait_for(lambda: clock.next_due == 40)
        assert len(sim.orders) == applied
        clock.advance(40)
        with pytest.raises(CUT):
            await adding
        assert len(sim.orders) == applied


async def test_a_late_add_is_applied_though_nobody_waits_any_more(start: Start) -> None:
    clock = ManualClock()
    sim, call = await start(clock)
    sim.faults.set("apply_late", times=1, seconds=8)
    with pytest.raises(TimeoutError):
        await call("POST", "/api/v2/public/order/add", json=_body(), seconds=0.05)
    assert len(sim.orders) == 0
    clock.advance(8)
    await sim.wait_for(lambda: len(sim.orders) == 1)


async def test_slow_reads(start: Start) -> None:
    clock = ManualClock()
    sim, call = await start(clock)
    sim.faults.set("slow", seconds=30)
    assert (await call.add()).status == 200
    listing = asyncio.create_task(call.list())
    await sim.wait_for(lambda: clock.next_due == 30)
    assert not listing.done()
    clock.advance(30)
    assert (await listing).status == 200


async def test_gateway_pages(start: Start) -> None:
    sim, call = await start()
    sim.faults.set("gateway_page", times=1)
    reply = await call.add()
    assert (reply.status, reply.headers["Content-Type"], reply.raw[:6]) == (502, "text/html", b"<html>")
    assert len(sim.orders) == 0
    sim.faults.set("gateway_page_after", times=1, statuses=[504])
    assert (await call.add()).status == 504
    assert len(sim.orders) == 1


@pytest.mark.parametrize(
    ("mode", "beginning"),
    [("truncated", b'{"data":{"seller_id"'), ("fields", b'{"data":{}'), ("list", b"[1,2,3]"), ("text", b"OK")],
)
async def test_malformed_answers(start: Start, mode: str, beginning: bytes) -> None:
    sim, call = await start()
    sim.faults.set("malformed", times=1, values=[mode])
    url = f"{call.base}/api/v2/public/order/add"
    async with call.session.post(url, json=_body(), headers={"Authorization": f"Omi {call.token}"}) as answer:
        raw = await answer.read()
        assert answer.status == 200
    assert raw.startswith(beginning)
    assert len(sim.orders) == 1


async def test_a_huge_answer(start: Start) -> None:
    sim, call = await start()
    sim.faults.set("malformed", values=["huge"])
    assert len((await call.list()).raw) > 8 << 20


async def test_a_429_storm_and_a_throttle_in_the_body(start: Start) -> None:
    sim, call = await start()
    sim.faults.set("throttle", times=1, seconds=7)
    storm = await call.add()
    assert (storm.status, storm.data) == (429, {"retry_after": 7})
    sim.faults.set("throttle_in_body", times=1, seconds=7)
    quiet = await call.add()
    assert (quiet.status, quiet.data, quiet.body["error"]) == (200, {"retry_after": 7}, True)
    assert len(sim.orders) == 0
    assert sim.ledger.throttled == 0


async def test_a_revoked_token(start: Start) -> None:
    sim, call = await start()
    sim.faults.set("token_revoked", times=1)
    assert (await call.list()).status == 401
    assert (await call.list()).status == 401
    await call.login()
    assert (await call.list()).status == 200


async def test_an_outage_of_the_whole_api_but_not_of_the_control(start: Start) -> None:
    sim, call = await start()
    sim.faults.set("outage")
    assert (await call.add()).status == 503
    assert (await call("POST", "/api/v2/auth/token/get/", json={})).status == 503
    sim.faults.set("outage", values=["refuse"])
    with pytest.raises(CUT):
        await call.add()
    assert (await call("GET", "/control/ledger")).status == 200
    sim.faults.off("outage")
    assert (await call.add()).status == 200


async def test_lagging_list_and_detail(start: Start) -> None:
    clock = ManualClock()
    sim, call = await start(clock)
    sim.faults.patch({"list_lag": {"seconds": 20}, "detail_lag": {"seconds": 5}})
    number = (await call.add()).data["omisell_order_number"]
    assert (await call.list()).data["count"] == 0
    assert (await call.detail(number)).status == 404
    clock.advance(5)
    assert (await call.detail(number)).status == 200
    clock.advance(15)
    assert (await call.list()).data["count"] == 1


async def test_drifting_pages_repeat_or_miss_rows(start: Start) -> None:
    sim, call = await start()
    for place in range(60):
        sim.create({"order_number": f"N{place}"})
    sim.faults.set("page_drift")
    drifts = set()
    for _ in range(30):
        seen = [row["order_number"] for page in (1, 2, 3) for row in (await call.list(page=page)).data["results"]]
        drifts.add(len(set(seen)) < 60)
    assert drifts == {True}


async def test_an_sku_may_be_refused_and_an_order_may_be_poison(start: Start) -> None:
    sim, call = await start()
    sim.faults.patch({"refuse_sku": ["TEE-M"], "poison_order": ["WEB-7"]})
    refused = await call.add()
    assert refused.body["attr_error"] == {"items": ["SKU TEE-M cannot be ordered."]}
    assert (await call.add(order_number="WEB-7", items=[{"sku": "TEE-L", "quantity": 1}])).status == 500
    assert (await call.add(order_number="WEB-8", items=[{"sku": "TEE-L", "quantity": 1}])).status == 200
    poisoned = sim.create({"order_number": "WEB-7"})
    assert (await call.detail(poisoned.omisell_order_number)).status == 500
    assert (await call.cancel(poisoned.omisell_order_number)).status == 500


async def test_a_stranger_spends_from_the_bucket(start: Start) -> None:
    clock = ManualClock()
    sim, call = await start(clock, bucket=BucketConfig(size=10, leak_per_minute=60))
    clock.advance(60)
    sim.faults.patch({"stranger": 120})
    clock.advance(5)
    assert (await call.list()).headers["X-Omisell-Api-Call-Limit"] == "6/10"
    clock.advance(60)
    assert (await call.list()).status == 429


async def test_faults_may_be_limited_to_endpoints(start: Start) -> None:
    sim, call = await start()
    sim.faults.set("error_before", endpoints=["order.l*"])
    assert (await call.list()).status >= 500
    assert (await call.add()).status == 200


async def test_the_same_seed_brings_the_same_night() -> None:
    async def night() -> list[int]:
        simulator = Simulator(SimulatorConfig(seed=11, faults={"error_before": 0.5}), clock=ManualClock())
        await simulator.start()
        try:
            async with aiohttp.ClientSession() as session:
                seen = []
                for _ in range(30):
                    async with session.get(f"{simulator.url}/api/v2/public/shop/list") as answer:
                        seen.append(answer.status)
                return seen
        finally:
            await simulator.stop()

    first = await night()
    assert await night() == first
    assert 401 in first
    assert {500, 502, 503} & set(first)


async def test_a_stop_does_not_wait_for_what_hangs(start: Start) -> None:
    sim, call = await start()
    sim.faults.set("hang_before", seconds=3600)
    hanging = asyncio.create_task(call("GET", "/api/v2/public/shop/list"))
    await sim.wait_for(lambda: sim.ledger.faults["hang_before"] == 1)
    await asyncio.wait_for(sim.stop(), 3)
    with pytest.raises(CUT):
        await hanging


def _body() -> Any:
    return {"order_number": "WEB-1", "shop_id": 21001, "items": [{"sku": "TEE-M", "quantity": 1}]}
