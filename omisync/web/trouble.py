"""Telling of trouble in the log: without personal data, and not a thousand times a second."""

import time
import traceback
from collections.abc import Callable
from typing import Final

from structlog.typing import FilteringBoundLogger

EVERY_SECONDS: Final = 10.0
FRAMES: Final = 5
"""The innermost frames that are named."""


def fault(error: BaseException | None) -> dict[str, str]:
    """What an unexpected exception may say in a log: its kind and place, never its text, which may quote a push."""
    if error is None:
        return {"error": "unknown"}
    frames = traceback.extract_tb(error.__traceback__)[-FRAMES:]
    return {
        "error": f"{type(error).__module__}.{type(error).__qualname__}",
        "where": " > ".join(f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames),
    }


class Sparingly:
    """Logs each kind of trouble at once, then at most every `EVERY_SECONDS`, telling how many were left out."""

    def __init__(self, log: FilteringBoundLogger, clock: Callable[[], float] = time.monotonic) -> None:
        self._log = log
        self._clock = clock
        self._next: dict[str, float] = {}
        self._left_out: dict[str, int] = {}

    def warning(self, event: str, **facts: object) -> None:
        """Something that is not as it should be; the daemon copes."""
        if self._is_due(event):
            self._log.warning(event, left_out=self._left_out.pop(event, 0), **facts)

    def error(self, event: str, **facts: object) -> None:
        """Something that wants a person."""
        if self._is_due(event):
            self._log.error(event, left_out=self._left_out.pop(event, 0), **facts)

    def _is_due(self, event: str) -> bool:
        now = self._clock()
        if now < self._next.get(event, now):
            self._left_out[event] = self._left_out.get(event, 0) + 1
            return False
        self._next[event] = now + EVERY_SECONDS
        return True
