"""The fixtures themselves: a database of its own for each test."""

import asyncpg
import pytest


@pytest.mark.parametrize("round_number", [1, 2])
async def test_each_test_has_a_database_of_its_own(dsn: str, round_number: int) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute("CREATE TABLE public.traces (n int)")  # the second round would fail if shared
        name = await connection.fetchval("SELECT current_database()")
    finally:
        await connection.close()
    assert name.startswith("omisync_test_")


async def test_the_empty_database_has_no_schema_of_ours(empty_dsn: str) -> None:
    connection = await asyncpg.connect(empty_dsn)
    try:
        assert await connection.fetchval("SELECT to_regnamespace('omisync')") is None
    finally:
        await connection.close()
