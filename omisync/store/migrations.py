"""Brings the schema up to date: plain numbered SQL, one transaction a file, safe when two start at once."""

import contextlib
import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

import asyncpg

from omisync.store.database import COMMAND_TIMEOUT, CONNECT_TIMEOUT, in_our_words
from omisync.store.errors import SchemaError
from omisync.store.sql import in_schema, sql_folder

MIGRATION_TIMEOUT = 3600.0  # seconds for one file: an index on a large table takes its time
_LOCK_NAMESPACE = 0x6F6D6973  # "omis": the advisory lock's first key; the second is the schema's own


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


def shipped() -> list[Migration]:
    """The migrations that come with this version, in their order."""
    files = sorted((sql_folder() / "migrations").glob("[0-9]*.sql"))
    return [Migration(int(file.stem.split("_")[0]), file.stem, file.read_text("utf-8")) for file in files]


async def plan(dsn: str, schema: str = "omisync") -> list[str]:
    """The names of the migrations that `migrate` would apply.

    Raises:
        SchemaError: the schema is newer than this version, or a file was edited after it was applied.
        StoreUnavailable: the database cannot be reached.
    """
    async with _connected(dsn, COMMAND_TIMEOUT) as raw:
        return [migration.name for migration in _missing(await _applied(raw, schema))]


async def migrate(dsn: str, schema: str = "omisync", *, notify: bool = False) -> list[str]:
    """Applies what is missing and returns the names; a second run applies nothing.

    Args:
        dsn: a libpq URL of a user who may create the schema and, the first time, roles.
        schema: where everything lives.
        notify: whether the shop's inserts shall NOTIFY (`outbox.notify`).

    Raises:
        SchemaError: as for `plan`.
        StoreUnavailable: the database cannot be reached.
        StoreMisused: a right is missing.
    """
    done = []
    async with _connected(dsn, MIGRATION_TIMEOUT) as raw:
        async with raw.transaction():
            await _lock(raw, schema)
            await raw.execute(in_schema(_OWN_TABLE, schema))
        while True:
            async with raw.transaction():
                await _lock(raw, schema)
                missing = _missing(await _applied(raw, schema))
                if not missing:
                    break
                await _apply(raw, missing[0], schema)
            done.append(missing[0].name)
        async with raw.transaction():
            await _lock(raw, schema)
            optional = sql_folder() / "optional" / ("notify_on.sql" if notify else "notify_off.sql")
            await raw.execute("SET LOCAL client_min_messages = warning")
            await raw.execute(in_schema(optional.read_text("utf-8"), schema))
    return done


async def require_current(dsn: str, schema: str = "omisync") -> None:
    """Refuses to work on a schema that is not this version's.

    Raises:
        SchemaError: with the command that mends it.
        StoreUnavailable: the database cannot be reached.
    """
    missing = await plan(dsn, schema)
    if missing:
        raise SchemaError(
            f"schema {schema} lacks {', '.join(missing)}; run `omisync migrate` with a user who owns the schema"
        )


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


async def _apply(raw: asyncpg.Connection, migration: Migration, schema: str) -> None:
    await raw.execute(in_schema(migration.text, schema))
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


def _missing(applied: dict[int, tuple[str, str]]) -> list[Migration]:
    ours = shipped()
    known = {migration.version for migration in ours}
    for version, (name, _) in sorted(applied.items()):
        if version not in known:
            raise SchemaError(
                f"the schema has migration {name}, which this version does not know; install the newer omisync again"
            )
    for migration in ours:
        if migration.version in applied and applied[migration.version][1] != migration.checksum:
            raise SchemaError(
                f"migration {migration.name} was applied with another text; reinstall the omisync that applied it"
            )
    return [migration for migration in ours if migration.version not in applied]
