"""The outbox: what the shop may write, claiming, leases, fencing, endings, annulment."""

import asyncio
import json
from typing import Any

import asyncpg
import pytest

from omisync.store import Claim, Ending, Outbox, Reached


def added(claim: Claim, number: str = "OMI-1", **more: Any) -> Ending:
    return Ending(claim, "done", "added", event="added", omisell_order_number=number, status_id=200, spent=1, **more)


def back(claim: Claim, **more: Any) -> Ending:
    return Ending(claim, "pending", **{"error": "later", "reached": Reached.NO, **more})


async def claim_one(outbox: Outbox, kind: Any = "order.add") -> Claim:
    (claim,) = await outbox.claim(kind, 10)
    return claim


async def test_with_a_beginning_only_what_is_due_from_then_on_is_taken_and_nothing_left_behind(house: Any) -> None:
    for number, age in (("A-1", 30), ("A-2", 20), ("A-3", 10)):
        outbox_id = await house.add(number)
        await house.sql.execute(
            "UPDATE omisync.outbox SET available_at = now() - make_interval(secs => $2) WHERE id = $1", outbox_id, age
        )
    (oldest,) = await house.outbox.claim("order.add", 1)
    assert oldest.order_number == "A-1"
    await house.sql.execute("UPDATE omisync.outbox SET lease_until = now() - interval '1 s' WHERE state = 'sending'")
    late = await house.sql.fetchval("SELECT extract(epoch FROM max(available_at))::float8 FROM omisync.outbox")
    assert await house.outbox.claim("order.add", 9, late + 1) == []
    (third,) = await house.outbox.claim("order.add", 9, late)
    assert (third.order_number, third.due_since) == ("A-3", late)
    assert [claim.order_number for claim in await house.outbox.claim("order.add", 9)] == ["A-1", "A-2"]


async def test_the_same_payload_again_returns_the_row_that_is_there(house: Any) -> None:
    first = await house.add("A-1")
    assert await house.add("A-1") == first


async def test_another_payload_for_a_number_already_enqueued_is_an_error_in_the_shops_transaction(house: Any) -> None:
    await house.add("A-1")
    with pytest.raises(asyncpg.UniqueViolationError, match="order A-1 is enqueued already with another payload"):
        await house.add("A-1", order_note="changed")


@pytest.mark.parametrize(
    ("payload", "why"),
    [
        ("[]", "not a JSON object with an order_number"),
        ('{"items": [{"sku": "x"}]}', "not a JSON object with an order_number"),
        ('{"order_number": 7, "items": [{"sku": "x"}]}', "lacks order_number"),
        ('{"order_number": "", "items": [{"sku": "x"}]}', "lacks order_number"),
        ('{"order_number": "A-1"}', "order A-1 has no items"),
        ('{"order_number": "A-1", "items": []}', "order A-1 has no items"),
    ],
)
async def test_a_payload_that_can_never_be_sent_is_refused_at_the_desk(house: Any, payload: str, why: str) -> None:
    with pytest.raises(asyncpg.CheckViolationError, match=why):
        await house.sql.execute("SELECT omisync.add_order($1)", payload)


async def test_a_plain_insert_is_checked_like_the_function(house: Any) -> None:
    insert = "INSERT INTO omisync.outbox (kind, order_number, payload) VALUES ($1, $2, $3)"
    with pytest.raises(asyncpg.CheckViolationError, match="the payload names order B-1, the row order A-1"):
        await house.sql.execute(insert, "order.add", "A-1", '{"order_number": "B-1", "items": [{}]}')
    with pytest.raises(asyncpg.CheckViolationError, match="the payload of order A-1 is not a JSON object"):
        await house.sql.execute(insert, "order.add", "A-1", None)
    await house.sql.execute(insert, "order.add", "A-1", '{"order_number": "A-1", "items": [{}]}')
    with pytest.raises(asyncpg.UniqueViolationError):
        await house.sql.execute(insert, "order.add", "A-1", '{"order_number": "A-1", "items": [{}]}')
    with pytest.raises(asyncpg.CheckViolationError, match="reason"):
        await house.sql.execute(insert, "order.cancel", "A-1", '{"reason": 5}')
    with pytest.raises(asyncpg.CheckViolationError, match="outbox_kind"):
        await house.sql.execute(insert, "order.update", "A-1", None)


async def test_a_cancel_of_an_unknown_order_is_refused(house: Any) -> None:
    with pytest.raises(asyncpg.ForeignKeyViolationError, match="there is no order Z-9 to cancel"):
        await house.cancel("Z-9")


async def test_a_cancel_under_way_is_returned_instead_of_a_second_one(house: Any) -> None:
    await house.add("A-1")
    first = await house.cancel("A-1", "changed my mind")
    assert await house.cancel("A-1", "again") == first
    assert json.loads((await house.row(first))["payload"]) == {"reason": "changed my mind"}


async def test_after_a_failure_the_number_may_be_enqueued_anew(house: Any) -> None:
    first = await house.add("A-1")
    claim = await claim_one(house.outbox)
    assert await house.outbox.finish(Ending(claim, "failed", error="unknown sku", reached=Reached.NO, event="failed"))
    second = await house.add("A-1", order_note="mended")
    assert second != first
    assert (await claim_one(house.outbox)).id == second


async def test_the_shops_role_may_enqueue_and_read_but_not_forge_or_see_secrets(house: Any) -> None:
    await house.sql.execute("SET ROLE omisync_app")
    outbox_id = await house.add("A-1")
    assert await house.sql.fetchval("SELECT state FROM omisync.outbox WHERE id = $1", outbox_id) == "pending"
    assert await house.sql.fetchval("SELECT count(*) FROM omisync.orders") == 0
    assert await house.sql.fetchval("SELECT count(*) FROM omisync.returns") == 0
    for forbidden in (
        "SELECT * FROM omisync.tokens",
        "SELECT * FROM omisync.inbox",
        "UPDATE omisync.outbox SET state = 'done'",
        "INSERT INTO omisync.outbox (kind, order_number, payload, state) VALUES ('order.cancel', 'A-1', NULL, 'done')",
        "DELETE FROM omisync.orders",
    ):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await house.sql.execute(forbidden)


async def test_an_add_is_mapped_and_told_in_the_transaction_that_ends_its_row(house: Any) -> None:
    outbox_id = await house.add("A-1")
    claim = await claim_one(house.outbox)
    assert (claim.order_number, claim.attempts, claim.uncertain, claim.expired) == ("A-1", 0, False, False)
    assert (await house.row(outbox_id))["state"] == "sending"
    assert await house.outbox.finish(added(claim, shop_id=9))
    row = await house.row(outbox_id)
    assert (row["state"], row["outcome"], row["attempts"], row["lease_token"]) == ("done", "added", 1, None)
    order = await house.order("A-1")
    assert (order["omisell_order_number"], order["status_id"], order["shop_id"]) == ("OMI-1", 200, 9)
    assert await house.events("A-1") == [("added", None, 200, "outbox")]


async def test_every_event_notifies_listeners(house: Any) -> None:
    heard: asyncio.Queue[str] = asyncio.Queue()
    await house.sql.add_listener("omisync_orders", lambda *got: heard.put_nowait(got[3]))
    await house.add("A-1")
    await house.outbox.finish(added(await claim_one(house.outbox)))
    told = json.loads(await asyncio.wait_for(heard.get(), 5))
    assert told == {"id": 1, "order_number": "A-1", "kind": "added", "status_id": 200}


async def test_two_claimers_never_get_the_same_row(house: Any) -> None:
    for number in range(40):
        await house.add(f"A-{number}")
    taken = await asyncio.gather(*(house.outbox.claim("order.add", 10) for _ in range(8)))
    numbers = [claim.order_number for claims in taken for claim in claims]
    assert sorted(numbers) == sorted(f"A-{number}" for number in range(40))


async def test_rows_are_claimed_oldest_first(house: Any) -> None:
    for number in ("C", "A", "B"):
        await house.add(number)
    assert [claim.order_number for claim in await house.outbox.claim("order.add", 2)] == ["C", "A"]


async def test_a_cancel_waits_for_its_add(house: Any) -> None:
    await house.add("A-1")
    claim = await claim_one(house.outbox)
    await house.cancel("A-1")
    assert await house.outbox.annul() == []
    assert await house.outbox.claim("order.cancel", 10) == []
    await house.outbox.finish(added(claim))
    cancel = await claim_one(house.outbox, "order.cancel")
    assert (cancel.order_number, cancel.omisell_order_number) == ("A-1", "OMI-1")


async def test_an_add_cancelled_before_its_first_attempt_is_annulled_without_a_call(house: Any) -> None:
    add, cancel = await house.add("A-1"), await house.cancel("A-1")
    assert await house.outbox.claim("order.add", 10) == []
    assert sorted(await house.outbox.annul()) == ["order.add", "order.cancel"]
    assert {(await house.row(row))["outcome"] for row in (add, cancel)} == {"annulled"}
    assert await house.events("A-1") == [("annulled", None, None, "outbox")]
    assert await house.outbox.annul() == []


async def test_a_failed_add_is_annulled_by_a_cancel(house: Any) -> None:
    add = await house.add("A-1")
    claim = await claim_one(house.outbox)
    await house.outbox.finish(Ending(claim, "failed", error="no", reached=Reached.NO, event="failed"))
    await house.cancel("A-1")
    assert sorted(await house.outbox.annul()) == ["order.add", "order.cancel"]
    assert (await house.row(add))["outcome"] == "annulled"


async def test_an_add_that_may_be_at_omisell_is_not_annulled(house: Any) -> None:
    await house.add("A-1")
    claim = await claim_one(house.outbox)
    await house.cancel("A-1")
    await house.outbox.finish(back(claim, reached=Reached.MAYBE, settling=True))
    assert await house.outbox.annul() == []
    assert (await claim_one(house.outbox)).uncertain


async def test_a_row_found_absent_is_annulled_if_a_cancel_waits(house: Any) -> None:
    await house.add("A-1")
    claim = await claim_one(house.outbox)
    await house.cancel("A-1")
    await house.outbox.finish(back(claim))
    assert await house.outbox.claim("order.add", 10) == []
    assert sorted(await house.outbox.annul()) == ["order.add", "order.cancel"]


async def test_a_lease_that_ran_out_is_taken_over_as_uncertain_and_fences_the_late_answer(house: Any) -> None:
    outbox_id = await house.add("A-1")
    late = await claim_one(house.outbox)
    await house.expire_leases()
    claim = await claim_one(house.outbox)
    assert (claim.id, claim.expired, claim.uncertain, claim.settling_for) == (outbox_id, True, True, None)
    assert not await house.outbox.finish(added(late, "OMI-LATE"))
    assert await house.order("A-1") is None
    assert await house.outbox.finish(added(claim))


async def test_a_renewed_lease_is_not_taken_over(house: Any) -> None:
    outbox_id = await house.add("A-1")
    claim = await claim_one(house.outbox)
    await house.expire_leases()
    assert await house.outbox.renew([claim.lease_token]) == {outbox_id}
    assert await house.outbox.claim("order.add", 10) == []


async def test_what_goes_back_waits_for_its_delay_and_counts_its_attempt(house: Any) -> None:
    outbox_id = await house.add("A-1")
    await house.outbox.finish(back(await claim_one(house.outbox), delay=60.0, spent=1))
    row = await house.row(outbox_id)
    assert (row["state"], row["attempts"], row["error"], row["maybe_sent_at"]) == ("pending", 1, "later", None)
    assert await house.outbox.claim("order.add", 10) == []
    await house.sql.execute("UPDATE omisync.outbox SET available_at = now()")
    assert (await claim_one(house.outbox)).attempts == 1


async def test_the_settling_time_runs_by_the_databases_clock(house: Any) -> None:
    await house.add("A-1")
    await house.outbox.finish(back(await claim_one(house.outbox), reached=Reached.MAYBE, settling=True))
    claim = await claim_one(house.outbox)
    assert claim.uncertain
    assert claim.settling_for is not None
    assert 0 <= claim.settling_for < 5
    await house.outbox.finish(back(claim, reached=Reached.MAYBE))
    await house.sql.execute("UPDATE omisync.outbox SET settle_at = now() - interval '31 s'")
    claim = await claim_one(house.outbox)
    assert claim.settling_for is not None
    assert 31 <= claim.settling_for < 36


async def test_nothing_is_claimed_of_a_paused_kind(house: Any) -> None:
    await house.add("A-1")
    await house.operator.pause("order.add", "stock count", "anna")
    assert await house.outbox.claim("order.add", 10) == []
    assert await house.operator.resume(None, "anna") == 1
    assert len(await house.outbox.claim("order.add", 10)) == 1


async def test_a_second_order_at_omisell_for_one_number_is_put_before_the_operator_and_the_first_is_kept(
    house: Any,
) -> None:
    await house.add("A-1")
    await house.sql.execute(
        "INSERT INTO omisync.orders (order_number, omisell_order_number, status_id) VALUES ('A-1', 'OMI-1', 300)"
    )
    await house.outbox.finish(added(await claim_one(house.outbox), "OMI-2"))
    order = await house.order("A-1")
    assert (order["omisell_order_number"], order["status_id"]) == ("OMI-1", 300)
    (finding,) = (await house.operator.status()).findings
    assert (finding.kind, finding.order_number, finding.data) == (
        "second_at_omisell",
        "A-1",
        {"kept": "OMI-1", "other": "OMI-2"},
    )


async def test_one_bad_ending_spoils_no_other(house: Any) -> None:
    await house.add("A-1")
    await house.add("A-2")
    one, two = await house.outbox.claim("order.add", 10)
    endings: tuple[Any, ...] = await asyncio.gather(
        house.outbox.finish(added(one, event_data="not json")),
        house.outbox.finish(added(two, "OMI-2")),
        return_exceptions=True,
    )
    assert isinstance(endings[0], asyncpg.DataError)
    assert endings[1] is True


async def test_the_database_itself_refuses_illegal_states(house: Any) -> None:
    await house.add("A-1")
    for illegal in (
        "state = 'done'",
        "state = 'failed', finished_at = now()",
        "state = 'sending'",
        "state = 'done', outcome = 'cancelled', finished_at = now()",
        "settle_at = now()",
        "state = 'failed', error = 'x', finished_at = now(), maybe_sent_at = now()",
        "state = 'done', outcome = 'annulled', finished_at = now(), maybe_sent_at = now()",
    ):
        with pytest.raises(asyncpg.CheckViolationError):
            await house.sql.execute(f"UPDATE omisync.outbox SET {illegal}")  # noqa: S608 - the test's own words


async def test_old_finished_rows_are_purged_in_batches_and_failed_ones_stay(house: Any) -> None:
    for number in ("A", "B", "C", "D"):
        await house.add(number)
    for place, claim in enumerate(await house.outbox.claim("order.add", 3)):
        await house.outbox.finish(added(claim, f"OMI-{place}"))
    await house.outbox.finish(Ending(await claim_one(house.outbox), "failed", error="no", reached=Reached.NO))
    await house.sql.execute("UPDATE omisync.outbox SET finished_at = now() - interval '91 days'")
    assert [await house.outbox.purge(90 * 86400.0, 2) for _ in range(3)] == [2, 1, 0]
    assert await house.sql.fetchval("SELECT array_agg(state) FROM omisync.outbox") == ["failed"]
