"""What goes wrong on the way from a push to a row: odd answers, refusals, outages, crashes; nothing is lost by it."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest
from structlog.testing import capture_logs

from omisync.omisell import AuthenticationFailed, NotFound, OmisellError, OrderDetail, Refused, Throttled, Unavailable
from omisync.omisell.strict_json import loads
from omisync.store import StoreUnavailable
from omisync.sync import refresher as module
from omisync.sync.backoff import Backoff

SECONDS = 60.0


class Omisell:
    """Omisell as the refresher sees it: what each order's detail is, or which error, one after another."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.answers: dict[str, list[Any]] = {}
        self.calls: list[str] = []
        self.pings: list[Exception] = []
        self.listed: list[Exception] = []
        self.server_time = clock
        self.asked = asyncio.Event()
        self.held: asyncio.Event | None = None

    async def order_detail(self, number: str, *, cls: Any = None) -> OrderDetail:
        self.calls.append(number)
        self.asked.set()
        if self.held is not None:
            await self.held.wait()
        answers = self.answers[number]
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(answer, Exception):
            raise answer
        data: Any = loads(answer) if isinstance(answer, str) else answer
        return OrderDetail.from_data({"omisell_order_number": number, **data})

    async def order_page(self, **_: Any) -> Any:
        raise self.listed[0]

    async def ping(self) -> None:
        if self.pings:
            raise self.pings.pop(0)


@pytest.fixture
def world(world: Any, monkeypatch: Any) -> Any:
    """A world whose Omisell answers what the test says, and where retries are quick."""
    monkeypatch.setattr(module, "FAILED", Backoff(0.01, 0.02))
    monkeypatch.setattr(module, "BEHIND", Backoff(0.01, 0.02))
    monkeypatch.setattr(module, "AUTH_RETRY", 0.01)
    world.omisell = Omisell(world.omisell.server_time)
    world.__post_init__()
    return world


def body(number: int = 1, **data: Any) -> dict[str, Any]:
    told: dict[str, Any] = {
        "order_number": f"A-{number}",
        "omisell_order_number": f"OMI-{number}",
        "status_id": 500,
        "updated_time": 1000,
    }
    return {"event": "order.shipped", "request_id": f"r-{number}", "data": told | data}


def told(number: int = 1, **more: Any) -> dict[str, Any]:
    return {"order_number": f"A-{number}", "status_id": 500, "updated_time": 1000, **more}


ODD: dict[str, dict[str, Any]] = {
    "a status beyond everything": {"status_id": 10**30},
    "a status beyond an integer": {"status_id": 10**12},
    "a pickup beyond everything": {
        "parcels": [{"package_number": "1", "pickup_id": 10**30, "shipment_status": 10**11}]
    },
    "a time beyond the calendar": {"created_time": 10**18, "rts_time": 2**63 - 1},
    "strings for numbers": {"status_id": "500", "updated_time": "1000", "parcels": [{"pickup_id": "167"}]},
    "nulls": {"status_name": None, "parcels": None, "shop_id": None, "rts_time": None},
    "nothing": {},
    "NUL": {"status_name": "a\x00b", "note": "c\x00", "d\x00": {"e": ["\x00"]}},
    "what looks like NUL": {"note": "\\u0000"},
    "half an emoji": {"note": "\ud83d", "status_name": "x\udc00"},
    "numbers of many digits": {"weight": int("9" * 400), "price": -(10**50)},
    "a long package number": {"parcels": [{"package_number": "\u1ec7" * 5000}]},
    "parcels that are none": {"parcels": ["x", 7, None, {"catalogue_items": "none"}]},
}


async def test_odd_details_are_taken_and_spoil_no_other(world: Any) -> None:
    for number, odd in enumerate(ODD.values()):
        world.omisell.answers[f"OMI-{number}"] = [json.dumps(told(number) | odd)]
        await world.deliver(body(number))
    with capture_logs() as logs:
        async with world.refreshing():
            await world.settled()
    assert [log for log in logs if log["log_level"] not in {"info", "debug"}] == []
    assert len(world.omisell.calls) == len(ODD)
    assert await world.inbox_states() == ["done"] * len(ODD)
    statuses = await world.statuses()
    assert statuses == {f"A-{number}": 500 for number in range(len(ODD))} | {"A-0": None, "A-1": 10**12}
    shipment = await world.sql.fetchrow(
        "SELECT shipment_status, pickup_id FROM omisync.parcels WHERE order_number = 'A-2'"
    )
    assert tuple(shipment) == (10**11, None)
    assert (await world.operator.order_show("A-3")).order.status_id == 500


async def test_odd_pushes_spoil_no_other(world: Any) -> None:
    odd: list[dict[str, Any]] = [
        {"updated_time": 10**18},
        {"updated_time": 10**30},
        {"status_id": 10**30},
        {"status_id": 10**12},
    ]
    for number, data in enumerate(odd):
        world.omisell.answers[f"OMI-{number}"] = [told(number)]
        await world.deliver(body(number, **data) | {"event": "shipment.x" if number % 2 else "order.x"})
    world.omisell.answers["OMI-9"] = [told(9)]
    await world.deliver(body(9))
    async with world.refreshing():
        await world.settled()
    assert await world.inbox_states() == ["done"] * 5


async def test_a_detail_with_what_json_does_not_have_is_given_up_without_harm_to_others(world: Any) -> None:
    world.omisell.answers = {"OMI-1": [told(1, weight=float("nan"))], "OMI-2": [told(2)]}
    await world.deliver(body(1))
    await world.deliver(body(2))
    async with world.refreshing():
        await world.settled()
    assert await world.inbox_states() == ["unhandled", "done"]
    assert world.omisell.calls.count("OMI-1") == module.MOST_FAILED


@pytest.mark.parametrize("detail", [told(1, order_number=""), told(1, omisell_order_number="OMI-7")])
async def test_a_detail_of_another_order_or_of_none_is_not_believed(world: Any, detail: dict[str, Any]) -> None:
    world.omisell.answers["OMI-1"] = [detail]
    await world.deliver(body(1, order_number=""))
    async with world.refreshing():
        await world.settled()
    assert (await world.inbox_states(), await world.statuses()) == (["unhandled"], {})


async def test_a_detail_that_stays_older_than_told_is_fetched_so_often_and_then_left(world: Any) -> None:
    world.omisell.answers["OMI-1"] = [told(updated_time=900, status_id=460)]
    await world.deliver(body())
    async with world.refreshing():
        await world.settled()
    assert len(world.omisell.calls) == module.MOST_BEHIND + 1
    assert await world.statuses() == {"A-1": 460}


async def test_a_new_push_begins_the_count_of_failures_anew(world: Any) -> None:
    world.omisell.answers["OMI-1"] = [Unavailable("x", maybe_applied=False, endpoint="order.detail")]
    await world.deliver(body())
    await world.inbox.route(world.shop_id)
    await world.sql.execute("UPDATE omisync.refreshes SET attempts = 11")
    await world.deliver(body(1, updated_time=1001) | {"request_id": "r-2"})
    await world.inbox.route(world.shop_id)
    assert await world.sql.fetchval("SELECT attempts FROM omisync.refreshes") == 0


@pytest.mark.parametrize(
    "error",
    [
        Throttled(0.01, endpoint="order.detail"),
        AuthenticationFailed("who?", status=401, endpoint="order.detail"),
        NotFound("not yet", status=404, endpoint="order.detail"),
        Unavailable("502", maybe_applied=False, endpoint="order.detail"),
        Refused("no", status=400, endpoint="order.detail"),
        RuntimeError("a fault of ours"),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_after_an_error_the_fetch_is_made_again(world: Any, error: Exception) -> None:
    world.omisell.answers["OMI-1"] = [error, error, told()]
    await world.deliver(body())
    async with world.refreshing():
        await world.settled()
    assert len(world.omisell.calls) == 3
    assert await world.inbox_states() == ["done"]


async def test_an_outage_of_omisell_spends_no_attempt(world: Any) -> None:
    away = Unavailable("502", maybe_applied=False, endpoint="order.detail")
    world.omisell.answers["OMI-1"] = [away, told()]
    world.omisell.pings = [away]
    await world.deliver(body())
    async with world.refreshing():
        async with asyncio.timeout(SECONDS):
            await world.omisell.asked.wait()
        await world.until("SELECT lease_token IS NULL AND attempts = 0 FROM omisync.refreshes")
        assert world.breaker.is_open
        probing = asyncio.create_task(world.breaker.run())
        await world.settled()
        probing.cancel()
    assert await world.inbox_states() == ["done"]


async def test_an_order_that_stays_unknown_is_left_after_a_few_fetches(world: Any) -> None:
    world.omisell.answers["OMI-1"] = [NotFound("no", status=404, endpoint="order.detail")]
    await world.deliver(body())
    async with world.refreshing():
        await world.settled()
    assert len(world.omisell.calls) == module.UNKNOWN_ORDER
    assert await world.inbox_states() == ["unhandled"]


async def test_a_push_during_the_last_fetch_of_an_unknown_order_is_not_given_up_with_it(world: Any) -> None:
    world.omisell.answers["OMI-1"] = [NotFound("no", status=404, endpoint="order.detail"), told(updated_time=1001)]
    await world.deliver(body())
    await world.inbox.route(world.shop_id)
    await world.sql.execute("UPDATE omisync.refreshes SET attempts = $1", module.UNKNOWN_ORDER - 1)
    world.omisell.held = asyncio.Event()
    async with world.refreshing() as refresher:
        async with asyncio.timeout(SECONDS):
            await world.omisell.asked.wait()
        await world.deliver(body(1, updated_time=1001) | {"request_id": "r-2"})
        refresher.wake()
        await world.until("SELECT generation = 1 FROM omisync.refreshes")
        world.omisell.held.set()
        await world.settled()
    assert await world.inbox_states() == ["done", "done"]
    assert await world.statuses() == {"A-1": 500}


async def test_what_cannot_be_applied_because_the_database_is_away_is_fetched_again(
    world: Any, monkeypatch: Any
) -> None:
    world.omisell.answers["OMI-1"] = [told()]
    apply = world.orders.apply
    failed = asyncio.Event()
    failures = [StoreUnavailable("gone")]

    async def away(snapshot: Any) -> Any:
        if failures:
            failed.set()
            raise failures.pop()
        return await apply(snapshot)

    monkeypatch.setattr(world.orders, "apply", away)
    await world.deliver(body())
    with capture_logs() as logs:
        async with world.refreshing():
            await world.until("SELECT EXISTS (SELECT FROM omisync.refreshes WHERE lease_token IS NOT NULL)")
            async with asyncio.timeout(SECONDS):
                await failed.wait()
            await world.sql.execute("UPDATE omisync.refreshes SET lease_until = now() - interval '1 s'")
            await world.settled()
    assert "a detail could not be applied now" in {log["event"] for log in logs}
    assert await world.inbox_states() == ["done"]


async def test_a_stop_gives_back_what_is_in_flight_and_the_next_daemon_fetches_it(world: Any) -> None:
    world.omisell.answers["OMI-1"] = [told()]
    world.omisell.held = asyncio.Event()
    await world.deliver(body())
    refresher = world.refresher()
    work = asyncio.create_task(refresher.run(0.05))
    async with asyncio.timeout(SECONDS):
        await world.omisell.asked.wait()
        refresher.stop()
        await work
    assert await world.sql.fetchval("SELECT lease_token IS NULL AND attempts = 0 FROM omisync.refreshes")
    world.omisell.held = None
    async with world.refreshing():
        await world.settled()
    assert await world.inbox_states() == ["done"]


async def test_a_stop_does_not_wait_for_room_in_the_budget(world: Any, monkeypatch: Any) -> None:
    async def never(_: Any) -> int:
        await asyncio.Event().wait()
        return 1

    monkeypatch.setattr(world.budget, "wait_available", never)
    await world.deliver(body())
    async with world.refreshing():
        await world.until("SELECT EXISTS (SELECT FROM omisync.refreshes)")
    assert await world.sql.fetchval("SELECT lease_token IS NULL FROM omisync.refreshes")
    assert world.omisell.calls == []


async def test_leases_are_renewed_while_fetches_last(world: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(module, "RENEW_EVERY", 0.02)
    world.omisell.answers["OMI-1"] = [told()]
    world.omisell.held = asyncio.Event()
    await world.deliver(body())
    renew = world.orders.renew
    failures = [StoreUnavailable("gone")]

    async def shaky(leases: Any) -> Any:
        if failures:
            raise failures.pop()
        return await renew(leases)

    monkeypatch.setattr(world.orders, "renew", shaky)
    with capture_logs() as logs:
        async with world.refreshing():
            async with asyncio.timeout(SECONDS):
                await world.omisell.asked.wait()
            await world.sql.execute("UPDATE omisync.refreshes SET lease_until = now() + interval '1 s'")
            await world.until("SELECT lease_until > now() + interval '10 s' FROM omisync.refreshes")
            world.omisell.held.set()
            await world.settled()
    assert "leases could not be renewed" in {log["event"] for log in logs}


async def test_no_more_fetches_are_in_flight_than_allowed(world: Any) -> None:
    world.omisell.held = asyncio.Event()
    for number in range(6):
        world.omisell.answers[f"OMI-{number}"] = [told(number)]
        await world.deliver(body(number))
    async with world.refreshing(concurrency=2):
        await world.until("SELECT count(*) = 2 FROM omisync.refreshes WHERE lease_token IS NOT NULL")
        assert len(world.omisell.calls) <= 2
        world.omisell.held.set()
        await world.settled()
    assert len(world.omisell.calls) == 6


@pytest.mark.parametrize(
    "error",
    [
        Throttled(0.01, endpoint="order.list"),
        Unavailable("502", maybe_applied=False, endpoint="order.list"),
    ],
    ids=["throttled", "unavailable"],
)
async def test_a_list_that_cannot_be_read_is_told_and_the_fetches_go_on(world: Any, error: OmisellError) -> None:
    world.omisell.listed = [error]
    for number in range(25):
        world.omisell.answers[f"OMI-{number}"] = [told(number, status_id=200, updated_time=900), told(number)]
        await world.orders.request([(f"OMI-{number}", f"A-{number}", None)], "sweep")
    async with world.refreshing():
        await world.settled()
    for number in range(25):
        await world.deliver(body(number))
    with capture_logs() as logs:
        async with world.refreshing():
            await world.settled()
    assert "the list cannot be read; fetches go on one by one" in {log["event"] for log in logs}
    assert set((await world.statuses()).values()) == {500}
