"""Our orders as they are held against Omisell's; only read."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from omisync.store.database import Database


@dataclass(frozen=True, slots=True)
class ParcelHere:
    """A parcel of our tables."""

    package: str
    tracking: str | None
    status: int | None


@dataclass(frozen=True, slots=True)
class HereOrder:
    """An order of our tables; `parcels` only where they were asked for."""

    order_number: str
    omisell_order_number: str
    status_id: int | None
    parcels: tuple[ParcelHere, ...] = ()


class Comparison:
    """What is compared. All methods raise `StoreError`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def changed_since(self, begin: int, shop_id: int, fresh: float, after: str, most: int) -> list[HereOrder]:
        """A page of the shop's orders that changed since then, in the order of their numbers.

        Args:
            begin: Omisell's clock, Unix seconds.
            shop_id: orders of others are left out.
            fresh: seconds for which an order that we have only just heard of is left out.
            after: the order number after which the page begins.
            most: orders.
        """
        rows = await self._database.rows(
            "comparison.changed_since", begin=begin, shop_id=shop_id, fresh=fresh, after=after, most=most
        )
        return [HereOrder(row["order_number"], row["omisell_order_number"], row["status_id"]) for row in rows]

    async def with_parcels(self, omisell_order_numbers: Sequence[str]) -> list[HereOrder]:
        """Those of the orders that we know, with their parcels."""
        rows = await self._database.rows("comparison.with_parcels", omisell_order_numbers=list(omisell_order_numbers))
        return [
            HereOrder(
                row["order_number"],
                row["omisell_order_number"],
                row["status_id"],
                tuple(ParcelHere(*parcel) for parcel in json.loads(row["parcels"])),
            )
            for row in rows
        ]
