"""Omisell for a command that runs once: the daemon's token and budget where there are some, its own where not."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from omisync.config import Settings, load_settings
from omisync.omisell import Refused
from omisync.remote import (
    OwnToken,
    Uncounted,
    list_pickups,
    list_shops,
    open_database,
    pool_of,
    sweep_now,
    tokens_of,
)
from omisync.simulator import ListConfig, Simulator, SimulatorConfig
from omisync.store import StoreError
from omisync.sync.budget import SharedBudget
from omisync.sync.tokens import SharedTokens

NOWHERE = "postgresql://nobody@127.0.0.1:1/nowhere"


def settings_for(url: str, dsn: str, **more: str) -> Settings:
    env = {
        "OMISYNC_DATABASE__DSN": dsn,
        "OMISYNC_OMISELL__BASE_URL": url,
        "OMISYNC_OMISELL__API_KEY": "k_demo",
        "OMISYNC_OMISELL__API_SECRET": "s_demo",
    }
    return load_settings(Path("config.toml"), env | more)


@pytest.fixture
async def omisell() -> AsyncIterator[Simulator]:
    """A simulator without lags."""
    simulator = Simulator(SimulatorConfig(lists=ListConfig(lag=(0, 0)), seed=5))
    await simulator.start()
    yield simulator
    await simulator.stop()


async def test_shops_and_pickups_with_the_daemons_token_and_budget(dsn: str, omisell: Simulator) -> None:
    settings = settings_for(omisell.url, dsn)
    assert 21001 in [shop.shop_id for shop in await list_shops(settings)]
    assert 167 in [pickup.id for pickup in await list_pickups(settings)]
    assert omisell.ledger.calls["token.get"] == 1
    connection = await asyncpg.connect(dsn)
    try:
        row = await connection.fetchrow("SELECT level, granted, holders FROM omisync.bucket")
    finally:
        await connection.close()
    assert row["granted"] >= 3
    assert 2 <= row["level"] <= 4  # three calls were made, and nothing was kept
    assert json.loads(row["holders"]) == {}


async def test_without_a_database_the_token_is_its_own(omisell: Simulator) -> None:
    settings = settings_for(omisell.url, NOWHERE)
    assert 21001 in [shop.shop_id for shop in await list_shops(settings)]
    assert omisell.ledger.calls["token.get"] == 1


async def test_where_token_and_budget_are_taken_from(dsn: str, empty_dsn: str) -> None:
    for url, token, pool in ((dsn, SharedTokens, SharedBudget), (empty_dsn, OwnToken, type(None))):
        async with open_database(settings_for("http://127.0.0.1:1", url)) as database:
            tokens = await tokens_of(database)
            assert isinstance(tokens, token)
            assert isinstance(pool_of(database, tokens), pool)


async def test_a_token_of_its_own_is_kept_until_the_end() -> None:
    store: Any = OwnToken()
    assert await store.load() is None
    async with store.exclusive():
        await store.save("t")
    assert await store.load() == "t"


async def test_a_sweep_asks_for_what_differs_and_a_dry_run_only_tells(dsn: str, omisell: Simulator) -> None:
    omisell.create({"order_number": "WEB-1"}, status_id=300)
    settings = settings_for(omisell.url, dsn)
    pages = []
    swept = await sweep_now(settings, 3600.0, dry_run=True, on_page=lambda page, of: pages.append((page, of)))
    assert [one.order_number for one in swept.repairs] == ["WEB-1"]
    assert pages
    connection = await asyncpg.connect(dsn)
    try:
        assert await connection.fetchval("SELECT count(*) FROM omisync.refreshes") == 0
        await sweep_now(settings, 3600.0)
        assert await connection.fetchval("SELECT count(*) FROM omisync.refreshes") == 1
    finally:
        await connection.close()


async def test_a_sweep_without_the_tables_asks_omisell_nothing(empty_dsn: str, omisell: Simulator) -> None:
    with pytest.raises(StoreError):
        await sweep_now(settings_for(omisell.url, empty_dsn), 3600.0)
    assert sum(omisell.ledger.calls.values()) == 0


async def test_a_refusal_comes_out_as_it_is(omisell: Simulator) -> None:
    settings = settings_for(omisell.url, NOWHERE, OMISYNC_OMISELL__PATHS__SHOP_LIST="/nowhere")
    with pytest.raises(Refused):
        await list_shops(settings)


def test_nobody_reads_what_a_command_counts() -> None:
    uncounted = Uncounted()
    uncounted.request("order.add", "200", 0.1)
    uncounted.outbox_done("order.add", "added")
    uncounted.sweep_repair("missing")
