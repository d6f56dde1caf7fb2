"""The proof finds each way in which the ledgers can disagree."""

from dataclasses import replace

import pytest
from rich.console import Console

from omisync.demo.proof import Applied, Entry, Fault, Finding, Verdict, judge, render

DONE = Applied("WEB-1", "ODVN1", 900, 1790000000, frozenset({"TRK1"}))
GOOD = Entry(
    "WEB-1",
    read_status_id=900,
    add_state="done",
    add_outcome="added",
    omisell_order_number="ODVN1",
    status_id=900,
    updated_time=1790000000,
    tracking=frozenset({"TRK1"}),
)
ANNULLED = Entry(
    "WEB-2",
    cancelled=True,
    add_state="done",
    add_outcome="annulled",
    cancel_state="done",
    cancel_outcome="annulled",
)


def text(verdict: Verdict) -> str:
    console = Console(width=200)
    with console.capture() as captured:
        console.print(render(verdict))
    return captured.get()


def test_orders_that_agree_in_all_three_ledgers_hold() -> None:
    verdict = judge([GOOD, ANNULLED], [DONE])
    assert verdict == Verdict(placed=2, once=1, annulled=1, cancelled=0, too_late=0, moving=0, waiting=0, findings=())
    assert verdict.holds
    assert "It holds" in text(verdict)


def test_an_adopted_order_is_as_good_as_an_added_one() -> None:
    assert judge([replace(GOOD, add_outcome="adopted")], [DONE]).holds


def test_an_order_still_on_its_way_is_counted_and_no_fault() -> None:
    verdict = judge([replace(GOOD, status_id=460, read_status_id=460)], [replace(DONE, status_id=460)])
    assert (verdict.holds, verdict.moving) == (True, 1)


@pytest.mark.parametrize("status_id", [700, 701, 708, 799])
def test_a_cancelled_order_is_counted(status_id: int) -> None:
    entry = replace(
        GOOD,
        cancelled=True,
        cancel_state="done",
        cancel_outcome="cancelled",
        status_id=status_id,
        read_status_id=status_id,
    )
    verdict = judge([entry], [replace(DONE, status_id=status_id)])
    assert (verdict.holds, verdict.cancelled, verdict.too_late, verdict.moving) == (True, 1, 0, 0)


def test_a_cancel_that_omisell_refused_since_the_order_is_shipped_is_no_fault() -> None:
    entry = replace(GOOD, cancelled=True, cancel_state="failed", cancel_error="shipped already")
    verdict = judge([entry], [DONE])
    assert (verdict.holds, verdict.cancelled, verdict.too_late) == (True, 0, 1)


def test_nothing_placed_proves_nothing() -> None:
    verdict = judge([], [])
    assert not verdict.holds
    assert "nothing is proven" in text(verdict)


@pytest.mark.parametrize(
    ("entry", "applied", "fault", "why"),
    [
        (
            replace(GOOD, add_state="failed", add_outcome=None, add_error="unknown SKU"),
            [],
            Fault.LOST,
            "not at Omisell; its add is failed: unknown SKU",
        ),
        (GOOD, [], Fault.LOST, "not at Omisell; its add is done, added"),
        (
            replace(ANNULLED, order_number="WEB-1", cancelled=False),
            [],
            Fault.LOST,
            "not at Omisell; annulled, though the shop never cancelled it",
        ),
        (
            replace(ANNULLED, order_number="WEB-1", cancel_state="pending", cancel_outcome=None),
            [],
            Fault.DIFFERENT,
            "its add is annulled, its cancel pending, None",
        ),
        (
            GOOD,
            [DONE, replace(DONE, omisell_order_number="ODVN2")],
            Fault.DOUBLE,
            "2 times at Omisell: ODVN1, ODVN2",
        ),
        (
            replace(GOOD, add_outcome="annulled"),
            [DONE],
            Fault.DIFFERENT,
            "at Omisell, but its add is done, annulled",
        ),
        (replace(GOOD, status_id=600), [DONE], Fault.DIFFERENT, "status: ours 600, Omisell's 900"),
        (
            replace(GOOD, read_status_id=None),
            [DONE],
            Fault.DIFFERENT,
            "status that the shop has read: ours None, Omisell's 900",
        ),
        (
            replace(GOOD, omisell_order_number="ODVN9"),
            [DONE],
            Fault.DIFFERENT,
            "Omisell's number: ours ODVN9, Omisell's ODVN1",
        ),
        (
            replace(GOOD, updated_time=1789999999),
            [DONE],
            Fault.DIFFERENT,
            "updated_time: ours 1789999999, Omisell's 1790000000",
        ),
        (
            replace(GOOD, tracking=frozenset()),
            [DONE],
            Fault.DIFFERENT,
            "tracking numbers: ours [], Omisell's ['TRK1']",
        ),
        (
            replace(GOOD, cancelled=True, cancel_state="done", cancel_outcome="cancelled"),
            [DONE],
            Fault.DIFFERENT,
            "cancelled by the shop, but 900 at Omisell; its cancel is done",
        ),
        (
            replace(
                GOOD,
                cancelled=True,
                cancel_state="failed",
                cancel_error="no",
                status_id=300,
                read_status_id=300,
            ),
            [replace(DONE, status_id=300)],
            Fault.DIFFERENT,
            "cancelled by the shop, but 300 at Omisell; its cancel is failed: no",
        ),
        (
            replace(GOOD, placed=False, read_status_id=None),
            [DONE],
            Fault.DIFFERENT,
            "omisync knows it, but the shop never placed it",
        ),
    ],
)
def test_each_disagreement_is_found_and_named(entry: Entry, applied: list[Applied], fault: Fault, why: str) -> None:
    verdict = judge([replace(GOOD, order_number="WEB-0"), entry], [replace(DONE, order_number="WEB-0"), *applied])
    assert verdict.findings == (Finding("WEB-1", fault, why),)
    assert not verdict.holds
    assert verdict.count(fault) == 1
    assert f"WEB-1: {fault}: {why}" in text(verdict)


def test_an_order_at_omisell_that_nobody_placed_is_found() -> None:
    verdict = judge([GOOD], [DONE, replace(DONE, order_number="WEB-7", omisell_order_number="ODVN7")])
    assert verdict.findings == (Finding("WEB-7", Fault.DIFFERENT, "at Omisell (ODVN7), but the shop never placed it"),)


def test_only_the_first_findings_are_named_and_the_rest_counted() -> None:
    verdict = judge([Entry(f"WEB-{number}", add_state="pending") for number in range(25)], [])
    shown = text(verdict)
    assert verdict.count(Fault.LOST) == 25
    assert "WEB-19: lost" in shown
    assert "WEB-20: lost" not in shown
    assert "… and 5 more" in shown


def test_a_row_of_the_ledgers_query_becomes_an_entry() -> None:
    row = {
        "order_number": "WEB-1",
        "placed": True,
        "cancelled": False,
        "read_status_id": 900,
        "add_state": "done",
        "add_outcome": "added",
        "add_error": None,
        "cancel_state": None,
        "cancel_outcome": None,
        "cancel_error": None,
        "omisell_order_number": "ODVN1",
        "status_id": 900,
        "updated_time": 1790000000,
        "tracking_numbers": ["TRK1"],
    }
    assert Entry.of(row) == GOOD
    assert Entry.of({**row, "tracking_numbers": None}) == replace(GOOD, tracking=frozenset())
