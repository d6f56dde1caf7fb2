"""`omisync skus` and `locations` on a real database and the simulator."""

import json
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from omisync import mirrored
from omisync.checks.addresses import Address
from omisync.cli.failures import FAILED
from omisync.config import load_settings


async def test_before_the_first_look_it_says_what_to_do(cli: Any) -> None:
    for command, what in (("skus", "SKUs"), ("locations", "places")):
        ran = await cli(command)
        assert (ran.code, ran.out) == (FAILED, "")
        assert f"Omisell's {what} were not read yet: let the daemon run, or add --refresh" in ran.err


async def test_skus_are_read_once_and_then_come_from_the_copy(cli: Any, simulator: Any) -> None:
    ran = await cli("skus", "tee", "--refresh")
    assert (ran.code, ran.err) == (0, "")
    assert ran.lines[0] == "sku name in"
    assert ran.lines[2:4] == [
        "TEE-L Áo thun trơn, cỡ L catalogue, products",
        "TEE-M Áo thun trơn, cỡ M catalogue, products",
    ]
    assert ran.lines[4].startswith("2 shown; catalogue read ")
    calls = simulator.ledger.calls["product.list"]
    assert len((await cli("skus", "--json", "--limit", "7")).json["skus"]) == 7
    assert simulator.ledger.calls["product.list"] == calls


async def test_locations_of_a_place_in_any_spelling(cli: Any) -> None:
    assert "Hồ Chí Minh" in (await cli("locations", "--refresh")).lines
    ran = await cli("locations", "tphcm")
    assert ran.lines[:2] == ["Hồ Chí Minh:", "Quận 1"]
    ran = await cli("locations", "tphcm", "Q.1")
    assert ran.lines[:4] == ["Quận 1, Hồ Chí Minh:", "Phường Bến Nghé", "Phường Bến Thành", "Phường Đa Kao"]
    assert (await cli("locations", "Đà Nẵng", "--json")).json["below"] == ["Quận Hải Châu", "Quận Sơn Trà"]


async def test_a_place_that_cannot_be_told_names_what_it_may_be(cli: Any) -> None:
    await cli("locations", "--refresh")
    ran = await cli("locations", "hcm", "Quận Bình Tân")
    assert (ran.code, ran.err) == (FAILED, "")
    assert ran.lines[:2] == [
        "the district is not in Omisell's address system; it may be:",
        "Quận Bình Thạnh, Hồ Chí Minh",
    ]


@pytest.mark.parametrize("form", [(), ("--json",)])
async def test_an_account_without_the_list_says_so(cli: Any, form: tuple[str, ...]) -> None:
    cli.change({"omisell.paths": {"provinces": "/api/v2/public/nowhere"}})
    ran = await cli("locations", "--refresh", *form)
    assert ran.code == FAILED
    assert "this account offers no list of places at the paths in [omisell.paths]" in ran.err


async def test_facts_for_orders_are_what_was_read_and_nothing_else(cli: Any) -> None:
    settings = load_settings(cli.config, {})
    nothing = await mirrored.facts(settings)
    assert (nothing.gazetteer, nothing.shops, nothing.pickups, nothing.skus) == (None, None, None, None)
    await cli("skus", "--refresh")
    await cli("locations", "--refresh")
    facts = await mirrored.facts(settings)
    assert (facts.country, facts.shops, facts.pickups) == ("VN", None, None)
    assert facts.skus is not None
    assert "TEE-M" in facts.skus
    assert facts.gazetteer is not None
    assert "Hà Nội" in facts.gazetteer.below(Address())


async def test_validate_holds_orders_against_the_lists_when_asked(cli: Any, tmp_path: Path) -> None:
    await cli("skus", "--refresh")
    await cli("locations", "--refresh")
    file = tmp_path / "orders.jsonl"
    receiver = {"province_name": "TP.HCM", "phone": "0901"}
    file.write_text(json.dumps({"order_number": "A-1", "receiver": receiver, "items": [{"sku": "XX"}]}), "utf-8")
    assert (await cli("validate", str(file))).code == 0
    ran = await cli("validate", str(file), "--lists")
    assert ran.code == FAILED
    assert ran.lines == [
        f"{file}:1: receiver.phone: is too short",
        f"{file}:1: receiver.province_name: Omisell writes it 'Hồ Chí Minh'",
        f"{file}:1: items: not in Omisell's catalogue: SKU XX",
    ]
    cli.change({"checks": {"addresses": "fix"}})
    assert "province_name" not in (await cli("validate", str(file), "--lists")).out


async def test_what_waits_is_held_against_the_lists_too(cli: Any, dsn: str) -> None:
    await cli("skus", "--refresh")
    connection = await asyncpg.connect(dsn)
    await connection.execute(
        "SELECT omisync.add_order($1)", json.dumps({"order_number": "A-1", "items": [{"sku": "XX"}, {"sku": "TEE-M"}]})
    )
    await connection.close()
    assert (await cli("validate", "--pending")).code == 0
    ran = await cli("validate", "--pending", "--lists")
    assert (ran.code, ran.lines) == (FAILED, ["outbox:1: items: not in Omisell's catalogue: SKU XX"])
