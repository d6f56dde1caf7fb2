"""Omisell's clock, as its answers tell it."""

import time
from collections.abc import Callable, Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime

from omisync.omisell.models import moment


class ServerClock:
    """The time of Omisell's last answer, carried on by the machine's monotonic clock.

    Windows of the order list and the life of tokens are in Omisell's time; a machine whose clock is wrong must
    not miss orders for it.

    Args:
        wall: local time, Unix seconds; used until Omisell has answered.
        monotonic: seconds, never going back.
    """

    def __init__(self, wall: Callable[[], float] = time.time, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._wall = wall
        self._monotonic = monotonic
        self._offset: float | None = None

    def heard_header(self, headers: Mapping[str, str]) -> bool:
        """Set the clock by an answer's `Date`; False if it has none that one can read."""
        try:
            date = parsedate_to_datetime(headers.get("Date", ""))
        except ValueError:
            return False
        # "-0000" parses as a naive time, and means UTC all the same
        self._offset = (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp() - self._monotonic()
        return True

    def heard_timestamp(self, timestamp: object) -> None:
        """Set the clock by the envelope's `timestamp`, if it is one."""
        if (seconds := moment(timestamp)) is not None:
            self._offset = seconds - self._monotonic()

    def now(self) -> float:
        """Unix seconds; a second either way, since that is what Omisell's answers resolve."""
        return self._wall() if self._offset is None else self._offset + self._monotonic()

    @property
    def skew(self) -> float | None:
        """Seconds by which Omisell's clock is ahead of ours; None before any answer."""
        return None if self._offset is None else self.now() - self._wall()
