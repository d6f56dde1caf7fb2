"""Loops that outlive their failures, waits that a stop cuts short, and the breaker's probes one at a time."""

import asyncio
import contextlib
from typing import Any

import pytest

from omisync.omisell import Unavailable
from omisync.store import StoreUnavailable
from omisync.sync import breaker as breaker_module
from omisync.sync import loop as loop_module
from omisync.sync.breaker import Breaker
from omisync.sync.loop import Wake, forever, unless_set

SECONDS = 10.0


class Door:
    """An Omisell of which only the ping matters: it waits at the gate, then answers with what is set."""

    def __init__(self) -> None:
        self.answer: BaseException | None = None
        self.gate = asyncio.Event()
        self.gate.set()
        self.inside = 0
        self.most_inside = 0
        self.pings = asyncio.Semaphore(0)

    async def ping(self) -> None:
        self.inside += 1
        self.most_inside = max(self.most_inside, self.inside)
        self.pings.release()
        try:
            await self.gate.wait()
        finally:
            self.inside -= 1
        if self.answer is not None:
            raise self.answer


async def test_while_it_is_open_one_probe_at_a_time_asks_until_omisell_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(breaker_module, "FIRST_PROBE", 0.001)
    door: Any = Door()
    breaker = Breaker(door)
    probing = asyncio.create_task(breaker.run())
    async with asyncio.timeout(SECONDS):
        door.gate.clear()
        door.answer = Unavailable("no connection", maybe_applied=False)
        suspects = [asyncio.create_task(breaker.suspect()) for _ in range(5)]
        await door.pings.acquire()
        door.gate.set()
        assert await asyncio.gather(*suspects) == [True] * 5
        waiting = asyncio.create_task(breaker.passable())
        for _ in range(3):
            await door.pings.acquire()
        assert breaker.is_open
        assert not waiting.done()
        door.answer = StoreUnavailable("the token cannot be had")
        await door.pings.acquire()
        door.answer = None
        await waiting
    assert not breaker.is_open
    assert breaker.reason is None
    assert door.most_inside == 1
    probing.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await probing


async def test_a_loop_goes_on_after_the_database_was_away_and_after_a_fault_of_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(loop_module, "FIRST_WAIT", 0.001)
    stopping = asyncio.Event()
    steps: list[Any] = [StoreUnavailable("away"), StoreUnavailable("away"), RuntimeError("a fault"), True, False]

    async def step() -> bool:
        outcome = steps.pop(0) if steps else False
        if isinstance(outcome, Exception):
            raise outcome
        if not steps:
            stopping.set()
        return bool(outcome)

    async with asyncio.timeout(SECONDS):
        await forever("test", step, interval=0.001, wake=Wake(), stopping=stopping)
    assert steps == []


@pytest.mark.parametrize(("steady", "pauses"), [(False, [20.0, 20.0, 120.0]), (True, [20.0, 20.0, 20.0])])
async def test_a_loop_that_is_idle_for_long_looks_less_often_unless_it_is_steady(
    steady: bool, pauses: list[float]
) -> None:
    stopping = asyncio.Event()
    waited: list[float] = []

    class Told(Wake):
        async def wait(self, seconds: float) -> None:
            waited.append(seconds)
            if len(waited) == len(pauses):
                stopping.set()

    async def nothing() -> bool:
        return False

    await forever("test", nothing, interval=20.0, wake=Told(), stopping=stopping, steady=steady)
    assert waited == pauses


async def test_a_wake_ends_the_wait_under_way_and_several_are_one() -> None:
    wake = Wake()
    wake.set()
    wake.set()
    async with asyncio.timeout(SECONDS):
        await wake.wait(3600.0)
    await wake.wait(0.001)


async def test_a_stop_cuts_a_wait_short() -> None:
    stopping = asyncio.Event()

    async def soon() -> int:
        return 5

    async def never() -> int:
        await asyncio.Event().wait()
        return 0

    assert await unless_set(stopping, soon()) == 5
    waiting = asyncio.create_task(unless_set(stopping, never()))
    await asyncio.sleep(0)
    stopping.set()
    assert await asyncio.wait_for(waiting, SECONDS) is None
