"""Group commit: what waits together is written together; one bad item spoils no other; a backlog is worked off."""

import asyncio
import time
from collections.abc import Sequence

import pytest

from omisync.store.errors import StoreUnavailable
from omisync.store.group_commit import GroupCommit


async def test_what_waits_while_a_write_is_under_way_shares_the_next_one() -> None:
    batches: list[list[int]] = []
    gate = asyncio.Event()

    async def write(items: Sequence[int]) -> list[int]:
        batches.append(list(items))
        await gate.wait()
        return [item * 10 for item in items]

    group: GroupCommit[int, int] = GroupCommit(write, most=3)
    first = asyncio.ensure_future(group.submit(1))
    while not batches:  # noqa: ASYNC110 - one turn of the loop at a time, no time passes
        await asyncio.sleep(0)
    rest = [asyncio.ensure_future(group.submit(number)) for number in (2, 3, 4, 5)]
    await asyncio.sleep(0)
    assert group.depth == 4
    gate.set()
    assert await asyncio.wait_for(asyncio.gather(first, *rest), 5) == [10, 20, 30, 40, 50]
    assert batches == [[1], [2, 3, 4], [5]]


async def test_an_unavailable_store_is_told_to_all_and_tried_once() -> None:
    calls = 0

    async def write(_: Sequence[int]) -> list[int]:
        nonlocal calls
        calls += 1
        raise StoreUnavailable("away")

    group: GroupCommit[int, int] = GroupCommit(write)
    results = await asyncio.gather(group.submit(1), group.submit(2), return_exceptions=True)
    assert [str(result) for result in results] == ["away", "away"]
    assert calls == 1


async def test_a_bad_item_fails_alone() -> None:
    async def write(items: Sequence[int]) -> list[int]:
        if 2 in items:
            raise ValueError("two")
        return list(items)

    group: GroupCommit[int, int] = GroupCommit(write)
    one, two, three = await asyncio.gather(*(group.submit(number) for number in (1, 2, 3)), return_exceptions=True)
    assert (one, three) == (1, 3)
    assert isinstance(two, ValueError)


async def test_who_gave_up_waiting_disturbs_nobody() -> None:
    gate = asyncio.Event()

    async def write(items: Sequence[int]) -> list[int]:
        await gate.wait()
        return list(items)

    group: GroupCommit[int, int] = GroupCommit(write)
    impatient = asyncio.ensure_future(group.submit(1))
    patient = asyncio.ensure_future(group.submit(2))
    await asyncio.sleep(0)
    impatient.cancel()
    gate.set()
    with pytest.raises(asyncio.CancelledError):
        await impatient
    assert await asyncio.wait_for(patient, 5) == 2


async def test_several_writers_let_a_slow_write_hold_nobody_else() -> None:
    gate = asyncio.Event()

    async def write(items: Sequence[int]) -> list[int]:
        if 1 in items:
            await gate.wait()
        return list(items)

    group: GroupCommit[int, int] = GroupCommit(write, most=1, writers=2)
    slow = asyncio.ensure_future(group.submit(1))
    assert await asyncio.wait_for(asyncio.gather(*(group.submit(number) for number in (2, 3, 4))), 5) == [2, 3, 4]
    assert not slow.done()
    gate.set()
    assert await asyncio.wait_for(slow, 5) == 1
    assert await asyncio.wait_for(group.submit(5), 5) == 5


async def test_a_writer_that_is_cancelled_leaves_nobody_waiting() -> None:
    started = asyncio.Event()

    async def write(_: Sequence[int]) -> list[int]:
        started.set()
        await asyncio.Event().wait()
        return []

    group: GroupCommit[int, int] = GroupCommit(write, most=1)
    waiting = [asyncio.ensure_future(group.submit(number)) for number in (1, 2)]
    await asyncio.wait_for(started.wait(), 5)
    (writer,) = group._writers
    writer.cancel()
    results = await asyncio.wait_for(asyncio.gather(*waiting, return_exceptions=True), 5)
    assert [type(result) for result in results] == [asyncio.CancelledError, asyncio.CancelledError]


async def test_a_backlog_is_worked_off_however_long_its_end_has_waited() -> None:
    async def write(items: Sequence[int]) -> list[int]:
        await asyncio.sleep(0.02)
        return list(items)

    group: GroupCommit[int, int] = GroupCommit(write, most=1, seconds=0.08)
    begin = time.monotonic()
    crowd = asyncio.gather(*(group.submit(number) for number in range(15)))
    assert await asyncio.wait_for(crowd, 5) == list(range(15))
    assert time.monotonic() - begin >= 0.3  # far more than one write is given


async def test_a_process_that_was_held_up_itself_takes_the_answer_that_is_there() -> None:
    answered = asyncio.Event()

    async def write(items: Sequence[int]) -> list[int]:
        await answered.wait()
        return list(items)

    group: GroupCommit[int, int] = GroupCommit(write, seconds=0.05)
    waiting = asyncio.ensure_future(group.submit(1))
    while group.depth or not group._writers:  # noqa: ASYNC110 - one turn of the loop at a time, no time passes
        await asyncio.sleep(0)
    asyncio.get_running_loop().call_later(0.06, answered.set)  # late, but heard of in the same turn as the limit
    time.sleep(0.15)  # noqa: ASYNC251 - the machine gives this process no time
    assert await asyncio.wait_for(waiting, 5) == 1


async def test_while_no_write_comes_back_everybody_is_told_in_time_and_what_was_not_handed_over_is_forgotten() -> None:
    gate = asyncio.Event()
    batches: list[list[int]] = []

    async def write(items: Sequence[int]) -> list[int]:
        batches.append(list(items))
        await gate.wait()
        return list(items)

    group: GroupCommit[int, int] = GroupCommit(write, most=1, seconds=0.05)
    told = await asyncio.wait_for(asyncio.gather(*map(group.submit, (1, 2, 3)), return_exceptions=True), 5)
    assert [type(error) for error in told] == [StoreUnavailable] * 3
    assert {str(error) for error in told} == {"the database did not answer within 0.05 s"}
    with pytest.raises(StoreUnavailable):
        await asyncio.wait_for(group.submit(4), 5)  # still none: it is told after its own time
    assert group.depth == 0
    last = asyncio.ensure_future(group.submit(5))
    await asyncio.sleep(0)
    gate.set()
    assert await asyncio.wait_for(last, 5) == 5
    assert batches == [[1], [5]]


async def test_without_a_limit_a_write_may_take_as_long_as_it_likes() -> None:
    async def write(items: Sequence[int]) -> list[int]:
        await asyncio.sleep(0.05)
        return list(items)

    group: GroupCommit[int, int] = GroupCommit(write)
    assert await asyncio.wait_for(group.submit(1), 5) == 1
    assert group._timer is None
