"""Omisell's own lists for a command that runs once: from the copies in the database, or read anew before."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from omisync.checks.addresses import Address, Resolution
from omisync.checks.order import Facts
from omisync.config import Settings
from omisync.omisell import Pickup, Shop
from omisync.remote import list_pickups, list_shops, open_database, open_omisell, pool_of, tokens_of
from omisync.store import Database, StoreError
from omisync.store.mirrors import MirrorAge, MirrorName, Mirrors, SkuRow
from omisync.sync.mirrors import MirrorKeeper
from omisync.sync.prepare import gazetteer_of
from omisync.sync.standing import SKU_LISTS

MOST_SKUS = 5_000_000
"""More than any catalogue has."""


@dataclass(frozen=True, slots=True)
class KnownSkus:
    """SKUs, and how old the lists are that have them."""

    ages: tuple[MirrorAge, ...]
    rows: list[SkuRow]


@dataclass(frozen=True, slots=True)
class KnownPlaces:
    """Places below one that was asked for.

    Attributes:
        age: of the copy; None: it was never read.
        asked: what became of the place that was asked for; None when none was.
        names: in Omisell's spelling.
    """

    age: MirrorAge | None
    asked: Resolution | None
    names: tuple[str, ...]


async def skus(settings: Settings, search: str, most: int, *, refresh: bool) -> KnownSkus:
    """SKUs that hold a text in themselves or in their name.

    Args:
        settings: the configuration.
        search: the text; "" for all.
        most: rows.
        refresh: read the lists at Omisell first.

    Raises:
        OmisellError, StoreError: they could not be had.
    """
    async with open_database(settings) as database:
        mirrors = Mirrors(database)
        if refresh:
            await _refresh(settings, database, *SKU_LISTS)
        ages = await mirrors.ages()
        return KnownSkus(tuple(ages[name] for name in SKU_LISTS if name in ages), await mirrors.skus(search, most))


async def places(settings: Settings, province: str, district: str, *, refresh: bool) -> KnownPlaces:
    """What is in a province or district, named in any spelling; the provinces when none is named.

    Raises:
        OmisellError, StoreError: they could not be had.
    """
    async with open_database(settings) as database:
        mirrors = Mirrors(database)
        if refresh:
            await _refresh(settings, database, "locations")
        age = (await mirrors.ages()).get("locations")
        gazetteer = await asyncio.to_thread(gazetteer_of, await mirrors.locations())
    if not province:
        return KnownPlaces(age, None, gazetteer.below(Address()))
    asked = gazetteer.resolve(Address(province, district))
    return KnownPlaces(age, asked, () if asked.address is None else gazetteer.below(asked.address))


@dataclass(frozen=True, slots=True)
class KnownShops:
    """Shops, and how old the list is; None: it was just read, and there is no database to keep it."""

    age: MirrorAge | None
    rows: list[Shop]


@dataclass(frozen=True, slots=True)
class KnownPickups:
    """Warehouses; as `KnownShops`."""

    age: MirrorAge | None
    rows: list[Pickup]


async def shops(settings: Settings, *, refresh: bool) -> KnownShops:
    """The account's shops: from the copy if there is one; read at Omisell if not, or if `refresh` asks for it.

    Raises:
        OmisellError, StoreError: they could not be had.
    """
    async with open_database(settings) as database:
        age = await _kept(settings, database, "shops", refresh=refresh)
        if age is not None:
            names = ("shop_id", "name", "platform")
            kept = await Mirrors(database).shops()
            return KnownShops(age, [Shop.model_validate(dict(zip(names, row, strict=True))) for row in kept])
    return KnownShops(None, await list_shops(settings))


async def pickups(settings: Settings, *, refresh: bool) -> KnownPickups:
    """The account's warehouses; as `shops`.

    Raises:
        OmisellError, StoreError: they could not be had.
    """
    async with open_database(settings) as database:
        age = await _kept(settings, database, "pickups", refresh=refresh)
        if age is not None:
            kept = await Mirrors(database).pickups()
            return KnownPickups(
                age, [Pickup.model_validate(dict(zip(("id", "name"), row, strict=True))) for row in kept]
            )
    return KnownPickups(None, await list_pickups(settings))


async def _kept(settings: Settings, database: Database, name: MirrorName, *, refresh: bool) -> MirrorAge | None:
    """How the copy stands, read anew where it was to be or never was; None where no database keeps any."""
    mirrors = Mirrors(database)
    try:
        age = (await mirrors.ages()).get(name)
    except StoreError:
        return None
    if refresh or age is None or age.refreshed_at is None:
        await _refresh(settings, database, name)
        age = (await mirrors.ages()).get(name)
    return age


async def facts(settings: Settings) -> Facts:
    """What orders can be held against: every list that was read, and nothing for those that were not.

    Raises:
        StoreError: the copies could not be read.
    """
    async with open_database(settings) as database:
        mirrors = Mirrors(database)
        read = {name for name, age in (await mirrors.ages()).items() if age.refreshed_at is not None}
        rows = await mirrors.locations() if "locations" in read else []
        shops = {number: platform for number, _, platform in await mirrors.shops()}
        pickups = frozenset(number for number, _ in await mirrors.pickups())
        known = frozenset(row.sku for row in await mirrors.skus(most=MOST_SKUS)) if read & set(SKU_LISTS) else None
    return Facts(
        country=settings.omisell.country,
        gazetteer=await asyncio.to_thread(gazetteer_of, rows) if rows else None,
        shops=shops if "shops" in read else None,
        pickups=pickups if "pickups" in read else None,
        skus=known,
        mends_addresses=settings.checks.addresses == "fix",
    )


async def _refresh(settings: Settings, database: Database, *names: MirrorName) -> None:
    tokens = await tokens_of(database)
    async with open_omisell(settings.omisell, tokens, pool_of(database, tokens)) as omisell:
        keeper = MirrorKeeper(omisell, Mirrors(database), every={}, shop_id=settings.omisell.shop_id)
        await keeper.refresh(names)
