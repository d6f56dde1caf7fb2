"""Reads a window of Omisell's order list so that paging loses nothing."""

from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType

from omisync.omisell import CallClass, ListedOrder, OrderPage
from omisync.sync.ports import OmisellApi

MOST_PASSES = 3  # readings of one window when rows move between pages while it is read
MOST_FRONTS = 5  # readings of the first pages after each, for what has come meanwhile: each is shorter than the last
MOST_PAGES = 20_000  # a list without an end is cut here


class Incomplete(Exception):
    """The list moved so much while it was read that rows may be missing; the window must be read again later.

    Attributes:
        seen: what was seen of it.
    """

    def __init__(self, why: str, seen: Mapping[str, ListedOrder] = MappingProxyType({})) -> None:
        self.seen = seen
        super().__init__(why)


class _Reading:
    """What was seen of a window so far."""

    def __init__(
        self,
        ask: Callable[[int], Awaitable[OrderPage]],
        on_page: Callable[[int, int], None] | None,
        enough: Callable[[dict[str, ListedOrder]], bool] | None,
        *,
        is_open: bool,
    ) -> None:
        self._ask = ask
        self._on_page = on_page
        self._enough = enough
        self._is_open = is_open
        self.seen: dict[str, ListedOrder] = {}
        self.count = 0
        self._pages = 0

    async def through(self) -> bool:
        """From the first page to the last, or until nothing can be missing; whether nothing is."""
        before = len(self.seen)
        this_time: set[str] = set()
        unread = told = 0
        for number in range(1, MOST_PAGES):
            page, _, unread = await self._page(number, unread)
            if self._is_whole(unread):
                return True
            this_time.update(order.omisell_order_number for order in page.orders)
            told = max(told, page.count)
            self._pages = number
            if not (page.orders or page.unread) or not page.has_next:
                break
        if self.count == 0:
            return len(self.seen) == before
        return len(self.seen) >= self.count if self._is_open else len(this_time) >= told - unread

    async def front(self) -> bool:
        """The first pages again and again, as long as they show what was not seen; whether nothing is missing then."""
        if not self._is_open or self._pages < 2:
            return False
        for _ in range(MOST_FRONTS):
            anything = False
            for number in range(1, MOST_PAGES):
                page, fresh, unread = await self._page(number, 0)
                if self._is_whole(unread):
                    return True
                anything = anything or fresh
                if not fresh or not page.has_next:
                    break
            if not anything:
                return False
        return False

    async def _page(self, number: int, unread: int) -> tuple[OrderPage, bool, int]:
        """A page, whether it shows an order that was not seen, and how many rows name none, with those before."""
        page = await self._ask(number)
        unread += page.unread
        before = len(self.seen)
        self.count = max(page.count - unread, 0)
        for order in page.orders:
            known = self.seen.get(order.omisell_order_number)
            if known is None or (known.updated_time or 0) <= (order.updated_time or 0):
                self.seen[order.omisell_order_number] = order
        if self._on_page is not None:
            self._on_page(len(self.seen), self.count)
        return page, len(self.seen) > before, unread

    def _is_whole(self, unread: int) -> bool:
        if self._enough is not None and self._enough(self.seen):
            return True
        return self._is_open and not unread and 0 < self.count <= len(self.seen)


async def read_window(
    omisell: OmisellApi,
    *,
    updated_from: int,
    updated_to: int | None,
    shop_id: int,
    cls: CallClass,
    on_page: Callable[[int, int], None] | None = None,
    enough: Callable[[dict[str, ListedOrder]], bool] | None = None,
    ahead: bool = False,
) -> dict[str, ListedOrder]:
    """All orders of the shop changed in a window, by Omisell's number.

    Paging is by page number, so a row that changes while the pages are read can be missed: the window is read again
    until as many orders were seen as the list counts, less the rows that name none, or, should it not count, until
    nothing new is seen [omisell-api 1.2, 9.6].

    From a window that is open no order goes, so all of it was seen as soon as any page counts no more than that. Orders
    that come all the while are looked for on the first pages, where a list that begins with the latest shows them. From
    a window with an end orders go while it is read, and those behind them are skipped: it must be seen in one pass.

    Args:
        omisell: where to read.
        updated_from: Unix seconds, Omisell's clock; included.
        updated_to: likewise; None for open.
        shop_id: rows that name another shop are left out, should the list ignore the filter.
        cls: the class of the calls.
        on_page: told of each page: orders seen so far, and the list's count.
        enough: may end the reading early.
        ahead: its calls go before all others of their class.

    Raises:
        Incomplete: the list would not hold still.
        OmisellError: as the client says.
    """

    async def ask(number: int) -> OrderPage:
        return await omisell.order_page(
            page=number, updated_from=updated_from, updated_to=updated_to, shop_id=shop_id, cls=cls, ahead=ahead
        )

    reading = _Reading(ask, on_page, enough, is_open=updated_to is None)
    for _ in range(MOST_PASSES):
        if await reading.through() or await reading.front():
            return _of_shop(reading.seen, shop_id)
    seen = reading.seen
    why = f"the order list kept moving while it was read: {len(seen)} of {reading.count} orders seen"
    raise Incomplete(why, _of_shop(seen, shop_id))


def _of_shop(seen: dict[str, ListedOrder], shop_id: int) -> dict[str, ListedOrder]:
    return {number: order for number, order in seen.items() if order.shop_id in {None, shop_id}}
