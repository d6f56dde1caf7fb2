"""Where the queue of adds begins, so that nobody walks each time over what was taken from it long ago.

As long as any transaction is open that is older than a row's end (a backup, a forgotten psql), Postgres keeps the row's
dead versions in the queue's index, and each look from its beginning passes all of them. So a look begins where the last
claim did, and only now and then at the very beginning: for what was committed late, given back, or left behind by a
dead worker.
"""

import math
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Literal, TypeVar

from omisync.store import Claim
from omisync.store.due import Due

WHOLE_EVERY: Final = 1.0
"""Seconds between looks from the very beginning."""
PATIENCE: Final = 20.0
"""Times as long as such a look took nothing is looked at from the beginning again, up to `WHOLE_AT_LAST`."""
WHOLE_AT_LAST: Final = 5.0
"""Seconds after which it is done, however long it took: a dead worker's rows wait for it."""

Purpose = Literal["claim", "look"]

T = TypeVar("T")


class Front:
    """Where the next look begins."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._oldest: float | None = None
        self._whole_at: dict[Purpose, float] = {"claim": -math.inf, "look": -math.inf}

    def since(self, purpose: Purpose) -> float | None:
        """From when on rows are looked for, in Unix seconds of the database's clock; None for all."""
        return None if self._clock() >= self._whole_at[purpose] else self._oldest

    async def claim(self, ask: Callable[[float | None], Awaitable[Sequence[Claim]]]) -> Sequence[Claim]:
        """Claims, and remembers where that began."""
        claims = await self._timed("claim", self.since("claim"), ask)
        queued = [claim.due_since for claim in claims if not claim.expired]
        if queued:
            self._oldest = min(queued)
        return claims

    async def look(self, ask: Callable[[float | None], Awaitable[Due]]) -> Due:
        """Looks what there is to do. Adds that only a look at all has found are claimed by a claim of all."""
        since = self.since("look")
        found = await self._timed("look", since, ask)
        if since is None and found.adds:
            self._whole_at["claim"] = -math.inf
        return found

    async def _timed(self, purpose: Purpose, since: float | None, ask: Callable[[float | None], Awaitable[T]]) -> T:
        began = self._clock()
        found = await ask(since)
        if since is None:
            now = self._clock()
            self._whole_at[purpose] = now + min(max(WHOLE_EVERY, PATIENCE * (now - began)), WHOLE_AT_LAST)
        return found
