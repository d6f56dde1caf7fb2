"""A window of the list with rows that name no order: they keep nobody from knowing that all others were seen."""

from typing import Any

import pytest

from omisync.omisell import CallClass, ListedOrder, OrderPage
from omisync.sync.listing import MOST_PASSES, Incomplete, read_window

SHOP = 21001


class Pages:
    """A list that holds still."""

    def __init__(self, *pages: OrderPage) -> None:
        self._pages = pages
        self.asked: list[int] = []

    async def order_page(self, *, page: int = 1, **_: Any) -> OrderPage:
        self.asked.append(page)
        return self._pages[page - 1]


def page(*numbers: str, count: int, unread: int = 0, more: bool = False) -> OrderPage:
    orders = tuple(ListedOrder(omisell_order_number=each, order_number=each, shop_id=SHOP) for each in numbers)
    return OrderPage(orders=orders, count=count, unread=unread, has_next=more)


async def window(pages: Pages, told: list[tuple[int, int]] | None = None) -> list[str]:
    omisell: Any = pages
    seen = await read_window(
        omisell,
        updated_from=0,
        updated_to=None,
        shop_id=SHOP,
        cls=CallClass.SWEEP,
        on_page=None if told is None else lambda seen, count: told.append((seen, count)),
    )
    return sorted(seen)


async def test_rows_without_a_number_on_any_page_are_not_waited_for() -> None:
    pages = Pages(page("A", count=4, unread=1, more=True), page("B", count=4, unread=1))
    told: list[tuple[int, int]] = []
    assert await window(pages, told) == ["A", "B"]
    assert (pages.asked, told) == ([1, 2], [(1, 3), (2, 2)])


async def test_a_page_of_nothing_but_such_rows_is_not_the_last() -> None:
    pages = Pages(page(count=3, unread=2, more=True), page("A", count=3))
    assert await window(pages) == ["A"]
    assert pages.asked == [1, 2]


async def test_a_window_of_nothing_but_such_rows_holds_no_order() -> None:
    assert await window(Pages(page(count=2, unread=2))) == []


async def test_an_order_that_is_missing_beside_such_a_row_is_missed_all_the_same() -> None:
    pages = Pages(page("A", count=3, unread=1))
    with pytest.raises(Incomplete, match="1 of 2 orders seen"):
        await window(pages)
    assert len(pages.asked) == MOST_PASSES
