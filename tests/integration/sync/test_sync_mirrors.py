"""The copies of Omisell's lists, kept from the simulator into a real database."""

import dataclasses
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

import aiohttp
import asyncpg
import pytest

from omisync.config import OmisellPaths, OmisellSettings
from omisync.omisell import (
    Budget,
    CatalogueEntry,
    NotFound,
    OmisellClient,
    Page,
    Pickup,
    Place,
    Product,
    Refused,
    Shop,
    Unavailable,
    connect,
)
from omisync.remote import OwnToken, Uncounted
from omisync.simulator import BucketConfig, Simulator, SimulatorConfig
from omisync.store import Database
from omisync.store.mirrors import MirrorName, Mirrors, PlaceRow, SkuRow
from omisync.sync.mirrors import MirrorKeeper

ALL: dict[MirrorName, float] = dict.fromkeys(("shops", "pickups", "catalogue", "products", "locations"), 3600.0)
SHOP = 21001


@pytest.fixture
async def mirrors(dsn: str) -> AsyncIterator[Mirrors]:
    database = Database(dsn)
    yield Mirrors(database)
    await database.close()


@pytest.fixture
async def sql(dsn: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(dsn)
    yield connection
    await connection.close()


@dataclass
class Omisell:
    """The simulator, and a client of it."""

    simulator: Simulator
    client: OmisellClient

    def calls(self) -> int:
        return sum(self.simulator.ledger.calls.values())


Start = Callable[..., Awaitable[Omisell]]


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    """Starts simulators; `paths` differ from the default where they are given."""
    async with AsyncExitStack() as stack:

        async def started(paths: OmisellPaths | None = None, page_size: int = 7) -> Omisell:
            simulator = Simulator(SimulatorConfig(bucket=BucketConfig(size=100_000)))
            await simulator.start()
            stack.push_async_callback(simulator.stop)
            session = await stack.enter_async_context(aiohttp.ClientSession())
            account = simulator.config.account
            settings = OmisellSettings(
                base_url=simulator.url,
                api_key=account.api_key,
                api_secret=account.api_secret,
                seller_id=account.seller_id,
                country=account.country,
                shop_id=SHOP,
                page_size=page_size,
                paths=paths or OmisellPaths(),
            )
            budget = Budget(100_000, 6_000_000)
            client = connect(settings, session=session, token_store=OwnToken(), budget=budget, observer=Uncounted())
            return Omisell(simulator, client)

        yield started


async def test_everything_is_read_page_by_page_and_then_left_until_it_is_due(start: Start, mirrors: Mirrors) -> None:
    omisell = await start()
    keeper = MirrorKeeper(omisell.client, mirrors, every=ALL, shop_id=SHOP)
    await keeper.keep()
    assert (21001, "Cửa hàng Web", "custom") in await mirrors.shops()
    assert [name for _, name in await mirrors.pickups()] == ["Kho Hà Nội", "Kho Sài Gòn"]
    assert SkuRow("TEE-M", "Áo thun trơn, cỡ M", ("catalogue", "products")) in await mirrors.skus()
    assert len(await mirrors.skus()) == len(omisell.simulator.account.products)
    places = await mirrors.locations()
    by_name = {place.name: place for place in places}
    ward = by_name["Phường Hàng Bạc"]
    assert (ward.parent_level, ward.parent_id) == ("district", by_name["Quận Hoàn Kiếm"].id)
    assert by_name["Quận Hoàn Kiếm"].parent_id == by_name["Hà Nội"].id
    ages = await mirrors.ages()
    assert {name: (age.offered, age.error) for name, age in ages.items()} == dict.fromkeys(ALL, (True, None))
    assert ages["locations"].row_count == len(places)
    calls = omisell.calls()
    await keeper.keep()
    assert omisell.calls() == calls


async def test_a_list_is_read_again_when_it_is_due(start: Start, mirrors: Mirrors, sql: asyncpg.Connection) -> None:
    omisell = await start()
    keeper = MirrorKeeper(omisell.client, mirrors, every={"products": 3600.0}, shop_id=SHOP)
    await keeper.keep()
    account = omisell.simulator.account
    account.products["NEW"] = dataclasses.replace(account.products["TEE-M"], sku="NEW", name="Mới")
    await keeper.keep()
    assert await mirrors.unknown_skus(["NEW"]) == ["NEW"]
    await sql.execute("UPDATE omisync.mirrors SET refreshed_at = refreshed_at - interval '1 hour'")
    await keeper.keep()
    assert await mirrors.unknown_skus(["NEW"]) == []


async def test_only_what_is_wanted_is_read(start: Start, mirrors: Mirrors) -> None:
    omisell = await start()
    await MirrorKeeper(omisell.client, mirrors, every={"pickups": 60.0}, shop_id=SHOP).keep()
    assert set(await mirrors.ages()) == {"pickups"}


async def test_an_account_without_a_list_is_noted_and_asked_again_a_day_later(
    start: Start, mirrors: Mirrors, sql: asyncpg.Connection
) -> None:
    omisell = await start(OmisellPaths(provinces="/api/v2/public/nowhere"))
    keeper = MirrorKeeper(omisell.client, mirrors, every=ALL, shop_id=SHOP)
    await keeper.keep()
    ages = await mirrors.ages()
    assert (ages["locations"].offered, ages["locations"].row_count) == (False, 0)
    assert ages["products"].offered
    calls = omisell.calls()
    await keeper.keep()
    assert omisell.calls() == calls
    await sql.execute("UPDATE omisync.mirrors SET tried_at = tried_at - interval '1 day' WHERE name = 'locations'")
    await keeper.keep()
    assert omisell.calls() == calls + 1


@dataclass
class Lists:
    """Omisell's lists as a test wants them."""

    provinces: list[dict[str, object]] = field(default_factory=list)
    districts: list[dict[str, object]] | None = None
    wards: list[dict[str, object]] = field(default_factory=list)
    filters: bool = True
    unfiltered: bool = True
    broken: bool = False
    entries: tuple[CatalogueEntry, ...] = ()
    asked: list[object] = field(default_factory=list)

    async def shops(self) -> list[Shop]:
        return []

    async def pickups(self) -> list[Pickup]:
        if self.broken:
            raise Unavailable("HTTP 502", maybe_applied=False, endpoint="pickup.list")
        return []

    async def catalogue_page(self, page: int = 1) -> Page[CatalogueEntry]:
        return Page(self.entries)

    async def product_page(self, page: int = 1) -> Page[Product]:
        return Page((Product(sku="P-1"), Product(name="without a SKU")))

    async def province_page(self, page: int = 1) -> Page[Place]:
        return self._page(self.provinces)

    async def district_page(self, page: int = 1, *, province_id: int | None = None) -> Page[Place]:
        if self.districts is None:
            raise NotFound(endpoint="location.districts")
        return self._page(self.districts, province=province_id)

    async def subdistrict_page(
        self, page: int = 1, *, district_id: int | None = None, province_id: int | None = None
    ) -> Page[Place]:
        return self._page(self.wards, district=district_id, province=province_id)

    def _page(self, rows: list[dict[str, object]], **parents: int | None) -> Page[Place]:
        asked = {level: number for level, number in parents.items() if number is not None}
        self.asked.append(asked)
        if parents and not asked and not self.unfiltered:
            raise Refused("a parent is required", endpoint="location")
        chosen = [row for row in rows if not (asked and self.filters) or row.get("in") == next(iter(asked.items()))]
        return Page(tuple(Place.model_validate(row) for row in chosen), len(chosen))


HANOI: dict[str, object] = {"id": 1, "name": "Hà Nội"}
WEST: dict[str, object] = {"id": 1, "name": "Quận Tây Hồ", "in": ("province", 1)}
BUOI: dict[str, object] = {"id": 1, "name": "Phường Bưởi", "in": ("district", 1)}
PLACES = [
    PlaceRow("province", 1, "Hà Nội"),
    PlaceRow("district", 1, "Quận Tây Hồ", "province", 1),
    PlaceRow("subdistrict", 1, "Phường Bưởi", "district", 1),
]


async def keep(lists: Lists, mirrors: Mirrors, *names: MirrorName) -> None:
    await MirrorKeeper(lists, mirrors, every=dict.fromkeys(names, 60.0), shop_id=SHOP).keep()


async def test_lists_that_name_the_level_of_their_parents(mirrors: Mirrors) -> None:
    lists = Lists([HANOI], [{**WEST, "province_id": 1}], [{**BUOI, "district_id": 1, "province_id": 1}])
    await keep(lists, mirrors, "locations")
    assert await mirrors.locations() == PLACES
    assert lists.asked == [{}, {}, {}]


async def test_lists_that_do_not_say_what_their_places_are_in_are_read_parent_by_parent(mirrors: Mirrors) -> None:
    lists = Lists([HANOI], [WEST], [BUOI])
    await keep(lists, mirrors, "locations")
    assert await mirrors.locations() == PLACES
    assert lists.asked == [{}, {}, {"province": 1}, {}, {"district": 1}]


async def test_lists_that_want_to_be_asked_for_a_parent(mirrors: Mirrors) -> None:
    await keep(Lists([HANOI], [WEST], [BUOI], unfiltered=False), mirrors, "locations")
    assert await mirrors.locations() == PLACES


async def test_districts_that_were_abolished(mirrors: Mirrors) -> None:
    ward = {"id": 1, "name": "Phường Tây Hồ", "parent_id": 1}
    await keep(Lists([HANOI], None, [ward]), mirrors, "locations")
    assert await mirrors.locations() == [PLACES[0], PlaceRow("subdistrict", 1, "Phường Tây Hồ", "province", 1)]


async def test_a_parent_of_which_nobody_can_tell_the_level_is_not_guessed(mirrors: Mirrors) -> None:
    # parent 1 may be the district or the province, and asking for a parent changes nothing
    other = {"id": 2, "name": "Quận Ba Đình", "province_id": 1}
    ward = {**BUOI, "parent_id": 1}
    await keep(Lists([HANOI], [{**WEST, "province_id": 1}, other], [ward], filters=False), mirrors, "locations")
    assert await mirrors.locations() == []
    assert (await mirrors.ages())["locations"].error == (
        "the list of subdistricts does not keep to the parent it is asked for"
    )


async def test_skus_of_variants_count_and_those_of_other_shops_do_not(mirrors: Mirrors) -> None:
    entries = (
        CatalogueEntry.model_validate(
            {"sku": "", "name": "Áo thun", "shop_id": SHOP, "variants": [{"sku": "TEE-M"}, {"name": "x"}, None]}
        ),
        CatalogueEntry(sku="OTHER", shop_id=99),
        CatalogueEntry(sku="ANY", name="Of no shop"),
    )
    await keep(Lists(entries=entries), mirrors, "catalogue")
    assert await mirrors.skus() == [
        SkuRow("ANY", "Of no shop", ("catalogue",)),
        SkuRow("TEE-M", "Áo thun", ("catalogue",)),
    ]


async def test_a_list_that_cannot_be_read_keeps_no_other_waiting(mirrors: Mirrors) -> None:
    lists = Lists(broken=True)
    with pytest.raises(Unavailable, match="HTTP 502"):
        await keep(lists, mirrors, "pickups", "products")
    ages = await mirrors.ages()
    assert ages["pickups"].error == "Omisell did not answer pickup.list: HTTP 502"
    assert ages["products"].row_count == 1
    lists.broken = False
    await MirrorKeeper(lists, mirrors, every={"pickups": 60.0}, shop_id=SHOP).keep()  # not so soon again
    assert (await mirrors.ages())["pickups"].error is not None
    await MirrorKeeper(lists, mirrors, every={"pickups": 60.0}, shop_id=SHOP).refresh(["pickups"])
    assert (await mirrors.ages())["pickups"].error is None
