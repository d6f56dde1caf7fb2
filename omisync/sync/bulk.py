"""Reads in bulk under pressure: a page of Omisell's list answers for many pushes that wait for a fetch each.

The rule. The list is read when at least `BULK_FROM` pushes wait that tell of a change nothing has shown us yet, at most
once in `EVERY` seconds (lists lag), and only while a page stands for at least `WORTH` of the details it spares: if the
window from the oldest of these changes until now is too wide for that, the older half of them is left to fetches, and
the window narrows. What the list shows goes into `orders` at once, with its event. The details follow: those that bring
what the list lacks in their turn, the others out of spare budget, and a push that comes meanwhile shares the fetch.
"""

import math
import time
from collections.abc import Callable, Sequence

from omisync.omisell import CallClass, OrderPage
from omisync.store import Orders, Unconfirmed
from omisync.sync.listed import listed_of
from omisync.sync.ports import OmisellApi

BULK_FROM = 20  # pushes waiting: below it fetches are as quick, and bring the details at once
WORTH = 5  # details that a page must stand for
EVERY = 5.0  # seconds between readings: what the list did not show, it may show then [omisell-api 4.7]
MOST_ASKED = 2000  # pushes that one reading answers for


class Bulk:
    """The list, read in place of many details.

    Args:
        shop_id: the custom store; rows that name another shop are left out.
        clock: seconds, never going back.
    """

    def __init__(
        self, omisell: OmisellApi, orders: Orders, *, shop_id: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._omisell = omisell
        self._orders = orders
        self._shop_id = shop_id
        self._clock = clock
        self._not_before = -math.inf

    async def pressing(self) -> list[Unconfirmed]:
        """The pushes that a reading would answer for; none while the rule does not ask for one.

        Raises:
            StoreError: the database is away.
        """
        if self._clock() < self._not_before:
            return []
        asked = await self._orders.unconfirmed(MOST_ASKED)
        return asked if len(asked) >= BULK_FROM else []

    async def relieve(self, asked: Sequence[Unconfirmed]) -> int:
        """Reads the list for these; returns how many pages.

        Raises:
            OmisellError: it could not be read; the fetches go on without it.
            StoreError: the database is away.
        """
        pages = 0
        try:
            asked = sorted(asked, key=lambda each: each.wanted_time, reverse=True)
            while len(asked) >= BULK_FROM:
                read, done = await self._read(asked)
                pages += read
                if done:
                    break
                asked = asked[: len(asked) // 2]
        finally:
            self._not_before = self._clock() + EVERY
        return pages

    async def _read(self, asked: Sequence[Unconfirmed]) -> tuple[int, bool]:
        """Reads the window of these changes, newest first in `asked`; (pages, whether it was worth its pages)."""
        begin = asked[-1].wanted_time - 1
        waiting = {each.omisell_order_number: each.wanted_time for each in asked}
        most = len(asked) // WORTH
        number = 0
        while True:
            number += 1
            page = await self._omisell.order_page(
                page=number, updated_from=begin, updated_to=None, shop_id=self._shop_id, cls=CallClass.REFRESH
            )
            await self._take(page, asked[0])
            for order in page.orders:
                if (order.updated_time or 0) >= waiting.get(order.omisell_order_number, math.inf):
                    del waiting[order.omisell_order_number]
            if not waiting or not page.orders or not page.has_next:
                return number, True
            if number == 1 and math.ceil(page.count / len(page.orders)) > most:
                return number, False
            if number >= most:
                return number, True  # the list grew while it was read

    async def _take(self, page: OrderPage, asked: Unconfirmed) -> None:
        rows = {order.omisell_order_number: order for order in page.orders if order.shop_id in {None, self._shop_id}}
        if rows:
            listed = [listed_of(order) for order in rows.values()]
            await self._orders.take_listed(listed, asked.read_at, source="sweep", adopting=False)
