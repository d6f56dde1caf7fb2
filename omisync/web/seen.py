"""What the operator's page knows: asked of the database at most once a second, and kept while it is away."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final, Protocol

from structlog.typing import FilteringBoundLogger

from omisync.store.errors import StoreError, StoreUnavailable
from omisync.store.history import LastDay, Latest
from omisync.store.operator import OrderView, OutboxRow, Status
from omisync.web.trouble import Sparingly, fault

ASK_SECONDS: Final = 3.0
"""Until the database counts as away; shorter than a health check's own patience."""
FRESH_SECONDS: Final = 1.0
"""However many look at the page, the database is asked once in this time."""
DAY_SECONDS: Final = 120.0
"""The last day is read at most so often, for it is the dearest question of the page."""
DAY_PATIENCE: Final = 10.0
"""For that question, where a day has millions of pushes; the page does not wait for it."""
FIRST_DAY: Final = 1.0
"""So long the first look waits for the last day, which is there at once where it is not large."""
FAILED_SHOWN: Final = 50


class StatusSource(Protocol):
    """Where the state of things is read; see `omisync.store.operator.Operator`."""

    async def status(self) -> Status:
        """Depths, ages, leader, sweeps."""
        ...

    async def outbox_list(self, state: str | None = None, order: str | None = None, limit: int = 50) -> list[OutboxRow]:
        """Rows of the outbox, newest first, without payload."""
        ...

    async def order_show(self, number: str) -> OrderView | None:
        """An order by either number; None if nobody knows it."""
        ...

    async def latest(self) -> Latest:
        """The last pushes, and the last changes by hand."""
        ...

    async def last_day(self) -> LastDay:
        """The last day, hour by hour."""
        ...


@dataclass(frozen=True, slots=True)
class Seen:
    """The state of things as far as it is known.

    Attributes:
        status: the last that was read; None if the database was never there.
        failed: the failed rows of that time, newest first.
        at: when it was read, Unix seconds; None for never.
        trouble: why it could not be read now, for the operator; None if it could.
        reachable: whether the database answered at all.
        latest: the last pushes and changes by hand, of the same time.
        day: the last day; up to `DAY_SECONDS` older.
    """

    status: Status | None = None
    failed: Sequence[OutboxRow] = ()
    at: float | None = None
    trouble: str | None = None
    reachable: bool = True
    latest: Latest | None = None
    day: LastDay | None = None


class Lookout:
    """Reads the state of things for whoever asks, one at a time for all."""

    def __init__(
        self,
        source: StatusSource,
        log: FilteringBoundLogger,
        *,
        clock: Callable[[], float] = time.time,
        patience: float = ASK_SECONDS,
    ) -> None:
        self._source = source
        self._trouble = Sparingly(log)
        self._clock = clock
        self._patience = patience
        self._seen = Seen()
        self._asked: float | None = None
        self._asking: asyncio.Task[None] | None = None
        self._day_asked: float | None = None
        self._reading_day: asyncio.Task[None] | None = None

    async def look(self) -> Seen:
        """The state of things, at most `FRESH_SECONDS` old if the database is there."""
        if self._asking is None:
            if self._asked is not None and 0 <= self._clock() - self._asked < FRESH_SECONDS:
                return self._seen
            self._asking = asyncio.create_task(self._ask())
            self._asking.add_done_callback(self._answered)
        await asyncio.shield(self._asking)
        return self._seen

    async def look_back(self) -> Seen:
        """The same with the last day, as far as it is known: it is read behind the page's back."""
        seen = await self.look()
        due = self._day_asked is None or not 0 <= self._clock() - self._day_asked < DAY_SECONDS
        if self._reading_day is None and due and seen.trouble is None:
            self._day_asked = self._clock()
            self._reading_day = asyncio.create_task(self._read_day())
            self._reading_day.add_done_callback(self._day_read)
        if self._reading_day is not None and seen.day is None:
            await asyncio.wait({self._reading_day}, timeout=FIRST_DAY)
        return self._seen

    def forget(self) -> None:
        """The next look asks anew, for somebody has just changed something."""
        self._asked = None

    async def order(self, number: str) -> OrderView | None:
        """An order by either number; None if nobody knows it.

        Raises:
            StoreError: the database is away.
        """
        if not _can_be_a_number(number):
            return None
        try:
            async with asyncio.timeout(self._patience):
                return await self._source.order_show(number)
        except TimeoutError:
            raise StoreUnavailable(self._silence()) from None

    async def _ask(self) -> None:
        try:
            async with asyncio.timeout(self._patience):
                status = await self._source.status()
                failed = await self._source.outbox_list("failed", None, FAILED_SHOWN)
                latest = await self._source.latest()
        except TimeoutError:
            self._could_not(self._silence(), reachable=False)
        except StoreUnavailable as error:
            self._could_not(str(error), reachable=False)
        except StoreError as error:
            self._could_not(str(error), reachable=True)
        except Exception as error:  # noqa: BLE001 - the page must come up whatever the database holds
            self._trouble.error("the state of things could not be read", **fault(error))
            self._could_not("an unexpected error, see the log", reachable=True)
        else:
            self._seen = Seen(status, tuple(failed), self._clock(), latest=latest, day=self._seen.day)

    async def _read_day(self) -> None:
        try:
            async with asyncio.timeout(DAY_PATIENCE):
                day = await self._source.last_day()
        except (TimeoutError, StoreError) as error:
            # the charts stay as they are: whether the database is away is told by the other questions
            self._trouble.warning("the last day could not be read", error=str(error) or self._silence())
        except Exception as error:  # noqa: BLE001 - a chart must not take the page down
            self._trouble.error("the last day could not be read", **fault(error))
        else:
            self._seen = replace(self._seen, day=day)

    def _day_read(self, _: "asyncio.Task[None]") -> None:
        self._reading_day = None

    def _could_not(self, why: str, *, reachable: bool) -> None:
        self._seen = replace(self._seen, trouble=why, reachable=reachable)

    def _answered(self, _: "asyncio.Task[None]") -> None:
        self._asked = self._clock()
        self._asking = None

    def _silence(self) -> str:
        return f"the database did not answer within {self._patience:g} s"


def _can_be_a_number(text: str) -> bool:
    return 0 < len(text) <= 255 and text.isprintable()
