"""What stands in an event's `data`, in words for a timeline: the command line's and the admin page's."""

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

NAMES: Final = {"outbox_id": "outbox", "tracking_numbers": "tracking", "why": ""}
"""Keys that people know by another name, or need no name at all."""


def told(data: Mapping[str, Any]) -> str:
    """All of it on one line, for a person."""
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
