"""Time that a test moves by hand, and the machine's."""

import asyncio
import time

from omisync.simulator.clock import ManualClock, SystemClock, sleep


def test_a_manual_clock_stands_still_until_it_is_advanced() -> None:
    clock = ManualClock(start=1000.0)
    assert (clock.time(), clock.monotonic()) == (1000.0, 0.0)
    clock.advance(2.5)
    assert (clock.time(), clock.monotonic()) == (1002.5, 2.5)


def test_what_falls_due_is_called_in_order_and_at_its_own_time() -> None:
    clock = ManualClock(start=0.0)
    seen: list[tuple[str, float]] = []

    def first() -> None:
        seen.append(("first", clock.time()))
        clock.call_later(1, lambda: seen.append(("follows", clock.time())))

    clock.call_later(5, lambda: seen.append(("last", clock.time())))
    clock.call_later(2, first)
    clock.call_later(9, lambda: seen.append(("not yet", clock.time())))
    assert clock.next_due == 2
    clock.advance(6)
    assert seen == [("first", 2.0), ("follows", 3.0), ("last", 5.0)]
    assert clock.time() == 6
    assert clock.next_due == 3


def test_a_cancelled_call_never_comes() -> None:
    clock = ManualClock()
    seen: list[str] = []
    clock.call_later(1, lambda: seen.append("called")).cancel()
    assert clock.next_due is None
    clock.advance(10)
    assert seen == []


def test_a_step_moves_only_the_wall_clock() -> None:
    clock = ManualClock(start=5000.0)
    clock.step(-3600)
    assert (clock.time(), clock.monotonic()) == (1400.0, 0.0)


async def test_sleep_goes_by_the_given_clock() -> None:
    clock = ManualClock()
    sleeping = asyncio.create_task(sleep(clock, 90))
    await asyncio.sleep(0)
    clock.advance(89)
    await asyncio.sleep(0)
    assert not sleeping.done()
    clock.advance(1)
    await asyncio.wait_for(sleeping, 1)
    await sleep(clock, 0)  # returns at once


async def test_a_cancelled_sleep_leaves_nothing_behind() -> None:
    clock = ManualClock()
    sleeping = asyncio.create_task(sleep(clock, 90))
    await asyncio.sleep(0)
    sleeping.cancel()
    await asyncio.wait({sleeping})
    assert clock.next_due is None
    clock.advance(100)


async def test_a_sleeper_cancelled_as_it_falls_due_is_not_woken_twice() -> None:
    clock = ManualClock()
    sleeping = asyncio.create_task(sleep(clock, 1))
    await asyncio.sleep(0)
    sleeping.cancel()
    clock.advance(1)
    await asyncio.wait({sleeping})
    assert sleeping.cancelled()


async def test_the_machines_clock_can_be_ahead() -> None:
    clock = SystemClock(offset=3600)
    assert 3590 < clock.time() - time.time() < 3610
    assert abs(clock.monotonic() - time.monotonic()) < 10
    called = asyncio.Event()
    clock.call_later(0, called.set)
    await asyncio.wait_for(called.wait(), 1)
