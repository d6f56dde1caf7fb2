"""One look for all loops: an idle daemon asks its database one question a poll, and wakes who has something to do."""

from collections.abc import Awaitable, Callable, Mapping

from omisync.store.due import Due
from omisync.sync.loop import Wake

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
        due = await self._look()
        woken = [wake for name, wake in self._wakes.items() if getattr(due, name)]
        for wake in woken:
            wake()
        if woken:
            await self._pause.wait(self._interval)
        return bool(woken)
