"""Brings the schema up to date: plain numbered SQL, one transaction a file, safe when two start at once.

An upgrade has two halves. What `0013_x.sql` does is additive and is applied while daemons of the version before are at
work; what `0014_y.after.sql` does (drop, rename, tighten) would break those, and waits until none of them lives.
"""

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

import asyncpg

from omisync import __version__
from omisync.store.database import COMMAND_TIMEOUT, CONNECT_TIMEOUT, in_our_words
from omisync.store.errors import SchemaError, StoreUnavailable
from omisync.store.sql import in_schema, sql_folder

MIGRATION_TIMEOUT = 3600.0  # seconds for one file: an index on a large table takes its time
_LOCK_NAMESPACE = 0x6F6D6973  # "omis": the advisory lock's first key; the second is the schema's own


AFTER = ".after"
"""Ends the name of a migration that must wait for the last daemon of the version before."""
LOCK_WAIT = "3s"
"""For a table's lock. Whoever waits for one has everybody behind itself waiting too: the shop's checkout."""
LOCK_TRIES = 20
LOCK_PAUSE = 1.0  # seconds between tries, in which the shop's transactions pass
SEEN_LATELY = 60.0  # seconds since a daemon's last sign of life, which comes every 5 s


@dataclass(frozen=True, slots=True)
class Migration:
    """One numbered file of `sql/migrations`."""

    version: int
    name: str
    text: str

    @property
    def checksum(self) -> str:
        """SHA-256 of the text, in hex: a file that was applied is never edited."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    @property
    def waits(self) -> bool:
        """Whether it is applied only when no daemon of the version before lives."""
        return self.name.endswith(AFTER)


@dataclass(frozen=True, slots=True)
class Plan:
    """The names of what is not applied yet.

    Attributes:
        now: what `migrate` applies.
        later: what only `migrate(after=True)` applies.
    """

    now: tuple[str, ...] = ()
    later: tuple[str, ...] = ()


def shipped() -> list[Migration]:
    """The migrations that come with this version, in their order."""
    files = sorted((sql_folder() / "migrations").glob("[0-9]*.sql"))
    return [
        Migration(int(file.stem.split("_")[0]), file.name.removesuffix(".sql"), file.read_text("utf-8"))
        for file in files
    ]


async def plan(dsn: str, schema: str = "omisync") -> Plan:
    """What `migrate` would apply.

    Raises:
        SchemaError: the schema is newer than this version, or a file was edited after it was applied.
        StoreUnavailable: the database cannot be reached.
    """
    async with _connected(dsn, COMMAND_TIMEOUT) as raw:
        applied = await _applied(raw, schema)
    _refuse_newer(applied)
    return _planned(applied)


async def migrate(dsn: str, schema: str = "omisync", *, notify: bool = False, after: bool = False) -> list[str]:
    """Applies what is missing and returns the names; a second run applies nothing.

    Into an empty schema everything goes at once: there is no daemon to wait for.

    Args:
        dsn: a libpq URL of a user who may create the schema and, the first time, roles.
        schema: where everything lives.
        notify: whether the shop's inserts shall NOTIFY (`outbox.notify`).
        after: whether what waits for the last old daemon is applied too.

    Raises:
        SchemaError: as for `plan`; or a daemon of another version lives and `after` is asked for.
        StoreUnavailable: the database cannot be reached, or a table stays locked.
        StoreMisused: a right is missing.
    """
    done: list[str] = []
    async with _connected(dsn, MIGRATION_TIMEOUT) as raw:
        async with raw.transaction():
            await _lock(raw, schema)
            await raw.execute(in_schema(_OWN_TABLE, schema))
            everything = after or not await _applied(raw, schema)
        while (name := await _one_more(raw, schema, everything=everything)) is not None:
            done.append(name)
        async with raw.transaction():
            await _lock(raw, schema)
            optional = sql_folder() / "optional" / ("notify_on.sql" if notify else "notify_off.sql")
            await raw.execute("SET LOCAL client_min_messages = warning")
            await raw.execute(in_schema(optional.read_text("utf-8"), schema))
    return done


async def require_current(dsn: str, schema: str = "omisync") -> Plan:
    """Refuses to work on a schema that this version cannot use; what is additive of a newer version does no harm.

    Returns:
        What is left to do: only migrations that wait.

    Raises:
        SchemaError: with the command that mends it.
        StoreUnavailable: the database cannot be reached.
    """
    async with _connected(dsn, COMMAND_TIMEOUT) as raw:
        applied = await _applied(raw, schema)
    gone = [name for name in _unknown(applied) if name.endswith(AFTER)]
    if gone:
        raise SchemaError(
            f"schema {schema} is too new for omisync {__version__}: {', '.join(gone)} has taken away what this version "
            "needs; install the newer omisync again (`pip install --upgrade omisync`)"
        )
    left = _planned(applied)
    if left.now:
        raise SchemaError(
            f"schema {schema} is too old for omisync {__version__}: it lacks {', '.join(left.now)}; "
            "run `omisync migrate` with a user who owns the schema"
        )
    return left


_OTHERS = """
SELECT name, version, extract(epoch FROM now() - seen_at)::float8 AS seconds FROM omisync.replicas
WHERE version <> $1 AND seen_at > now() - make_interval(secs => $2) ORDER BY name
"""

_OWN_TABLE = """
CREATE SCHEMA IF NOT EXISTS omisync;
CREATE TABLE IF NOT EXISTS omisync.migrations (
    version    integer PRIMARY KEY,
    name       text        NOT NULL,
    checksum   text        NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
);
"""


@contextlib.asynccontextmanager
async def _connected(dsn: str, seconds: float) -> AsyncIterator[asyncpg.Connection]:
    with in_our_words():
        raw = await asyncpg.connect(dsn, timeout=CONNECT_TIMEOUT, command_timeout=seconds, statement_cache_size=0)
        try:
            yield raw
        finally:
            await raw.close(timeout=CONNECT_TIMEOUT)


async def _lock(raw: asyncpg.Connection, schema: str) -> None:
    await raw.execute("SET LOCAL client_min_messages = warning")
    await raw.execute("SELECT pg_advisory_xact_lock($1, hashtext($2))", _LOCK_NAMESPACE, schema)


async def _one_more(raw: asyncpg.Connection, schema: str, *, everything: bool) -> str | None:
    """Applies the next migration; its name, or None if there is none left."""
    for attempt in range(1, LOCK_TRIES + 1):
        try:
            async with raw.transaction():
                await _lock(raw, schema)
                applied = await _applied(raw, schema)
                _refuse_newer(applied)
                due = [one for one in _missing(applied) if everything or not one.waits]
                if not due:
                    return None
                if due[0].waits:
                    await _refuse_while_others_live(raw, schema, due[0])
                await _apply(raw, due[0], schema)
                return due[0].name
        except asyncpg.LockNotAvailableError as error:
            if attempt == LOCK_TRIES:
                raise StoreUnavailable(
                    f"a table of schema {schema} stays locked by another transaction ({error}): find that one in "
                    "pg_stat_activity, then run `omisync migrate` again"
                ) from error
            await asyncio.sleep(LOCK_PAUSE)
    return None


async def _refuse_while_others_live(raw: asyncpg.Connection, schema: str, migration: Migration) -> None:
    if await raw.fetchval("SELECT to_regclass($1)", in_schema("omisync.replicas", schema)) is None:
        return  # an empty schema is being made
    rows = await raw.fetch(in_schema(_OTHERS, schema), __version__, SEEN_LATELY)
    if rows:
        who = ", ".join(f"{row['name']} ({row['version']}, seen {row['seconds']:.0f} s ago)" for row in rows)
        raise SchemaError(
            f"{migration.name} waits until every daemon is omisync {__version__}; another version still runs: {who}. "
            "Restart it with the new version, then run `omisync migrate --after` again"
        )


async def _apply(raw: asyncpg.Connection, migration: Migration, schema: str) -> None:
    await raw.execute(f"SET LOCAL lock_timeout = '{LOCK_WAIT}'")
    await raw.execute(in_schema(migration.text, schema))
    await raw.execute("SET LOCAL lock_timeout = 0")
    await raw.execute(
        in_schema("INSERT INTO omisync.migrations (version, name, checksum) VALUES ($1, $2, $3)", schema),
        migration.version,
        migration.name,
        migration.checksum,
    )


async def _applied(raw: asyncpg.Connection, schema: str) -> dict[int, tuple[str, str]]:
    if await raw.fetchval("SELECT to_regclass($1)", in_schema("omisync.migrations", schema)) is None:
        return {}
    rows = await raw.fetch(in_schema("SELECT version, name, checksum FROM omisync.migrations", schema))
    return {row["version"]: (row["name"], row["checksum"]) for row in rows}


def _unknown(applied: dict[int, tuple[str, str]]) -> list[str]:
    known = {migration.version for migration in shipped()}
    return [name for version, (name, _) in sorted(applied.items()) if version not in known]


def _refuse_newer(applied: dict[int, tuple[str, str]]) -> None:
    for name in _unknown(applied):
        raise SchemaError(
            f"the schema has migration {name}, which this version does not know; install the newer omisync again"
        )


def _missing(applied: dict[int, tuple[str, str]]) -> list[Migration]:
    ours = shipped()
    for migration in ours:
        if migration.version in applied and applied[migration.version][1] != migration.checksum:
            raise SchemaError(
                f"migration {migration.name} was applied with another text; reinstall the omisync that applied it"
            )
    return [migration for migration in ours if migration.version not in applied]


def _planned(applied: dict[int, tuple[str, str]]) -> Plan:
    missing = _missing(applied)
    now = tuple(migration.name for migration in missing if not (migration.waits and applied))
    return Plan(now, tuple(migration.name for migration in missing if migration.name not in now))
