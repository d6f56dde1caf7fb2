"""Omisell's side of the demo: the simulator in this process, asked over its control endpoints as from outside."""

import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Final, Self

import aiohttp

from omisync.demo.configuration import BUCKET, LEAK_PER_MINUTE, Account
from omisync.demo.errors import DemoError
from omisync.demo.live import AtOmisell
from omisync.demo.people import Place, Product
from omisync.demo.proof import Applied
from omisync.simulator import (
    BucketConfig,
    LifeConfig,
    ListConfig,
    Locations,
    OrderConfig,
    PushConfig,
    Simulator,
    SimulatorConfig,
)

CONTROL_SECONDS: Final = 30.0
"""The simulator is in our own event loop: what takes long is we ourselves."""
PAGE: Final = 1000
"""Rows of an answer: some megabytes with details, which hold the simulator up for a moment only."""
CLOCK_FACTOR: Final = 0.002
"""An order's hour and a half becomes ten seconds, a push's first retry after 5 minutes comes after 0.6 s."""
LIST_LAG_SECONDS: Final = (0.0, 1.0)
WEBHOOK_SECRET: Final = "the secret typed into the Console"  # noqa: S105 - of a simulated account

FAULTS: Final[Mapping[str, object]] = {
    "error_before": 0.04,
    "error_after": 0.06,
    "gateway_page": 0.01,
    "gateway_page_after": 0.02,
    "hang_before": {"rate": 0.01, "seconds": [2.5, 3]},
    "hang_after": {"rate": 0.03, "seconds": [2.5, 3]},
    "apply_late": {"rate": 0.02, "seconds": [0.5, 2.5]},
    "reset_before": 0.03,
    "reset_after": 0.06,
    "malformed": 0.03,
    "slow": {"rate": 0.05, "seconds": [0.1, 1]},
    "throttle": {"rate": 0.002, "seconds": [1, 1]},
    "throttle_in_body": {"rate": 0.002, "seconds": [1, 1]},
    "token_revoked": 0.005,
    "list_lag": {"rate": 0.3, "seconds": [0.5, 1.5]},
    "detail_lag": {"rate": 0.2, "seconds": [0.5, 1.5]},
    "page_drift": 0.1,
    "stranger": 600,
    "push_drop": 0.15,
    "push_duplicate": 0.15,
    "push_delay": {"rate": 0.15, "seconds": [1, 4]},
    "push_reorder": {"rate": 0.1, "seconds": [1, 1]},
    "push_wrong_signature": 0.05,
}
"""A night far worse than Omisell's worst. A throttled answer stops all calls for its seconds, so few of them."""


def simulator_config(callback_url: str, seed: int) -> SimulatorConfig:
    """A simulated Omisell in a hurry; one that books an order number twice if it is sent twice."""
    return SimulatorConfig(
        bucket=BucketConfig(size=BUCKET, leak_per_minute=LEAK_PER_MINUTE),
        lists=ListConfig(lag=LIST_LAG_SECONDS),
        # Omisell may well refuse a number it knows. Here it does not: a proof by its refusals would prove nothing.
        orders=OrderConfig(duplicates="create_second"),
        life=LifeConfig(automatic=True, return_rate=0.03, cancel_rate=0.02, skip_rate=0.05),
        push=PushConfig(callback_url=callback_url, secret=WEBHOOK_SECRET, authorization="hmac-url-body"),
        clock_factor=CLOCK_FACTOR,
        seed=seed,
    )


class Omisell:
    """A simulated Omisell that runs, in this process or in another.

    Args:
        url: Its address.
        config: What it was started with.
        session: For its control endpoints.
    """

    def __init__(self, url: str, config: SimulatorConfig, session: aiohttp.ClientSession) -> None:
        self._url = url
        self._config = config
        self._session = session

    @classmethod
    @contextlib.asynccontextmanager
    async def running(cls, session: aiohttp.ClientSession, *, callback_url: str, seed: int) -> AsyncIterator[Self]:
        """Start it, and stop it in the end."""
        simulator = Simulator(simulator_config(callback_url, seed))
        await simulator.start()
        try:
            yield cls(simulator.url, simulator.config, session)
        finally:
            await simulator.stop()

    @property
    def url(self) -> str:
        """Its address: the API's, and in a browser its page's."""
        return self._url

    @property
    def account(self) -> Account:
        """What the daemon has to know to use it."""
        account = self._config.account
        return Account(
            url=self.url,
            api_key=account.api_key,
            api_secret=account.api_secret,
            seller_id=account.seller_id,
            country=account.country,
            shop_id=account.shops[0].shop_id,
            pickup_id=account.pickups[0].id,
            webhook_secret=WEBHOOK_SECRET,
        )

    @property
    def products(self) -> Sequence[Product]:
        """Its catalogue, which the shop sells."""
        return [Product(each.sku, each.name, each.price) for each in self._config.account.products]

    @property
    def places(self) -> Sequence[Place]:
        """Its address system, which the shop's checkout offers."""
        known = Locations(self._config.account.locations)
        return [Place(each.province, each.district, each.subdistrict) for each in known]

    async def applied(self, *, full: bool = True) -> Sequence[Applied]:
        """Every order that it has.

        Args:
            full: With tracking numbers, which takes longer.
        """
        orders = [order async for order in self.paged("orders", detail="1" if full else "0")]
        return [
            Applied(
                order_number=order["order_number"],
                omisell_order_number=order["omisell_order_number"],
                status_id=order["status_id"],
                updated_time=order["updated_time"],
                tracking=_tracking(order["detail"]) if full else None,
            )
            for order in orders
        ]

    async def paged(self, name: str, **asked: str) -> AsyncIterator[Mapping[str, Any]]:
        """Every row of a long list of its control endpoints, oldest first; it is asked for a page at a time."""
        rows: Sequence[Mapping[str, Any]] = ()
        offset = 0
        while offset == 0 or len(rows) == PAGE:
            page = {**asked, "offset": str(offset), "limit": str(PAGE)}
            rows = (await self.control("GET", name, params=page))[name]
            offset += PAGE
            for row in rows:
                yield row

    async def figures(self) -> AtOmisell:
        """Its counts for the live table."""
        ledger = await self.control("GET", "ledger")
        pushes = ledger["pushes"]
        return AtOmisell(
            orders=ledger["orders"],
            pushes_sent=pushes.get("sent", 0),
            pushes_accepted=pushes.get("delivered", 0),
            pushes_withheld=pushes.get("dropped", 0) + pushes.get("given_up", 0),
            calls=sum(ledger["calls"].values()),
            throttled=ledger["throttled"],
            faults=sum(ledger["faults"].values()),
        )

    async def misbehave(self) -> None:
        """Switch all faults on."""
        await self.control("PATCH", "faults", json=FAULTS)

    async def behave(self) -> None:
        """Switch all faults off."""
        await self.control("DELETE", "faults")

    async def control(self, method: str, name: str, **arguments: Any) -> Any:
        """Call one of its control endpoints; its answer.

        Raises:
            DemoError: It refused, with its words.
        """
        async with self._session.request(
            method,
            f"{self.url}/control/{name}",
            timeout=aiohttp.ClientTimeout(total=CONTROL_SECONDS),
            **arguments,
        ) as answer:
            if answer.status != 200:
                raise DemoError(f"the simulator's /control/{name} said {answer.status}: {await answer.text()}")
            return await answer.json()


def _tracking(detail: Mapping[str, Any]) -> frozenset[str]:
    numbers = (parcel["courier_tracking_number"] for parcel in detail["parcels"])
    return frozenset(number for number in numbers if number)
