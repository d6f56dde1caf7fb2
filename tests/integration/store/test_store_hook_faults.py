"""A hook that misbehaves for long: it holds no other order, and never stops the calls of all."""

import asyncio
import json
from typing import Any

import pytest

from omisync.store import Claim, Ending, Fetch, Hooks, Orders, Outbox, Snapshot

SECONDS = 30.0  # for anything that is waited on
HOOK = """
CREATE SCHEMA shop;
CREATE TABLE shop.seen (id serial PRIMARY KEY, order_number text);
CREATE FUNCTION shop.changed(event jsonb) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF event ->> 'order_number' LIKE 'SLOW%' THEN PERFORM pg_advisory_xact_lock(4711); END IF;
    IF event ->> 'order_number' LIKE 'RAISE%' THEN RAISE EXCEPTION 'no'; END IF;
    INSERT INTO shop.seen (order_number) VALUES (event ->> 'order_number');
END $$;
"""
WAITS_FOR_THE_LOCK = "SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND objid = 4711 AND NOT granted)"


def added(claim: Claim) -> Ending:
    return Ending(
        claim,
        "done",
        "added",
        event="added",
        omisell_order_number=f"OMI-{claim.order_number}",
        status_id=200,
        spent=1,
    )


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


async def failing_call(house: Any, number: str) -> None:
    await house.add(number)
    (claim,) = await house.outbox.claim("order.add", 1)
    await Outbox(house.database, Hooks(house.database, "shop.changed")).finish(added(claim))


async def test_a_slow_hook_of_one_order_holds_no_other(house: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("omisync.store.hooks.LOCK_TIMEOUT_MS", 60_000)
    await house.sql.execute(HOOK)
    outbox = Outbox(house.database, Hooks(house.database, "shop.changed", timeout=60.0))
    for number in ("SLOW-1", "A-1", "A-2"):
        await house.add(number)
    slow, *others = await outbox.claim("order.add", 10)
    await house.sql.execute("SELECT pg_advisory_lock(4711)")
    held = asyncio.ensure_future(outbox.finish(added(slow)))
    async with asyncio.timeout(SECONDS):
        while not await house.sql.fetchval(WAITS_FOR_THE_LOCK):  # noqa: ASYNC110 - a lock has no signal
            await asyncio.sleep(0.01)
        assert await asyncio.gather(*(outbox.finish(added(claim)) for claim in others)) == [True, True]
        assert not held.done()
        await house.sql.execute("SELECT pg_advisory_unlock(4711)")
        assert await held


async def test_a_slow_hook_of_one_detail_holds_no_other(house: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("omisync.store.hooks.LOCK_TIMEOUT_MS", 60_000)
    await house.sql.execute(HOOK)
    orders = Orders(house.database, Hooks(house.database, "shop.changed", timeout=60.0))
    numbers = ("SLOW-1", "A-1", "A-2")
    await orders.request([(f"OMI-{number}", number, None) for number in numbers], "webhook", priority=0)
    fetches = {fetch.order_number: fetch for fetch in await orders.claim(10)}
    await house.sql.execute("SELECT pg_advisory_lock(4711)")
    held = asyncio.create_task(orders.apply(snapshot(fetches["SLOW-1"])))
    async with asyncio.timeout(SECONDS):
        while not await house.sql.fetchval(WAITS_FOR_THE_LOCK):  # noqa: ASYNC110 - a lock has no signal
            await asyncio.sleep(0.01)
        done = await asyncio.gather(*(orders.apply(snapshot(fetches[number])) for number in ("A-1", "A-2")))
        assert [applied.event for applied in done] == ["adopted", "adopted"]
        assert not held.done()
        await house.sql.execute("SELECT pg_advisory_unlock(4711)")
        assert (await held).event == "adopted"


async def test_a_hook_that_has_failed_for_a_night_does_not_stop_the_others(house: Any) -> None:
    await house.sql.execute(HOOK)
    hooks = Hooks(house.database, "shop.changed")
    await failing_call(house, "RAISE-1")
    await failing_call(house, "RAISE-2")
    await house.sql.execute("UPDATE omisync.hook_calls SET attempts = 2000, available_at = now() - interval '1 s'")
    await house.sql.execute("UPDATE omisync.order_events SET order_number = 'MENDED' WHERE order_number = 'RAISE-2'")
    assert await hooks.retry_due() == 1
    assert await house.sql.fetchval("SELECT array_agg(order_number) FROM shop.seen") == ["MENDED"]
    wait = await house.sql.fetchval("SELECT extract(epoch FROM available_at - now()) FROM omisync.hook_calls")
    assert 50 < wait <= 60


async def test_each_retry_is_a_transaction_of_its_own(house: Any) -> None:
    await house.sql.execute(HOOK)
    for number in ("RAISE-1", "RAISE-2", "RAISE-3"):
        await failing_call(house, number)
    await house.sql.execute("UPDATE omisync.order_events SET order_number = replace(order_number, 'RAISE', 'M')")
    await house.sql.execute("UPDATE omisync.hook_calls SET available_at = now() - interval '1 s'")
    await house.sql.execute("ALTER TABLE shop.seen ADD COLUMN tx xid8 DEFAULT pg_current_xact_id()")
    assert await Hooks(house.database, "shop.changed").retry_due(most=2) == 2
    assert await house.sql.fetchval("SELECT count(DISTINCT tx) FROM shop.seen") == 2
    assert (await house.operator.status()).hooks_waiting == 1


async def test_a_server_that_ignores_the_time_out_is_cut_off_and_the_state_applied_all_the_same(
    house: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("omisync.store.hooks.ANSWER_MARGIN", -4.8)
    monkeypatch.setattr("omisync.store.hooks.LOCK_TIMEOUT_MS", 60_000)
    await house.sql.execute(HOOK)
    await house.sql.execute("SELECT pg_advisory_lock(4711)")
    await failing_call(house, "SLOW-1")
    await house.sql.execute("SELECT pg_advisory_unlock(4711)")
    assert (await house.order("SLOW-1"))["status_id"] == 200
    assert await house.sql.fetchval("SELECT error FROM omisync.hook_calls") == "no answer: TimeoutError"


async def test_the_hooks_own_queries_are_planned_as_postgres_ships_it(house: Any) -> None:
    await house.sql.execute(
        """
        CREATE SCHEMA shop;
        CREATE TABLE shop.seen (planned text, scans text);
        CREATE FUNCTION shop.changed(event jsonb) RETURNS void LANGUAGE sql AS $$
            INSERT INTO shop.seen VALUES (current_setting('plan_cache_mode'), current_setting('enable_seqscan'))
        $$
        """
    )
    await failing_call(house, "A-1")
    assert tuple(await house.sql.fetchrow("SELECT * FROM shop.seen")) == ("auto", "on")
    async with house.database.connection() as connection:
        assert await connection.raw.fetchval("SHOW plan_cache_mode") == "force_generic_plan"
        assert await connection.raw.fetchval("SHOW enable_seqscan") == "off"
