"""Keeps copies of Omisell's own lists in the database, at the lowest priority, each when it is due."""

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from typing import Final, Literal, Protocol, TypeAlias, TypeVar

import structlog

from omisync.omisell import (
    AuthenticationFailed,
    CatalogueEntry,
    NotFound,
    OmisellError,
    Page,
    Pickup,
    Place,
    Product,
    Refused,
    Shop,
)
from omisync.store.mirrors import MirrorAge, MirrorName, Mirrors, PlaceRow
from omisync.sync.places import Unplaced, placed

MOST_PAGES: Final = 5_000  # a list without an end is cut here
RETRY_AFTER: Final = 900.0  # seconds after a reading that broke off
ASK_AGAIN: Final = 86_400.0  # seconds until an account without the list is asked for it again
NOT_OFFERED: Final = "the account offers no such list at the path in [omisell.paths]"

T = TypeVar("T")
Below: TypeAlias = Literal["district", "subdistrict"]


class ListApi(Protocol):
    """Omisell's lists; the errors are those of `omisync.omisell.errors`."""

    async def shops(self) -> list[Shop]:
        """All shops."""
        ...

    async def pickups(self) -> list[Pickup]:
        """All warehouses."""
        ...

    async def catalogue_page(self, page: int = 1) -> Page[CatalogueEntry]:
        """What shops offer."""
        ...

    async def product_page(self, page: int = 1) -> Page[Product]:
        """The account's products."""
        ...

    async def province_page(self, page: int = 1) -> Page[Place]:
        """Provinces."""
        ...

    async def district_page(self, page: int = 1, *, province_id: int | None = None) -> Page[Place]:
        """Districts, of all provinces or of one."""
        ...

    async def subdistrict_page(
        self, page: int = 1, *, district_id: int | None = None, province_id: int | None = None
    ) -> Page[Place]:
        """Subdistricts, of all or of one district or province."""
        ...


class MirrorKeeper:
    """Reads lists that are due.

    Args:
        omisell: where the lists are.
        mirrors: where the copies are.
        every: seconds after which each wanted list is due again; lists that are not named are not read.
        shop_id: listings of other shops do not count.
    """

    def __init__(self, omisell: ListApi, mirrors: Mirrors, *, every: Mapping[MirrorName, float], shop_id: int) -> None:
        self._omisell = omisell
        self._mirrors = mirrors
        self._every = every
        self._shop_id = shop_id
        self._readers: Mapping[MirrorName, Callable[[], Awaitable[int]]] = {
            "shops": self._shops,
            "pickups": self._pickups,
            "catalogue": self._catalogue,
            "products": self._products,
            "locations": self._locations,
        }
        self._log = structlog.get_logger("mirrors")

    async def keep(self) -> None:
        """Reads what is due. A list that cannot be read keeps no other waiting.

        Raises:
            OmisellError: the first that went wrong, once all were tried.
            StoreError: the copies cannot be written.
        """
        ages = await self._mirrors.ages()
        await self.refresh([name for name, every in self._every.items() if _is_due(ages.get(name), every)])

    async def refresh(self, names: Collection[MirrorName]) -> None:
        """Reads these lists now, due or not; as `keep`."""
        first: OmisellError | None = None
        for name in names:
            try:
                rows = await self._readers[name]()
            except NotFound:
                await self._mirrors.failed(name, NOT_OFFERED, offered=False)
                self._log.info("the account does not offer a list; the check that needs it is off", list=name)
            except AuthenticationFailed as error:
                await self._mirrors.failed(name, str(error))
                raise
            except OmisellError as error:
                await self._mirrors.failed(name, str(error))
                first = first or error
            except Unplaced as error:
                await self._mirrors.failed(name, str(error))
                self._log.warning("a list could not be made sense of", list=name, error=str(error))
            else:
                self._log.info("a list was read", list=name, rows=rows)
        if first is not None:
            raise first

    async def _shops(self) -> int:
        began = await self._mirrors.begin()
        shops = await self._omisell.shops()
        await self._mirrors.put_shops(began, [(shop.shop_id, shop.name, shop.platform) for shop in shops])
        return await self._mirrors.done("shops", began)

    async def _pickups(self) -> int:
        began = await self._mirrors.begin()
        pickups = await self._omisell.pickups()
        await self._mirrors.put_pickups(began, [(pickup.id, pickup.name) for pickup in pickups])
        return await self._mirrors.done("pickups", began)

    async def _catalogue(self) -> int:
        began = await self._mirrors.begin()
        async for page in _pages(self._omisell.catalogue_page):
            of_ours = [entry for entry in page.rows if entry.shop_id in {None, self._shop_id}]
            named = [(entry.sku, entry.name) for entry in of_ours]
            named += [(variant.sku, variant.name or entry.name) for entry in of_ours for variant in entry.variants]
            await self._mirrors.put_skus("catalogue", began, [(sku, name) for sku, name in named if sku is not None])
        return await self._mirrors.done("catalogue", began)

    async def _products(self) -> int:
        began = await self._mirrors.begin()
        async for page in _pages(self._omisell.product_page):
            rows = [(product.sku, product.name) for product in page.rows if product.sku is not None]
            await self._mirrors.put_skus("products", began, rows)
        return await self._mirrors.done("products", began)

    async def _locations(self) -> int:
        began = await self._mirrors.begin()
        provinces = await _all(self._omisell.province_page)
        rows = placed("province", provinces, {}, {})
        by_province = {row.id: row for row in rows}
        rows += await self._below("district", self._omisell.district_page, by_province, {})
        by_district = {row.id: row for row in rows if row.level == "district"}
        rows += await self._below("subdistrict", self._omisell.subdistrict_page, by_province, by_district)
        await self._mirrors.put_locations(began, rows)
        return await self._mirrors.done("locations", began)

    async def _below(
        self,
        level: Below,
        fetch: Callable[..., Awaitable[Page[Place]]],
        provinces: Mapping[int, PlaceRow],
        districts: Mapping[int, PlaceRow],
    ) -> list[PlaceRow]:
        """The places of a level: all at once if each says what it is in, else parent by parent."""
        try:
            return placed(level, await _all(fetch), provinces, districts)
        except NotFound:
            if level == "district":
                return []  # abolished
            raise
        except (Refused, Unplaced) as error:
            self._log.info("places are read parent by parent", level=level, reason=str(error))
        found: dict[int, PlaceRow] = {}
        with_districts = {row.parent_id for row in districts.values()}
        parents = [*districts.values(), *(row for row in provinces.values() if row.id not in with_districts)]
        for parent in parents:
            below = await _all(fetch, **{f"{parent.level}_id": parent.id})
            for place in below:
                row = PlaceRow(level, place.id, place.name, parent.level, parent.id)
                if place.id in found and found[place.id] != row:
                    raise Unplaced(f"the list of {level}s does not keep to the parent it is asked for")
                found[place.id] = row
        return list(found.values())


def _is_due(age: MirrorAge | None, every: float) -> bool:
    if age is None:
        return True
    if not age.offered:
        return age.tried_age >= ASK_AGAIN
    if age.error is not None:
        return age.tried_age >= min(RETRY_AFTER, every)
    return age.age is None or age.age >= every


async def _pages(fetch: Callable[..., Awaitable[Page[T]]], **query: int) -> AsyncIterator[Page[T]]:
    for number in range(1, MOST_PAGES + 1):
        page = await fetch(number, **query)
        yield page
        if not page.has_next or not (page.rows or page.unread):
            return


async def _all(fetch: Callable[..., Awaitable[Page[T]]], **query: int) -> list[T]:
    return [row async for page in _pages(fetch, **query) for row in page.rows]
