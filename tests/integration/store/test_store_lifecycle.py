"""The legal moves of a row as the database enforces them, and the corners where an order could be lost or doubled."""

import itertools
from dataclasses import replace
from typing import Any

import asyncpg
import pytest

from omisync.store import Claim, Ending, ListLag, Reached, State
from omisync.store.due import Due, due
from omisync.store.lifecycle import ENDS, MOVES, is_legal

NOTHING = Due(adds=False, cancels=False, pushes=False, wanted=False, owed=False, hooks=False, notices=False)
IN_STATE = {
    State.PENDING: "state = 'pending', outcome = NULL, finished_at = NULL, lease_token = NULL, lease_until = NULL",
    State.SENDING: "state = 'sending', outcome = NULL, finished_at = NULL,"
    " lease_token = gen_random_uuid(), lease_until = now() - interval '1 s'",
    State.DONE: "state = 'done', outcome = 'added', finished_at = now(), lease_token = NULL, lease_until = NULL",
    State.FAILED: "state = 'failed', outcome = NULL, error = 'x', finished_at = now(),"
    " lease_token = NULL, lease_until = NULL",
    State.DISCARDED: "state = 'discarded', outcome = NULL, finished_at = now(), lease_token = NULL, lease_until = NULL",
}


async def add_one(house: Any, number: str = "A-1", **more: object) -> Claim:
    await house.add(number, **more)
    (claim,) = await house.outbox.claim("order.add", 10)
    return claim  # type: ignore[no-any-return]


async def fail(house: Any, claim: Claim) -> None:
    await house.outbox.finish(Ending(claim, "failed", error="unknown sku", reached=Reached.NO, event="failed"))


async def later(house: Any) -> None:
    await house.sql.execute("UPDATE omisync.outbox SET available_at = now() - interval '1 s'")


async def test_the_database_allows_the_moves_of_the_table_and_no_other(house: Any) -> None:
    row = await house.add("A-1")
    for before, after in itertools.permutations(State, 2):
        await house.sql.execute("ALTER TABLE omisync.outbox DISABLE TRIGGER outbox_moves")
        await house.sql.execute(f"UPDATE omisync.outbox SET {IN_STATE[before]}")  # noqa: S608 - the test's own words
        await house.sql.execute("ALTER TABLE omisync.outbox ENABLE TRIGGER outbox_moves")
        change = f"UPDATE omisync.outbox SET {IN_STATE[after]}"  # noqa: S608 - the test's own words
        if is_legal(before, after):
            await house.sql.execute(change)
            assert (await house.row(row))["state"] == after
        else:
            with pytest.raises(asyncpg.CheckViolationError, match=f"row {row} cannot go from {before} to {after}"):
                await house.sql.execute(change)


def test_every_state_is_reached_and_the_ends_are_left_by_nothing() -> None:
    moves = {pair for pairs in MOVES.values() for pair in pairs}
    assert {after for _, after in moves} == set(State)
    assert {before for before, _ in moves} == set(State) - ENDS


async def test_a_lease_that_has_not_run_out_cannot_be_taken(house: Any) -> None:
    claim = await add_one(house)
    steal = "UPDATE omisync.outbox SET lease_token = gen_random_uuid()"
    with pytest.raises(asyncpg.CheckViolationError, match="cannot go from sending to sending"):
        await house.sql.execute(steal)
    assert await house.outbox.renew([claim.lease_token]) == {claim.id}
    await house.expire_leases()
    await house.sql.execute(steal)


@pytest.mark.parametrize("number", [" A-1", "A-1 ", "A-1\n", "x" * 256])
async def test_a_number_that_could_not_be_found_again_is_refused_at_the_desk(house: Any, number: str) -> None:
    with pytest.raises(asyncpg.CheckViolationError, match="longer than 255 characters, or begins or ends with a blank"):
        await house.add(number)


async def test_a_number_enqueued_anew_beside_a_cancel_stops_no_annulment(house: Any) -> None:
    claim = await add_one(house)
    await fail(house, claim)
    cancel = await house.cancel("A-1")
    anew = await house.add("A-1", order_note="mended")
    other = await house.add("B-1")
    await house.cancel("B-1")
    assert sorted(await house.outbox.annul()) == ["order.add", "order.cancel", "order.cancel"]
    assert (await house.row(cancel))["outcome"] == "annulled"
    assert (await house.row(other))["outcome"] == "annulled"
    assert (await house.row(claim.id))["state"] == "failed"
    (next_claim,) = await house.outbox.claim("order.add", 10)
    assert next_claim.id == anew


async def test_what_takes_the_place_of_a_row_given_up_while_uncertain_is_looked_for_first(house: Any) -> None:
    claim = await add_one(house)
    await house.outbox.finish(Ending(claim, "pending", error="time-out", reached=Reached.MAYBE, settling=True))
    await house.sql.execute("UPDATE omisync.outbox SET maybe_sent_at = now() - interval '2 hours'")
    await house.operator.discard([claim.id], by="anna")
    anew = await add_one(house, order_note="mended")
    assert anew.id != claim.id
    assert anew.uncertain
    assert anew.sent_age > 7199
    assert anew.settling_for is not None
    await house.outbox.finish(Ending(anew, "pending", error="absent", reached=Reached.NO))
    await later(house)
    (again,) = await house.outbox.claim("order.add", 10)
    assert not again.uncertain


async def test_a_failed_add_that_is_retried_is_looked_for_first(house: Any) -> None:
    claim = await add_one(house)
    await fail(house, claim)
    await house.sql.execute("UPDATE omisync.outbox SET finished_at = now() - interval '40 s'")
    await house.operator.retry([claim.id], by="anna")
    (again,) = await house.outbox.claim("order.add", 10)
    assert again.uncertain
    assert again.settling_for is not None
    assert again.settling_for >= 40


async def test_the_cancel_of_a_failed_add_is_left_to_annulment_so_that_a_retry_cannot_bring_the_order_back(
    house: Any,
) -> None:
    claim = await add_one(house)
    await fail(house, claim)
    await house.cancel("A-1")
    assert await house.outbox.claim("order.cancel", 10) == []
    assert sorted(await house.outbox.annul()) == ["order.add", "order.cancel"]
    assert (await house.operator.retry([claim.id], by="anna"))[0].result.startswith("left alone: it is done")


async def test_a_cancel_that_was_taken_once_does_not_block_its_add_for_ever(house: Any) -> None:
    claim = await add_one(house)
    await fail(house, claim)
    await house.cancel("A-1")
    await house.sql.execute("UPDATE omisync.outbox SET maybe_sent_at = now() WHERE kind = 'order.cancel'")
    await house.operator.retry([claim.id], by="anna")
    (again,) = await house.outbox.claim("order.add", 10)
    await house.outbox.finish(Ending(again, "pending", error="absent", reached=Reached.NO))
    await later(house)
    assert await house.outbox.claim("order.add", 10) == []
    assert sorted(await house.outbox.annul()) == ["order.add", "order.cancel"]


async def test_an_add_whose_order_is_known_already_is_taken_though_a_cancel_waits(house: Any) -> None:
    await house.add("A-1")
    await house.cancel("A-1")
    await house.sql.execute("INSERT INTO omisync.orders (order_number, omisell_order_number) VALUES ('A-1', 'OMI-1')")
    assert await house.outbox.annul() == []
    (claim,) = await house.outbox.claim("order.add", 10)
    assert claim.omisell_order_number == "OMI-1"
    await house.outbox.finish(Ending(claim, "done", "adopted", event="adopted", omisell_order_number="OMI-1"))
    (cancel,) = await house.outbox.claim("order.cancel", 10)
    assert cancel.omisell_order_number == "OMI-1"


async def test_the_cancel_of_a_discarded_add_knows_how_old_its_order_is(house: Any) -> None:
    await house.add("A-1")
    await house.sql.execute("UPDATE omisync.outbox SET created_at = now() - interval '3 days', maybe_sent_at = now()")
    await house.sql.execute("UPDATE omisync.outbox SET state = 'discarded', finished_at = now()")
    await house.cancel("A-1")
    (cancel,) = await house.outbox.claim("order.cancel", 10)
    assert cancel.sent_age >= 3 * 86_400


async def test_without_a_delay_a_row_keeps_its_place_in_the_queue(house: Any) -> None:
    first = await add_one(house, "A-1")
    await house.add("B-1")
    await house.outbox.finish(Ending(first, "pending", error="an outage", reached=Reached.NO))
    assert [claim.order_number for claim in await house.outbox.claim("order.add", 1)] == ["A-1"]


async def test_of_a_paused_kind_nothing_is_due(house: Any) -> None:
    await house.add("A-1")
    assert await house.outbox.is_due("order.add")
    await house.operator.pause("order.add", None, "anna")
    assert not await house.outbox.is_due("order.add")


async def test_of_two_orders_found_for_a_number_one_is_kept_and_the_other_put_before_the_operator(house: Any) -> None:
    claim = await add_one(house)
    await house.outbox.finish(
        Ending(
            claim,
            "done",
            "adopted",
            event="adopted",
            event_data='{"outbox_id": 1, "also_at_omisell": ["OMI-2", "OMI-3"]}',
            omisell_order_number="OMI-1",
        )
    )
    findings = (await house.operator.status()).findings
    assert sorted((f.kind, f.order_number, f.subject, f.data["kept"]) for f in findings) == [
        ("second_at_omisell", "A-1", "OMI-2", "OMI-1"),
        ("second_at_omisell", "A-1", "OMI-3", "OMI-1"),
    ]
    assert (await house.order("A-1"))["omisell_order_number"] == "OMI-1"


async def test_a_time_beyond_the_calendar_does_not_keep_an_ending_from_being_written(house: Any) -> None:
    claim = await add_one(house)
    ending = Ending(
        claim, "done", "added", event="added", omisell_order_number="OMI-1", status_id=200, updated_time=2**62
    )
    assert await house.outbox.finish(ending)


async def test_the_lists_lag_is_the_greatest_age_at_which_an_added_order_was_missing(house: Any) -> None:
    for number, age in (("A-1", 20), ("B-1", 50), ("C-1", 400)):
        claim = await add_one(house, number)
        await house.outbox.finish(
            Ending(claim, "done", "added", event="added", omisell_order_number=f"OMI-{number}", status_id=200)
        )
        await house.sql.execute(
            "UPDATE omisync.outbox SET finished_at = now() - make_interval(secs => $2) WHERE id = $1", claim.id, age
        )
    lag = ListLag(house.database)
    assert await lag.observe(["OMI-A-1", "OMI-B-1"], 1.0, 500.0) == 0.0  # C-1 is too old to tell of a lag
    assert 49 <= await lag.observe(["OMI-A-1"], 1.0, 500.0) < 60
    assert 19 <= await lag.observe(["OMI-B-1"], 1.0, 500.0) < 30  # what was seen an hour ago still counts
    assert await lag.observe(["OMI-A-1"], 1.0, 30.0) == 0.0  # its window need not have held what is older
    assert await lag.observe([], 60.0, 500.0) == 0.0  # all were added after that reading began
    await house.add("D-1")
    (claim,) = await house.outbox.claim("order.add", 10)
    assert 49 <= claim.list_lag < 60
    await house.sql.execute("UPDATE omisync.list_lag SET hour = hour - interval '25 hours'")
    await lag.observe([], 1.0, 500.0)
    assert await house.sql.fetchval("SELECT count(*) FROM omisync.list_lag") == 1


async def test_a_look_with_a_beginning_sees_what_is_due_from_then_on_and_nothing_left_behind(house: Any) -> None:
    await house.add("A-1")
    at = await house.sql.fetchval("SELECT extract(epoch FROM available_at)::float8 FROM omisync.outbox")
    assert await due(house.database, at) == replace(NOTHING, adds=True)
    assert await due(house.database, at + 1) == NOTHING
    await house.outbox.claim("order.add", 1)
    await house.sql.execute("UPDATE omisync.outbox SET lease_until = now() - interval '1 s'")
    assert await due(house.database, at) == NOTHING
    assert await due(house.database) == replace(NOTHING, adds=True)


async def test_one_look_tells_what_there_is_to_do(house: Any) -> None:
    assert await due(house.database) == NOTHING
    await house.add("A-1")
    await house.orders.request([("OMI-9", "B-9", None)], "operator")
    assert await due(house.database) == replace(NOTHING, adds=True, wanted=True)
    await house.cancel("A-1")
    await house.operator.pause("order.add", None, "anna")
    await house.sql.execute("UPDATE omisync.refreshes SET priority = 2")
    assert await due(house.database) == replace(NOTHING, cancels=True, owed=True)
    await house.sql.execute("TRUNCATE omisync.outbox, omisync.refreshes")
    await house.sql.execute(
        "WITH e AS (INSERT INTO omisync.order_events (order_number, kind, source, occurred_at)"
        " VALUES ('A-1', 'added', 'outbox', now()) RETURNING id)"
        " INSERT INTO omisync.hook_calls (event_id, order_number) SELECT id, 'A-1' FROM e"
    )
    assert await due(house.database) == replace(NOTHING, hooks=True)
    await house.sql.execute("UPDATE omisync.hook_calls SET available_at = now() + interval '1 minute'")
    assert await due(house.database) == NOTHING
    await house.sql.execute(
        "INSERT INTO omisync.inbox (dedup_key, event, category, authorization_form, body, state, handled_at)"
        " VALUES (gen_random_uuid(), 'order.returned', 'order', 'none', '', 'done', now())"
    )
    assert await due(house.database) == replace(NOTHING, notices=True)
