"""Three replicas, one Postgres, one Omisell: the limit is kept by all together, and all of it is used."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import aiohttp
import pytest

from omisync.omisell import Budget, CallClass, Throttled
from omisync.omisell.transport import Request, Transport
from omisync.remote import Uncounted
from omisync.simulator import BucketConfig, Simulator, SimulatorConfig
from omisync.store import Database
from omisync.store.bucket import SharedBucket
from omisync.sync.budget import SharedBudget

A_MINUTE = 2_400.0
"""Slow enough that a busy machine which stands still for two seconds has not let the bucket run empty."""
SECONDS = 6.0
WARM_UP = 2.0
"""Seconds in which connections come up and the bucket is filled."""
WORKERS = 6
KEY = json.dumps({"api_key": "k_demo", "api_secret": "s_demo"})


@pytest.fixture
async def omisell() -> AsyncIterator[Simulator]:
    """A simulator whose limit is twenty-four times the real one."""
    simulator = Simulator(SimulatorConfig(bucket=BucketConfig(size=100, leak_per_minute=A_MINUTE)))
    await simulator.start()
    yield simulator
    await simulator.stop()


class _Emptied:
    """Counts what the simulator's bucket could have leaked and did not, because nothing was in it."""

    def __init__(self, simulator: Simulator) -> None:
        self._bucket = simulator.gate.bucket()
        self.calls = 0.0

    def look(self) -> None:
        bucket = self._bucket
        before, at = bucket._level, bucket._at
        _ = bucket.level
        change = (bucket._stranger() - bucket.leak_per_minute) / 60 * (bucket._at - at)
        self.calls += max(0.0, -(before + change))


@pytest.mark.parametrize("stranger", [0.0, 0.2])
async def test_nobody_is_refused_and_nothing_is_left_unused(dsn: str, omisell: Simulator, stranger: float) -> None:
    if stranger:
        omisell.faults.set("stranger", per_minute=stranger * A_MINUTE)
    url = omisell.url + "/api/v2/auth/token/get/"
    request = Request("token.get", "POST", url, CallClass.ADD, body=KEY)
    ends = asyncio.Event()
    refused: list[float] = []
    emptied = _Emptied(omisell)
    original = omisell.gate.bucket().take

    def take() -> bool:
        emptied.look()
        return original()

    omisell.gate.bucket().take = take  # type: ignore[method-assign] # to look before each call
    async with AsyncExitStack() as stack:
        session = await stack.enter_async_context(aiohttp.ClientSession())
        budgets, transports = [], []
        for _ in range(3):
            database = Database(dsn, pool_size=2)
            stack.push_async_callback(database.close)
            budget = Budget(100, A_MINUTE, pool=SharedBudget(SharedBucket(database)))
            stack.push_async_callback(budget.close)
            budgets.append(budget)
            transports.append(Transport(session, budget, Uncounted(), 30.0))
        began = time.monotonic()

        async def work(transport: Transport) -> None:
            while not ends.is_set():
                try:
                    await transport.call(request, {"Content-Type": "application/json"})
                except Throttled:
                    refused.append(time.monotonic() - began)

        tasks = [asyncio.create_task(work(transport)) for transport in transports for _ in range(WORKERS)]
        await asyncio.sleep(WARM_UP)
        emptied.look()
        emptied.calls, measured = 0.0, time.monotonic()
        await asyncio.sleep(SECONDS)  # calls in a time are what is counted
        emptied.look()
        lasted = time.monotonic() - measured
        ends.set()
        await asyncio.gather(*tasks)
    assert [at for at in refused if at > WARM_UP] == []
    assert 1 - emptied.calls / (A_MINUTE / 60 * lasted) >= 0.97


async def test_what_a_replica_leaves_unused_the_others_get(dsn: str) -> None:
    databases = [Database(dsn, pool_size=2) for _ in range(2)]
    budgets: list[Any] = [Budget(100, 0.001, pool=SharedBudget(SharedBucket(one))) for one in databases]
    try:
        async with budgets[0].call(CallClass.ADD) as place:
            place.observe(0, 100)
        assert await budgets[0].wait_available(CallClass.ADD) >= 1
        await budgets[0].close()
        row, _ = await SharedBucket(databases[1]).read()
        assert row.holders == {}
        assert row.level == pytest.approx(1.0, abs=0.01)
    finally:
        await budgets[1].close()
        for one in databases:
            await one.close()
