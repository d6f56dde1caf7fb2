"""What a push becomes that tells what no detail does."""

import datetime as dt
import json
from typing import Any

import pytest

from omisync.store import Untold
from omisync.sync.teller import notice_of

CAME = dt.datetime(2026, 9, 21, 10, 0, tzinfo=dt.UTC)


def untold(event: str, category: str = "order", body: bytes = b"{}", **more: Any) -> Untold:
    told = {"status_id": 900, "updated_time": 1_790_000_000, "received_at": CAME, "order_number": "A-1", **more}
    return Untold(id=7, event=event, category=category, body=body, **told)


@pytest.mark.parametrize(
    ("event", "kind"),
    [
        ("order.returned", "returned"),
        ("order.return_receive", "return_receive"),
        ("order.reconciled", "reconciled"),
    ],
)
def test_an_event_of_the_order_is_told_by_its_name_and_at_omisells_time(event: str, kind: str) -> None:
    notice = notice_of(untold(event, body=b'{"data": {"note": "call 0901234567"}}'))
    assert (notice.kind, notice.event_data, notice.return_data) == (kind, f'{{"event": "{event}"}}', "{}")
    assert notice.occurred_at == dt.datetime(2026, 9, 21, 14, 13, 20, tzinfo=dt.UTC)


def test_a_push_of_the_type_return_keeps_all_of_its_data() -> None:
    data = {"status_id": "120", "status_name": "On its way", "of_tomorrow": {"a": [1, None]}}
    body = json.dumps({"event": "return.whatever", "data": data}).encode()
    notice = notice_of(untold("return.whatever", "return", body, status_id=120))
    assert (notice.kind, notice.status_name) == ("return", "On its way")
    assert json.loads(notice.event_data) == {"event": "return.whatever", "status_id": 120, "status_name": "On its way"}
    assert json.loads(notice.return_data) == data


@pytest.mark.parametrize("body", [b"", b"\xff", b"[]", b'{"data": 7}', b'{"data": NaN}'])
def test_a_push_without_data_or_whose_body_is_gone_is_told_all_the_same(body: bytes) -> None:
    notice = notice_of(untold("return.updated", "return", body, status_id=None, updated_time=None))
    assert (notice.kind, notice.occurred_at, notice.return_data) == ("return", CAME, "{}")
    assert json.loads(notice.event_data) == {"event": "return.updated"}


def test_what_postgres_cannot_hold_is_taken_out_of_a_returns_data() -> None:
    body = b'{"data": {"why": "a\\u0000b\\ud800"}}'
    assert json.loads(notice_of(untold("return.x", "return", body)).return_data) == {
        "why": "ab\N{REPLACEMENT CHARACTER}"
    }
