"""Waits that end early: a stop while the budget is spent, who asked and has left, a reader that is cancelled."""

import asyncio
from typing import Any

import pytest

from omisync.omisell import CallClass, ListedOrder, OrderPage, Unavailable
from omisync.sync.lookup import Lookup
from omisync.sync.sender import Sender

SECONDS = 30.0  # for anything that is waited on
SHOP = 21001


class Spent:
    """Outbox, breaker and budget: a row is due, and no call may start."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.claims = 0

    async def passable(self) -> None:
        return

    async def is_due(self, kind: str) -> bool:
        return True

    is_open = False

    def available(self, cls: CallClass) -> int:
        return 0

    async def wait_available(self, cls: CallClass) -> int:
        self.asked.set()
        return await asyncio.Future()

    def brings(self, cls: CallClass, calls: int) -> None:
        return

    async def claim(self, kind: str, most: int, since: float | None = None) -> list[Any]:
        self.claims += 1
        return []

    async def renew(self, leases: Any) -> set[Any]:
        return set()


async def test_a_stop_ends_the_wait_for_the_budget_and_nothing_is_claimed() -> None:
    spent = Spent()
    parts: tuple[Any, ...] = (spent, None, None, spent, spent, None)
    sender = Sender(*parts, concurrency=1, interval=1.0)
    taking = asyncio.create_task(sender._take("order.add", CallClass.ADD))
    async with asyncio.timeout(SECONDS):
        await spent.asked.wait()
        sender.stop()
        assert await taking is False
    assert spent.claims == 0


class Slow:
    """A list that answers when it is told to."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.answer: asyncio.Future[OrderPage] = asyncio.get_running_loop().create_future()

    async def order_page(self, **_: Any) -> OrderPage:
        self.asked.set()
        return await asyncio.shield(self.answer)

    def server_time(self) -> float:
        return 1_790_000_000.0


@pytest.mark.parametrize("fails", [False, True], ids=["read", "failed"])
async def test_who_asked_and_has_left_is_not_answered_and_the_others_are(fails: bool) -> None:
    slow = Slow()
    omisell: Any = slow
    lookup = Lookup(omisell, SHOP)
    gone, stays = (asyncio.create_task(lookup.find("A-1", 1.0)) for _ in range(2))
    async with asyncio.timeout(SECONDS):
        await slow.asked.wait()
        gone.cancel()
        await asyncio.wait({gone})
        if fails:
            slow.answer.set_exception(Unavailable("502", maybe_applied=False))
            with pytest.raises(Unavailable):
                await stays
        else:
            order = ListedOrder(omisell_order_number="OMI-1", order_number="A-1", shop_id=SHOP)
            slow.answer.set_result(OrderPage(orders=(order,), count=1))
            assert await stays == [order]
    assert gone.cancelled()


async def test_a_reader_that_is_cancelled_leaves_nobody_waiting() -> None:
    slow = Slow()
    omisell: Any = slow
    lookup = Lookup(omisell, SHOP)
    asking = asyncio.create_task(lookup.find("A-1", 1.0))
    async with asyncio.timeout(SECONDS):
        await slow.asked.wait()
        later = asyncio.create_task(lookup.find("B-1", 1.0))
        while not lookup._recent._questions:  # noqa: ASYNC110 - it is noted without a signal
            await asyncio.sleep(0)
        assert lookup._recent._reading is not None
        lookup._recent._reading.cancel()
        await asyncio.wait({asking, later})
    assert asking.cancelled()
    assert later.cancelled()
