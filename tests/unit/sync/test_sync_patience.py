"""The pace of work that may wait, by a clock of the test's own and in the event loop."""

import asyncio

from omisync.omisell import CallClass
from omisync.sync.patience import PacedBudget, Pacer

SECONDS = 10.0


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Room:
    """A budget with so many places free."""

    def __init__(self, free: int) -> None:
        self.free = free
        self.brought: list[int] = []

    async def wait_available(self, cls: CallClass) -> int:
        assert cls is CallClass.SWEEP
        return self.free

    def brings(self, cls: CallClass, calls: int) -> None:
        assert cls is CallClass.SWEEP
        self.brought.append(calls)


async def test_the_first_turn_is_at_once_the_next_takes_its_time() -> None:
    clock = Clock()
    pacer = Pacer(2.0, 0.1, clock)
    assert await pacer.turns(5) == 1
    waiting = asyncio.create_task(pacer.turns(5))
    await asyncio.sleep(0)
    assert not waiting.done()
    clock.now += 0.5
    async with asyncio.timeout(SECONDS):
        assert await waiting == 1


async def test_what_was_not_used_in_time_is_not_saved_up() -> None:
    clock = Clock()
    pacer = Pacer(40.0, 1.0, clock)
    clock.now += 3600
    assert await pacer.turns(100) == 10  # a quarter of a second's
    pacer.give_back(7)
    assert await pacer.turns(100) == 7


async def test_while_something_urgent_waits_it_is_slower_and_at_its_end_goes_on_at_once() -> None:
    clock = Clock()
    pacer = Pacer(10.0, 0.001, clock)
    assert pacer.rate == 10.0
    await pacer.turns()
    pacer.slow(urgent_waits=True)
    assert (pacer.rate, pacer.slowed) == (0.001, True)
    waiting = asyncio.create_task(pacer.turns())
    await asyncio.sleep(0)
    assert not waiting.done()
    pacer.slow(urgent_waits=False)
    clock.now += 0.1
    async with asyncio.timeout(SECONDS):
        assert await waiting == 1  # not after the thousand seconds that it was going to wait


async def test_standing_back_is_never_faster_than_the_ordinary_pace() -> None:
    pacer = Pacer(1.0, 5.0)
    pacer.slow(urgent_waits=True)
    assert pacer.rate == 1.0


async def test_no_more_calls_than_places_and_no_more_than_turns() -> None:
    clock = Clock()
    pacer = Pacer(40.0, 1.0, clock)
    clock.now += 1
    assert await PacedBudget(Room(3), pacer).wait_available(CallClass.SWEEP) == 3
    much = Room(50)
    paced = PacedBudget(much, pacer)
    assert await paced.wait_available(CallClass.SWEEP) == 7
    paced.brings(CallClass.SWEEP, 2)
    assert much.brought == [0, 7, 2]
