"""The watch wakes whom there is something for, and nobody else."""

import asyncio

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
