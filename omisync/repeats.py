"""Sums up failures that repeat: the first are told as they come, the rest once a minute, with all that they concern."""

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import structlog
from structlog.typing import EventDict

SECONDS: Final = 60.0
"""For which lines of one kind are gathered."""
FIRST: Final = 3
"""Lines of one kind about the same order, client or nobody in particular that are told as they come."""
SUBJECTS: Final = 20
"""Orders or clients of one kind whose first lines are told as they come."""
NAMED: Final = 100
"""Orders or clients that one summary names; when there are more, it is told before its minute is over."""
KINDS: Final = 200
"""Kinds that are kept in mind; beyond these the oldest is told and forgotten."""
SUMMARY: Final = "_summary"
"""Marks our own lines, which are not gathered again."""
SUBJECT_KEYS: Final = ("order_number", "omisell_order_number", "client")
"""Whom a line is about, by the first of these keys that it has."""
DISTINGUISHING: Final = ("job", "list", "part", "peer")
"""Keys whose value makes it another kind of line."""
FAILURE_KEYS: Final = ("error", "reason")
"""A line of level info with one of these tells of a failure, as a warning does."""

Kind = tuple[str, str, str, *tuple[object, ...]]


@dataclass(slots=True)
class Gathered:
    """What came of one kind since `since`."""

    since: float
    shown: dict[tuple[str, object] | None, int] = field(default_factory=dict)
    left: int = 0
    named: dict[str, dict[object, None]] = field(default_factory=dict)
    last: EventDict = field(default_factory=dict)


class Repeats:
    """A structlog processor. Endings that went well are never gathered, nor lines of level debug.

    Nothing is lost by it: a summary names every order and every client whose lines it stands for.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._kinds: OrderedDict[Kind, Gathered] = OrderedDict()

    def __call__(self, logger: Any, method: str, event: EventDict) -> EventDict:
        """Passes a line on, or gathers it.

        Raises:
            structlog.DropEvent: it was gathered.
        """
        if event.pop(SUMMARY, False) or not _is_failure(method, event):
            return event
        kind: Kind = (
            str(getattr(logger, "name", "")),
            method,
            str(event.get("event")),
            *(event.get(key) for key in DISTINGUISHING),
        )
        gathered = self._gathered(kind)
        subject = next(((key, event[key]) for key in SUBJECT_KEYS if event.get(key) is not None), None)
        shown = gathered.shown.get(subject, 0)
        if shown < FIRST and (shown or len(gathered.shown) < SUBJECTS):
            gathered.shown[subject] = shown + 1
            return event
        gathered.left += 1
        gathered.last = event
        if subject is not None:
            names = gathered.named.setdefault(subject[0], {})
            names[subject[1]] = None
            if len(names) >= NAMED:
                self._tell(kind, gathered)
        raise structlog.DropEvent

    def tell(self, *, everything: bool = False) -> None:
        """Tells what has been gathered for a minute, or all of it, as before an end."""
        now = self._clock()
        for kind, gathered in list(self._kinds.items()):
            if everything or now - gathered.since >= SECONDS:
                del self._kinds[kind]
                self._tell(kind, gathered)

    def _gathered(self, kind: Kind) -> Gathered:
        now = self._clock()
        gathered = self._kinds.get(kind)
        if gathered is not None and now - gathered.since >= SECONDS:
            del self._kinds[kind]
            self._tell(kind, gathered)
            gathered = None
        if gathered is None:
            gathered = self._kinds[kind] = Gathered(now)
            if len(self._kinds) > KINDS:
                self._tell(*self._kinds.popitem(last=False))
        return gathered

    def _tell(self, kind: Kind, gathered: Gathered) -> None:
        if not gathered.left:
            return
        name, method, what, *_ = kind
        facts = {key: value for key, value in gathered.last.items() if key in {*DISTINGUISHING, *FAILURE_KEYS}}
        facts |= {key: list(names) for key, names in gathered.named.items()}
        left, gathered.left, gathered.named = gathered.left, 0, {}
        log = structlog.get_logger(name)
        getattr(log, method)(
            f"{left} more like this in the last minute: {what}", more=left, like=what, **{SUMMARY: True}, **facts
        )


def _is_failure(method: str, event: EventDict) -> bool:
    return method in {"warning", "error", "critical"} or (
        method == "info" and any(key in event for key in FAILURE_KEYS)
    )
