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


async def window(pages: Pages, told: list[tuple[int, int]] | None = None, updated_to: int | None = None) -> list[str]:
    omisell: Any = pages
    seen = await read_window(
        omisell,
        updated_from=0,
        updated_to=updated_to,
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
    assert await window(pages, updated_to=9) == ["A", "B"]
    assert pages.asked == [1, 2, 1, 2]


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


class Growing:
    """A list that begins with the latest order, and to which orders come with each page that is read."""

    def __init__(self, orders: int, a_page: float, *, latest_first: bool = True) -> None:
        self.numbers = [f"OMI-{number}" for number in range(orders)]
        self.asked: list[int] = []
        self._a_page = a_page
        self._latest_first = latest_first
        self._came = 0.0

    async def order_page(self, *, page: int = 1, **_: Any) -> OrderPage:
        self.asked.append(page)
        shown = self.numbers[::-1] if self._latest_first else self.numbers
        found = shown[(page - 1) * 10 : page * 10]
        orders = tuple(ListedOrder(omisell_order_number=each, order_number=each, shop_id=SHOP) for each in found)
        answer = OrderPage(orders=orders, count=len(shown), has_next=page * 10 < len(shown))
        self._came += self._a_page
        while self._came >= 1:
            self._came -= 1
            self.numbers.append(f"OMI-{len(self.numbers)}")
        return answer


@pytest.mark.parametrize("latest_first", [True, False])
@pytest.mark.parametrize("a_page", [0.1, 1, 3])
async def test_a_list_that_grows_all_the_while_is_seen_to_its_end(a_page: float, latest_first: bool) -> None:
    growing = Growing(300, a_page, latest_first=latest_first)
    there = set(growing.numbers)
    seen = await read_window(growing, updated_from=0, updated_to=None, shop_id=SHOP, cls=CallClass.ADD)  # type: ignore[arg-type] # stands in
    assert there <= seen.keys()
    assert len(growing.asked) <= 90


async def test_an_order_that_moves_out_of_the_pages_still_to_come_is_not_missed() -> None:
    growing = Growing(30, 1)
    moved: list[str] = []
    read = growing.order_page

    async def moving(**asked: Any) -> OrderPage:
        answer = await read(**asked)
        if asked["page"] == 1 and not moved:  # the oldest changes, and is the latest from now on
            moved.append(growing.numbers.pop(0))
            growing.numbers.append(moved[0])
        return answer

    growing.order_page = moving  # type: ignore[method-assign]
    seen = await read_window(growing, updated_from=0, updated_to=None, shop_id=SHOP, cls=CallClass.ADD)  # type: ignore[arg-type] # stands in
    assert moved == ["OMI-0"]
    assert {f"OMI-{number}" for number in range(30)} <= seen.keys()


async def test_a_closed_window_from_which_orders_go_is_read_to_its_end() -> None:
    growing = Growing(30, 0)
    read = growing.order_page

    async def going(**asked: Any) -> OrderPage:
        answer = await read(**asked)
        del growing.numbers[20:]  # the ten on the first page change, and are in a later window
        return answer

    growing.order_page = going  # type: ignore[method-assign]
    seen = await read_window(growing, updated_from=0, updated_to=9, shop_id=SHOP, cls=CallClass.ADD)  # type: ignore[arg-type] # stands in
    assert {f"OMI-{number}" for number in range(20)} <= seen.keys()
