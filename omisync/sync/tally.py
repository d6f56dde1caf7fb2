"""What a sweep reads and finds while it runs, and what it tells at the end."""

from collections.abc import Callable
from dataclasses import dataclass

from omisync.omisell import is_cancelled
from omisync.store import Difference

PUSHED = frozenset({200, 460, 500, 800, 900})  # statuses of which a push tells; so do the cancelled ones [guide]


@dataclass(frozen=True, slots=True)
class Swept:
    """What a sweep saw and found.

    Attributes:
        seen: orders in the list.
        differences: where our tables differed.
        lost_times: Omisell's times (Unix seconds) of the changes that a push should have told of, and none had.
    """

    seen: int
    differences: tuple[Difference, ...]
    lost_times: tuple[int, ...] = ()

    @property
    def repairs(self) -> tuple[Difference, ...]:
        """The differences that nobody had asked about yet."""
        return tuple(difference for difference in self.differences if difference.kind != "asked")


class TooDear(Exception):
    """A window of the list has more pages than it is worth."""


class Tally:
    """Counts of one sweep.

    Args:
        on_page: told of each page, too: orders seen so far, and the list's count.
    """

    def __init__(self, on_page: Callable[[int, int], None] | None = None) -> None:
        self.pages = 0
        self.seen = 0
        self.differences: list[Difference] = []
        self._on_page = on_page

    def window(self, most: int | None = None) -> Callable[[int, int], None]:
        """What a reading tells of each page of a window.

        Args:
            most: pages that the window is worth; it raises `TooDear` at the first page of one that has more.
        """
        before = self.pages

        def page(seen: int, count: int) -> None:
            self.pages += 1
            if self._on_page is not None:
                self._on_page(seen, count)
            if most is not None and self.pages == before + 1 and count > most * seen:
                raise TooDear

        return page

    def swept(self, lost_from: float | None, lost_until: float) -> Swept:
        """What is told at the end.

        Args:
            lost_from: Omisell's time (Unix seconds) since when pushes were to be heard; None: they were not.
            lost_until: until when a push must have come by now.
        """
        lost = tuple(
            difference.updated_time
            for difference in self.differences
            if lost_from is not None
            and difference.kind not in {"asked", "detail"}
            and _is_pushed(difference.status_id)
            and difference.updated_time is not None
            and lost_from <= difference.updated_time <= lost_until
        )
        return Swept(self.seen, tuple(self.differences), lost)


def _is_pushed(status_id: int | None) -> bool:
    return status_id is not None and (status_id in PUSHED or is_cancelled(status_id))
