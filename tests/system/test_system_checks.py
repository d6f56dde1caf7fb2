"""`omisync run` with checks: lists read by the schedule, orders mended, kept back, let go by themselves."""

import json
from typing import Any

from omisync.schedule import MIRRORS_EVERY
from omisync.simulator.account import Product
from tests.chaos.world import World, until

TWO_LOOKS = 2 * MIRRORS_EVERY + 20.0
"""Seconds: the schedule looks, and the machine may be busy."""


async def place(made: World, number: str, sku: str, **receiver: str) -> None:
    body = {"order_number": number, "receiver": receiver, "items": [{"sku": sku, "quantity": 1}]}
    await made.sql.execute("SELECT omisync.add_order($1)", json.dumps(body))


async def row(made: World, number: str) -> dict[str, Any]:
    found = await made.sql.fetchrow("SELECT state, error FROM omisync.outbox WHERE order_number = $1", number)
    return dict(found)


async def test_an_order_is_mended_another_waits_for_its_sku_a_third_names_its_candidates(made: World) -> None:
    checks = {"addresses": "fix", "skus": "hold", "refresh": "1s"}
    await made.start(made.replica(changes={"checks": checks}), pushed_to=True)
    await until(
        lambda: made.sql.fetchval("SELECT count(*) = 5 FROM omisync.mirrors WHERE refreshed_at IS NOT NULL AND offered")
    )
    sku = next(iter(made.simulator.account.products))
    await place(made, "A-1", sku, province_name="Tp. HCM", district_name="Q3", subdistrict_name="P.01")
    await place(made, "A-2", "NEW-1")
    await place(made, "A-3", sku, province_name="Hà Nội", district_name="Quận Hoàng Kim")
    await made.known("A-1", 200)
    receiver = made.simulator.detail("A-1")["receiver"]
    assert isinstance(receiver, dict)
    assert receiver["province_name"] == "Hồ Chí Minh"

    async def told() -> bool:
        return (await row(made, "A-2"))["error"] is not None and (await row(made, "A-3"))["state"] == "failed"

    await until(told)
    assert (await row(made, "A-2"))["state"] == "pending"
    assert "Quận Hoàn Kiếm, Hà Nội" in (await row(made, "A-3"))["error"]
    made.simulator.account.products["NEW-1"] = Product("NEW-1", "Mới", 9000)
    await made.sql.execute("UPDATE omisync.mirrors SET tried_at = 'epoch', refreshed_at = 'epoch'")
    there = "SELECT EXISTS (SELECT FROM omisync.mirror_skus WHERE sku = 'NEW-1')"
    await until(lambda: made.sql.fetchval(there), TWO_LOOKS)
    await made.sql.execute("UPDATE omisync.outbox SET available_at = now() WHERE state = 'pending'")
    await made.known("A-2", 200)
