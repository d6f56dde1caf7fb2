"""A small world for each test: a fresh database, Omisell's simulator, daemons as real processes."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.chaos.world import World, world


@pytest.fixture
async def made(dsn: str, tmp_path: Path) -> AsyncIterator[World]:
    """The world, with nothing running but the simulator."""
    async with world(dsn, tmp_path) as one:
        yield one
