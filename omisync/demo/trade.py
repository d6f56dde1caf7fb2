"""The shop's day: orders at a steady pace, some of them cancelled at once, some later on."""

import asyncio
import contextlib
import math
import random
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from omisync.demo.people import Order, change_of_mind
from omisync.demo.shop import Shop

RATE: Final = 4.0
"""Orders a second unless asked otherwise."""
ORDERS: Final = 60

AT_ONCE: Final = 4
LATER: Final = 9
CYCLE: Final = 12
"""Of twelve orders in a row, the one at `AT_ONCE` is cancelled right after it was placed, most likely
before it was sent, and the one at `LATER` while Omisell works on it."""
LATER_FROM: Final = (200, 250, 300, 350, 400)
"""A later cancel comes once the shop has read such a status or a higher one."""


@dataclass(frozen=True, slots=True)
class Pace:
    """At most `orders` (None: any number), for at most `seconds`, `rate` a second."""

    orders: int | None
    seconds: float | None
    rate: float

    @classmethod
    def of(cls, orders: int | None, seconds: float | None) -> "Pace":
        """From what the user asked for: both spread the orders over the time, neither is short."""
        if orders is None:
            return cls(ORDERS if seconds is None else None, seconds, RATE)
        return cls(orders, seconds, RATE if seconds is None else max(orders / seconds, 0.001))

    @property
    def duration(self) -> float:
        """How long the placing will take, in seconds."""
        by_count = math.inf if self.orders is None else self.orders / self.rate
        return min(by_count, math.inf if self.seconds is None else self.seconds)


class Trade:
    """Places and cancels.

    Args:
        shop: Where.
        orders: What the shoppers order.
        seed: Of the shoppers' changes of mind.
        clock: Seconds that only go forward.
    """

    def __init__(
        self, shop: Shop, orders: Iterator[Order], *, seed: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._shop = shop
        self._orders = orders
        self._random = random.Random(seed)  # noqa: S311 - invented shoppers, no secret
        self._clock = clock
        self._later: dict[str, int] = {}

    async def place_all(self, pace: Pace) -> int:
        """Place orders until the pace says that it is enough; how many were placed."""
        begun = self._clock()
        placed = 0
        while pace.orders is None or placed < pace.orders:
            await asyncio.sleep(begun + placed / pace.rate - self._clock())
            if pace.seconds is not None and self._clock() - begun >= pace.seconds:
                break
            await self._place(next(self._orders), placed % CYCLE)
            placed += 1
        return placed

    async def follow(self) -> None:
        """Read the states back for ever, and cancel what is to be cancelled later."""
        async with contextlib.aclosing(self._shop.changes()) as looks:
            async for changes in looks:
                for change in changes:
                    if (change.status_id or 0) >= self._later.get(change.order_number, math.inf):
                        del self._later[change.order_number]
                        await self._shop.cancel(change.order_number, change_of_mind(self._random))

    @property
    def to_cancel(self) -> Mapping[str, int]:
        """Orders that will be cancelled once they have reached a status."""
        return self._later

    async def _place(self, order: Order, position: int) -> None:
        if position == LATER:
            self._later[order.order_number] = self._random.choice(LATER_FROM)
        await self._shop.place(order)
        if position == AT_ONCE:
            await self._shop.cancel(order.order_number, change_of_mind(self._random))
