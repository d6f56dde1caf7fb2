"""What a world tells of a daemon that does not come up."""

import pytest

from omisync.demo.errors import DemoError
from tests.chaos.world import World


async def test_a_daemon_that_ends_while_it_starts_is_told_in_its_own_words(one_world: World) -> None:
    daemon = one_world.replica(changes={"outbox": {"concurrency": 0}})
    with pytest.raises(DemoError, match=r"ended by itself with \d+(?s:.*)outbox\.concurrency"):
        await one_world.start(daemon)


async def test_where_a_daemon_stands_still_is_told_by_its_stacks(one_world: World) -> None:
    daemon = one_world.replica()
    await one_world.start(daemon)
    told = await daemon.stacks()
    assert "Fatal Python error: Aborted" in told
    assert "most recent call first" in told
