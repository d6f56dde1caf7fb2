"""The book of orders: numbers, windows, lags."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omisync.simulator.account import SHOPS
from omisync.simulator.clock import ManualClock
from omisync.simulator.orders import Order, OrderBook, State, UnknownOrderError, Window


def order(book: OrderBook, number: str, at: int = 100, *, shop: int = 0, created: int = 50) -> Order:
    seq = book.next_seq()
    made = Order(
        seq=seq,
        order_number=number,
        omisell_order_number=f"OD{seq}",
        shop=SHOPS[shop],
        pickup_id=1,
        body={},
        source="api",
        created_time=created,
        state=State(200, at),
    )
    book.add(made)
    return made


def at_once(clock: ManualClock) -> OrderBook:
    return OrderBook(clock.monotonic, lambda: 0.0, lambda: 0.0)


def numbers(found: tuple[int, list[tuple[Order, State]]]) -> list[str]:
    return [each.order_number for each, _ in found[1]]


def test_an_order_is_found_by_either_number() -> None:
    book = at_once(ManualClock())
    first = order(book, "A")
    second = order(book, "A", shop=1)
    assert book.find("A") is first
    assert book.find(second.omisell_order_number) is second
    assert book.named("A") == [first, second]
    assert book.named("A", SHOPS[1].shop_id) == [second]
    assert book.by_omisell("A") is None
    assert list(book) == [first, second]
    assert len(book) == 2
    assert "A" in book
    assert "OD1" in book
    assert "B" not in book
    assert book.matching("od") == [first, second]
    assert book.matching("b") == []
    with pytest.raises(UnknownOrderError, match="no order 'B' at the simulator"):
        book.find("B")
    book.clear()
    assert len(book) == 0
    assert book.page(Window(), 0, 10) == (0, [])


def test_windows_are_inclusive_or_half_open() -> None:
    book = at_once(ManualClock())
    for number, at in (("A", 10), ("B", 20), ("C", 20), ("D", 30)):
        order(book, number, at)
    assert numbers(book.page(Window(updated_from=10, updated_to=20), 0, 10)) == ["C", "B", "A"]
    assert numbers(book.page(Window(updated_from=10, updated_to=20, half_open=True), 0, 10)) == ["A"]
    assert numbers(book.page(Window(updated_from=20, descending=False), 0, 10)) == ["B", "C", "D"]
    assert numbers(book.page(Window(updated_from=40, updated_to=5), 0, 10)) == []
    assert book.page(Window(), 2, 1)[0] == 4
    assert numbers(book.page(Window(), 2, 1)) == ["B"]


def test_other_filters_narrow_the_window() -> None:
    book = at_once(ManualClock())
    order(book, "A", 10, created=1)
    order(book, "B", 11, created=2)
    late = order(book, "C", 12, created=3)
    book.change(late, State(500, 13))
    assert numbers(book.page(Window(statuses=frozenset({500})), 0, 10)) == ["C"]
    assert numbers(book.page(Window(order_number="B"), 0, 10)) == ["B"]
    assert numbers(book.page(Window(created_from=2, created_to=3), 0, 10)) == ["C", "B"]
    assert numbers(book.page(Window(created_from=2, created_to=3, half_open=True), 0, 10)) == ["B"]
    assert numbers(book.page(Window(shop_id=SHOPS[0].shop_id), 0, 10)) == ["C", "B", "A"]
    assert numbers(book.page(Window(shop_id=SHOPS[1].shop_id), 0, 10)) == []


def test_lists_show_a_change_after_its_lag_and_never_go_back() -> None:
    clock = ManualClock()
    lags = iter([5.0, 9.0, 1.0])
    book = OrderBook(clock.monotonic, lambda: next(lags), lambda: 0.0)
    made = order(book, "A", 100)
    clock.advance(4)
    assert book.page(Window(), 0, 10)[0] == 0
    clock.advance(1)
    assert book.page(Window(), 0, 10) == (1, [(made, State(200, 100))])
    book.change(made, State(250, 106))
    book.change(made, State(300, 107))  # has the shorter lag, but may not overtake
    clock.advance(8)
    assert book.page(Window(updated_from=101), 0, 10)[0] == 0
    clock.advance(1)
    assert book.page(Window(), 0, 10) == (1, [(made, State(300, 107))])


def test_the_detail_shows_a_change_after_its_lag_and_never_goes_back() -> None:
    clock = ManualClock()
    lags = iter([2.0, 6.0, 0.0])
    book = OrderBook(clock.monotonic, lambda: 0.0, lambda: next(lags))
    made = order(book, "A", 100)
    assert book.seen(made) is None
    clock.advance(2)
    assert book.seen(made) == State(200, 100)
    book.change(made, State(250, 103))
    book.change(made, State(300, 104))
    clock.advance(5)
    assert book.seen(made) == State(200, 100)
    clock.advance(1)
    assert book.seen(made) == State(300, 104)
    assert [state.status_id for state in made.history] == [200, 250, 300]
    assert made.status_id == 300


@given(
    changes=st.lists(st.tuples(st.integers(0, 9), st.integers(0, 30)), min_size=1, max_size=60),
    start=st.none() | st.integers(-1, 31),
    end=st.none() | st.integers(-1, 31),
    half_open=st.booleans(),
    descending=st.booleans(),
    shop=st.none() | st.integers(0, 1),
    size=st.integers(1, 7),
)
def test_pages_together_are_what_a_plain_search_finds(
    changes: list[tuple[int, int]],
    start: int | None,
    end: int | None,
    half_open: bool,
    descending: bool,
    shop: int | None,
    size: int,
) -> None:
    book = at_once(ManualClock())
    orders = [order(book, f"N{place}", place, shop=place % 2) for place in range(10)]
    for place, at in changes:
        book.change(orders[place], State(250, at))
    shop_id = None if shop is None else SHOPS[shop].shop_id
    expected = sorted(
        (
            each
            for each in orders
            if (start is None or each.state.updated_time >= start)
            and (end is None or each.state.updated_time < end + (0 if half_open else 1))
            and (shop_id is None or each.shop.shop_id == shop_id)
        ),
        key=lambda each: (each.state.updated_time, each.seq),
        reverse=descending,
    )
    window = Window(shop_id=shop_id, updated_from=start, updated_to=end, half_open=half_open, descending=descending)
    found: list[Order] = []
    for offset in itertools.count(0, size):
        count, rows = book.page(window, offset, size)
        assert count == len(expected)
        if not rows:
            break
        found += [each for each, _ in rows]
    assert found == expected
