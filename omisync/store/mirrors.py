"""Copies of Omisell's own lists in the database: shops, pickups, SKUs, locations, each with its age."""

import datetime as dt
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal

import asyncpg

from omisync.store.database import BY_VALUES, Database
from omisync.store.errors import StoreMisused

MirrorName = Literal["shops", "pickups", "catalogue", "products", "locations"]
SkuMirror = Literal["catalogue", "products"]
PlaceLevel = Literal["province", "district", "subdistrict"]

PRODUCT_TIMEOUT = 5.0  # seconds for the merchant's function that makes a product of a SKU
_NAME = re.compile(r"(?:[a-z_][a-z0-9_]*\.)?[a-z_][a-z0-9_]*")


@dataclass(frozen=True, slots=True)
class MirrorAge:
    """How a copy stands.

    Attributes:
        refreshed_at: when the list was last read to its end; None: never.
        age: seconds since then.
        tried_age: seconds since the last try, good or bad.
        offered: False when the account has no such list.
        error: why the last try brought nothing.
    """

    name: MirrorName
    refreshed_at: dt.datetime | None
    age: float | None
    tried_age: float
    row_count: int
    offered: bool
    error: str | None


@dataclass(frozen=True, slots=True)
class PlaceRow:
    """A row of the location lists."""

    level: PlaceLevel
    id: int
    name: str
    parent_level: PlaceLevel | None = None
    parent_id: int | None = None


@dataclass(frozen=True, slots=True)
class SkuRow:
    """A SKU, and the lists that have it."""

    sku: str
    name: str
    mirrors: tuple[SkuMirror, ...]


class Mirrors:
    """The copies. All methods raise `StoreError`.

    A reading of a list takes its time from `begin`, puts in page by page, and ends with `done` or `failed`.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def begin(self) -> dt.datetime:
        """The time of a new reading."""
        began: dt.datetime = await self._database.value("mirrors.began")
        return began

    async def put_shops(self, began: dt.datetime, rows: Sequence[tuple[int, str, str]]) -> None:
        """Ids, names and platforms of shops."""
        ids, names, platforms = zip(*rows, strict=True) if rows else ((), (), ())
        await self._database.rows("mirrors.put_shops", seen_at=began, ids=ids, names=names, platforms=platforms)

    async def put_pickups(self, began: dt.datetime, rows: Sequence[tuple[int, str]]) -> None:
        """Ids and names of warehouses."""
        ids, names = zip(*rows, strict=True) if rows else ((), ())
        await self._database.rows("mirrors.put_pickups", seen_at=began, ids=ids, names=names)

    async def put_skus(self, mirror: SkuMirror, began: dt.datetime, rows: Sequence[tuple[str, str]]) -> None:
        """SKUs and their names."""
        skus, names = zip(*rows, strict=True) if rows else ((), ())
        await self._database.rows("mirrors.put_skus", mirror=mirror, seen_at=began, skus=skus, names=names)

    async def put_locations(self, began: dt.datetime, rows: Sequence[PlaceRow]) -> None:
        """Rows of the location lists."""
        await self._database.rows(
            "mirrors.put_locations",
            seen_at=began,
            levels=[row.level for row in rows],
            ids=[row.id for row in rows],
            names=[row.name for row in rows],
            parent_levels=[row.parent_level for row in rows],
            parent_ids=[row.parent_id for row in rows],
        )

    async def done(self, name: MirrorName, began: dt.datetime) -> int:
        """The list was read to its end: what it has not shown is removed. Returns how many rows there are."""
        return int(await self._database.value("mirrors.done", name=name, seen_at=began))

    async def failed(self, name: MirrorName, error: str, *, offered: bool = True) -> None:
        """The list could not be read to its end; what is there stays."""
        await self._database.value("mirrors.failed", name=name, error=error, offered=offered)

    async def ages(self) -> dict[MirrorName, MirrorAge]:
        """How each copy stands that was ever tried."""
        rows = await self._database.rows("mirrors.ages")
        return {row["name"]: MirrorAge(**dict(row)) for row in rows}

    async def shops(self) -> list[tuple[int, str, str]]:
        """Ids, names and platforms of shops."""
        return [tuple(row) for row in await self._database.rows("mirrors.shops")]

    async def pickups(self) -> list[tuple[int, str]]:
        """Ids and names of warehouses."""
        return [tuple(row) for row in await self._database.rows("mirrors.pickups")]

    async def skus(self, search: str = "", most: int = 1000) -> list[SkuRow]:
        """SKUs that hold a text in themselves or in their name, at most `most`."""
        rows = await self._database.rows("mirrors.skus", search=search, most=most)
        return [SkuRow(row["sku"], row["name"], tuple(row["mirrors"])) for row in rows]

    async def unknown_skus(self, skus: Collection[str]) -> list[str]:
        """Those of the SKUs that no list has."""
        return [row["sku"] for row in await self._database.rows("mirrors.unknown_skus", skus=list(skus))]

    async def locations(self) -> list[PlaceRow]:
        """All rows of the location lists, provinces first."""
        rows = await self._database.rows("mirrors.locations")
        return [
            PlaceRow(row["level"], row["location_id"], row["name"], row["parent_level"], row["parent_id"])
            for row in rows
        ]

    async def put_sku(self, sku: str, name: str) -> None:
        """A product that was just made known at Omisell."""
        await self._database.value("mirrors.put_sku", sku=sku, name=name)


class ProductSource:
    """The merchant's own SQL function, which makes the body of Add Product of a SKU.

    Args:
        database: where it is.
        function: `checks.product_function`: takes text, returns jsonb; NULL for what is not to be created.

    Raises:
        ValueError: `function` is not a function's name.
    """

    def __init__(self, database: Database, function: str) -> None:
        if not _NAME.fullmatch(function):
            raise ValueError(f"checks.product_function {function!r} is not the name of a function, as shop.product")
        self._database = database
        self._function = function
        self._call = f"SELECT {function}($1::text)::jsonb::text"

    async def product(self, sku: str) -> str | None:
        """The body of Add Product as JSON; None when the merchant does not want it created.

        At most `PRODUCT_TIMEOUT` seconds.

        Raises:
            StoreError: the function could not be called, or took too long.
        """
        async with self._database.transaction() as connection:
            try:
                await connection.raw.execute(BY_VALUES)  # the function's queries are not ours
                body: str | None = await connection.raw.fetchval(self._call, sku, timeout=PRODUCT_TIMEOUT)
            except (asyncpg.PostgresError, TimeoutError) as error:
                why = str(error).partition("\n")[0] or f"no answer in {PRODUCT_TIMEOUT:g} s"
                raise StoreMisused(f"checks.product_function {self._function} failed for SKU {sku}: {why}") from error
        return body
