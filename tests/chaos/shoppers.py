"""The shop's night: orders at a steady rate and in bursts, cancelled at once, later, or not at all."""

import asyncio
import contextlib
import random
import time
from collections.abc import Iterator
from typing import Final

from omisync.demo.people import Order, change_of_mind
from omisync.demo.shop import DATABASE_AWAY, Shop

CASHIERS: Final = 4
"""Transactions of the shop at a time."""
LOOK_SECONDS: Final = 0.7
"""Between two looks at what came back."""
CANCEL_AT_ONCE: Final = 0.08
CANCEL_SOON: Final = 0.05
CANCEL_LATER: Final = 0.1
SOON_SECONDS: Final = 2.0
"""Within this an order may be in flight, uncertain, or just known."""
LATER_FROM: Final = (200, 250, 300, 350, 400, 460, 500)
"""A later cancel comes once the shop has read such a status; from 500 on Omisell refuses."""


class Crowd:
    """Places and cancels.

    Args:
        shop: Where.
        orders: What is ordered, without end.
        rate: Orders a minute.
        limit: How many at most.
        seed: Of their changes of mind.
    """

    def __init__(self, shop: Shop, orders: Iterator[Order], *, rate: float, limit: int | None, seed: int) -> None:
        self._shop = shop
        self._orders = orders
        self._rate = rate / 60
        self._limit = limit
        self._dice = random.Random(seed)  # noqa: S311 - invented shoppers, no secret
        self._queue: asyncio.Queue[Order] = asyncio.Queue()
        self._later: dict[str, int] = {}
        self._cancels: set[asyncio.Task[None]] = set()
        self._wanted = 0
        self.placed = 0
        self.cancelled = 0

    @property
    def to_cancel(self) -> int:
        """Cancels that are still to come."""
        return len(self._later) + len(self._cancels)

    def hurry(self, orders: int) -> None:
        """So many at once, beside the steady ones."""
        for _ in range(orders):
            self._want()

    async def shop_for(self, seconds: float) -> None:
        """Place orders for so long, and until every one of them is committed."""
        async with asyncio.TaskGroup() as group:
            cashiers = [group.create_task(self._serve()) for _ in range(CASHIERS)]
            began, steady = time.monotonic(), 0
            while (now := time.monotonic() - began) < seconds:
                while steady < now * self._rate:
                    steady += 1
                    self._want()
                if self._limit is not None and self._wanted >= self._limit:
                    break
                await asyncio.sleep(0.05)
            await self._queue.join()
            for cashier in cashiers:
                cashier.cancel()

    async def follow(self) -> None:
        """Read states back for ever, and cancel what is to be cancelled by then."""
        while True:
            with contextlib.suppress(*DATABASE_AWAY):
                for change in await self._shop.read_states():
                    if (change.status_id or 0) >= self._later.get(change.order_number, 10_000):
                        del self._later[change.order_number]
                        self._cancel(change.order_number, 0.0)
            await asyncio.sleep(LOOK_SECONDS)

    async def finish(self) -> None:
        """Wait for the cancels under way; those that no status has called for are called off."""
        self._later.clear()
        while self._cancels:
            await asyncio.wait(tuple(self._cancels))

    def check(self) -> None:
        """Raise what a cancel has met."""
        for task in tuple(self._cancels):
            if task.done() and (error := task.exception()) is not None:
                raise error

    def _want(self) -> None:
        if self._limit is None or self._wanted < self._limit:
            self._wanted += 1
            self._queue.put_nowait(next(self._orders))

    async def _serve(self) -> None:
        while True:
            order = await self._queue.get()
            chance, delay, status_id = (
                self._dice.random(),
                self._dice.uniform(0, SOON_SECONDS),
                self._dice.choice(LATER_FROM),
            )
            if CANCEL_AT_ONCE + CANCEL_SOON <= chance < CANCEL_AT_ONCE + CANCEL_SOON + CANCEL_LATER:
                self._later[order.order_number] = status_id
            await self._shop.place(order)
            self.placed += 1
            if chance < CANCEL_AT_ONCE + CANCEL_SOON:
                self._cancel(order.order_number, 0.0 if chance < CANCEL_AT_ONCE else delay)
            self._queue.task_done()

    def _cancel(self, order_number: str, delay: float) -> None:
        task = asyncio.create_task(self._cancel_in(order_number, delay))
        self._cancels.add(task)
        task.add_done_callback(lambda done: self._cancels.discard(done) if done.exception() is None else None)

    async def _cancel_in(self, order_number: str, delay: float) -> None:
        await asyncio.sleep(delay)
        await self._shop.cancel(order_number, change_of_mind(self._dice))
        self.cancelled += 1
