"""The life of orders."""

import random
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from omisync.simulator.account import Account
from omisync.simulator.clock import ManualClock
from omisync.simulator.config import LifeConfig, Live, OrderConfig, SimulatorConfig
from omisync.simulator.life import CannotCancelError, Life, NoNextStatusError
from omisync.simulator.orders import Order, OrderBook, State

START = 1_790_000_000
BODY: Mapping[str, Any] = {"order_number": "WEB-1", "shop_id": 21001, "items": [{"sku": "TEE-M", "quantity": 1}]}


@dataclass
class Stage:
    life: Life
    clock: ManualClock
    live: Live
    book: OrderBook
    told: list[tuple[int, str | None]] = field(default_factory=list)

    def create(self, **changes: Any) -> Order:
        return self.life.create({**BODY, **changes}, source="api")


def stage(config: SimulatorConfig | None = None) -> Stage:
    clock = ManualClock(start=START)
    live = Live(config or SimulatorConfig())
    book = OrderBook(clock.monotonic, lambda: 0.0, lambda: 0.0)
    told: list[tuple[int, str | None]] = []

    def announce(_: Order, state: State, event: str | None) -> None:
        told.append((state.status_id, event))

    chance = random.Random(3)  # noqa: S311 - chance, no secret
    life = Life(live, clock, Account(live.config.account), book, chance, announce)
    life.wake()
    return Stage(life, clock, live, book, told)


def automatic(**changes: Any) -> SimulatorConfig:
    life = LifeConfig(automatic=True, jitter=0, delays=dict.fromkeys((200, 250, 300, 350, 400, 460, 500, 600), 10))
    return SimulatorConfig(life=replace(life, **changes))


def test_a_new_order_has_a_number_of_omisells_kind() -> None:
    set_up = stage()
    order = set_up.create()
    assert order.omisell_order_number.startswith("ODVN260921")
    assert len(order.omisell_order_number) == 18
    assert int(order.omisell_order_number[-8:], 16) >= 0
    assert order.state == State(200, START)
    assert order.created_time == START
    assert order.pickup_id == 167
    assert set_up.told == [(200, "order.created")]
    assert set_up.create(created_time=START - 60).created_time == START - 60


def test_a_shop_that_is_not_named_is_the_first_custom_one() -> None:
    assert stage().create(shop_id=None).shop.shop_id == 21001
    assert stage().create(shop_id=21650).shop.platform == "shopee"


def test_the_whole_way_with_its_events_and_times() -> None:
    set_up = stage()
    order = set_up.create()
    for _ in range(8):
        set_up.clock.advance(60)
        set_up.life.advance(order)
    assert set_up.told == [
        (200, "order.created"),
        (250, None),
        (300, None),
        (350, None),
        (400, None),
        (460, "order.ready_to_ship"),
        (500, "order.shipped"),
        (600, None),
        (900, "order.completed"),
    ]
    assert [state.updated_time - START for state in order.history] == [0, 60, 120, 180, 240, 300, 360, 420, 480]
    state = order.state
    assert (state.rts_time, state.shipped_time, state.completed_time) == (START + 300, START + 360, START + 480)
    with pytest.raises(NoNextStatusError, match="WEB-1 is at its end"):
        set_up.life.advance(order)


def test_parcels_come_when_allocated_and_tracking_with_the_label() -> None:
    set_up = stage()
    order = set_up.create()
    seen: dict[int, tuple[int, bool]] = {}
    while order.status_id != 900:
        state = set_up.life.advance(order)
        seen[state.status_id] = (len(state.parcels), bool(state.parcels and state.parcels[0].tracking_number))
    assert seen == {
        250: (0, False),
        300: (1, False),
        350: (1, False),
        400: (1, True),
        460: (1, True),
        500: (1, True),
        600: (1, True),
        900: (1, True),
    }
    tracking = {state.parcels[0].tracking_number for state in order.history if state.status_id >= 400}
    assert len(tracking) == 1


def test_a_jump_sets_what_lies_between() -> None:
    set_up = stage()
    order = set_up.create()
    state = set_up.life.advance(order, 900)
    assert (state.rts_time, state.shipped_time, state.completed_time) == (state.updated_time,) * 3
    assert state.parcels[0].tracking_number
    back = set_up.life.advance(order, 440)
    assert back.status_id == 440
    assert back.updated_time > state.updated_time


def test_updated_time_moves_with_each_change_also_within_a_second() -> None:
    set_up = stage()
    order = set_up.create()
    set_up.life.advance(order)
    set_up.life.advance(order)
    assert [state.updated_time - START for state in order.history] == [0, 1, 2]
    lax = stage(SimulatorConfig(orders=OrderConfig(strict_time=False)))
    other = lax.create()
    lax.life.advance(other)
    assert [state.updated_time - START for state in other.history] == [0, 0]


def test_many_pieces_are_split_into_parcels() -> None:
    set_up = stage()
    order = set_up.create(items=[{"sku": "TEE-M", "quantity": 12}, {"sku": "TEE-L", "quantity": "3"}, {"sku": "X"}])
    state = set_up.life.advance(order, 300)
    assert [parcel.lines for parcel in state.parcels] == [((0, 10),), ((0, 2), (1, 3))]
    assert [parcel.package_number for parcel in state.parcels] == ["1", "2"]
    huge = set_up.create(items=[{"sku": "TEE-M", "quantity": 10**9}])
    parcels = set_up.life.advance(huge, 300).parcels
    assert len(parcels) == 20
    assert sum(count for parcel in parcels for _, count in parcel.lines) == 10**9


def test_a_cancel_is_taken_until_shipped() -> None:
    set_up = stage()
    order = set_up.create()
    set_up.life.advance(order, 460)
    assert set_up.life.cancel(order).status_id == 700
    assert set_up.told[-1] == (700, "order.cancelled")
    with pytest.raises(CannotCancelError, match="status 700"):
        set_up.life.cancel(order)
    shipped = set_up.create(order_number="WEB-2")
    set_up.life.advance(shipped, 500)
    with pytest.raises(CannotCancelError, match="status 500"):
        set_up.life.cancel(shipped)
    assert set_up.life.cancel(set_up.create(order_number="WEB-3"), 702).status_id == 702


def test_a_cancel_may_pass_through_370() -> None:
    set_up = stage(SimulatorConfig(orders=OrderConfig(cancel_pending=600, cancel_status=702), clock_factor=0.1))
    order = set_up.create()
    assert set_up.life.cancel(order).status_id == 370
    assert [event for _, event in set_up.told] == ["order.created", None]
    set_up.clock.advance(59)
    assert set_up.life.cancel(order).status_id == 370
    set_up.clock.advance(1)
    assert order.status_id == 702
    assert set_up.told[-1] == (702, "order.cancelled")


def test_a_cancellation_request_can_be_turned_down_by_moving_the_order_on() -> None:
    set_up = stage(SimulatorConfig(orders=OrderConfig(cancel_pending=60)))
    order = set_up.create()
    set_up.life.cancel(order)
    set_up.life.advance(order, 400)
    set_up.clock.advance(3600)
    assert order.status_id == 400


def test_waking_goes_on_with_a_pending_cancel() -> None:
    set_up = stage(SimulatorConfig(orders=OrderConfig(cancel_pending=60)))
    order = set_up.create()
    set_up.life.cancel(order)
    set_up.life.stop()
    set_up.clock.advance(3600)
    assert order.status_id == 370
    set_up.life.wake()
    set_up.clock.advance(60)
    assert order.status_id == 700


def test_an_event_without_a_new_status_moves_updated_time() -> None:
    set_up = stage()
    order = set_up.create()
    set_up.life.advance(order, 900)
    before = order.state.updated_time
    set_up.life.touch(order, "order.reconciled")
    assert order.status_id == 900
    assert order.state.updated_time == before + 1
    assert set_up.told[-1] == (900, "order.reconciled")


def test_an_automatic_life_runs_by_the_clock() -> None:
    set_up = stage(automatic())
    order = set_up.create()
    set_up.clock.advance(9)
    assert order.status_id == 200
    set_up.clock.advance(1)
    assert order.status_id == 250
    set_up.clock.advance(70)
    assert order.status_id == 900
    set_up.clock.advance(10_000)
    assert [status for status, _ in set_up.told] == [200, 250, 300, 350, 400, 460, 500, 600, 900]


def test_the_clock_factor_scales_an_automatic_life() -> None:
    set_up = stage(replace(automatic(), clock_factor=0.01))
    order = set_up.create()
    set_up.clock.advance(0.85)
    assert order.status_id == 900


def test_completed_orders_may_be_reconciled_once() -> None:
    set_up = stage(automatic(reconcile_after=30))
    set_up.create()
    set_up.clock.advance(1000)
    set_up.life.wake()
    set_up.clock.advance(1000)
    assert [event for _, event in set_up.told].count("order.reconciled") == 1


def test_returned_orders_are_received() -> None:
    set_up = stage(automatic(return_rate=1.0, receive_after=30))
    order = set_up.create()
    set_up.clock.advance(1000)
    assert order.status_id == 800
    assert [event for _, event in set_up.told][-2:] == ["order.returned", "order.return_receive"]
    never = stage(automatic(return_rate=1.0, receive_after=None))
    never.create()
    never.clock.advance(1000)
    assert never.told[-1] == (800, "order.returned")


def test_completed_orders_may_come_back_after_all() -> None:
    set_up = stage(automatic(late_return_rate=1.0, receive_after=30))
    set_up.create()
    set_up.clock.advance(1000)
    assert [event for _, event in set_up.told][-3:] == ["order.completed", "order.returned", "order.return_receive"]


def test_omisells_side_may_cancel_and_steps_may_be_skipped() -> None:
    set_up = stage(automatic(cancel_rate=1.0, skip_rate=1.0))
    set_up.create()
    set_up.clock.advance(1000)
    assert [status for status, _ in set_up.told] == [200, 300, 400, 703]


def test_jitter_varies_the_delays() -> None:
    set_up = stage(automatic(jitter=0.5))
    orders = [set_up.create(order_number=f"WEB-{n}") for n in range(50)]
    set_up.clock.advance(10)
    assert 10 < sum(order.status_id == 250 for order in orders) < 40


def test_nothing_moves_by_itself_when_stopped_or_in_a_status_without_delay() -> None:
    set_up = stage(automatic())
    order = set_up.create()
    set_up.life.advance(order, 440)
    set_up.clock.advance(1000)
    assert order.status_id == 440
    set_up.life.advance(order, 460)
    set_up.life.stop()
    set_up.clock.advance(1000)
    assert order.status_id == 460


def test_a_hand_on_an_automatic_order_restarts_its_delay() -> None:
    set_up = stage(automatic())
    order = set_up.create()
    set_up.clock.advance(8)
    set_up.life.advance(order)
    set_up.clock.advance(8)
    assert order.status_id == 250
    set_up.clock.advance(2)
    assert order.status_id == 300


def test_an_order_made_before_the_first_waking_begins_to_live_then() -> None:
    set_up = stage(automatic())
    set_up.life.stop()
    order = set_up.create()
    set_up.clock.advance(1000)
    assert order.status_id == 200
    set_up.life.wake()
    set_up.clock.advance(10)
    assert order.status_id == 250


def test_no_number_is_given_twice() -> None:
    class Stuck(random.Random):
        drawn = 0

        def getrandbits(self, k: int, /) -> int:
            Stuck.drawn += 1
            return 7 if Stuck.drawn < 4 else 8

    set_up = stage()
    set_up.life._chance = Stuck()
    numbers = [set_up.create().omisell_order_number for _ in range(2)]
    assert numbers == ["ODVN26092100000007", "ODVN26092100000008"]
    assert Stuck.drawn == 4
