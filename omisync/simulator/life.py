"""The life of orders: made, moved from status to status, cancelled, returned; by hand or by themselves."""

import random
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

from omisync.simulator.account import Account, Shop
from omisync.simulator.clock import Cancellable, Clock
from omisync.simulator.config import Live
from omisync.simulator.detail import items_of
from omisync.simulator.numbers import whole
from omisync.simulator.orders import Order, OrderBook, Parcel, State
from omisync.simulator.statuses import (
    CANCELLATION_REQUESTED,
    COMPLETED,
    NEW,
    READY_TO_SHIP,
    RETURNED,
    SHIPPED,
    can_cancel,
    event_of,
    following,
    is_cancelled,
    is_final,
)

_ALLOCATED: Final = 300
"""From here on an order has parcels."""
_LABELLED: Final = frozenset({400, 440, 460, 500, 600, 800, 850, 900})
"""Here parcels have tracking numbers."""

Announce = Callable[[Order, State, str | None], None]
"""Told of each change: the order, its new state, and the guide's event, if there is one for it."""


class CannotCancelError(Exception):
    """The order is too far along, or final [guide]."""


class NoNextStatusError(Exception):
    """The order is at its end."""


class Life:
    """Moves orders.

    Args:
        live: The configuration.
        clock: Time.
        account: Shops and pickups.
        book: The orders.
        chance: Order numbers, delays, and what happens to an order that lives by itself.
        announce: Told of each change.
    """

    def __init__(
        self, live: Live, clock: Clock, account: Account, book: OrderBook, chance: random.Random, announce: Announce
    ) -> None:
        self._live = live
        self._clock = clock
        self._account = account
        self._book = book
        self._chance = chance
        self._announce = announce
        self._timers: dict[int, Cancellable] = {}
        self._awake = False

    def create(self, body: Mapping[str, object], *, source: str) -> Order:
        """Make an order out of a checked Add Order body; `source` is `api` or `omisell`."""
        now = int(self._clock.time())
        seq = self._book.next_seq()
        shop = self._shop(whole(body.get("shop_id")))
        order = Order(
            seq=seq,
            order_number=str(body["order_number"]),
            omisell_order_number=self._number(),
            shop=shop,
            pickup_id=whole(body.get("pickup_id")) or next(iter(self._account.pickups), 0),
            body=body,
            source=source,
            created_time=whole(body.get("created_time")) or now,
            state=State(NEW, now),
        )
        self._book.add(order)
        self._announce(order, order.state, event_of(NEW))
        self._arrange(order)
        return order

    def advance(self, order: Order, status_id: int | None = None) -> State:
        """Move an order to a status; to the next on the usual path if none is given.

        Raises:
            NoNextStatusError: No status is given and there is no next one.
        """
        target = following(order.status_id) if status_id is None else status_id
        if target is None:
            raise NoNextStatusError(f"{order.order_number} is at its end ({order.status_id}); name a status_id")
        return self._change(order, target, event_of(target))

    def touch(self, order: Order, event: str) -> State:
        """Change nothing but updated_time, and push an event: order.reconciled, order.return_receive."""
        return self._change(order, order.status_id, event)

    def cancel(self, order: Order, status_id: int | None = None) -> State:
        """Cancel an order as Cancel Order does: at once, or by way of 370 if so configured.

        Raises:
            CannotCancelError: It is shipped already, or final.
        """
        if not can_cancel(order.status_id):
            raise CannotCancelError(f"order in status {order.status_id} cannot be cancelled")
        config = self._live.config
        target = config.orders.cancel_status if status_id is None else status_id
        if config.orders.cancel_pending <= 0:
            return self._change(order, target, event_of(target))
        if order.status_id == CANCELLATION_REQUESTED:
            return order.state
        state = self._change(order, CANCELLATION_REQUESTED, None)
        self._cancel_later(order, target)
        return state

    def wake(self) -> None:
        """Arrange the next step of all orders anew; without it nothing comes by itself."""
        self.stop()
        self._awake = True
        for order in self._book:
            if order.status_id == CANCELLATION_REQUESTED and self._live.config.orders.cancel_pending > 0:
                self._cancel_later(order, self._live.config.orders.cancel_status)
            else:
                self._arrange(order)

    def stop(self) -> None:
        """Call off all that was arranged."""
        self._awake = False
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()

    def _number(self) -> str:
        """`OD`, country, date, eight hex digits [omisell-api 4.6]."""
        day = datetime.fromtimestamp(self._clock.time(), UTC).strftime("%y%m%d")
        while True:
            number = f"OD{self._live.config.account.country}{day}{self._chance.getrandbits(32):08X}"
            if self._book.by_omisell(number) is None:
                return number

    def _shop(self, shop_id: int | None) -> Shop:
        if shop_id is not None and shop_id in self._account.shops:
            return self._account.shops[shop_id]
        return next(self._account.custom_shops())

    def _change(self, order: Order, status_id: int, event: str | None) -> State:
        before = order.state
        now = int(self._clock.time())
        if self._live.config.orders.strict_time:
            now = max(now, before.updated_time + 1)
        state = State(
            status_id=status_id,
            updated_time=now,
            rts_time=before.rts_time or (now if _reached(status_id, READY_TO_SHIP) else 0),
            shipped_time=before.shipped_time or (now if _reached(status_id, SHIPPED) else 0),
            completed_time=before.completed_time or (now if status_id == COMPLETED else 0),
            parcels=self._parcels(order, status_id),
        )
        self._book.change(order, state)
        self._announce(order, state, event)
        self._arrange(order)
        return state

    def _parcels(self, order: Order, status_id: int) -> tuple[Parcel, ...]:
        parcels = order.state.parcels
        if is_cancelled(status_id) or status_id == CANCELLATION_REQUESTED or status_id < _ALLOCATED:
            return parcels
        if not parcels:
            parcels = self._allocate(order)
        if status_id in _LABELLED and not parcels[0].tracking_number:
            parcels = tuple(
                replace(parcel, tracking_number=f"TRK{self._chance.randrange(10**10):010d}") for parcel in parcels
            )
        return parcels

    def _allocate(self, order: Order) -> tuple[Parcel, ...]:
        """Split the items into parcels; one SKU may come to lie in several."""
        room = max(self._live.config.orders.parcel_units, 1)
        loads: list[list[tuple[int, int]]] = [[]]
        free = room
        for position, item in enumerate(items_of(order.body)):
            left = whole(item.get("quantity")) or 0
            while left > 0 and len(loads) < 20:
                if not free:
                    loads.append([])
                    free = room
                part = min(left, free) if len(loads) < 20 else left
                loads[-1].append((position, part))
                left -= part
                free = max(free - part, 0)
        courier = self._chance.choice(self._account.courier_names)
        return tuple(
            Parcel(
                package_number=str(number),
                pickup_id=order.pickup_id,
                shipment_number=f"SHP{order.seq:06d}{number:02d}",
                courier_name=courier,
                tracking_number="",
                lines=tuple(load),
            )
            for number, load in enumerate(loads, 1)
        )

    def _arrange(self, order: Order) -> None:
        """Let the next step come by itself."""
        timer = self._timers.pop(order.seq, None)
        if timer is not None:
            timer.cancel()
        life = self._live.config.life
        if not life.automatic:
            return
        if order.status_id in {COMPLETED, RETURNED}:
            self._arrange_afterwards(order)
        elif order.status_id in life.delays and not is_final(order.status_id):
            delay = life.delays[order.status_id] * self._live.config.clock_factor
            delay *= self._chance.uniform(1 - life.jitter, 1 + life.jitter)
            self._later(order, delay, lambda: self._step(order))

    def _arrange_afterwards(self, order: Order) -> None:
        if any(state.status_id == order.status_id for state in order.history[:-1]):
            return  # the event afterwards was pushed already
        life = self._live.config.life
        if order.status_id == COMPLETED and life.late_return_rate and self._chance.random() < life.late_return_rate:
            delay = (life.receive_after or 0) * self._live.config.clock_factor
            self._later(order, delay, lambda: self._change(order, RETURNED, event_of(RETURNED)))
            return
        after, event = (
            (life.reconcile_after, "order.reconciled")
            if order.status_id == COMPLETED
            else (life.receive_after, "order.return_receive")
        )
        if after is not None:
            self._later(order, after * self._live.config.clock_factor, lambda: self.touch(order, event))

    def _cancel_later(self, order: Order, target: int) -> None:
        delay = self._live.config.orders.cancel_pending * self._live.config.clock_factor
        self._later(order, delay, lambda: self._change(order, target, event_of(target)))

    def _later(self, order: Order, delay: float, step: Callable[[], object]) -> None:
        if not self._awake:
            return

        def run() -> None:
            self._timers.pop(order.seq, None)
            step()

        self._timers[order.seq] = self._clock.call_later(max(delay, 0.0), run)

    def _step(self, order: Order) -> None:
        life = self._live.config.life
        target = following(order.status_id)
        if order.status_id == 400 and self._chance.random() < life.cancel_rate:
            target = 703
        elif order.status_id == 600 and self._chance.random() < life.return_rate:
            target = RETURNED
        elif target is not None and event_of(target) is None and self._chance.random() < life.skip_rate:
            target = following(target)
        if target is not None:
            self._change(order, target, event_of(target))


def _reached(status_id: int, step: int) -> bool:
    return status_id >= step and not is_cancelled(status_id)
