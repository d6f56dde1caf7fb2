"""Pushes to a real receiver: shape, signatures, retries, faults."""

import asyncio
import hashlib
import hmac
import json
from dataclasses import replace
from typing import Any

import pytest

from omisync.simulator import ManualClock, PushConfig, Simulator

Start = Any
Receiver = Any


async def test_a_push_is_the_guides_sample(start: Start, receiver: Receiver) -> None:
    clock = ManualClock(start=1_790_000_000)
    sim, _ = await start(clock, push=PushConfig(callback_url=receiver.url, secret="s3cret"))
    order = sim.create({"order_number": "ORD-2024-0001"})
    clock.advance(400)
    sim.advance("ORD-2024-0001", 500)
    await sim.wait_for(lambda: sim.ledger.pushes["delivered"] == 2)
    headers, raw = next(each for each in receiver.got if b"order.shipped" in each[1])
    request_id = json.loads(raw)["request_id"]
    assert raw.decode() == (
        '{"data": {"updated_time": 1790000400, "order_number": "ORD-2024-0001", '
        f'"omisell_order_number": "{order.omisell_order_number}", "status_id": "500", "status_name": "Shipped", '
        '"is_fulfilled": true, "created_time": "1790000000"}, "event": "order.shipped", "shop_id": 21001, '
        f'"seller_id": 77, "platform": "custom", "timestamp": 1790000400, "request_id": "{request_id}"}}'
    )
    assert headers["Content-Type"] == "application/json"
    assert headers["Authorization"] == "s3cret"
    assert (headers["Seller-ID"], headers["Country"]) == ("77", "VN")


@pytest.mark.parametrize("form", ["hmac-url-body", "hmac-body", "none"])
async def test_the_other_forms_of_authorization(start: Start, receiver: Receiver, form: Any) -> None:
    registered = "https://shop.example/webhooks/omisell"
    push = PushConfig(callback_url=receiver.url, registered_url=registered, secret="s3cret", authorization=form)
    sim, _ = await start(push=push)
    sim.create()
    await sim.wait_for(lambda: sim.ledger.pushes["delivered"] == 1)
    headers, raw = receiver.got[0]
    base = {"hmac-url-body": registered.encode() + b"|" + raw, "hmac-body": raw, "none": b""}[form]
    expected = None if form == "none" else hmac.new(b"s3cret", base, hashlib.sha256).hexdigest()
    assert headers.get("Authorization") == expected


async def test_without_a_registered_url_the_callback_is_signed(start: Start, receiver: Receiver) -> None:
    sim, _ = await start(push=PushConfig(callback_url=receiver.url, secret="s", authorization="hmac-url-body"))
    sim.create()
    await sim.wait_for(lambda: sim.ledger.pushes["delivered"] == 1)
    headers, raw = receiver.got[0]
    expected = hmac.new(b"s", receiver.url.encode() + b"|" + raw, hashlib.sha256).hexdigest()
    assert headers["Authorization"] == expected


async def test_only_the_guides_events_are_pushed(start: Start, receiver: Receiver) -> None:
    sim, _ = await start(push=PushConfig(callback_url=receiver.url, concurrency=1))
    sim.create({"order_number": "A"})
    for _ in range(8):
        sim.advance("A")
    sim.event("A", "order.reconciled")
    sim.advance("A", 800)
    sim.event("A", "order.return_receive")
    sim.create({"order_number": "B"})
    sim.cancel("B")
    await sim.wait_for(lambda: sim.ledger.pushes["delivered"] == 9)
    assert receiver.events == [
        "order.created",
        "order.ready_to_ship",
        "order.shipped",
        "order.completed",
        "order.reconciled",
        "order.returned",
        "order.return_receive",
        "order.created",
        "order.cancelled",
    ]
    assert len({body["request_id"] for body in receiver.bodies}) == 9


async def tried(sim: Simulator, times: int) -> None:
    await sim.wait_for(lambda: sim.ledger.pushes["failed"] == times)


@pytest.mark.parametrize("status", [500, 201, 204, 302, 401])
async def test_what_is_not_200_is_tried_again_on_the_guides_schedule(
    start: Start, receiver: Receiver, status: int
) -> None:
    clock = ManualClock()
    sim, _ = await start(clock, push=PushConfig(callback_url=receiver.url))
    receiver.status = status
    sim.create({"order_number": "A"})
    await tried(sim, 1)
    for number, minutes in enumerate((5, 10, 20, 40, 80), 2):
        assert clock.next_due == minutes * 60
        clock.advance(minutes * 60)
        await tried(sim, number)
    push = next(iter(sim.pushes))
    assert push.state == "given_up"
    assert [each.status for each in push.tries] == [status] * 6
    assert len({raw for _, raw in receiver.got}) == 1  # the same request_id and body each time
    assert clock.next_due is None
    assert sim.ledger.pushes == {"announced": 1, "sent": 6, "failed": 6, "given_up": 1}


async def test_the_clock_factor_scales_the_retries(start: Start, receiver: Receiver) -> None:
    clock = ManualClock()
    sim, _ = await start(clock, clock_factor=0.01, push=PushConfig(callback_url=receiver.url))
    receiver.status = 503
    sim.create()
    await tried(sim, 1)
    assert clock.next_due == 3
    receiver.status = 200
    clock.advance(3)
    await sim.wait_for(lambda: sim.ledger.pushes["delivered"] == 1)
    assert clock.next_due is None


async def test_no_answer_in_time_and_no_connection_are_failures(start: Start, receiver: Receiver) -> None:
    sim, _ = await start(push=PushConfig(callback_url=receiver.url, timeout=0.05))
    receiver.hang = asyncio.Event()
    sim.create({"order_number": "A"})
    await tried(sim, 1)
    receiver.hang.set()
    assert next(iter(sim.pushes)).tries[0].error == "no answer within 0.05 s"
    sim.configure(_with_push(sim, callback_url="http://127.0.0.1:9/"))
    sim.create({"order_number": "B"})
    await tried(sim, 2)
    assert sim.pushes.of("B")[0].tries[0].error == "ClientConnectorError"


def _with_push(sim: Simulator, **changes: Any) -> Any:
    return replace(sim.config, push=replace(sim.config.push, **changes))


async def test_a_change_while_an_earlier_push_waits_gets_its_own(start: Start, receiver: Receiver) -> None:
    clock = ManualClock()
    sim, _ = await start(clock, push=PushConfig(callback_url=receiver.url))
    receiver.status = 500
    sim.create({"order_number": "A"})
    await tried(sim, 1)
    receiver.status = 200
    sim.advance("A", 460)
    await sim.wait_for(lambda: sim.ledger.pushes["delivered"] == 1)
    assert receiver.events == ["order.created", "order.ready_to_ship"]
    clock.advance(300)
    await sim.wait_for(lambda: sim.ledger.pushes["delivered"] == 2)
    assert receiver.events == ["order.created", "order.ready_to_ship", "order.created"]
    assert receiver.bodies[2]["data"]["status_id"] == "200"  # the old body, now out of order


async def test_no_more_than_so_many_are_under_way(start: Start, receiver: Receiver) -> None:
    sim, _ = await start(push=PushConfig(callback_url=receiver.url, concurrency=3))
    receiver.hang = asyncio.Event()
    for _ in range(10):
        sim.create()
    for _ in range(3):
        await asyncio.wait_for(receiver.came.get(), 5)
    receiver.hang.set()
    await sim.wait_for(lambda: sim.ledger.pushes["delivered"] == 10)
    assert receiver.at_most == 3
    assert sim.pushes.waiting == 0


async def test_without_a_callback_they_are_only_logged(start: Start) -> None:
    sim, _ = await start()
    sim.create({"order_number": "A"})
    assert [push.state for push in sim.pushes] == ["unregistered"]
    assert sim.ledger.pushes == {"announced": 1, "unregistered": 1}


async def test_a_callback_taken_away_stops_what_waits(start: Start, receiver: Receiver) -> None:
    clock = ManualClock()
    sim, _ = await start(clock, push=PushConfig(callback_url=receiver.url))
    receiver.status = 500
    sim.create({"order_number": "A"})
    await tried(sim, 1)
    sim.configure(_with_push(sim, callback_url=None))
    clock.advance(300)
    await sim.wait_for(lambda: sim.pushes.of("A")[0].state == "unregistered")


async def test_the_log_keeps_the_newest_settled_ones_and_all_that_wait(start: Start, receiver: Receiver) -> None:
    clock = ManualClock()
    sim, _ = await start(clock, push=PushConfig(callback_url=receiver.url, log_size=3))
    receiver.status = 500
    sim.create({"order_number": "WAITS"})
    await tried(sim, 1)
    receiver.status = 200
    for number in range(5):
        sim.create({"order_number": f"N{number}"})
    await sim.wait_for(lambda: sim.ledger.pushes["delivered"] == 5)
    assert len(sim.pushes) == 4
    assert [push.order_number for push in sim.pushes.newest(10)][-1] == "WAITS"


async def test_shipment_and_return_pushes_can_be_switched_on(start: Start, receiver: Receiver) -> None:
    push = PushConfig(callback_url=receiver.url, concurrency=1, categories=("shipment", "return"))
    sim, _ = await start(push=push)
    sim.create({"order_number": "A"})
    for _ in range(6):
        sim.advance("A")
    sim.advance("A", 440)
    sim.advance("A", 360)  # the shipment's status stays
    sim.advance("A", 800)
    await sim.wait_for(lambda: sim.ledger.pushes["delivered"] == 8)
    assert receiver.events == [*["shipment.updated"] * 7, "return.updated"]
    assert [body["data"]["status_id"] for body in receiver.bodies] == [
        *("205", "102", "215", "220", "300", "277", "900"),
        "800",
    ]
    assert receiver.bodies[4]["data"]["omisell_order_number"]
    assert receiver.bodies[4]["data"]["courier_tracking_number"].startswith("TRK")
    sim.event("A", "order.return_receive")
    await sim.wait_for(lambda: sim.ledger.pushes["delivered"] == 9)
    assert [body["data"]["is_received"] for body in receiver.bodies[-2:]] == [False, True]


async def test_a_dropped_push_is_never_sent(start: Start, receiver: Receiver) -> None:
    sim, _ = await start(push=PushConfig(callback_url=receiver.url), faults={"push_drop": {"endpoints": "*.shipped"}})
    sim.create({"order_number": "A"})
    sim.advance("A", 500)
    await sim.wait_for(lambda: sim.ledger.pushes["delivered"] == 1)
    assert receiver.events == ["order.created"]
    assert [push.state for push in sim.pushes] == ["delivered", "dropped"]
    assert sim.ledger.pushes["dropped"] == 1


async def test_a_duplicated_push_comes_twice_the_same(start: Start, receiver: Receiver) -> None:
    clock = ManualClock()
    sim, _ = await start(clock, push=PushConfig(callback_url=receiver.url), faults={"push_duplicate": 1})
    sim.create()
    await sim.wait_for(lambda: len(receiver.bodies) == 2)
    assert receiver.got[0][1] == receiver.got[1][1]
    assert len(sim.pushes) == 1


async def test_the_failed_copy_of_a_delivered_push_is_not_tried_again(start: Start, receiver: Receiver) -> None:
    clock = ManualClock()
    push = PushConfig(callback_url=receiver.url, concurrency=1)
    sim, _ = await start(clock, push=push, faults={"push_duplicate": 1})
    receiver.hang = asyncio.Event()
    sim.create()
    await sim.wait_for(lambda: sim.ledger.pushes["sent"] == 1)
    receiver.hang.set()
    await sim.wait_for(lambda: sim.ledger.pushes["sent"] == 2)
    await sim.wait_for(lambda: sim.ledger.pushes["delivered"] == 2)
    again = next(iter(sim.pushes))
    again.state = "delivered"
    receiver.status = 500
    sim.pushes.resend(again.request_id)
    again.state = "delivered"
    await tried(sim, 1)
    assert clock.next_due is None


async def test_a_delayed_push_comes_later(start: Start, receiver: Receiver) -> None:
    clock = ManualClock()
    faults = {"push_delay": {"seconds": 20, "times": 1}}
    sim, _ = await start(clock, push=PushConfig(callback_url=receiver.url), faults=faults)
    sim.create({"order_number": "A"})
    sim.advance("A", 460)
    await sim.wait_for(lambda: sim.ledger.pushes["delivered"] == 1)
    assert receiver.events == ["order.ready_to_ship"]
    clock.advance(20)
    await sim.wait_for(lambda: sim.ledger.pushes["delivered"] == 2)


async def test_a_reordered_push_waits_for_the_next_of_its_order(start: Start, receiver: Receiver) -> None:
    clock = ManualClock()
    push = PushConfig(callback_url=receiver.url, concurrency=1)
    sim, _ = await start(clock, push=push, faults={"push_reorder": {"times": 1}})
    sim.create({"order_number": "A"})
    sim.create({"order_number": "B"})
    sim.advance("A", 460)
    await sim.wait_for(lambda: sim.ledger.pushes["delivered"] == 3)
    seen = [(body["data"]["order_number"], body["event"]) for body in receiver.bodies]
    assert seen == [("B", "order.created"), ("A", "order.ready_to_ship"), ("A", "order.created")]
    assert clock.next_due is None


async def test_a_reordered_push_without_a_next_one_comes_after_a_while(start: Start, receiver: Receiver) -> None:
    clock = ManualClock()
    faults = {"push_reorder": {"seconds": 7}}
    sim, _ = await start(clock, push=PushConfig(callback_url=receiver.url), faults=faults)
    sim.create({"order_number": "A"})
    assert receiver.events == []
    clock.advance(7)
    await sim.wait_for(lambda: sim.ledger.pushes["delivered"] == 1)


async def test_a_wrong_signature_once(start: Start, receiver: Receiver) -> None:
    clock = ManualClock()
    faults = {"push_wrong_signature": {"times": 1}}
    sim, _ = await start(clock, push=PushConfig(callback_url=receiver.url, secret="s3cret"), faults=faults)
    receiver.status = 401
    sim.create()
    await tried(sim, 1)
    assert len(receiver.got[0][0]["Authorization"]) == 64
    clock.advance(300)
    await tried(sim, 2)
    assert receiver.got[1][0]["Authorization"] == "s3cret"


async def test_a_stop_keeps_what_waits_and_a_start_sends_it(start: Start, receiver: Receiver) -> None:
    clock = ManualClock()
    sim, _ = await start(clock, push=PushConfig(callback_url=receiver.url))
    receiver.status = 500
    sim.create({"order_number": "A"})
    await tried(sim, 1)
    receiver.hang = asyncio.Event()
    sim.create({"order_number": "UNDER WAY"})
    await sim.wait_for(lambda: sim.ledger.pushes["sent"] == 2)
    sim.faults.patch({"push_reorder": {"times": 1}})
    sim.create({"order_number": "HELD"})
    await sim.stop()
    sim.create({"order_number": "B"})
    sim.faults.patch({"push_delay": {"times": 1}, "push_reorder": {"times": 1}})
    sim.create({"order_number": "C"})
    sim.create({"order_number": "D"})
    receiver.status = 200
    receiver.hang = None
    await sim.start()
    await sim.wait_for(lambda: sim.ledger.pushes["delivered"] == 6)
    assert all(push.state == "delivered" for push in sim.pushes)


async def test_one_of_the_log_is_sent_again_unchanged(start: Start, receiver: Receiver) -> None:
    sim, _ = await start(push=PushConfig(callback_url=receiver.url))
    sim.create({"order_number": "A"})
    await sim.wait_for(lambda: sim.ledger.pushes["delivered"] == 1)
    push = sim.pushes.of("A")[0]
    sim.pushes.resend(push.request_id)
    await sim.wait_for(lambda: sim.ledger.pushes["delivered"] == 2)
    assert receiver.got[0][1] == receiver.got[1][1]
    with pytest.raises(LookupError, match="no push 'x' in the log"):
        sim.pushes.resend("x")


async def test_a_push_by_hand_has_a_request_id_of_its_own(start: Start, receiver: Receiver) -> None:
    sim, _ = await start(push=PushConfig(callback_url=receiver.url))
    order = sim.create({"order_number": "A"})
    sim.push(order.omisell_order_number, "order.shipped")
    await sim.wait_for(lambda: sim.ledger.pushes["delivered"] == 2)
    assert order.status_id == 200
    assert {body["data"]["status_id"] for body in receiver.bodies} == {"200"}
