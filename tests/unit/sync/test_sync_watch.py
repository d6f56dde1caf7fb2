"""The watch wakes whom there is something for, and nobody else."""

import asyncio
import time

import pytest

from omisync.store.due import Due
from omisync.sync.watch import Watch

NOTHING = Due(adds=False, cancels=False, pushes=False, wanted=False, owed=False, hooks=False, notices=False)


async def test_who_has_something_to_do_is_woken_and_nobody_else() -> None:
    said, woken = [NOTHING], []

    async def look() -> Due:
        return said[-1]

    names = ("adds", "cancels", "pushes", "wanted", "owed", "hooks", "notices")
    watch = Watch(look, {name: lambda name=name: woken.append(name) for name in names}, 0.001)  # type: ignore[misc]
    async with asyncio.timeout(10):
        assert await watch.step() is False
        assert woken == []
        for name in names:
            said.append(Due(**{each: each == name for each in names}))
            assert await watch.step() is True
    assert woken == list(names)


@pytest.mark.parametrize(("took", "waited"), [(0.001, []), (0.5, [4.5]), (10.0, [5.0])])
async def test_a_look_that_takes_long_is_followed_by_a_rest(
    took: float, waited: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    rests: list[float] = []

    async def look() -> Due:
        clock[0] += took
        return NOTHING

    async def wait(seconds: float) -> None:
        rests.append(round(seconds, 6))

    watch = Watch(look, {}, 0.1)
    monkeypatch.setattr(watch._pause, "wait", wait)
    assert await watch.step() is False
    assert rests == waited
