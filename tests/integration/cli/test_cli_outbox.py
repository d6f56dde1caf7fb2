"""`omisync outbox`, `pause` and `resume` on a real database, as an operator uses them."""

import json
import re
from typing import Any

import pytest

RETRY_OF_SENT = "left alone: it is done, only a failed row can be retried"
DISCARD_OF_SENT = "left alone: it is done, only a failed or waiting row can be discarded"


async def enqueue(sql: Any, *numbers: str) -> list[int]:
    """Adds, as the shop enqueues them."""
    return [
        await sql.fetchval(
            "SELECT omisync.add_order($1)",
            json.dumps({"order_number": number, "receiver": {"fullname": "Nguyễn Văn A"}, "items": [{"sku": "TEE-M"}]}),
        )
        for number in numbers
    ]


async def claim(sql: Any, *ids: int) -> None:
    """As if a daemon were sending them."""
    await sql.execute(
        "UPDATE omisync.outbox SET state = 'sending', lease_token = gen_random_uuid(), maybe_sent_at = now(),"
        " lease_until = now() + interval '1 minute' WHERE id = ANY($1)",
        list(ids),
    )


async def fail(sql: Any, *ids: int, error: str = "SKU TEE-X is not in the catalogue") -> None:
    """As if Omisell had refused them."""
    await claim(sql, *ids)
    await sql.execute(
        "UPDATE omisync.outbox SET state = 'failed', error = $2, attempts = 3, finished_at = now(), lease_token = NULL,"
        " lease_until = NULL, maybe_sent_at = NULL WHERE id = ANY($1)",
        list(ids),
        error,
    )


async def finish(sql: Any, *ids: int) -> None:
    """As if Omisell had taken them."""
    await claim(sql, *ids)
    await sql.execute(
        "UPDATE omisync.outbox SET state = 'done', outcome = 'added', finished_at = now(), lease_token = NULL,"
        " lease_until = NULL WHERE id = ANY($1)",
        list(ids),
    )


async def states(sql: Any) -> dict[str, str]:
    rows = await sql.fetch("SELECT order_number, state FROM omisync.outbox WHERE kind = 'order.add'")
    return {row["order_number"]: row["state"] for row in rows}


# list


async def test_an_empty_outbox(cli: Any) -> None:
    ran = await cli("outbox", "list")
    assert (ran.code, ran.out, ran.err) == (0, "no rows\n", "")
    assert (await cli("outbox", "list", "--json")).json == []


async def test_rows_are_listed_newest_first(cli: Any, sql: Any) -> None:
    first, second = await enqueue(sql, "WEB-1", "WEB-2")
    await fail(sql, first)
    ran = await cli("outbox", "list")
    assert ran.code == 0
    head, _, *rows = ran.lines
    assert head == "id kind order state outcome tries created error"
    assert [row.split()[:4] for row in rows] == [
        [str(second), "order.add", "WEB-2", "pending"],
        [str(first), "order.add", "WEB-1", "failed"],
    ]
    assert rows[1].endswith("SKU TEE-X is not in the catalogue")


async def test_rows_as_json_hold_no_payload(cli: Any, sql: Any) -> None:
    [row_id] = await enqueue(sql, "WEB-1")
    ran = await cli("outbox", "list", "--json")
    [row] = ran.json
    assert row["id"] == row_id
    assert row["state"] == "pending"
    assert row["finished_at"] is None
    assert "payload" not in row
    assert "Nguyễn" not in ran.out


async def test_rows_by_state_and_by_order(cli: Any, sql: Any) -> None:
    first, _ = await enqueue(sql, "WEB-1", "WEB-2")
    await fail(sql, first)
    assert [row["order_number"] for row in (await cli("outbox", "list", "--state", "failed", "--json")).json] == [
        "WEB-1"
    ]
    assert [row["order_number"] for row in (await cli("outbox", "list", "--order", "WEB-2", "--json")).json] == [
        "WEB-2"
    ]


async def test_a_list_that_is_cut_off_says_so(cli: Any, sql: Any) -> None:
    await enqueue(sql, "WEB-1", "WEB-2", "WEB-3")
    ran = await cli("outbox", "list", "--limit", "2")
    assert ran.lines[-1] == "the newest 2 are shown; more with --limit"


async def test_a_long_error_is_shortened_and_cannot_steer_the_terminal(cli: Any, sql: Any) -> None:
    [row_id] = await enqueue(sql, "WEB-1")
    await fail(sql, row_id, error="\x1b[2J" + "much " * 200)
    ran = await cli("outbox", "list")
    assert "\x1b" not in ran.out
    assert ran.lines[-1].endswith("…")
    shown = await cli("outbox", "show", str(row_id))
    assert "\x1b" not in shown.out
    assert shown.out.count("much") == 200


async def test_a_state_that_does_not_exist_is_2(cli: Any) -> None:
    ran = await cli("outbox", "list", "--state", "lost")
    assert ran.code == 2
    [line] = ran.err.splitlines()
    assert line.startswith("omisync: Invalid value for '--state': 'lost' is not one of")
    assert line.endswith("(see omisync outbox list --help)")


# show


async def test_a_row_without_its_payload(cli: Any, sql: Any) -> None:
    [row_id] = await enqueue(sql, "WEB-1")
    ran = await cli("outbox", "show", str(row_id))
    assert ran.code == 0
    assert f"id {row_id}" in ran.lines
    assert "order_number WEB-1" in ran.lines
    assert "outcome" in ran.lines
    assert "Nguyễn" not in ran.out


async def test_a_row_with_its_payload(cli: Any, sql: Any) -> None:
    [row_id] = await enqueue(sql, "WEB-1")
    assert "Nguyễn Văn A" in (await cli("outbox", "show", str(row_id), "--payload")).out
    ran = await cli("outbox", "show", str(row_id), "--payload", "--json")
    assert ran.json["payload"]["receiver"] == {"fullname": "Nguyễn Văn A"}
    await enqueue(sql, "WEB-2")
    cancel = await sql.fetchval("SELECT omisync.cancel_order('WEB-2')")
    assert (await cli("outbox", "show", str(cancel), "--payload", "--json")).json["payload"] is None


async def test_a_row_that_is_not_there_is_1(cli: Any) -> None:
    ran = await cli("outbox", "show", "12")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err == "omisync: outbox row 12: there is none; `omisync outbox list` shows those there are\n"


# retry and discard


async def test_retry_says_what_it_changed(cli: Any, sql: Any) -> None:
    first, second = await enqueue(sql, "WEB-1", "WEB-2")
    await fail(sql, first)
    await finish(sql, second)
    ran = await cli("outbox", "retry", f"{first}-{second}", str(second + 7))
    assert ran.code == 1
    assert ran.lines[2:] == [
        f"{first} order.add WEB-1 pending again",
        f"{second} order.add WEB-2 {RETRY_OF_SENT}",
        f"{second + 7} there is no such row",
        "changed: 1 of 3, 2 left alone",
    ]
    assert await states(sql) == {"WEB-1": "pending", "WEB-2": "done"}
    who = await sql.fetchrow("SELECT who, action, subject FROM omisync.audit")
    assert (who["action"], who["subject"]) == ("retry", str(first))
    assert "@" in who["who"]


async def test_retry_of_all_that_failed(cli: Any, sql: Any) -> None:
    first, second, _ = await enqueue(sql, "WEB-1", "WEB-2", "WEB-3")
    await fail(sql, first, second)
    ran = await cli("outbox", "retry", "--all-failed", "--json")
    assert ran.code == 0
    assert ran.json == [
        {"id": first, "kind": "order.add", "order_number": "WEB-1", "result": "pending again"},
        {"id": second, "kind": "order.add", "order_number": "WEB-2", "result": "pending again"},
    ]
    assert set((await states(sql)).values()) == {"pending"}
    again = await cli("outbox", "retry", "--all-failed")
    assert (again.code, again.out) == (0, "no row has failed: nothing to do\n")


async def test_a_dry_run_changes_nothing(cli: Any, sql: Any) -> None:
    [row_id] = await enqueue(sql, "WEB-1")
    await fail(sql, row_id)
    for action in ("retry", "discard"):
        ran = await cli("outbox", action, str(row_id), "--dry-run")
        assert ran.code == 0
        assert ran.lines[-1] == "would change: 1 of 1"
    assert await states(sql) == {"WEB-1": "failed"}
    assert await sql.fetchval("SELECT count(*) FROM omisync.audit") == 0


async def test_a_superseded_row_is_not_retried(cli: Any, sql: Any) -> None:
    [old] = await enqueue(sql, "WEB-1")
    await fail(sql, old)
    await enqueue(sql, "WEB-1")
    ran = await cli("outbox", "retry", str(old))
    assert ran.code == 1
    assert ran.lines[-2].endswith("left alone: a later row for this order has taken its place")


async def test_discard_gives_up_what_failed_or_waits(cli: Any, sql: Any) -> None:
    first, second, third = await enqueue(sql, "WEB-1", "WEB-2", "WEB-3")
    await fail(sql, first)
    await finish(sql, third)
    ran = await cli("outbox", "discard", f"{first},{second}", str(third))
    assert ran.code == 1
    assert ran.lines[2:] == [
        f"{first} order.add WEB-1 discarded",
        f"{second} order.add WEB-2 discarded",
        f"{third} order.add WEB-3 {DISCARD_OF_SENT}",
        "changed: 2 of 3, 1 left alone",
    ]
    assert await states(sql) == {"WEB-1": "discarded", "WEB-2": "discarded", "WEB-3": "done"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "name the rows by id, such as 12 15-20, or say --all-failed (one of the two)"),
        (["1", "--all-failed"], "name the rows by id, such as 12 15-20, or say --all-failed (one of the two)"),
        (["one"], "one: expected an id or a range of ids, such as 12 or 15-20"),
        (["20-15"], "20-15: the range runs backwards: write 15-20"),
        (["1-99999999"], "1-99999999: more than 100000 ids in one command: use smaller ranges"),
    ],
)
@pytest.mark.parametrize("action", ["retry", "discard"])
async def test_wrong_ids_are_2(cli: Any, action: str, arguments: list[str], words: str) -> None:
    ran = await cli("outbox", action, *arguments)
    assert (ran.code, ran.out, ran.err) == (2, "", f"omisync: {words}\n")


# pause and resume


async def test_pause_is_shown_everywhere_until_resume(cli: Any, sql: Any) -> None:
    ran = await cli("pause", "--kind", "order.add", "--reason", "stock-taking")
    assert (ran.code, ran.out) == (0, "paused: order.add; start again with `omisync resume`\n")
    row = await sql.fetchrow("SELECT kind, reason, paused_by FROM omisync.pauses")
    assert (row["kind"], row["reason"]) == ("order.add", "stock-taking")
    status = await cli("status")
    [line] = [line for line in status.lines if line.startswith("PAUSED")]
    assert re.match(r"PAUSED order\.add since \ds ago by \S+@\S+: ", line)
    assert line.endswith(": stock-taking")
    [pause] = (await cli("status", "--json")).json["pauses"]
    assert (pause["kind"], pause["reason"]) == ("order.add", "stock-taking")
    ran = await cli("resume")
    assert (ran.code, ran.out) == (0, "resumed: all sending\n")
    assert "PAUSED" not in (await cli("status")).out
    assert (await cli("resume")).out == "nothing was paused\n"


async def test_pause_of_everything_as_json(cli: Any, sql: Any) -> None:
    ran = await cli("pause", "--json")
    assert ran.code == 0
    assert ran.json["paused"] == ["order.add", "order.cancel"]
    assert (await cli("pause")).out == "paused: all sending; start again with `omisync resume`\n"
    assert await sql.fetchval("SELECT count(*) FROM omisync.pauses") == 2
    ran = await cli("resume", "--kind", "order.cancel")
    assert ran.out == "resumed: order.cancel\n"
    ran = await cli("resume", "--kind", "order.add", "--json")
    assert ran.json["resumed"] == 1
    actions = await sql.fetch("SELECT action, subject FROM omisync.audit ORDER BY id")
    assert [tuple(row) for row in actions] == [
        ("pause", None),
        ("pause", None),
        ("resume", "order.cancel"),
        ("resume", "order.add"),
    ]
