"""What the kernel needs of the world outside: narrow, so that a test can stand in for it."""

from collections.abc import Callable, Collection, Coroutine
from typing import Any, Protocol

from omisync.omisell import AddedOrder, CallClass, OrderDetail, OrderPage


class Around(Protocol):
    """Goes around the work for one order, to see how long it takes; where nobody wants that, the work goes alone."""

    def __call__(
        self, name: str, order_number: str | None, work: Coroutine[Any, Any, None], /
    ) -> Coroutine[Any, Any, None]:
        """The work, with or without something around it."""
        ...


def untraced(_: str, __: str | None, work: Coroutine[Any, Any, None], /) -> Coroutine[Any, Any, None]:
    """The work alone."""
    return work


class OmisellApi(Protocol):
    """Omisell, as far as the kernel speaks to it; the errors are those of `omisync.omisell.errors`."""

    async def add_order(self, body: str, *, on_send: Callable[[], None] | None = None) -> AddedOrder:
        """Adds an order."""
        ...

    async def cancel_order(
        self, omisell_order_number: str, reason: str | None, *, on_send: Callable[[], None] | None = None
    ) -> None:
        """Cancels an order."""
        ...

    async def order_detail(self, omisell_order_number: str, *, cls: CallClass = ...) -> OrderDetail:
        """Fetches an order."""
        ...

    async def order_page(
        self,
        *,
        page: int = 1,
        updated_from: int | None,
        updated_to: int | None,
        shop_id: int | None,
        order_number: str | None = None,
        cls: CallClass = ...,
        ahead: bool = False,
    ) -> OrderPage:
        """Reads a page of the order list; `ahead` of all other calls of its class."""
        ...

    async def ping(self) -> None:
        """One cheap read, to learn whether Omisell answers at all."""
        ...

    def server_time(self) -> float:
        """Omisell's clock, Unix seconds."""
        ...


class BudgetView(Protocol):
    """The budget, as far as the kernel asks before it takes work on."""

    async def wait_available(self, cls: CallClass) -> int:
        """Waits until a call of the class could start; how many could."""
        ...

    def brings(self, cls: CallClass, calls: int) -> None:
        """All calls that there are come now, fewer than `wait_available` told."""
        ...


class BudgetNow(BudgetView, Protocol):
    """The budget, asked without a wait."""

    def available(self, cls: CallClass) -> int:
        """How many calls of the class could start now; 0 for none."""
        ...


class LagRecord(Protocol):
    """What is known of the list's lag, shared by all replicas."""

    async def observe(self, listed: Collection[str], age: float, reach: float) -> float:
        """The lag in seconds that a reading of the list, begun `age` seconds ago, shows of what we added in `reach`."""
        ...


class Counters(Protocol):
    """What the kernel counts."""

    def outbox_done(self, kind: str, outcome: str) -> None:
        """An outbox row has ended well."""
        ...

    def sweep_repair(self, kind: str) -> None:
        """A sweep has found a difference and asked for its repair."""
        ...
