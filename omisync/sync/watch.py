"""One look for all loops: an idle daemon asks its database one question a poll, and wakes who has something to do."""

import time
from collections.abc import Awaitable, Callable, Mapping

from omisync.store.due import Due
from omisync.sync.loop import Wake

REST = 9.0  # times as long as a look took nothing is asked: a look that has become dear takes a tenth of the time
FALLBACK = 5.0  # seconds between the loops' own looks, whatever the watch says


class Watch:
    """Looks, and wakes.

    Args:
        look: what there is to do.
        wakes: by the name in `Due`, who is to be woken.
        interval: seconds between looks while there is something to do.
    """

    def __init__(
        self, look: Callable[[], Awaitable[Due]], wakes: Mapping[str, Callable[[], None]], interval: float
    ) -> None:
        self._look = look
        self._wakes = wakes
        self._interval = interval
        self._pause = Wake()

    async def step(self) -> bool:
        """One look; True if there was something, after the interval."""
        began = time.monotonic()
        due = await self._look()
        rest = min(REST * (time.monotonic() - began), FALLBACK)  # one that was held up once is no reason to look away
        woken = [wake for name, wake in self._wakes.items() if getattr(due, name)]
        for wake in woken:
            wake()
        if woken or rest > self._interval:
            await self._pause.wait(max(self._interval, rest))
        return bool(woken)
