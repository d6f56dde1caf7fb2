"""A loop that works while there is work, waits when there is none, and outlives the database and Omisell."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

import structlog

from omisync.store import StoreError

FIRST_WAIT = 0.5  # seconds after a step that failed
LONGEST_WAIT = 5.0
IDLE_AFTER = 30.0  # seconds without work after which polling slows down
IDLE_FACTOR = 6.0  # at rest a look costs a millisecond of a core that has gone to sleep, and the shop a statement


T = TypeVar("T")


class Wake:
    """Shortens the wait of a loop; several calls are one."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def set(self) -> None:
        """Ends the wait under way, or the next one at once."""
        self._event.set()

    async def wait(self, seconds: float) -> None:
        """Waits for `set`, at most `seconds`."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._event.wait()
        self._event.clear()


async def unless_set(stopping: asyncio.Event, waiting: Coroutine[Any, Any, T]) -> T | None:
    """Waits for something, but not beyond `stopping`: then None."""
    work = asyncio.create_task(waiting)
    stop = asyncio.create_task(stopping.wait())
    try:
        await asyncio.wait({work, stop}, return_when=asyncio.FIRST_COMPLETED)
        return work.result() if work.done() else None
    finally:
        stop.cancel()
        if not work.done():
            work.cancel()
            await asyncio.wait({work})


async def forever(
    name: str,
    step: Callable[[], Awaitable[bool]],
    *,
    interval: float,
    wake: Wake,
    stopping: asyncio.Event,
    steady: bool = False,
) -> None:
    """Runs `step` again and again until `stopping` is set.

    Args:
        name: for the log.
        step: does some work; True if there may be more at once.
        interval: seconds between looks when there is nothing; up to `IDLE_FACTOR` times as long after `IDLE_AFTER`.
        wake: shortens the wait.
        stopping: ends the loop after the step under way.
        steady: keeps the interval also when idle for long.
    """
    log = structlog.get_logger(name)
    failures = 0
    idle = 0.0
    while not stopping.is_set():
        try:
            more = await step()
        except StoreError as error:
            failures += 1
            if failures == 1:
                log.warning("waiting for the database", error=str(error))
            await wake.wait(min(LONGEST_WAIT, FIRST_WAIT * 2.0 ** min(failures - 1, 10)))
            continue
        except Exception:
            failures += 1
            log.exception("a step failed; going on")
            await wake.wait(min(LONGEST_WAIT, FIRST_WAIT * 2.0 ** min(failures - 1, 10)))
            continue
        if failures:
            log.info("going on", after_failures=failures)
            failures = 0
        if more:
            idle = 0.0
        else:
            pause = interval * (IDLE_FACTOR if idle >= IDLE_AFTER and not steady else 1.0)
            await wake.wait(pause)
            idle += pause
