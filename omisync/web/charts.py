"""The last day as bars, one an hour: geometry only; the page draws them, and says them in words."""

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from omisync.store.history import Hour

BAR_WIDTH: Final = 10.0
GAP: Final = 2.0
HEIGHT: Final = 48.0
LEAST: Final = 1.5
"""Units of height that the smallest number is drawn with, so that one failure among thousands is seen."""


@dataclass(frozen=True, slots=True)
class Bar:
    """One hour: its place in the drawing's units, and its number in words."""

    x: float
    y: float
    height: float
    words: str


@dataclass(frozen=True, slots=True)
class Chart:
    """One number by the hour.

    Attributes:
        name: what is counted.
        total: of all hours.
        most: of the fullest hour; 0 for an empty day.
        most_at: when that hour began.
        bars: the oldest first; hours without anything have none.
        width: of the drawing.
        bad: whether each one counted is trouble.
    """

    name: str
    total: int
    most: int
    most_at: dt.datetime | None
    bars: Sequence[Bar]
    width: float
    bad: bool = False

    @property
    def words(self) -> str:
        """What a reader sees at a glance, for one who hears it."""
        if self.most_at is None:
            return f"{self.name} by the hour: none in the last day"
        return (
            f"{self.name} by the hour: {self.total} in the last day, at most {self.most}, at {self.most_at:%H:%M} UTC"
        )


def charts(hours: Sequence[Hour]) -> list[Chart]:
    """The charts of the status page."""
    return [
        _chart("Orders sent", hours, lambda hour: hour.sent),
        _chart("Pushes received", hours, lambda hour: hour.pushes),
        _chart("Rows failed", hours, lambda hour: hour.failed, bad=True),
    ]


def _chart(name: str, hours: Sequence[Hour], number: Callable[[Hour], int], *, bad: bool = False) -> Chart:
    fullest = max(hours, key=number, default=None)
    most = 0 if fullest is None else number(fullest)
    bars = []
    for place, hour in enumerate(hours):
        if counted := number(hour):
            height = max(LEAST, counted / most * HEIGHT)
            words = f"{hour.hour:%H:%M} UTC: {counted}"
            bars.append(Bar(place * (BAR_WIDTH + GAP), round(HEIGHT - height, 2), round(height, 2), words))
    total = sum(map(number, hours))
    return Chart(
        name, total, most, fullest.hour if fullest and most else None, bars, len(hours) * (BAR_WIDTH + GAP), bad
    )
