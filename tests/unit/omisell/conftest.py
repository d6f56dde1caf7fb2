"""Time that runs as fast as nothing happens in it, Omisell's bucket as it really is, and callers that fill it."""

import asyncio
import contextlib
import math
import selectors
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import pytest

from omisync.omisell import Budget, CallClass, Pool, PoolAway, SharedPool, Shares

T = TypeVar("T")


class _Selector(selectors.SelectSelector):
    """Never waits: time is moved on instead."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1000.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise RuntimeError("everybody waits, and nothing is going to happen any more")
        self.now += timeout
        return super().select(0)


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose time jumps to the next timer."""

    def __init__(self) -> None:
        self._virtual = _Selector()
        super().__init__(self._virtual)

    def time(self) -> float:
        return self._virtual.now


@dataclass
class Bucket:
    """Omisell's side: exact, shared with a stranger who spends evenly."""

    size: float
    leak: float
    clock: Callable[[], float]
    stranger: float = 0.0
    level: float = 0.0
    at: float = 0.0
    taken: int = 0
    refused: list[float] = field(default_factory=list)
    emptied: float = 0.0
    """Calls that could have leaked and did not, because there was nothing in it."""

    def __post_init__(self) -> None:
        self.at = self.clock()

    def settle(self) -> None:
        now = self.clock()
        level = self.level + (self.stranger - self.leak) * (now - self.at)
        self.emptied += max(0.0, -level)
        self.level, self.at = min(max(0.0, level), self.size), now

    def take(self) -> bool:
        self.settle()
        if self.level + 1 > self.size + 1e-9:
            self.refused.append(self.clock())
            return False
        self.level += 1
        self.taken += 1
        return True

    @property
    def used(self) -> int:
        self.settle()
        return math.ceil(self.level - 1e-9)


@dataclass
class MemoryPool:
    """The shared state, as the database keeps it: after a moment, and not always."""

    clock: Callable[[], float]
    latency: float = 0.002
    away: bool = False
    exchanges: int = 0
    pool: Pool = field(default_factory=lambda: Pool(0.0, 0.0, 0.0, 0, 0.0, 0.0, 0.0, 0.0, {}))

    async def settle(self, work: Callable[[Pool, float], tuple[Pool, T]]) -> T:
        await asyncio.sleep(self.latency / 2)
        if self.away:
            raise PoolAway("no database")
        self.exchanges += 1
        self.pool, result = work(self.pool, self.clock())
        await asyncio.sleep(self.latency / 2)
        return result


@dataclass
class World:
    """Everything of one experiment; made inside the loop."""

    size: float = 100.0
    leak_per_minute: float = 100.0
    stranger: float = 0.0
    """Part of the leak that somebody else spends."""
    replicas: int = 1
    latency: float = 0.1
    """Seconds that a call takes."""
    shared: bool = True
    shares: Shares | None = None
    budgets: list[Budget] = field(default_factory=list)
    served: Counter[CallClass] = field(default_factory=Counter)
    times: list[tuple[float, CallClass]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.clock = asyncio.get_running_loop().time
        self.began = self.clock()
        leak = self.leak_per_minute / 60
        self.bucket = Bucket(self.size, leak, self.clock, self.stranger * leak)
        self.pool = MemoryPool(self.clock)
        for _ in range(self.replicas):
            self.join()

    def join(self) -> Budget:
        pool: SharedPool | None = self.pool if self.shared else None
        budget = Budget(self.size, self.leak_per_minute, self.clock, shares=self.shares, pool=pool)
        self.budgets.append(budget)
        return budget

    async def call(self, budget: Budget, cls: CallClass, latency: float | None = None) -> bool:
        half = (self.latency if latency is None else latency) / 2
        async with budget.call(cls) as place:
            await asyncio.sleep(half)
            taken = self.bucket.take()
            used = self.bucket.used
            await asyncio.sleep(half)
            place.observe(used, int(self.size))
            if not taken:
                budget.throttled(math.ceil((self.bucket.level + 1 - self.size) / self.bucket.leak) + 1)
        self.served[cls] += taken
        self.times.append((self.clock(), cls))
        return taken

    async def work(
        self,
        budget: Budget,
        cls: CallClass,
        *,
        places: int = 16,
        latencies: Sequence[float] = (),
        claim: float = 0.003,
        a_second: float = math.inf,
    ) -> None:
        """As the kernel does: as many calls as the budget says there is room for, each in a task of its own.

        Args:
            budget: the replica's.
            cls: of all its calls.
            places: calls in flight at most.
            latencies: of the calls, in turn.
            claim: seconds that it takes to fetch work.
            a_second: how much work there is; without end if not told.
        """
        began, brought = self.clock(), 0
        tasks: set[asyncio.Task[bool]] = set()
        turn = 0
        while True:
            if brought + 1 > (there := a_second * (self.clock() - began)):
                await asyncio.sleep(1 / a_second)
                continue
            room = await budget.wait_available(cls)
            await asyncio.sleep(claim)
            brings = int(max(0, min(room, places - len(tasks), there - brought)))
            brought += brings
            if brings < min(room, places - len(tasks)):
                budget.brings(cls, brings)

            for _ in range(brings):
                latency = latencies[turn % len(latencies)] if latencies else None
                turn += 1
                task = asyncio.create_task(self.call(budget, cls, latency))
                tasks.add(task)
                task.add_done_callback(tasks.discard)
            if len(tasks) >= places:
                await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)

    async def for_seconds(self, seconds: float, *work: Coroutine[Any, Any, None]) -> None:
        """Let all of this go on for so long, and then end it."""
        tasks = [asyncio.create_task(one) for one in work]
        await asyncio.sleep(seconds)
        for task in tasks:
            task.cancel()
        for task in tasks:
            with contextlib.suppress(asyncio.CancelledError):
                await task
        for budget in self.budgets:
            await budget.close()
        self.bucket.settle()

    @property
    def refused_late(self) -> list[float]:
        """Refusals after the first two seconds, as seconds since the beginning."""
        return [at - self.began for at in self.bucket.refused if at - self.began > 2]

    def used_share(self, seconds: float) -> float:
        """The part of the leak that was used, by us or the stranger."""
        return 1 - self.bucket.emptied / (self.bucket.leak * seconds)


Run = Callable[[Callable[[], Coroutine[Any, Any, T]]], T]


@pytest.fixture(scope="session")
def virtually() -> Callable[[Callable[[], Coroutine[Any, Any, Any]]], Any]:
    """Runs a coroutine in time of its own: minutes pass in milliseconds."""

    def run(work: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
        with asyncio.Runner(loop_factory=VirtualLoop) as runner:
            return runner.run(work())

    return run


@pytest.fixture(scope="session")
def world() -> type[World]:
    """What experiments are made of; to be called inside of `virtually`."""
    return World
