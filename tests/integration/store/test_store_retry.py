"""A retry beside whatever else brings the number back: told in the row's own result, never an error of the command."""

import asyncio
import json
from typing import Any

import pytest

from omisync.store import Ending, Reached
from omisync.web import Metrics

SECONDS = 30.0  # for anything that is waited on
TAKEN = "left alone: a later row for this order has taken its place"


async def failed(house: Any, number: str, **more: object) -> int:
    """An add that Omisell has refused."""
    row: int = await house.add(number, **more)
    (claim,) = await house.outbox.claim("order.add", 10)
    await house.outbox.finish(Ending(claim, "failed", error="unknown sku", reached=Reached.NO, event="failed"))
    return row


async def results(house: Any, **what: Any) -> dict[int, str]:
    return {change.id: change.result for change in await house.operator.retry(by="anna", **what)}


@pytest.mark.parametrize("others", [0, 2])
async def test_a_number_that_the_shop_enqueues_anew_at_the_same_moment_keeps_the_shops_row(
    house: Any, others: int
) -> None:
    row = await failed(house, "A-1")
    rows = [await failed(house, f"B-{number}") for number in range(others)]
    payload = json.dumps({"order_number": "A-1", "items": [{"sku": "TEE-L"}]})
    async with asyncio.timeout(SECONDS):
        async with house.sql.transaction():
            anew = await house.sql.fetchval("SELECT omisync.add_order($1)", payload)
            retrying = asyncio.create_task(results(house, all_failed=True))
            held = "SELECT count(*) >= 1 FROM pg_locks WHERE NOT granted"
            while not await house.sql.fetchval(held):  # noqa: ASYNC110 - a lock has no signal
                await asyncio.sleep(0.01)
        assert await retrying == {row: TAKEN, **dict.fromkeys(rows, "pending again")}
    assert (await house.row(row))["state"] == "failed"
    assert (await house.row(anew))["state"] == "pending"
    noted = await house.sql.fetch("SELECT subject FROM omisync.audit WHERE action = 'retry' ORDER BY id")
    assert [note["subject"] for note in noted] == [str(other) for other in rows]


async def test_of_two_failed_rows_of_a_number_the_later_is_tried_again(house: Any) -> None:
    first = await failed(house, "A-1")
    second = await failed(house, "A-1", order_note="mended")
    dry = await results(house, all_failed=True, dry_run=True)
    assert await results(house, all_failed=True) == dry == {first: TAKEN, second: "pending again"}
    assert (await house.row(first))["state"] == "failed"


async def test_what_is_done_by_hand_to_many_is_noted_for_each(house: Any) -> None:
    rows = [await failed(house, f"A-{number}") for number in range(5)]
    await results(house, all_failed=True)
    noted = await house.sql.fetch("SELECT who, action, subject FROM omisync.audit ORDER BY id")
    assert [tuple(note) for note in noted] == [("anna", "retry", str(row)) for row in rows]


async def test_a_fetch_asked_for_by_hand_is_noted(house: Any) -> None:
    await house.sql.execute("INSERT INTO omisync.orders (order_number, omisell_order_number) VALUES ('A-1', 'OS-1')")
    assert await house.operator.request_refresh(["OS-1", "unknown"], "anna") == 1
    noted = await house.sql.fetch("SELECT who, action, subject FROM omisync.audit")
    assert [tuple(note) for note in noted] == [("anna", "refresh", "A-1")]


async def test_a_token_of_which_omisell_told_no_end_sets_off_no_alarm(house: Any) -> None:
    assert not (await house.operator.status()).token_held
    await house.sql.execute("INSERT INTO omisync.tokens (token) VALUES ('t')")
    status = await house.operator.status()
    assert (status.token_held, status.token_expires_seconds) == (True, None)
    metrics = Metrics()
    metrics.set_token(status.token_expires_seconds, held=status.token_held)
    assert "omisync_token_expires_seconds +Inf" in metrics.render().decode()
    metrics.set_token(None)
    assert "omisync_token_expires_seconds 0.0" in metrics.render().decode()
