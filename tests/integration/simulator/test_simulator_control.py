"""The control endpoints and their twins in Python."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from omisync.simulator import LifeConfig, ManualClock, NoNextStatusError, PushConfig, Simulator, UnknownOrderError

Start = Any
Receiver = Any


async def test_every_order_is_shown_with_history_and_detail(start: Start) -> None:
    sim, call = await start()
    added = (await call.add()).data
    sim.advance("WEB-1")
    sim.create({"order_number": "WEB-1"})
    shown = (await call("GET", "/control/orders?order_number=WEB-1")).body
    assert shown["count"] == 2
    first, second = shown["orders"]
    assert first["detail"] == sim.detail(added["omisell_order_number"])
    assert first["history"] == [[200, added["updated_time"]], [250, added["updated_time"] + 1]]
    assert (first["source"], second["source"]) == ("api", "omisell")
    assert first["omisell_order_number"] != second["omisell_order_number"]
    sim.create({"order_number": "WEB-2"})
    newest = (await call("GET", "/control/orders?limit=1&detail=0")).body
    assert newest["count"] == 3
    assert [order["order_number"] for order in newest["orders"]] == ["WEB-2"]
    assert "detail" not in newest["orders"][0]


async def test_long_lists_can_be_read_a_page_at_a_time(start: Start) -> None:
    sim, call = await start()
    for number in ("A", "B", "C", "D", "E"):
        sim.create({"order_number": number})

    async def page(query: str) -> list[str]:
        return [order["order_number"] for order in (await call("GET", f"/control/orders?{query}")).body["orders"]]

    assert await page("limit=2&offset=0") == ["A", "B"]
    assert await page("limit=2&offset=4") == ["E"]
    assert await page("limit=2&offset=6") == []
    assert await page("offset=3") == ["D", "E"]
    assert await page("limit=2") == ["D", "E"]
    pushes = (await call("GET", "/control/pushes?limit=2&offset=1&body=0")).body
    assert pushes["count"] == 5
    assert [push["order_number"] for push in pushes["pushes"]] == ["B", "C"]
    assert all("body" not in push for push in pushes["pushes"])


async def test_the_ledger_counts_what_happened(start: Start) -> None:
    _, call = await start()
    number = (await call.add()).data["omisell_order_number"]
    await call.add()
    await call.cancel(number)
    ledger = (await call("GET", "/control/ledger")).body
    assert ledger["calls"] == {"token.get": 1, "order.add": 2, "order.cancel": 1}
    assert ledger["answers"] == {"token.get 201": 1, "order.add 200": 1, "order.add 400": 1, "order.cancel 200": 1}
    assert (ledger["adds_applied"], ledger["adds_refused"]) == ({"WEB-1": 1}, {"WEB-1": 1})
    assert ledger["cancels_applied"] == {"WEB-1": 1}
    assert (ledger["orders"], ledger["throttled"], ledger["pushes_waiting"]) == (1, 0, 0)
    assert ledger["bucket"] == {"used": 4, "size": 10_000, "leak_per_minute": 100}


async def test_orders_are_made_moved_and_cancelled(start: Start) -> None:
    sim, call = await start()
    made = (await call("POST", "/control/create", json={"order": {"order_number": "OMI-1"}, "status_id": 300})).body
    assert (made["order_number"], made["status_id"], made["source"]) == ("OMI-1", 300, "omisell")
    assert (await call("POST", "/control/create", json={"count": 3})).body == {"count": 3}
    assert (await call("POST", "/control/create")).body["order_number"] == "OMS-00004"
    assert len(sim.orders) == 5
    moved = (await call("POST", "/control/advance", json={"order_number": "OMI-1"})).body
    assert moved["status_id"] == 350
    omisell = {"omisell_order_number": made["omisell_order_number"], "status_id": "500"}
    assert (await call("POST", "/control/advance", json=omisell)).body["status_id"] == 500
    event = {"order_number": "OMI-1", "event": "order.reconciled"}
    assert (await call("POST", "/control/event", json=event)).body["status_id"] == 500
    assert (await call("POST", "/control/cancel", json={"order_number": "OMI-1"})).body["status_id"] == 703
    cancelled = {"order_number": "OMS-00001", "status_id": 708}
    assert (await call("POST", "/control/cancel", json=cancelled)).body["status_id"] == 708
    assert sim.ledger.created_here["OMI-1"] == 1


async def test_pushes_are_shown_and_sent_again(start: Start, receiver: Receiver) -> None:
    sim, call = await start(push=PushConfig(callback_url=receiver.url))
    sim.create({"order_number": "A"})
    sim.create({"order_number": "B"})
    await sim.wait_for(lambda: sim.ledger.pushes["delivered"] == 2)
    log = (await call("GET", "/control/pushes")).body
    assert log["count"] == 2
    push = log["pushes"][0]
    assert (push["event"], push["order_number"], push["state"], push["status_id"]) == (
        "order.created",
        "A",
        "delivered",
        200,
    )
    assert [(each["status"], each["error"]) for each in push["tries"]] == [(200, None)]
    assert push["body"]["request_id"] == push["request_id"]
    assert (await call("GET", "/control/pushes?order_number=B&limit=5")).body["count"] == 1
    again = await call("POST", "/control/push", json={"request_id": push["request_id"]})
    assert again.body["state"] == "waiting"
    new = await call("POST", "/control/push", json={"order_number": "B", "event": "order.shipped"})
    assert new.body["event"] == "order.shipped"
    assert (await call("POST", "/control/push", json={"order_number": "B"})).body["event"] == "order.created"
    await sim.wait_for(lambda: sim.ledger.pushes["delivered"] == 5)


async def test_faults_are_shown_changed_and_cleared(start: Start) -> None:
    sim, call = await start()
    assert (await call("GET", "/control/faults")).body["error_before"]["rate"] == 0
    changed = await call("PATCH", "/control/faults", json={"error_before": 1, "list_lag": {"seconds": 3}})
    assert changed.body["list_lag"]["seconds"] == [3, 3]
    assert (await call.list()).status >= 500
    bad = await call("PATCH", "/control/faults", json={"eror": 1})
    assert (bad.status, bad.body["error"][:16]) == (400, "no fault 'eror';")
    await call("DELETE", "/control/faults")
    assert not sim.faults.any
    assert (await call.list()).status == 200


async def test_the_configuration_is_shown_and_changed(start: Start) -> None:
    sim, call = await start()
    change = {"bucket": {"size": 50}, "clock_offset": 3600, "orders": {"duplicates": "create_second"}}
    shown = await call("PATCH", "/control/config", json=change)
    assert (shown.body["bucket"]["size"], shown.body["orders"]["duplicates"]) == (50, "create_second")
    assert (await call("GET", "/control/config")).body == shown.body
    assert (await call.list()).headers["X-Omisell-Api-Call-Limit"] == "2/50"
    assert sim.clock.offset == 3600
    assert (await call("PATCH", "/control/config", json={"language": "fr"})).status == 400


async def test_automatic_life_can_be_switched_on_while_running(start: Start) -> None:
    clock = ManualClock()
    sim, call = await start(clock, life=LifeConfig(jitter=0))
    sim.create({"order_number": "A"})
    clock.advance(3600)
    assert sim.orders.find("A").status_id == 200
    await call("PATCH", "/control/config", json={"life": {"automatic": True}, "clock_factor": 0.5})
    clock.advance(30)
    assert sim.orders.find("A").status_id == 250
    sim.configure(replace(sim.config, life=LifeConfig()))
    clock.advance(3600)
    assert sim.orders.find("A").status_id == 250


async def test_tokens_are_revoked(start: Start) -> None:
    sim, call = await start()
    refresh = sim.tokens.issue()["refresh_token"]
    await call("POST", "/control/revoke-tokens")
    assert (await call.list()).status == 401
    assert sim.tokens.refresh(refresh) is not None
    await call("POST", "/control/revoke-tokens", json={"refresh": True})
    assert sim.tokens.refresh(refresh) is None


async def test_a_reset_forgets_everything_but_the_configuration(start: Start, receiver: Receiver) -> None:
    sim, call = await start(push=PushConfig(callback_url=receiver.url), faults={"slow": {"seconds": 0}})
    await call("POST", "/api/v2/public/product/add", json={"sku": "MOI", "name": "Mới"})
    receiver.hang = asyncio.Event()
    sim.create({"order_number": "A"})
    await asyncio.wait_for(receiver.came.get(), 5)
    sim.faults.patch({"error_before": 1, "slow": 0})
    await call("POST", "/control/reset")
    receiver.hang.set()
    assert (len(sim.orders), len(sim.pushes)) == (0, 0)
    assert "MOI" not in sim.account.products
    assert sim.faults.get("error_before") is None
    assert sim.faults.get("slow") is not None
    assert sim.ledger.calls == {}
    assert (await call.list()).status == 401
    await call.login()
    sim.create({"order_number": "A"})
    await sim.wait_for(lambda: sim.ledger.pushes["delivered"] == 1)
    assert sim.config.push.callback_url == receiver.url


async def test_a_reset_before_the_start_is_harmless() -> None:
    sim = Simulator()
    sim.create({"order_number": "A"})
    sim.reset()
    assert len(sim.orders) == 0


@pytest.mark.parametrize(
    ("path", "body", "status", "error"),
    [
        ("advance", {}, 400, "order_number is wanted: the merchant's or Omisell's"),
        ("advance", {"order_number": "X"}, 404, "no order 'X' at the simulator"),
        ("advance", {"order_number": "A", "status_id": "x"}, 400, "status_id: a whole number is wanted, such as 500"),
        ("advance", {"order_number": "A"}, 409, "A is at its end (900); name a status_id"),
        ("create", {"order": 5}, 400, "order must be an object"),
        ("push", {"request_id": "x"}, 404, "no push 'x' in the log"),
        ("advance", [], 400, "a JSON object is wanted"),
    ],
)
async def test_what_makes_no_sense_is_said(start: Start, path: str, body: Any, status: int, error: str) -> None:
    sim, call = await start()
    sim.create({"order_number": "A"}, status_id=900)
    reply = await call("POST", f"/control/{path}", json=body)
    assert (reply.status, reply.body) == (status, {"error": error})


async def test_broken_json_is_said(start: Start) -> None:
    _, call = await start()
    assert (await call("POST", "/control/advance", data=b"{")).status == 400


async def test_another_website_may_not_control_it(start: Start) -> None:
    sim, call = await start()
    evil = await call("POST", "/control/reset", headers={"Origin": "https://evil.example"})
    assert evil.status == 403
    own = await call("POST", "/control/reset", headers={"Origin": sim.url})
    assert own.status == 200


async def test_in_python_too() -> None:
    sim = Simulator(clock=ManualClock())
    order = sim.create({"order_number": "A"}, status_id=200)
    assert (order.source, sim.advance("A").status_id, sim.cancel("A").status_id) == ("omisell", 250, 703)
    with pytest.raises(NoNextStatusError):
        sim.advance("A")
    with pytest.raises(UnknownOrderError):
        sim.detail("B")
    sim.create({"order_number": "OMS-00001"})
    assert sim.create().order_number == "OMS-00002"
    assert sim.port == 0
    await sim.refuse_connections()  # nothing listens yet
    await sim.accept_connections()
    assert sim.port == 0


async def test_waiting_ends_when_it_comes_true_in_error_or_too_late() -> None:
    sim = Simulator(clock=ManualClock())
    await sim.wait_for(lambda: True)
    waiting = asyncio.create_task(sim.wait_for(lambda: len(sim.orders) == 2))
    failing = asyncio.create_task(sim.wait_for(lambda: len(sim.orders) and sim.orders.find("B")))
    await asyncio.sleep(0)
    sim.create({"order_number": "A"})
    sim.create({"order_number": "C"})
    sim.create({"order_number": "D"})
    await asyncio.wait_for(waiting, 1)
    with pytest.raises(UnknownOrderError):
        await failing
    with pytest.raises(TimeoutError):
        await sim.wait_for(lambda: False, seconds=0.01)
