"""A model Omisell with the worst manners, for the outbox's machine, and what goes on around it.

It makes a second order of every second add, shows orders in its list late, and applies some requests after their answer
was lost.
"""

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any

import asyncpg

from omisync.omisell import AddedOrder, ListedOrder, NotFound, OrderDetail, OrderPage, Refused, Throttled, Unavailable
from omisync.store import Claim, Database, Ending

SHOP = 21001
SETTLE = 30.0
LATE = 10.0  # seconds until a request whose answer was lost is applied
LAG = 10.0  # seconds until an order is listed; together below SETTLE, which is the promise's bound
STEP_SECONDS = 20.0  # for one step of the machine against the database


@dataclass
class Kept:
    """An order at the model Omisell."""

    number: str
    omisell: str
    applied_at: float
    cancelled: bool = False


class ModelOmisell:
    """Omisell as the kernel sees it; every add that is applied makes another order."""

    def __init__(self) -> None:
        self.now = 1_000_000.0
        self.fault = "none"
        self.orders: list[Kept] = []
        self.coming: list[tuple[float, str]] = []
        self.requests = 0

    def forget(self) -> None:
        """Another order's story begins."""
        self.orders, self.coming, self.requests = [], [], 0

    def pass_time(self, seconds: float) -> None:
        self.now += seconds
        for due, number in [each for each in self.coming if each[0] <= self.now]:
            self.coming.remove((due, number))
            self._apply(number, due)

    def _apply(self, number: str, when: float) -> Kept:
        order = Kept(number, f"OMI-{len(self.orders)}", when)
        self.orders.append(order)
        return order

    def _fail(self, endpoint: str) -> None:
        fault, self.fault = self.fault, "none"
        if fault == "unsent":
            raise Unavailable("no connection", maybe_applied=False, endpoint=endpoint)
        if fault == "throttled":
            raise Throttled(1.0, endpoint=endpoint)
        if fault == "refused":
            raise Refused("SKU is unknown", endpoint=endpoint)
        if fault != "none":
            raise Unavailable("time-out", maybe_applied=True, endpoint=endpoint)

    async def add_order(self, body: str, *, on_send: Any = None) -> AddedOrder:
        on_send()
        self.requests += 1
        number = json.loads(body)["order_number"]
        if self.fault == "late":
            self.coming.append((self.now + LATE, number))
        order = self._apply(number, self.now) if self.fault in {"none", "lost_after"} else None
        self._fail("order.add")
        assert order is not None
        return AddedOrder(omisell_order_number=order.omisell, order_number=number, status_id=200)

    async def cancel_order(self, omisell_order_number: str, reason: str | None, *, on_send: Any = None) -> None:
        on_send()
        if self.fault in {"none", "lost_after", "late"}:
            self._find(omisell_order_number).cancelled = True
        self._fail("order.cancel")

    def _find(self, omisell: str) -> Kept:
        for order in self.orders:
            if order.omisell == omisell:
                return order
        raise NotFound("Order not found.")

    async def order_detail(self, omisell_order_number: str, **_: Any) -> OrderDetail:
        order = self._find(omisell_order_number)
        return OrderDetail.from_data(
            {
                "omisell_order_number": order.omisell,
                "order_number": order.number,
                "shop_id": SHOP,
                "status_id": 700 if order.cancelled else 200,
            }
        )

    async def order_page(self, *, updated_from: int | None, **_: Any) -> OrderPage:
        shown = tuple(
            ListedOrder(omisell_order_number=order.omisell, order_number=order.number, status_id=200, shop_id=SHOP)
            for order in self.orders
            if order.applied_at + LAG <= self.now and order.applied_at >= (updated_from or 0)
        )
        return OrderPage(orders=shown, count=len(shown))

    async def ping(self) -> None:
        return

    def server_time(self) -> float:
        return self.now


@dataclass
class Worker:
    """A claim in a sender's hands; `ending` once it knows how it ends."""

    claim: Claim
    good_until: float
    ending: Ending | None = None


class Uncounted:
    """The sender's budget and counters, which play no part here."""

    def outbox_done(self, kind: str, outcome: str) -> None:
        return

    def sweep_repair(self, kind: str) -> None:
        return

    def available(self, cls: Any) -> int:
        return 1

    async def wait_available(self, cls: Any) -> int:
        return 1

    def brings(self, cls: Any, calls: int) -> None:
        return


@dataclass
class Ground:
    """What all examples share: a loop, a database, a connection of the test's own."""

    runner: asyncio.Runner
    dsn: str
    sql: asyncpg.Connection = field(init=False)

    def __post_init__(self) -> None:
        self.database = Database(self.dsn, pool_size=2)
        self.sql = self.run(asyncpg.connect(self.dsn))

    def run(self, work: Any) -> Any:
        async def bounded() -> Any:
            async with asyncio.timeout(STEP_SECONDS):
                return await work

        return self.runner.run(bounded())

    def close(self) -> None:
        self.run(self.sql.close())
        self.run(self.database.close())
