"""An event's data in words."""

from typing import Any

import pytest

from omisync.telling import data_of, explained, told


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({}, ""),
        ({"outbox_id": 4}, "outbox 4"),
        ({"tracking_numbers": ["T-1", "T-2"], "parcels": 1}, "tracking T-1, T-2; parcels 1"),
        ({"outbox_id": 4, "why": "no such SKU"}, "outbox 4; no such SKU"),
        (
            {
                "changed": [
                    {"field": "receiver.district_name", "given": "Q.1", "sent": "Quận 1"},
                    {"field": "receiver.province_name", "given": "", "sent": "Hà Nội"},
                    {"field": "receiver.phone"},
                ],
                "noted": [{"field": "receiver.email", "why": "is no e-mail address"}],
            },
            "receiver.district_name sent as 'Quận 1' in place of 'Q.1'; receiver.province_name sent as 'Hà Nội';\
 receiver.phone was put right; receiver.email: is no e-mail address",
        ),
        ({"also_at_omisell": ["OMI-2"], "odd": {"ô": [1, None]}}, 'also at omisell OMI-2; odd {"ô": [1, null]}'),
        ({"changed": "once", "noted": [1, True]}, "changed once; noted 1, true"),
    ],
)
def test_each_kind_of_data_is_told_in_words(data: dict[str, Any], words: str) -> None:
    assert told(data) == words


def test_the_rows_whose_errors_events_tell_are_known() -> None:
    events: list[dict[str, Any]] = [
        {"data": '{"outbox_id": 4, "why": "no"}'},
        {"data": {"outbox_id": 5}},
        {"data": None},
        {"data": "[1]"},
        {},
    ]
    assert explained(events) == {4}
    assert [told(data_of(event)) for event in events] == ["outbox 4; no", "outbox 5", "", "", ""]
