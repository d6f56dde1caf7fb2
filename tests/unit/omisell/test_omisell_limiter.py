"""The limiter against Omisell's bucket as it really is: never over, never idle while work waits, nobody starved."""

import asyncio
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omisync.omisell import CallClass, Shares

CANCEL, ADD, REFRESH, SWEEP = CallClass.CANCEL, CallClass.ADD, CallClass.REFRESH, CallClass.SWEEP
CLASSES = st.sampled_from([(ADD,), (ADD, REFRESH), (CANCEL, REFRESH, SWEEP)])


@settings(max_examples=12, deadline=None)
@given(
    replicas=st.integers(1, 3),
    size=st.sampled_from([50.0, 100.0, 240.0]),
    per_minute=st.sampled_from([100.0, 240.0]),
    latency=st.sampled_from([0.02, 0.3, 1.0]),
    classes=CLASSES,
)
def test_alone_with_the_account_no_call_is_ever_refused(
    virtually: Any, world: Any, replicas: int, size: float, per_minute: float, latency: float, classes: Any
) -> None:
    async def experiment() -> None:
        w = world(size=size, leak_per_minute=per_minute, replicas=replicas, latency=latency)
        await w.for_seconds(90, *(w.work(budget, cls) for budget in w.budgets for cls in classes))
        assert w.bucket.refused == []
        # Idle at most: until the first answer has come, and while the bucket is filled from empty.
        assert w.bucket.emptied <= w.bucket.leak * (3 * latency + 0.5)

    virtually(experiment)


@settings(max_examples=12, deadline=None)
@given(
    replicas=st.integers(1, 3),
    stranger=st.sampled_from([0.05, 0.1, 0.2]),
    latency=st.sampled_from([0.02, 0.2, 0.5]),
    classes=CLASSES,
)
def test_with_a_stranger_no_call_is_refused_after_two_seconds(
    virtually: Any, world: Any, replicas: int, stranger: float, latency: float, classes: Any
) -> None:
    async def experiment() -> None:
        w = world(replicas=replicas, stranger=stranger, latency=latency)
        await w.for_seconds(120, *(w.work(budget, cls) for budget in w.budgets for cls in classes))
        assert w.refused_late == []
        assert w.used_share(120) >= 0.97

    virtually(experiment)


def test_the_row_is_changed_less_than_once_a_second_at_the_true_limit(virtually: Any, world: Any) -> None:
    async def experiment() -> None:
        w = world()
        await w.for_seconds(120, w.work(w.budgets[0], ADD))  # the first burst
        before = w.pool.exchanges
        await w.for_seconds(0)
        assert before / 120 < 0.9

    virtually(experiment)


def test_what_was_in_the_bucket_before_us_is_believed_from_the_first_answer_on(virtually: Any, world: Any) -> None:
    async def experiment() -> None:
        w = world(replicas=2)
        w.bucket.level = 90.0
        await w.for_seconds(60, *(w.work(budget, ADD) for budget in w.budgets))
        assert w.bucket.refused == []
        assert w.bucket.emptied == 0.0

    virtually(experiment)


def test_a_cancel_overtakes_a_backlog_of_adds(virtually: Any, world: Any) -> None:
    async def experiment() -> None:
        w = world(replicas=2, latency=0.1)
        adds = [asyncio.create_task(w.work(budget, ADD)) for budget in w.budgets]
        await asyncio.sleep(60)
        waits = []
        for turn in range(20):
            began = w.clock()
            await w.call(w.budgets[turn % 2], CANCEL)
            waits.append(w.clock() - began)
            await asyncio.sleep(5)
        await w.for_seconds(0)
        for task in adds:
            task.cancel()
        assert max(waits) <= 2.0 + 0.1
        assert w.bucket.refused == []

    virtually(experiment)


def test_every_class_gets_its_share_of_a_full_budget_and_the_first_what_is_left(virtually: Any, world: Any) -> None:
    async def experiment() -> None:
        w = world(shares=Shares(add=0.1, refresh=0.2, sweep=0.05))
        queues = [asyncio.create_task(w.call(w.budgets[0], cls)) for cls in (ADD, REFRESH, SWEEP) for _ in range(900)]
        await asyncio.sleep(60)
        w.served.clear()
        await asyncio.sleep(240)  # 400 calls
        total = sum(w.served.values())
        assert total == pytest.approx(400, abs=8)
        assert w.served[REFRESH] / total == pytest.approx(0.2, abs=0.01)
        assert w.served[SWEEP] / total == pytest.approx(0.05, abs=0.01)
        for task in queues:
            task.cancel()
        await asyncio.gather(*queues, return_exceptions=True)
        await w.for_seconds(0)

    virtually(experiment)


def test_without_a_share_the_less_urgent_wait(virtually: Any, world: Any) -> None:
    async def experiment() -> None:
        w = world(shares=Shares(0, 0, 0))
        queues = [asyncio.create_task(w.call(w.budgets[0], cls)) for cls in (SWEEP, ADD) for _ in range(150)]
        await asyncio.sleep(30)
        assert (w.served[ADD], w.served[SWEEP]) == (w.bucket.taken, 0)
        for task in queues:
            task.cancel()
        await asyncio.gather(*queues, return_exceptions=True)
        await w.for_seconds(0)

    virtually(experiment)


def test_a_429_stops_every_replica_for_as_long_as_omisell_says(virtually: Any, world: Any) -> None:
    async def experiment() -> None:
        w = world(replicas=2)
        work = [asyncio.create_task(w.work(budget, ADD)) for budget in w.budgets]
        await asyncio.sleep(30)
        assert w.budgets[0].throttled(20.0) == 20.0
        await asyncio.sleep(4)  # what the other had in hand is spent
        before = w.bucket.taken
        assert w.budgets[0].blocked_for == pytest.approx(16.0, abs=0.1)
        assert w.budgets[1].blocked_for == pytest.approx(16.0, abs=0.1)
        await asyncio.sleep(15)
        assert w.bucket.taken == before
        await asyncio.sleep(5)
        assert w.bucket.taken > before
        for task in work:
            task.cancel()
        await w.for_seconds(0)

    virtually(experiment)


@pytest.mark.parametrize("replicas", [1, 3])
def test_with_the_database_away_everybody_keeps_to_a_fair_share(virtually: Any, world: Any, replicas: int) -> None:
    async def experiment() -> None:
        w = world(replicas=replicas)
        work = [asyncio.create_task(w.work(budget, ADD)) for budget in w.budgets]
        await asyncio.sleep(60)
        w.pool.away = True
        await asyncio.sleep(10)
        before = w.bucket.taken
        await asyncio.sleep(60)
        assert 85 <= w.bucket.taken - before <= 101
        w.pool.away = False
        await asyncio.sleep(10)
        w.bucket.settle()
        before = w.bucket.emptied
        await asyncio.sleep(60)
        w.bucket.settle()
        assert w.bucket.emptied == before
        assert w.bucket.refused == []
        for task in work:
            task.cancel()
        await w.for_seconds(0)

    virtually(experiment)


def test_a_process_that_never_reached_the_database_takes_a_quarter_of_the_leak(virtually: Any, world: Any) -> None:
    async def experiment() -> None:
        w = world()
        w.pool.away = True
        await w.for_seconds(120, w.work(w.budgets[0], ADD))
        assert w.bucket.taken == pytest.approx(50, abs=3)

    virtually(experiment)


def test_a_dead_replicas_calls_do_not_count_for_ever(virtually: Any, world: Any) -> None:
    async def experiment() -> None:
        w = world(replicas=2, latency=10_000.0)
        hung = [asyncio.create_task(w.call(w.budgets[0], ADD)) for _ in range(30)]
        await asyncio.sleep(5)
        for task in hung:
            task.cancel()
        await asyncio.gather(*hung, return_exceptions=True)
        dead = w.budgets.pop(0)
        dead._source._closed = True  # it is killed: it says nothing any more
        dead._source._stop_timer()
        await asyncio.sleep(40)
        w.latency = 0.1
        await w.call(w.budgets[0], ADD)
        assert list(w.pool.pool.holders) == [w.budgets[0]._source._name]
        await w.for_seconds(0)

    virtually(experiment)


def test_calls_without_a_use_go_back_after_a_second(virtually: Any, world: Any) -> None:
    async def experiment() -> None:
        w = world(replicas=2)
        await w.call(w.budgets[0], ADD)
        assert await w.budgets[0].wait_available(ADD) >= 1
        held = w.pool.pool.granted
        await asyncio.sleep(2.5)  # a second for each of what nobody needs, and of what was promised
        assert w.pool.pool.granted == held
        assert [one.held for one in w.pool.pool.holders.values()] == [0]
        await w.for_seconds(0)
        assert w.pool.pool.holders == {}

    virtually(experiment)


def test_who_is_cancelled_while_waiting_takes_nothing(virtually: Any, world: Any) -> None:
    async def experiment() -> None:
        w = world(shared=False, size=2.0)
        budget = w.budgets[0]
        held = [asyncio.create_task(w.call(budget, ADD, 1000.0)) for _ in range(4)]
        await asyncio.sleep(0.01)
        waiting = asyncio.create_task(w.call(budget, ADD))
        watching = asyncio.create_task(budget.wait_available(REFRESH))
        await asyncio.sleep(0.01)
        assert budget.waiting[ADD] == 4
        for task in (waiting, watching, *held):
            task.cancel()
        await asyncio.gather(waiting, watching, *held, return_exceptions=True)
        assert sum(budget.waiting.values()) == 0

    virtually(experiment)


def test_a_place_given_in_the_moment_of_cancelling_is_given_to_the_next(virtually: Any, world: Any) -> None:
    async def experiment() -> None:
        w = world(shared=False)
        budget = w.budgets[0]

        async def enter() -> None:
            async with budget.call(ADD):
                pytest.fail("it was cancelled before")

        budget.throttled(60.0)
        task = asyncio.create_task(enter())
        await asyncio.sleep(1)
        budget._source._throttle.until = w.clock()
        budget._source._bucket = budget._source._bucket.at_most(0.0, w.clock())
        budget._pump()  # its place is given, and it has not been told yet
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert budget.used_ratio == pytest.approx(0.0)
        assert budget.room == pytest.approx(100.0)

    virtually(experiment)


def test_a_call_that_was_not_made_costs_nothing(virtually: Any, world: Any) -> None:
    async def experiment() -> None:
        for shared in (True, False):
            w = world(shared=shared)
            async with w.budgets[0].call(ADD) as place:
                place.unsent()
                place.unsent()
            await w.for_seconds(0)
            assert w.pool.pool.level == 0.0
            assert w.budgets[0].used_ratio == pytest.approx(0.0, abs=0.02)

    virtually(experiment)


def test_a_place_is_kept_for_who_was_told_to_come(virtually: Any, world: Any) -> None:
    async def experiment() -> None:
        w = world(shared=False, size=3.0, leak_per_minute=60.0)
        budget = w.budgets[0]
        async with budget.call(ADD) as place:
            place.observe(3, 3)
        told = asyncio.create_task(budget.wait_available(CANCEL))
        less = asyncio.create_task(w.call(budget, SWEEP))
        assert await told == 1
        at = w.clock()
        await w.call(budget, CANCEL, 0.0)
        assert w.clock() - at < 0.25
        await less
        assert w.times[0][1] is CANCEL

    virtually(experiment)


def test_at_a_high_limit_the_urgent_class_keeps_its_places_while_its_work_is_fetched(
    virtually: Any, world: Any
) -> None:
    async def experiment() -> None:
        w = world(shared=False, size=200.0, leak_per_minute=30_000.0, shares=Shares(add=0.1, refresh=0.1, sweep=0.0))
        budget = w.budgets[0]
        await w.for_seconds(4, w.work(budget, ADD, places=200), w.work(budget, REFRESH, places=200))
        assert w.served[ADD] / sum(w.served.values()) == pytest.approx(0.9, abs=0.02)
        assert sum(w.served.values()) == pytest.approx(4 * 500 + 200, rel=0.06)

    virtually(experiment)


@pytest.mark.parametrize("claim", [0.003, 0.02, 0.05])
@pytest.mark.parametrize("leak_per_minute", [100.0, 600.0, 6_000.0])
def test_places_that_come_in_handfuls_go_to_the_urgent_class_while_its_work_is_fetched(
    virtually: Any, world: Any, leak_per_minute: float, claim: float
) -> None:
    async def experiment() -> None:
        w = world(size=200.0, leak_per_minute=leak_per_minute, shares=Shares(add=0.1, refresh=0.1, sweep=0.0))
        budget = w.budgets[0]
        await w.for_seconds(
            30, w.work(budget, ADD, places=50, claim=claim), w.work(budget, SWEEP, places=25, claim=claim)
        )
        # the first seconds fill a bucket that was empty, faster than adds have places in flight
        later = [cls for at, cls in w.times if at - w.began > 3]
        assert later.count(ADD) / len(later) >= 0.98
        assert w.used_share(30) >= 0.97
        assert w.refused_late == []

    virtually(experiment)


def test_a_call_that_goes_ahead_goes_before_its_class_and_behind_a_more_urgent_one(virtually: Any, world: Any) -> None:
    async def experiment() -> None:
        w = world(shared=False, size=2.0, leak_per_minute=60.0)
        budget = w.budgets[0]
        went = []

        async def call(name: str, cls: CallClass, *, ahead: bool = False) -> None:
            async with budget.call(cls, ahead=ahead) as place:
                went.append(name)
                place.observe(2, 2)

        await call("first", ADD)
        waiting = [asyncio.create_task(call(name, ADD)) for name in ("add", "another")]
        await asyncio.sleep(0)
        waiting += [asyncio.create_task(call("look", ADD, ahead=True)), asyncio.create_task(call("cancel", CANCEL))]
        await asyncio.gather(*waiting)
        assert went == ["first", "cancel", "look", "add", "another"]

    virtually(experiment)


def test_who_brings_more_than_was_told_lends_nobody_a_place_that_is_not_there(virtually: Any, world: Any) -> None:
    async def experiment() -> None:
        w = world()
        budget = w.budgets[0]
        await w.call(budget, SWEEP)  # the bucket is known now
        assert await budget.wait_available(ADD) == 12
        budget.brings(ADD, 1)
        held = [asyncio.create_task(w.call(budget, ADD, 0.2)) for _ in range(3)]  # one was told, three come
        await asyncio.sleep(0.01)
        less = [asyncio.create_task(w.call(budget, SWEEP)) for _ in range(150)]
        await asyncio.gather(*held, *less)
        assert w.bucket.refused == []
        await w.for_seconds(0)

    virtually(experiment)


@pytest.mark.parametrize("latency", [0.02, 0.05])
def test_places_are_kept_for_an_urgent_class_whose_calls_are_all_in_flight(
    virtually: Any, world: Any, latency: float
) -> None:
    async def experiment() -> None:
        w = world(size=200.0, leak_per_minute=6_000.0, latency=latency, shares=Shares(add=0.1, refresh=0.1, sweep=0.0))
        budget = w.budgets[0]
        # thirteen in flight could make 260 or more calls a second, and there is room for 100: all places are theirs
        await w.for_seconds(
            30, w.work(budget, ADD, places=13, claim=0.01), w.work(budget, SWEEP, places=25, claim=0.01)
        )
        later = [cls for at, cls in w.times if at - w.began > 3]
        assert later.count(ADD) / len(later) >= 0.98
        assert w.used_share(30) >= 0.97
        assert w.refused_late == []

    virtually(experiment)


def test_what_slow_calls_of_the_urgent_class_leave_goes_to_the_others(virtually: Any, world: Any) -> None:
    async def experiment(*, others: bool) -> int:
        w = world(size=200.0, leak_per_minute=6_000.0, latency=0.4, shares=Shares(add=0.1, refresh=0.1, sweep=0.0))
        budget = w.budgets[0]
        work = [w.work(budget, ADD, places=16, claim=0.01)]
        if others:
            work.append(w.work(budget, SWEEP, places=100, claim=0.01))
        await w.for_seconds(30, *work)
        assert w.refused_late == []
        assert not others or w.used_share(30) >= 0.97
        return [cls for at, cls in w.times if at - w.began > 3].count(ADD)

    alone = virtually(lambda: experiment(others=False))
    assert alone >= 27 * 30  # sixteen at a time, 0.4 s each: far from the 100 a second that there is room for
    # calls longer than places are kept for: each time the next handful of places is waited for
    assert virtually(lambda: experiment(others=True)) >= 0.8 * alone


def test_what_the_urgent_class_does_not_bring_is_not_kept_for_it(virtually: Any, world: Any) -> None:
    async def experiment() -> None:
        w = world(size=200.0, leak_per_minute=6_000.0)
        budget = w.budgets[0]
        await w.for_seconds(
            30, w.work(budget, ADD, places=50, a_second=8.0), w.work(budget, SWEEP, places=50, claim=0.01)
        )
        assert w.served[ADD] == pytest.approx(30 * 8, abs=3)
        assert w.used_share(30) >= 0.97
        assert w.refused_late == []

    virtually(experiment)


def test_how_many_may_come_counts_the_places_of_the_next_moment(virtually: Any, world: Any) -> None:
    async def experiment() -> None:
        for leak_per_minute, told in ((60.0, 1), (6_000.0, 25)):
            w = world(shared=False, size=3.0, leak_per_minute=leak_per_minute)
            async with w.budgets[0].call(ADD) as place:
                place.observe(3, 3)
            assert await w.budgets[0].wait_available(ADD) == told

    virtually(experiment)


def test_what_is_free_is_told_without_a_wait_and_kept(virtually: Any, world: Any) -> None:
    async def experiment() -> None:
        w = world(shared=False, size=3.0, leak_per_minute=60.0)
        budget = w.budgets[0]
        await w.call(budget, SWEEP)  # the bucket is known now
        assert budget.available(ADD) == 1
        assert budget.available(SWEEP) == 0  # it is kept for the add
        budget.brings(ADD, 0)
        assert budget.available(SWEEP) == 1

    virtually(experiment)
