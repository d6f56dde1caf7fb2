"""Many waits under one timer, each ended as `asyncio.timeout` would end it."""

import asyncio

import pytest

from omisync.web.patience import Patience

LONG = 5.0


async def never() -> None:
    await asyncio.Event().wait()


async def test_what_comes_in_time_is_handed_on() -> None:
    assert await Patience(LONG).wait(asyncio.sleep(0, "stored")) == "stored"


async def test_an_error_is_handed_on() -> None:
    async def fail() -> None:
        raise LookupError

    with pytest.raises(LookupError):
        await Patience(LONG).wait(fail())


async def test_what_takes_too_long_is_cancelled_and_told_as_a_timeout() -> None:
    gone = asyncio.Event()

    async def linger() -> None:
        try:
            await never()
        finally:
            gone.set()

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(Patience(0.01).wait(linger()), LONG)
    assert gone.is_set()


async def test_each_of_many_waits_has_its_own_end() -> None:
    patience = Patience(0.05)
    begun = asyncio.get_running_loop().time()
    ended: list[tuple[str, float]] = []

    async def one(name: str) -> None:
        with pytest.raises(TimeoutError):
            await patience.wait(never())
        ended.append((name, asyncio.get_running_loop().time() - begun))

    async with asyncio.TaskGroup() as group:
        group.create_task(one("first"))
        await asyncio.sleep(0.03)
        group.create_task(one("second"))
    assert [name for name, _ in ended] == ["first", "second"]
    assert ended[0][1] >= 0.045
    assert ended[1][1] >= 0.075


async def test_a_late_one_does_not_end_the_waits_beside_it() -> None:
    patience = Patience(0.05)
    release = asyncio.Event()

    async def late() -> None:
        with pytest.raises(TimeoutError):
            await patience.wait(never())
        release.set()

    task = asyncio.create_task(late())
    await asyncio.sleep(0.02)
    assert await asyncio.wait_for(patience.wait(release.wait()), LONG) is True
    await task


async def test_a_task_can_wait_again_after_it_was_late() -> None:
    patience = Patience(0.01)
    with pytest.raises(TimeoutError):
        await patience.wait(never())
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0
    assert await patience.wait(asyncio.sleep(0, "stored")) == "stored"


async def test_who_is_cancelled_is_told_so_and_not_that_it_took_long() -> None:
    task = asyncio.create_task(Patience(LONG).wait(never()))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_what_was_cancelled_by_others_is_no_timeout() -> None:
    inner = asyncio.get_running_loop().create_future()
    inner.cancel()
    with pytest.raises(asyncio.CancelledError):
        await Patience(LONG).wait(inner)
