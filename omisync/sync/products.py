"""Makes a missing product known at Omisell, from what the merchant's own SQL function says of it."""

import time
from typing import Final, Protocol

import structlog

from omisync.checks.refusals import explained
from omisync.omisell import Refused, Unavailable
from omisync.store import StoreMisused

NO_SOONER: Final = 900.0  # seconds until a product that Omisell refused, or that nobody describes, is tried again


class ProductApi(Protocol):
    """Omisell, as far as products are added."""

    async def add_product(self, body: str) -> None:
        """Makes a product known."""
        ...


class ProductDesk(Protocol):
    """Where the merchant describes products."""

    async def product(self, sku: str) -> str | None:
        """The body of Add Product as JSON; None for what is not to be created."""
        ...


class KnownProducts(Protocol):
    """The copy of Omisell's products."""

    async def put_sku(self, sku: str, name: str) -> None:
        """Notes a product that was just made known."""
        ...


class ProductMaker:
    """Adds products. One that exists already is as good as made."""

    def __init__(self, omisell: ProductApi, desk: ProductDesk, known: KnownProducts) -> None:
        self._omisell = omisell
        self._desk = desk
        self._known = known
        self._in_vain: dict[str, tuple[float, str]] = {}
        self._log = structlog.get_logger("products")

    async def make(self, sku: str) -> str | None:
        """None when the SKU is known now; else why not.

        Raises:
            OmisellError: Throttled, AuthenticationFailed; Unavailable, which says nothing of the order itself.
            StoreUnavailable: the merchant's function cannot be asked now.
        """
        until, why = self._in_vain.get(sku, (0.0, ""))
        if time.monotonic() < until:
            return why
        try:
            body = await self._desk.product(sku)
        except StoreMisused as error:  # the function itself is wrong; the order need not suffer for it
            return self._not_made(sku, str(error))
        if body is None:
            return self._not_made(sku, "checks.product_function has no product for it")
        try:
            await self._omisell.add_product(body)
        except Refused as refusal:
            if not refusal.may_be_duplicate:
                return self._not_made(sku, f"Omisell refuses the product: {explained(refusal.words())}")
        except Unavailable as error:
            # whether the product is there or not, of the order nothing has gone out
            raise Unavailable(error.why, maybe_applied=False, endpoint=error.endpoint) from error
        await self._known.put_sku(sku, "")
        self._in_vain.pop(sku, None)
        self._log.info("a product was made known", sku=sku)
        return None

    def _not_made(self, sku: str, why: str) -> str:
        now = time.monotonic()
        self._in_vain = {each: tried for each, tried in self._in_vain.items() if tried[0] > now}
        self._in_vain[sku] = (now + NO_SOONER, why)
        return why
