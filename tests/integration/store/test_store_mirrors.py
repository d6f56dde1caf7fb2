"""Copies of Omisell's lists: a reading replaces the last one only when it came to its end."""

from typing import Any

import asyncpg
import pytest

from omisync.store import StoreMisused
from omisync.store.mirrors import Mirrors, PlaceRow, ProductSource, SkuMirror, SkuRow

HANOI = PlaceRow("province", 1, "Thành phố Hà Nội")
HOAN_KIEM = PlaceRow("district", 1, "Quận Hoàn Kiếm", "province", 1)
HANG_BAC = PlaceRow("subdistrict", 7, "Phường Hàng Bạc", "district", 1)
CUA_NAM = PlaceRow("subdistrict", 8, "Phường Cửa Nam", "province", 1)


@pytest.fixture
def mirrors(house: Any) -> Mirrors:
    return Mirrors(house.database)


async def test_nothing_was_ever_read(mirrors: Mirrors) -> None:
    assert await mirrors.ages() == {}
    assert await mirrors.shops() == []
    assert await mirrors.locations() == []
    assert await mirrors.unknown_skus(["TEE-M"]) == ["TEE-M"]


async def test_a_whole_reading_takes_the_place_of_the_last(mirrors: Mirrors) -> None:
    began = await mirrors.begin()
    await mirrors.put_shops(began, [(1, "Web", "custom"), (2, "Old", "custom")])
    assert await mirrors.done("shops", began) == 2
    began = await mirrors.begin()
    await mirrors.put_shops(began, [(1, "Web shop", "custom"), (3, "App", "custom")])
    assert await mirrors.done("shops", began) == 2
    assert await mirrors.shops() == [(1, "Web shop", "custom"), (3, "App", "custom")]


async def test_a_reading_that_broke_off_removes_nothing_and_says_why(mirrors: Mirrors) -> None:
    began = await mirrors.begin()
    await mirrors.put_pickups(began, [(167, "Hà Nội"), (168, "Sài Gòn")])
    await mirrors.done("pickups", began)
    before = (await mirrors.ages())["pickups"]
    began = await mirrors.begin()
    await mirrors.put_pickups(began, [(169, "Đà Nẵng")])
    await mirrors.failed("pickups", "Omisell did not answer pickup.list: HTTP 502")
    assert await mirrors.pickups() == [(167, "Hà Nội"), (168, "Sài Gòn"), (169, "Đà Nẵng")]
    after = (await mirrors.ages())["pickups"]
    assert after.refreshed_at == before.refreshed_at is not None
    assert after.error == "Omisell did not answer pickup.list: HTTP 502"
    assert (after.offered, after.row_count) == (True, 2)


async def test_a_list_that_the_account_lacks_is_known_as_such_until_it_comes(mirrors: Mirrors) -> None:
    await mirrors.failed("locations", "the account has no such list", offered=False)
    age = (await mirrors.ages())["locations"]
    assert (age.offered, age.refreshed_at, age.age) == (False, None, None)
    assert age.tried_age >= 0
    began = await mirrors.begin()
    await mirrors.put_locations(began, [HANOI])
    await mirrors.done("locations", began)
    age = (await mirrors.ages())["locations"]
    assert (age.offered, age.error, age.row_count) == (True, None, 1)


async def test_skus_of_two_lists_are_kept_apart_and_found_together(mirrors: Mirrors) -> None:
    began = await mirrors.begin()
    await mirrors.put_skus("catalogue", began, [("TEE-M", "Áo thun"), ("TEE-M", "Áo thun"), ("NON-LA", "Nón lá")])
    await mirrors.done("catalogue", began)
    began = await mirrors.begin()
    await mirrors.put_skus("products", began, [("TEE-M", "Áo thun"), ("CF-500", "Cà phê")])
    await mirrors.done("products", began)
    assert await mirrors.skus() == [
        SkuRow("CF-500", "Cà phê", ("products",)),
        SkuRow("NON-LA", "Nón lá", ("catalogue",)),
        SkuRow("TEE-M", "Áo thun", ("catalogue", "products")),
    ]
    assert [row.sku for row in await mirrors.skus("nón")] == ["NON-LA"]
    assert [row.sku for row in await mirrors.skus(most=1)] == ["CF-500"]
    assert await mirrors.unknown_skus(["CF-500", "XX", "TEE-M", "tee-m", "XX"]) == ["XX", "tee-m"]


async def test_a_sku_goes_when_two_readings_have_not_seen_it(mirrors: Mirrors) -> None:
    for skus in ([("TEE-M", ""), ("NON-LA", "")], [("NON-LA", "")]):
        began = await mirrors.begin()
        await mirrors.put_skus("catalogue", began, skus)
        await mirrors.done("catalogue", began)
        assert await mirrors.unknown_skus(["TEE-M", "NON-LA"]) == []
    began = await mirrors.begin()
    await mirrors.put_skus("catalogue", began, [("NON-LA", "")])
    await mirrors.done("catalogue", began)
    assert await mirrors.unknown_skus(["TEE-M", "NON-LA"]) == ["TEE-M"]


async def test_a_sku_of_two_lists_stays_while_one_has_it(mirrors: Mirrors) -> None:
    lists: dict[SkuMirror, list[tuple[str, str]]] = {
        "catalogue": [("TEE-M", "")],
        "products": [("TEE-M", ""), ("NON-LA", "")],
    }
    for name, skus in lists.items():
        began = await mirrors.begin()
        await mirrors.put_skus(name, began, skus)
        await mirrors.done(name, began)
    for _ in range(2):
        await mirrors.done("products", await mirrors.begin())
    assert await mirrors.unknown_skus(["TEE-M", "NON-LA"]) == ["NON-LA"]


async def test_a_product_just_made_known_counts_at_once(mirrors: Mirrors) -> None:
    await mirrors.put_sku("NEW", "Mới")
    await mirrors.put_sku("NEW", "Mới")
    assert await mirrors.unknown_skus(["NEW"]) == []


async def test_locations_keep_their_parents_provinces_first(mirrors: Mirrors) -> None:
    began = await mirrors.begin()
    await mirrors.put_locations(began, [HANG_BAC, CUA_NAM, HOAN_KIEM, HANOI])
    assert await mirrors.done("locations", began) == 4
    assert await mirrors.locations() == [HANOI, HOAN_KIEM, HANG_BAC, CUA_NAM]


async def test_a_page_of_no_rows_is_nothing(mirrors: Mirrors) -> None:
    began = await mirrors.begin()
    await mirrors.put_shops(began, [])
    await mirrors.put_pickups(began, [])
    await mirrors.put_skus("products", began, [])
    await mirrors.put_locations(began, [])
    assert [await mirrors.done(name, began) for name in ("shops", "pickups", "products", "locations")] == [0, 0, 0, 0]


@pytest.mark.parametrize("role", ["omisync_daemon", "omisync_operator", "omisync_app"])
async def test_every_role_may_read_and_only_the_daemon_may_write(house: Any, role: str) -> None:
    await house.sql.execute(f"SET ROLE {role}")
    assert await house.sql.fetch("SELECT * FROM omisync.mirrors, omisync.mirror_skus, omisync.mirror_locations") == []
    put = "INSERT INTO omisync.mirror_shops VALUES (1, 'Web', 'custom', now())"
    if role == "omisync_daemon":
        await house.sql.execute(put)
    else:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await house.sql.execute(put)


PRODUCT = """
CREATE SCHEMA shop;
CREATE FUNCTION shop.product(sku text) RETURNS jsonb LANGUAGE plpgsql AS $$
BEGIN
    IF sku = 'BAD' THEN RAISE EXCEPTION 'no price for %', sku; END IF;
    RETURN CASE WHEN sku = 'TEE-M' THEN jsonb_build_object('sku', sku, 'name', 'Áo thun') END;
END $$;
"""


async def test_the_merchants_function_makes_the_product(house: Any) -> None:
    await house.sql.execute(PRODUCT)
    source = ProductSource(house.database, "shop.product")
    assert await source.product("TEE-M") == '{"sku": "TEE-M", "name": "Áo thun"}'
    assert await source.product("OTHER") is None
    with pytest.raises(StoreMisused, match=r"shop\.product failed for SKU BAD: no price for BAD"):
        await source.product("BAD")
    with pytest.raises(StoreMisused, match="does not exist"):
        await ProductSource(house.database, "shop.nothing").product("TEE-M")


async def test_the_functions_own_queries_are_planned_as_postgres_ships_it(house: Any) -> None:
    await house.sql.execute(
        """
        CREATE SCHEMA shop;
        CREATE FUNCTION shop.product(sku text) RETURNS jsonb LANGUAGE sql AS
            $$ SELECT jsonb_build_array(current_setting('plan_cache_mode'), current_setting('enable_seqscan')) $$
        """
    )
    assert await ProductSource(house.database, "shop.product").product("TEE-M") == '["auto", "on"]'


def test_what_is_no_functions_name_is_refused(house: Any) -> None:
    with pytest.raises(ValueError, match="is not the name of a function"):
        ProductSource(house.database, "shop.product(1); DROP TABLE x")
