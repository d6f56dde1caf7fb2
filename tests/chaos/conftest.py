"""Small worlds for aimed faults."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.chaos.world import World, world


@pytest.fixture
async def one_world(dsn: str, tmp_path: Path) -> AsyncIterator[World]:
    """A world with nothing planted yet."""
    async with world(dsn, tmp_path) as made:
        yield made
