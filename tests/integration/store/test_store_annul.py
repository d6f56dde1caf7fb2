"""Annulled adds, told in their order's turn; and orders that are at Omisell though their add failed or was annulled."""

import asyncio
import json
from typing import Any

import pytest

from omisync.store import Claim, Ending, Fetch, Hooks, Orders, Outbox, Reached, Snapshot

SECONDS = 30.0  # for anything that is waited on
HOOK = """
CREATE SCHEMA shop;
CREATE TABLE shop.seen (id serial PRIMARY KEY, order_number text, kind text);
CREATE FUNCTION shop.changed(event jsonb) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF event ->> 'order_number' = 'SLOW-' || (event ->> 'kind') THEN PERFORM pg_advisory_xact_lock(4711); END IF;
    INSERT INTO shop.seen (order_number, kind) VALUES (event ->> 'order_number', event ->> 'kind');
END $$;
"""
WAITS_FOR_THE_LOCK = "SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND objid = 4711 AND NOT granted)"


async def failed(house: Any, number: str, **more: object) -> Claim:
    """An add that Omisell has refused."""
    await house.add(number, **more)
    (claim,) = await house.outbox.claim("order.add", 10)
    await house.outbox.finish(Ending(claim, "failed", error="unknown sku", reached=Reached.NO, event="failed"))
    return claim  # type: ignore[no-any-return]


async def fetched(house: Any, number: str) -> Fetch:
    """A fetch of the order under way, because a push told of it."""
    await house.orders.request([(f"OMI-{number}", number, None)], "webhook", priority=0)
    (fetch,) = await house.orders.claim(10)
    return fetch  # type: ignore[no-any-return]


def snapshot(fetch: Fetch, status: int = 300) -> Snapshot:
    return Snapshot(
        fetch=fetch,
        order_number=fetch.order_number or "",
        shop_id=21001,
        status_id=status,
        status_name=None,
        is_final=False,
        created_time=900,
        updated_time=1000,
        rts_time=None,
        shipped_time=None,
        completed_time=None,
        tracking_numbers="[]",
        detail=json.dumps({"status_id": status}),
        parcels="[]",
    )


async def until_it_waits(house: Any) -> None:
    while not await house.sql.fetchval(WAITS_FOR_THE_LOCK):  # noqa: ASYNC110 - a lock has no signal
        await asyncio.sleep(0.01)


async def seen(house: Any) -> list[tuple[str, str]]:
    return [tuple(row) for row in await house.sql.fetch("SELECT order_number, kind FROM shop.seen ORDER BY id")]


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hooks may wait for a lock as long as their time-out lets them."""
    monkeypatch.setattr("omisync.store.hooks.LOCK_TIMEOUT_MS", 60_000)


@pytest.mark.usefixtures("slow")
async def test_the_call_for_an_annulment_is_not_overtaken_by_that_of_a_later_event(house: Any) -> None:
    await house.sql.execute(HOOK)
    hooks = Hooks(house.database, "shop.changed", timeout=60.0)
    await failed(house, "SLOW-annulled")
    await house.cancel("SLOW-annulled")
    fetch = await fetched(house, "SLOW-annulled")
    await house.sql.execute("SELECT pg_advisory_lock(4711)")
    annulling = asyncio.create_task(Outbox(house.database, hooks).annul())
    async with asyncio.timeout(SECONDS):
        await until_it_waits(house)
        later = asyncio.create_task(Orders(house.database, hooks).apply(snapshot(fetch)))
        held = "SELECT count(*) >= 2 FROM pg_locks WHERE NOT granted"
        while not (later.done() or await house.sql.fetchval(held)):  # noqa: ASYNC110 - a lock has no signal
            await asyncio.sleep(0.01)
        await house.sql.execute("SELECT pg_advisory_unlock(4711)")
        assert sorted(await annulling) == ["order.add", "order.cancel"]
        await later
    assert await seen(house) == [("SLOW-annulled", "annulled"), ("SLOW-annulled", "adopted")]


@pytest.mark.usefixtures("slow")
async def test_an_annulment_waits_for_no_slow_call_and_others_are_annulled_meanwhile(house: Any) -> None:
    await house.sql.execute(HOOK)
    hooks = Hooks(house.database, "shop.changed", timeout=60.0)
    await failed(house, "SLOW-adopted")
    await house.cancel("SLOW-adopted")
    await house.add("A-1")
    await house.cancel("A-1")
    fetch = await fetched(house, "SLOW-adopted")
    await house.sql.execute("SELECT pg_advisory_lock(4711)")
    applying = asyncio.create_task(Orders(house.database, hooks).apply(snapshot(fetch)))
    async with asyncio.timeout(SECONDS):
        await until_it_waits(house)
        assert sorted(await Outbox(house.database, hooks).annul()) == ["order.add", "order.cancel"]
        assert not applying.done()
        assert await Outbox(house.database, hooks).annul() == []
        await house.sql.execute("SELECT pg_advisory_unlock(4711)")
        await applying
    assert await seen(house) == [("A-1", "annulled"), ("SLOW-adopted", "adopted")]


async def test_with_nobody_to_annul_nothing_is_written(house: Any) -> None:
    await house.add("A-1")
    assert await house.outbox.annul() == []
