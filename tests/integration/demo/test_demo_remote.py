"""Omisell's side of the demo, against the real simulator."""

import dataclasses
from collections.abc import AsyncIterator

import aiohttp
import pytest

from omisync.demo import remote
from omisync.demo.errors import DemoError
from omisync.demo.people import orders
from omisync.demo.proof import Applied
from omisync.demo.remote import FAULTS, Omisell


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as opened:
        yield opened


@pytest.fixture
async def omisell(session: aiohttp.ClientSession) -> AsyncIterator[Omisell]:
    async with Omisell.running(session, callback_url="http://127.0.0.1:1/webhooks/omisell", seed=1) as running:
        yield running


async def add(omisell: Omisell, session: aiohttp.ClientSession, number: int = 0) -> int:
    """Add one of the sample shop's orders as the daemon would; the HTTP status."""
    account = omisell.account
    credentials = {"api_key": account.api_key, "api_secret": account.api_secret}
    async with session.post(f"{omisell.url}/api/v2/auth/token/get/", json=credentials) as answer:
        token = (await answer.json())["data"]["token"]
    invented = orders(1, omisell.products, omisell.places)
    for _ in range(number):
        next(invented)
    body = {**next(invented).payload(), "shop_id": account.shop_id, "pickup_id": account.pickup_id}
    headers = {"Authorization": f"Omi {token}", "Seller-ID": str(account.seller_id), "Country": account.country}
    async with session.post(f"{omisell.url}/api/v2/public/order/add", json=body, headers=headers) as added:
        return added.status


async def test_the_sample_shops_orders_are_accepted(omisell: Omisell, session: aiohttp.ClientSession) -> None:
    assert [await add(omisell, session, number) for number in range(20)] == [200] * 20
    assert (await omisell.figures()).orders == 20


async def test_an_order_sent_twice_is_booked_twice(omisell: Omisell, session: aiohttp.ClientSession) -> None:
    await add(omisell, session)
    await add(omisell, session)
    assert [order.order_number for order in await omisell.applied()] == ["WEB-1001", "WEB-1001"]


async def test_a_long_ledger_is_read_a_page_at_a_time(
    omisell: Omisell, session: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote, "PAGE", 2)
    for number in range(4):
        await add(omisell, session, number)
    numbers = ["WEB-1001", "WEB-1002", "WEB-1003", "WEB-1004"]
    assert [order.order_number for order in await omisell.applied(full=False)] == numbers
    assert [push["order_number"] async for push in omisell.paged("pushes", body="0")] == numbers


async def test_what_was_applied_is_told_with_or_without_tracking_numbers(
    omisell: Omisell, session: aiohttp.ClientSession
) -> None:
    await add(omisell, session)
    async with session.post(
        f"{omisell.url}/control/advance", json={"order_number": "WEB-1001", "status_id": 500}
    ) as answer:
        moved = await answer.json()
    tracking = frozenset(parcel["courier_tracking_number"] for parcel in moved["detail"]["parcels"])
    assert all(tracking)
    seen = Applied("WEB-1001", moved["omisell_order_number"], 500, moved["updated_time"], tracking)
    assert await omisell.applied() == [seen]
    assert await omisell.applied(full=False) == [dataclasses.replace(seen, tracking=None)]


async def test_it_misbehaves_and_behaves_when_told(omisell: Omisell) -> None:
    assert await on(omisell) == set()
    await omisell.misbehave()
    assert await on(omisell) == set(FAULTS)
    await omisell.behave()
    assert await on(omisell) == set()


async def on(omisell: Omisell) -> set[str]:
    faults = await omisell.control("GET", "faults")
    return {kind for kind, fault in faults.items() if fault["rate"] > 0}


async def test_a_control_call_that_fails_is_told(omisell: Omisell) -> None:
    with pytest.raises(DemoError, match="/control/nowhere said 404"):
        await omisell.control("GET", "nowhere")
