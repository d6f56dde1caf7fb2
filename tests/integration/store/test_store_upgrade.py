"""An upgrade's two halves: what is additive goes beside the old daemon, what takes away waits until it is gone."""

import asyncio
import re
import uuid
from pathlib import Path
from typing import Any

import pytest

from omisync import __version__
from omisync.store import migrations, sql
from omisync.store.errors import SchemaError, StoreUnavailable
from omisync.store.migrations import Plan, migrate, plan, require_current, shipped

SECONDS = 30.0
BEFORE = "9001_more"
AFTER = "9002_less.after"
LATER = "9003_more_still"
NEXT = {
    BEFORE: "ALTER TABLE omisync.outbox ADD COLUMN colour text;",
    AFTER: "ALTER TABLE omisync.outbox DROP COLUMN colour;",
    LATER: "CREATE TABLE omisync.later (id bigint);",
}
COLOUR = """
SELECT EXISTS (SELECT FROM pg_attribute
               WHERE attrelid = 'omisync.outbox'::regclass AND attname = 'colour' AND NOT attisdropped)
"""


@pytest.fixture
def the_next_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A version whose migrations are this one's and three more."""
    folder = tmp_path / "sql" / "migrations"
    folder.mkdir(parents=True)
    for migration in shipped():
        (folder / f"{migration.name}.sql").write_text(migration.text)
    for name, text in NEXT.items():
        (folder / f"{name}.sql").write_text(text)
    (tmp_path / "sql" / "optional").symlink_to(sql.sql_folder() / "optional")
    monkeypatch.setattr(migrations, "sql_folder", lambda: tmp_path / "sql")
    monkeypatch.setattr(migrations, "LOCK_PAUSE", 0.01)


async def lives(house: Any, version: str, seconds_ago: float = 3.0) -> None:
    """A daemon has given a sign of life."""
    await house.sql.execute(
        "INSERT INTO omisync.replicas (id, name, version, seen_at)"
        " VALUES ($1, 'shop-1', $2, now() - make_interval(secs => $3))",
        uuid.uuid4(),
        version,
        seconds_ago,
    )


async def test_what_takes_away_is_left_for_later(house: Any, the_next_version: None) -> None:
    assert await plan(house.dsn) == Plan((BEFORE, LATER), (AFTER,))
    assert await migrate(house.dsn) == [BEFORE, LATER]
    assert await house.sql.fetchval(COLOUR)
    assert await plan(house.dsn) == Plan((), (AFTER,))
    assert await migrate(house.dsn) == []
    assert await require_current(house.dsn) == Plan((), (AFTER,))  # which keeps no daemon from starting
    assert await migrate(house.dsn, after=True) == [AFTER]
    assert not await house.sql.fetchval(COLOUR)
    assert await plan(house.dsn) == await require_current(house.dsn) == Plan()


async def test_with_after_everything_goes_in_the_files_order(house: Any, the_next_version: None) -> None:
    assert await migrate(house.dsn, after=True) == [BEFORE, AFTER, LATER]


async def test_into_an_empty_schema_everything_goes_at_once(empty_dsn: str, the_next_version: None) -> None:
    assert (await plan(empty_dsn)).later == ()
    assert (await migrate(empty_dsn))[-3:] == [BEFORE, AFTER, LATER]


async def test_what_takes_away_waits_for_the_last_daemon_of_another_version(house: Any, the_next_version: None) -> None:
    await lives(house, __version__)
    await lives(house, "0.0.9", seconds_ago=3 * migrations.SEEN_LATELY)
    await lives(house, "0.0.8")
    with pytest.raises(SchemaError) as told:
        await migrate(house.dsn, after=True)
    assert re.sub(r"seen \d+ s", "seen N s", str(told.value)) == (
        f"{AFTER} waits until every daemon is omisync {__version__}; another version still runs: "
        "shop-1 (0.0.8, seen N s ago). Restart it with the new version, then run `omisync migrate --after` again"
    )
    assert await house.sql.fetchval(COLOUR)  # the first half went through, and is kept
    await house.sql.execute("DELETE FROM omisync.replicas WHERE version = '0.0.8'")
    assert await migrate(house.dsn, after=True) == [AFTER, LATER]


async def test_the_old_version_starts_on_what_the_new_one_has_added(house: Any) -> None:
    await house.sql.execute("INSERT INTO omisync.migrations VALUES (9001, $1, 'x')", BEFORE)
    assert await require_current(house.dsn) == Plan()


async def test_the_old_version_refuses_a_schema_from_which_something_was_taken(house: Any) -> None:
    await house.sql.execute("INSERT INTO omisync.migrations VALUES (9001, $1, 'x'), (9002, $2, 'x')", BEFORE, AFTER)
    with pytest.raises(SchemaError) as told:
        await require_current(house.dsn)
    assert str(told.value) == (
        f"schema omisync is too new for omisync {__version__}: {AFTER} has taken away what this version needs; "
        "install the newer omisync again (`pip install --upgrade omisync`)"
    )


async def test_the_new_version_refuses_a_schema_that_lacks_what_was_added(house: Any, the_next_version: None) -> None:
    with pytest.raises(SchemaError) as told:
        await require_current(house.dsn)
    assert str(told.value) == (
        f"schema omisync is too old for omisync {__version__}: it lacks {BEFORE}, {LATER}; "
        "run `omisync migrate` with a user who owns the schema"
    )


async def test_a_migration_does_not_queue_up_before_the_shops_checkout(
    house: Any, the_next_version: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It lets go of its place in the lock's queue, in which the shop's inserts would stand behind it."""
    monkeypatch.setattr(migrations, "LOCK_WAIT", "100ms")
    async with asyncio.timeout(SECONDS):
        async with house.sql.transaction():
            await house.sql.execute("LOCK TABLE omisync.outbox IN SHARE MODE")  # a long report, say
            monkeypatch.setattr(migrations, "LOCK_TRIES", 3)
            with pytest.raises(StoreUnavailable, match="stays locked by another transaction"):
                await migrate(house.dsn)
            assert (await plan(house.dsn)).now == (BEFORE, LATER)
            monkeypatch.setattr(migrations, "LOCK_TRIES", 1000)
            waiting = asyncio.create_task(migrate(house.dsn))
            await house.sql.fetchval("SELECT pg_sleep(0.3)")
        assert await waiting == [BEFORE, LATER]
