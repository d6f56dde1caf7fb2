"""The list is read beside the fetches, not before them."""

import asyncio
import uuid
from collections.abc import Sequence
from typing import Any

from omisync.omisell import CallClass
from omisync.store import Unconfirmed
from omisync.sync.refresher import Refresher


class Idle:
    def __init__(self) -> None:
        self.brought: list[tuple[CallClass, int]] = []

    async def passable(self) -> None:
        return

    async def wait_available(self, cls: CallClass) -> int:
        return 4

    def brings(self, cls: CallClass, calls: int) -> None:
        self.brought.append((cls, calls))


class Orders:
    """Has fetches due, and keeps how they were asked for."""

    def __init__(self) -> None:
        self.confirmed: list[bool] = []

    async def is_due(self, *, owed: bool) -> bool:
        return True

    async def claim(self, most: int, *, owed: bool, confirmed: bool) -> list[Any]:
        self.confirmed.append(confirmed)
        return []

    async def renew(self, leases: Sequence[uuid.UUID]) -> set[str]:
        return set()


class SlowList:
    """A reading that lasts until it is told to end."""

    def __init__(self) -> None:
        self.ends = asyncio.Event()
        self.readings = 0

    async def pressing(self) -> Sequence[Any]:
        return ["a push that waits"] if not self.readings else []

    async def relieve(self, asked: Sequence[Unconfirmed]) -> int:
        self.readings += 1
        await self.ends.wait()
        return 1


async def test_while_the_list_is_read_fetches_go_on_that_it_cannot_spare() -> None:
    orders, reading = Orders(), SlowList()
    idle = Idle()
    parts: tuple[Any, ...] = (None, orders, None, idle, idle)
    refresher = Refresher(*parts, shop_id=21001, concurrency=4, interval=1.0)
    refresher._bulk = reading  # type: ignore[assignment] # stands in
    async with asyncio.timeout(5):
        await refresher._take(CallClass.REFRESH)
        await refresher._take(CallClass.REFRESH)
        assert orders.confirmed == [True, True]
        relief = refresher._relief
        assert relief is not None
        reading.ends.set()
        await relief
        await refresher._take(CallClass.REFRESH)
    assert orders.confirmed == [True, True, False]
    assert idle.brought == [(CallClass.REFRESH, 0)] * 3  # nothing was there
    assert reading.readings == 1
