"""This process's part of the shared bucket: what it asks, keeps and tells."""

import asyncio
from typing import Any

import pytest

from omisync.omisell import CallClass
from omisync.omisell.allotment import Allotment


def allotment(w: Any) -> Allotment:
    return Allotment(w.pool, 100.0, 1.0, w.clock, lambda: None)


def test_landing_twice_is_landing_once(virtually: Any, world: Any) -> None:
    async def experiment() -> None:
        own = allotment(world(replicas=0))
        own.plan(1, 0)
        await asyncio.sleep(0.1)
        flight = own.take(1000.0)
        own.land(flight, 1000.0, refund=True)
        own.land(flight, 1000.0, refund=True)
        assert own.room(1000.0) == 1
        await own.close()

    virtually(experiment)


def test_a_header_is_told_with_the_next_report(virtually: Any, world: Any) -> None:
    async def experiment() -> None:
        w = world(replicas=0)
        own = allotment(w)
        own.observe(-1, 100, w.clock())
        own.observe(5, 0, w.clock())
        assert own.size == 100.0
        own.observe(60, 120, w.clock())
        assert own.size == 120.0
        own.plan(1, 0)
        await asyncio.sleep(0.1)
        assert w.pool.pool.level == pytest.approx(62.0, abs=0.1)  # one more for rounding, and one granted
        await own.close()

    virtually(experiment)


def test_headers_count_with_the_database_away_too(virtually: Any, world: Any) -> None:
    async def experiment() -> None:
        w = world(replicas=0)
        w.pool.away = True
        own = allotment(w)
        assert own.level(w.clock()) == 0.0
        own.plan(1, 0)
        await asyncio.sleep(0.1)
        assert own.room(w.clock()) == pytest.approx(0.025, abs=0.01)  # a quarter of the leak, from full
        await asyncio.sleep(60)
        assert own.room(w.clock()) == pytest.approx(15, abs=1)
        own.observe(99, 100, w.clock())
        assert own.room(w.clock()) == pytest.approx(1.0)
        await own.close()

    virtually(experiment)


def test_a_database_that_does_not_answer_is_away(virtually: Any, world: Any) -> None:
    async def experiment() -> None:
        w = world(replicas=1)
        w.pool.latency = 60.0
        began = w.clock()
        await w.call(w.budgets[0], CallClass.ADD)
        assert w.clock() - began == pytest.approx(2.0 + 60 / 100 * 4, abs=0.2)  # a time-out, then a quarter's pace
        await w.for_seconds(0)

    virtually(experiment)


def test_a_close_waits_for_what_is_under_way_and_leaves_nothing_behind(virtually: Any, world: Any) -> None:
    async def experiment() -> None:
        w = world(replicas=0)
        own = allotment(w)
        own.plan(1, 0)
        await asyncio.sleep(0.1)
        own.plan(5, 0)  # an exchange begins
        await asyncio.sleep(0)
        await own.close()
        assert w.pool.pool.holders == {}
        assert w.pool.pool.level == pytest.approx(0.0, abs=0.01)
        own.plan(5, 0)
        await asyncio.sleep(10)
        assert w.pool.pool.holders == {}

    virtually(experiment)


def test_a_call_that_takes_long_keeps_its_place(virtually: Any, world: Any) -> None:
    async def experiment() -> None:
        w = world(replicas=2, latency=100.0)
        slow = asyncio.create_task(w.call(w.budgets[0], CallClass.ADD))
        await asyncio.sleep(90)
        assert sum(one.held for one in w.pool.pool.holders.values()) == 1
        await slow
        await asyncio.sleep(6)
        assert sum(one.held for one in w.pool.pool.holders.values()) == 0
        await w.for_seconds(0)

    virtually(experiment)
