"""Group commit: what waits together is written together; one bad item spoils no other."""

import asyncio
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
    first = asyncio.create_task(group.submit(1))
    while not batches:  # noqa: ASYNC110 - one turn of the loop at a time, no time passes
        await asyncio.sleep(0)
    rest = [asyncio.create_task(group.submit(number)) for number in (2, 3, 4, 5)]
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
    impatient = asyncio.create_task(group.submit(1))
    patient = asyncio.create_task(group.submit(2))
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
    slow = asyncio.create_task(group.submit(1))
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
    waiting = [asyncio.create_task(group.submit(number)) for number in (1, 2)]
    await asyncio.wait_for(started.wait(), 5)
    (writer,) = group._writers
    writer.cancel()
    results = await asyncio.wait_for(asyncio.gather(*waiting, return_exceptions=True), 5)
    assert [type(result) for result in results] == [asyncio.CancelledError, asyncio.CancelledError]
