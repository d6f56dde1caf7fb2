"""What stands in an event's `data`, in words for a timeline: the command line's and the admin page's."""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

NAMES: Final = {"outbox_id": "outbox", "tracking_numbers": "tracking", "why": ""}
"""Keys that people know by another name, or need no name at all."""


def data_of(event: Mapping[str, Any]) -> Any:
    """An event's data, which the database gives as text."""
    data = event.get("data")
    return json.loads(data) if isinstance(data, str) else data


def explained(events: Iterable[Mapping[str, Any]]) -> set[object]:
    """The outbox rows whose errors these events tell, so that they need not be told again."""
    return {data.get("outbox_id") for data in map(data_of, events) if isinstance(data, dict) and "why" in data}


def told(data: object) -> str:
    """All of it on one line, for a person; nothing for what has no keys."""
    if not isinstance(data, dict):
        return ""
    return "; ".join(part for key, value in data.items() for part in _parts(key, value))


def _parts(key: str, value: Any) -> Iterator[str]:
    rows = [row for row in value if isinstance(row, dict)] if isinstance(value, list) else []
    if key == "changed" and rows:
        yield from map(_change, rows)
    elif key == "noted" and rows:
        yield from (f"{row.get('field')}: {row.get('why')}" for row in rows)
    else:
        yield f"{NAMES.get(key, key.replace('_', ' '))} {_value(value)}".strip()


def _change(row: Mapping[str, Any]) -> str:
    """A field that was sent otherwise than it was given; without the values where they are the buyer's own."""
    if "sent" not in row:
        return f"{row.get('field')} was put right"
    given = f" in place of {row['given']!r}" if row.get("given") else ""
    return f"{row.get('field')} sent as {row['sent']!r}{given}"


def _value(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, list) and not any(isinstance(item, dict | list) for item in value):
        return ", ".join(map(_value, value))
    return json.dumps(value, ensure_ascii=False)
