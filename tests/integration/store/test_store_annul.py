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


async def test_a_failed_add_whose_order_is_there_after_all_is_adopted(house: Any) -> None:
    claim = await failed(house, "A-1")
    applied = await house.orders.apply(snapshot(await fetched(house, "A-1")))
    assert (applied.event, applied.adopted) == ("adopted", True)
    row = await house.row(claim.id)
    assert (row["state"], row["outcome"], row["error"], row["finished_at"] is None) == ("done", "adopted", None, False)
    assert [event[0] for event in await house.events("A-1")] == ["failed", "adopted"]
    assert (await house.operator.retry([claim.id], by="anna"))[0].result.startswith("left alone: it is done")
    assert await house.add("A-1") == claim.id


async def test_of_adds_that_failed_one_after_the_other_the_last_is_adopted(house: Any) -> None:
    first = await failed(house, "A-1")
    second = await failed(house, "A-1", order_note="mended")
    await house.orders.apply(snapshot(await fetched(house, "A-1")))
    assert (await house.row(first.id))["state"] == "failed"
    assert (await house.row(second.id))["outcome"] == "adopted"


async def test_a_failed_add_is_left_where_its_number_lives_on_in_another_row(house: Any) -> None:
    first = await failed(house, "A-1")
    await house.add("A-1", order_note="mended")
    fetch = await fetched(house, "A-1")
    (sending,) = await house.outbox.claim("order.add", 10)
    assert not (await house.orders.apply(snapshot(fetch))).adopted
    assert (await house.row(first.id))["state"] == "failed"
    await house.outbox.finish(Ending(sending, "done", "adopted", event="adopted", omisell_order_number="OMI-A-1"))
    assert (await house.row(first.id))["state"] == "failed"


async def test_the_cancel_of_a_failed_add_goes_out_when_the_order_is_there_after_all(house: Any) -> None:
    claim = await failed(house, "A-1")
    cancel = await house.cancel("A-1")
    await house.orders.apply(snapshot(await fetched(house, "A-1")))
    assert (await house.row(claim.id))["outcome"] == "adopted"
    assert await house.outbox.annul() == []
    (taken,) = await house.outbox.claim("order.cancel", 10)
    assert (taken.id, taken.omisell_order_number) == (cancel, "OMI-A-1")
    assert await findings(house) == []


async def findings(house: Any) -> list[tuple[str, str, str]]:
    return [(f.kind, f.order_number, f.subject) for f in (await house.operator.status()).findings]


async def test_an_annulled_order_that_is_there_after_all_is_put_before_the_operator_once(house: Any) -> None:
    add = await house.add("A-1")
    await house.cancel("A-1")
    await house.outbox.annul()
    applied = await house.orders.apply(snapshot(await fetched(house, "A-1")))
    assert (applied.event, applied.adopted) == ("adopted", False)
    await house.orders.apply(snapshot(await fetched(house, "A-1"), 350))
    assert await findings(house) == [("annulled_but_there", "A-1", "OMI-A-1")]
    data = json.loads(await house.sql.fetchval("SELECT data FROM omisync.findings"))
    assert data == {"outbox_id": add + 1, "status_id": 300}
    assert (await house.row(add))["outcome"] == "annulled"


async def test_so_is_one_whose_add_was_given_up_and_whose_cancel_found_nothing(house: Any) -> None:
    await house.add("A-1")
    (claim,) = await house.outbox.claim("order.add", 10)
    await house.outbox.finish(Ending(claim, "pending", error="time-out", reached=Reached.MAYBE, settling=True))
    await house.operator.discard([claim.id], by="anna")
    await house.cancel("A-1")
    (cancel,) = await house.outbox.claim("order.cancel", 10)
    await house.outbox.finish(Ending(cancel, "done", "annulled", reached=Reached.NO, event="annulled"))
    await house.orders.apply(snapshot(await fetched(house, "A-1")))
    assert await findings(house) == [("annulled_but_there", "A-1", "OMI-A-1")]
    assert (await house.row(claim.id))["state"] == "discarded"


async def test_a_number_that_was_annulled_and_then_enqueued_anew_needs_nobody(house: Any) -> None:
    await failed(house, "A-1")
    await house.cancel("A-1")
    anew = await house.add("A-1", order_note="mended")
    assert await house.outbox.annul() == ["order.cancel"]
    await house.orders.apply(snapshot(await fetched(house, "A-1")))
    assert (await house.row(anew))["outcome"] == "adopted"
    await house.orders.apply(snapshot(await fetched(house, "A-1"), 350))
    assert await findings(house) == []


async def test_an_annulment_of_the_very_moment_in_which_the_order_comes_to_light_is_not_missed(house: Any) -> None:
    await house.add("A-1")
    await house.cancel("A-1")
    fetch = await fetched(house, "A-1")
    async with asyncio.timeout(SECONDS):
        async with house.sql.transaction():
            await house.sql.execute(
                "UPDATE omisync.outbox SET state = 'done', outcome = 'annulled', finished_at = now()"
            )
            applying = asyncio.create_task(house.orders.apply(snapshot(fetch)))
            held = "SELECT count(*) >= 1 FROM pg_locks WHERE NOT granted"
            while not await house.sql.fetchval(held):  # noqa: ASYNC110 - a lock has no signal
                await asyncio.sleep(0.01)
        applied = await applying
    assert (applied.event, applied.adopted) == ("adopted", False)
    assert await findings(house) == [("annulled_but_there", "A-1", "OMI-A-1")]
