"""When the list is read in place of details, and how far: the rule, with a small Omisell of the test's own."""

import asyncio
import datetime as dt
from typing import Any

import pytest

from omisync.omisell import ListedOrder, OrderPage, Unavailable
from omisync.store import Unconfirmed
from omisync.sync.bulk import EVERY, Bulk
from omisync.sync.sweeper import FULL_PAGE, Sweeper

READ_AT = dt.datetime.fromtimestamp(5000, dt.UTC)
SHOP = 7


class Omisell:
    """A list of so many orders, a hundred a page; `grows` orders come in front after each page."""

    def __init__(self, orders: int, size: int = 100, at: int = 1000) -> None:
        self.rows = [ListedOrder(omisell_order_number=f"O-{n}", status_id=300, updated_time=at) for n in range(orders)]
        self.size = size
        self.asked: list[tuple[int, int | None]] = []
        self.fails = False
        self.more = False

    async def order_page(self, *, page: int, updated_from: int | None, **_: Any) -> OrderPage:
        self.asked.append((page, updated_from))
        if self.fails:
            raise Unavailable("502", maybe_applied=False)
        begin = (page - 1) * self.size
        rows = tuple(self.rows[begin : begin + self.size])
        more = self.more or begin + self.size < len(self.rows)
        return OrderPage(orders=rows or self.rows[:1], count=len(self.rows), has_next=more)

    async def ping(self) -> None:
        return

    def server_time(self) -> float:
        return 5000.0


class Orders:
    """What waits, and what was taken from the list."""

    def __init__(self, waiting: int) -> None:
        self.waiting = [Unconfirmed(f"O-{n}", 1000 + n, READ_AT) for n in range(waiting)]
        self.taken: list[str] = []
        self.owed = [FULL_PAGE, FULL_PAGE, 1]

    async def unconfirmed(self, most: int) -> list[Unconfirmed]:
        return self.waiting[:most]

    async def take_listed(self, listed: Any, read_at: dt.datetime, *, source: str, adopting: bool) -> list[Any]:
        assert (read_at, source, adopting) == (READ_AT, "sweep", False)
        self.taken += [row.omisell_order_number for row in listed]
        return []

    async def open_windows(self, width: int) -> list[tuple[int, int]]:
        return []

    async def open_after(self, after: str, most: int) -> list[Any]:
        return []

    async def owe(self, most: int) -> int:
        return self.owed.pop(0)


def build(omisell: Any, orders: Any, now: list[float] | None = None) -> Bulk:
    clock = now or [0.0]
    return Bulk(omisell, orders, shop_id=SHOP, clock=lambda: clock[0])


async def relieved(bulk: Bulk) -> int:
    return await bulk.relieve(await bulk.pressing())


async def test_nineteen_are_fetched_and_twenty_are_read() -> None:
    for waiting, pages in ((19, 0), (20, 1)):
        omisell, orders = Omisell(20), Orders(waiting)
        assert await relieved(build(omisell, orders)) == pages
        assert len(orders.taken) == 20 * pages


async def test_the_window_reaches_from_before_the_oldest_change() -> None:
    omisell = Omisell(20)
    await relieved(build(omisell, Orders(30)))
    assert omisell.asked == [(1, 999)]


async def test_the_list_is_read_at_most_once_in_a_while_also_after_an_error() -> None:
    omisell, orders, now = Omisell(20), Orders(30), [0.0]
    bulk = build(omisell, orders, now)
    omisell.fails = True
    with pytest.raises(Unavailable):
        await relieved(bulk)
    assert await relieved(bulk) == 0
    now[0] = EVERY
    omisell.fails = False
    assert await relieved(bulk) == 1


async def test_a_window_of_too_many_pages_is_halved_until_too_few_are_left() -> None:
    omisell, orders = Omisell(10_000), Orders(80)
    assert await relieved(build(omisell, orders)) == 3
    assert omisell.asked == [(1, 999), (1, 1039), (1, 1059)]


async def test_reading_ends_when_all_that_waits_was_seen() -> None:
    omisell, orders = Omisell(300, at=9999), Orders(100)
    assert await relieved(build(omisell, orders)) == 1
    assert len(orders.taken) == 100


async def test_a_list_that_grows_while_it_is_read_is_read_no_further_than_it_is_worth() -> None:
    omisell, orders = Omisell(200), Orders(50)
    omisell.more = True
    assert await relieved(build(omisell, orders)) == 10


async def test_rows_of_another_shop_are_left_out() -> None:
    omisell, orders = Omisell(20), Orders(30)
    omisell.rows[:] = [row.model_copy(update={"shop_id": 8}) for row in omisell.rows]
    assert await relieved(build(omisell, orders)) == 1
    assert orders.taken == []


async def test_the_daily_sweep_owes_all_details_that_are_behind_however_many() -> None:
    class Diary:
        async def begin(self, *_: Any) -> tuple[int, dt.datetime]:
            return 1, READ_AT

        async def end(self, *_: Any, **__: Any) -> None:
            await asyncio.sleep(0)

    given: Any = Omisell(0)
    orders: Any = Orders(0)
    diary: Any = Diary()
    counters: Any = None
    sweeper = Sweeper(given, orders, diary, counters, shop_id=SHOP, overlap=600)
    assert (await sweeper.full()).seen == 0
    assert orders.owed == []
