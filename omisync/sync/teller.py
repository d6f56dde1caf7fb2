"""Makes events of pushes that tell what no detail does: an order returned, received back, reconciled; a return's own.

A push is told only when what it made us fetch has been applied, so that whoever hears of it finds the order as new; or
when the fetch was given up, for then nothing else will tell of it.
What a push of the type Return holds is not documented: its status and its whole data are kept as they came, and nothing
else is read out of it [omisell-api 6.2, 7.3].
"""

import datetime as dt
import json
from collections.abc import Mapping
from typing import Final

from omisync.omisell.models import text
from omisync.omisell.strict_json import loads
from omisync.store import Notice, NoticeKind, Notices, Untold

TELL_AT_ONCE: Final = 200  # pushes read at a time, with their bodies

KINDS: Final[Mapping[str, NoticeKind]] = {
    "order.returned": "returned",
    "order.return_receive": "return_receive",
    "order.reconciled": "reconciled",
}
"""Events of the order [guide 5.2] that are told as events of their own; every push of the type Return is another."""


class Teller:
    """Tells what waits to be told."""

    def __init__(self, notices: Notices) -> None:
        self._notices = notices

    async def tell(self) -> bool:
        """Tells up to `TELL_AT_ONCE` pushes; True if there may be more at once.

        Raises:
            StoreError: the database is away.
        """
        untold = await self._notices.untold(TELL_AT_ONCE)
        told = await self._notices.tell([notice_of(each) for each in untold]) if untold else 0
        return told == TELL_AT_ONCE


def notice_of(untold: Untold) -> Notice:
    """The event that a push becomes, and what it tells of the return."""
    occurred_at = untold.received_at
    if untold.updated_time is not None:
        occurred_at = dt.datetime.fromtimestamp(untold.updated_time, dt.UTC)
    kind = KINDS.get(untold.event)
    if kind is not None:
        return Notice(untold, kind, occurred_at, json.dumps({"event": untold.event}), None, "{}")
    data = _data(untold.body)
    name = text(data.get("status_name"))
    told = {"event": untold.event, "status_id": untold.status_id, "status_name": name}
    kept = {key: value for key, value in told.items() if value is not None}
    return Notice(untold, "return", occurred_at, json.dumps(kept), name, json.dumps(data))


def _data(body: bytes) -> dict[str, object]:
    """A push's `data`; nothing where it has none, or its body is gone with the order's personal data."""
    try:
        payload = loads(body)
    except ValueError:
        return {}
    data = payload.get("data") if isinstance(payload, dict) else None
    return data if isinstance(data, dict) else {}
