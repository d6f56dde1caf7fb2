"""Reads a window of Omisell's order list so that paging loses nothing."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from omisync.omisell import CallClass, ListedOrder
from omisync.sync.ports import OmisellApi

MOST_PASSES = 3  # readings of one window when rows move between pages while it is read
MOST_PAGES = 20_000  # a list without an end is cut here


class Incomplete(Exception):
    """The list moved so much while it was read that rows may be missing; the window must be read again later.

    Attributes:
        seen: what was seen of it.
    """

    def __init__(self, why: str, seen: Mapping[str, ListedOrder] = MappingProxyType({})) -> None:
        self.seen = seen
        super().__init__(why)


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
    seen: dict[str, ListedOrder] = {}
    count = 0
    for _ in range(MOST_PASSES):
        count, unread, before = 0, 0, len(seen)
        for number in range(1, MOST_PAGES):
            page = await omisell.order_page(
                page=number, updated_from=updated_from, updated_to=updated_to, shop_id=shop_id, cls=cls, ahead=ahead
            )
            unread += page.unread
            count = max(page.count - unread, 0)
            for order in page.orders:
                known = seen.get(order.omisell_order_number)
                if known is None or (known.updated_time or 0) <= (order.updated_time or 0):
                    seen[order.omisell_order_number] = order
            if on_page is not None:
                on_page(len(seen), count)
            if enough is not None and enough(seen):
                return _of_shop(seen, shop_id)
            if not (page.orders or page.unread) or not page.has_next:
                break
        if len(seen) >= count and (count or len(seen) == before):
            return _of_shop(seen, shop_id)
    why = f"the order list kept moving while it was read: {len(seen)} of {count} orders seen"
    raise Incomplete(why, _of_shop(seen, shop_id))


def _of_shop(seen: dict[str, ListedOrder], shop_id: int) -> dict[str, ListedOrder]:
    return {number: order for number, order in seen.items() if order.shop_id in {None, shop_id}}
