"""The orders at the simulated Omisell: what each one is, what it was, and what lists show of it."""

import bisect
import heapq
import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from omisync.simulator.account import Shop


class UnknownOrderError(LookupError):
    """There is no such order at the simulator."""


@dataclass(frozen=True, slots=True)
class Parcel:
    """One parcel; `lines` are pairs of an item's position and how many pieces of it are inside."""

    package_number: str
    pickup_id: int
    shipment_number: str
    courier_name: str
    tracking_number: str
    lines: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class State:
    """What changes in the life of an order; times in Unix seconds, 0: not yet."""

    status_id: int
    updated_time: int
    rts_time: int = 0
    shipped_time: int = 0
    completed_time: int = 0
    parcels: tuple[Parcel, ...] = ()


@dataclass(slots=True, eq=False)
class Order:
    """An order, from wherever it came; repr shows no personal data."""

    seq: int
    order_number: str
    omisell_order_number: str
    shop: Shop
    pickup_id: int
    body: Mapping[str, object] = field(repr=False)
    source: str
    created_time: int
    state: State
    history: list[State] = field(default_factory=list, repr=False)
    visible: list[tuple[float, State]] = field(default_factory=list, repr=False)
    """What the detail shows from which moment on (monotonic seconds)."""

    @property
    def status_id(self) -> int:
        """Where it stands now."""
        return self.state.status_id


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Which orders a list asks for; bounds inclusive unless `half_open`."""

    shop_id: int | None = None
    updated_from: int | None = None
    updated_to: int | None = None
    created_from: int | None = None
    created_to: int | None = None
    statuses: frozenset[int] = frozenset()
    order_number: str | None = None
    half_open: bool = False
    descending: bool = True

    @property
    def plain(self) -> bool:
        """Whether shop and time of change are all it asks for."""
        return not (self.statuses or self.order_number) and self.created_from is None and self.created_to is None

    def takes(self, order: Order, state: State) -> bool:
        """Whether an order passes what is not in the index."""
        end = self.created_to
        if end is not None and self.half_open:
            end -= 1
        return (
            (not self.statuses or state.status_id in self.statuses)
            and (self.order_number is None or order.order_number == self.order_number)
            and (self.created_from is None or order.created_time >= self.created_from)
            and (end is None or order.created_time <= end)
        )


class _Index:
    """Orders by the time of change that lists show, so that a page costs no more than its rows."""

    def __init__(self) -> None:
        self._keys: list[tuple[int, int]] = []
        self._rows: dict[int, tuple[Order, State]] = {}

    def put(self, order: Order, state: State) -> None:
        known = self._rows.get(order.seq)
        if known is not None:
            key = (known[1].updated_time, order.seq)
            del self._keys[bisect.bisect_left(self._keys, key)]
        bisect.insort(self._keys, (state.updated_time, order.seq))
        self._rows[order.seq] = (order, state)

    def page(self, window: Window, offset: int, limit: int) -> tuple[int, list[tuple[Order, State]]]:
        low = 0 if window.updated_from is None else bisect.bisect_left(self._keys, (window.updated_from, -1))
        high = len(self._keys)
        if window.updated_to is not None:
            end = window.updated_to if window.half_open else window.updated_to + 1
            high = bisect.bisect_left(self._keys, (end, -1))
        span = range(low, max(low, high))
        if window.descending:
            span = span[::-1]
        if window.plain:
            return len(span), [self._rows[self._keys[place][1]] for place in span[offset : offset + limit]]
        rows = [row for place in span if window.takes(*(row := self._rows[self._keys[place][1]]))]
        return len(rows), rows[offset : offset + limit]


class OrderBook:
    """All orders, found by either number and by time of change.

    Args:
        monotonic: The clock, in seconds.
        list_lag: Seconds until a change that happens now shows in lists.
        detail_lag: Seconds until it shows in the detail.
    """

    def __init__(
        self, monotonic: Callable[[], float], list_lag: Callable[[], float], detail_lag: Callable[[], float]
    ) -> None:
        self._monotonic = monotonic
        self._list_lag = list_lag
        self._detail_lag = detail_lag
        self._seq = itertools.count(1)
        self.clear()

    def clear(self) -> None:
        """Forget all orders."""
        self._by_omisell: dict[str, Order] = {}
        self._by_number: dict[str, list[Order]] = {}
        self._all = _Index()
        self._by_shop: dict[int, _Index] = {}
        self._coming: list[tuple[float, int, Order, State]] = []
        self._coming_order = itertools.count()
        self._listed_until: dict[int, float] = {}

    def __len__(self) -> int:
        return len(self._by_omisell)

    def __iter__(self) -> Iterator[Order]:
        """All orders, oldest first."""
        return iter(list(self._by_omisell.values()))

    def __contains__(self, number: object) -> bool:
        return number in self._by_omisell or number in self._by_number

    def next_seq(self) -> int:
        """A number for a new order."""
        return next(self._seq)

    def add(self, order: Order) -> None:
        """Take in a new order."""
        self._by_omisell[order.omisell_order_number] = order
        self._by_number.setdefault(order.order_number, []).append(order)
        self.change(order, order.state)

    def change(self, order: Order, state: State) -> None:
        """Give an order its next state; lists and detail show it after their lag, in order."""
        order.state = state
        order.history.append(state)
        now = self._monotonic()
        seen = order.visible[-1][0] if order.visible else now
        order.visible.append((max(now + self._detail_lag(), seen), state))
        listed = max(now + self._list_lag(), self._listed_until.get(order.seq, now))
        self._listed_until[order.seq] = listed
        heapq.heappush(self._coming, (listed, next(self._coming_order), order, state))

    def find(self, number: str) -> Order:
        """The order of that number, Omisell's or the merchant's; of several, the first.

        Raises:
            UnknownOrderError: There is none.
        """
        found = self._by_omisell.get(number) or next(iter(self._by_number.get(number, ())), None)
        if found is None:
            raise UnknownOrderError(f"no order {number!r} at the simulator")
        return found

    def by_omisell(self, omisell_order_number: str) -> Order | None:
        """The order of Omisell's number."""
        return self._by_omisell.get(omisell_order_number)

    def named(self, order_number: str, shop_id: int | None = None) -> list[Order]:
        """All orders of the merchant's number: more than one is a double."""
        orders = self._by_number.get(order_number, ())
        return [order for order in orders if shop_id is None or order.shop.shop_id == shop_id]

    def matching(self, part: str) -> list[Order]:
        """Orders with that text in either number, whatever the case; oldest first."""
        folded = part.casefold()
        return [
            order
            for order in self._by_omisell.values()
            if folded in order.order_number.casefold() or folded in order.omisell_order_number.casefold()
        ]

    def seen(self, order: Order) -> State | None:
        """What the detail shows of it now; None while it does not show it at all."""
        now = self._monotonic()
        visible = order.visible
        while len(visible) > 1 and visible[1][0] <= now:
            del visible[0]
        return visible[0][1] if visible[0][0] <= now else None

    def page(self, window: Window, offset: int, limit: int) -> tuple[int, list[tuple[Order, State]]]:
        """How many orders lists show in that window, and `limit` of them from `offset` on."""
        self._show_due()
        if window.shop_id is None:
            return self._all.page(window, offset, limit)
        index = self._by_shop.get(window.shop_id)
        return index.page(window, offset, limit) if index else (0, [])

    def _show_due(self) -> None:
        now = self._monotonic()
        while self._coming and self._coming[0][0] <= now:
            _, _, order, state = heapq.heappop(self._coming)
            self._all.put(order, state)
            self._by_shop.setdefault(order.shop.shop_id, _Index()).put(order, state)
