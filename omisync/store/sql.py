"""Finds the `sql/` folder and reads named queries out of it."""

import functools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import aiosql
from aiosql.adapters.asyncpg import AsyncPGAdapter

_SCHEMA = re.compile(r"\bomisync(?=\.[a-z_])|(?<=SCHEMA )omisync\b|(?<=EXISTS )omisync(?=;)")
_IDENTIFIER = re.compile(r"[a-z_][a-z0-9_]{0,62}")


def sql_folder() -> Path:
    """The folder `sql/`: inside an installed wheel, or beside the package in a checkout."""
    package = Path(__file__).parent.parent
    shipped = package / "_share" / "sql"
    return shipped if shipped.is_dir() else package.parent / "sql"


def in_schema(text: str, schema: str) -> str:
    """`text` with the configured schema in place of the `omisync.` it is written with.

    Raises:
        ValueError: `schema` is not a plain lower-case identifier.
    """
    if not _IDENTIFIER.fullmatch(schema):
        raise ValueError(f"database.schema {schema!r} is not a plain lower-case name")
    return _SCHEMA.sub(f'"{schema}"', text)


PLANNED_BY_VALUES = "plan: by values"
"""Begins a line of a statement's comment: it may read through a table, and is planned anew for what is asked."""


@dataclass(frozen=True, slots=True)
class Query:
    """One named statement, ready for asyncpg.

    Attributes:
        by_values: whether it is planned for the values of each call; see `PLANNED_BY_VALUES`.
    """

    name: str
    text: str
    parameters: tuple[str, ...]
    by_values: bool

    def arguments(self, values: Mapping[str, object]) -> list[object]:
        """The values in the order of the statement's numbered parameters."""
        return [values[name] for name in self.parameters]


@functools.cache
def _read(folder: Path, schema: str) -> Mapping[str, Query]:
    """A folder's statements; they do not change while the process runs, and aiosql takes its time to read them."""
    queries = {}
    for file in sorted(folder.glob("*.sql")):
        adapter = AsyncPGAdapter()  # type: ignore[no-untyped-call] # aiosql's adapters carry no types
        loaded = aiosql.from_str(in_schema(file.read_text("utf-8"), schema), lambda adapter=adapter: adapter)
        for name in loaded.available_queries:
            if name.endswith("_cursor"):
                continue  # aiosql's twin of every select
            query = getattr(loaded, name)
            by_values = any(line.strip().startswith(PLANNED_BY_VALUES) for line in (query.__doc__ or "").splitlines())
            queries[f"{file.stem}.{name}"] = Query(name, query.sql, tuple(adapter.var_sorted[name]), by_values)
    return queries


class Queries:
    """Every statement of `sql/queries`, or of another folder, by `file.name`, for one schema."""

    def __init__(self, schema: str, folder: Path | None = None) -> None:
        self._queries = _read(folder or sql_folder() / "queries", schema)

    def __getitem__(self, name: str) -> Query:
        return self._queries[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._queries)
