"""How soon the next incremental sweep comes: sooner while pushes get lost, later while every one arrives.

`reconcile.interval` is the pace of ordinary days. A sweep that made a lost push good is followed by the next after a
quarter of it; one that found only what Omisell never pushes, or that failed, after the interval itself; each that found
nothing at all by a quarter later than the last, up to twice the interval, and never more.
"""

from omisync.sync.tally import Swept

SOONEST = 0.25  # of the interval, after a lost push
LATEST = 2.0  # of the interval, when nothing was found for long
STRETCH = 1.25  # from one sweep that found nothing to the next


class Pace:
    """The pace of one replica's sweeps.

    Args:
        interval: seconds, `reconcile.interval`.
    """

    def __init__(self, interval: float) -> None:
        self._interval = interval
        self._current = interval

    def after(self, swept: Swept | None) -> float:
        """Seconds until the next sweep, after one that found this; None for one that failed."""
        if swept is None:
            self._current = min(self._current, self._interval)
        elif swept.lost_times:
            self._current = self._interval * SOONEST
        elif any(difference.kind != "detail" for difference in swept.repairs):
            self._current = self._interval
        else:
            self._current = min(max(self._current * STRETCH, self._interval), self._interval * LATEST)
        return self._current
