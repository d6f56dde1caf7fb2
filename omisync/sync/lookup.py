"""Finds an order at Omisell by the shop's own number: one reading of the list answers all who ask."""

import asyncio
from dataclasses import dataclass

from omisync.omisell import CallClass, ListedOrder
from omisync.sync.listing import read_window
from omisync.sync.ports import OmisellApi

LOOKUP_MARGIN = 600.0  # seconds that the window reaches back before the first attempt: clocks differ


@dataclass(frozen=True, slots=True)
class _Question:
    order_number: str
    age: float
    answer: "asyncio.Future[list[ListedOrder]]"


class Lookup:
    """Looks for orders by number in the list [omisell-api 4.7].

    Args:
        omisell: where to look.
        shop_id: the custom store.
        filtered: whether the account's list has a filter by order number (`omisell.lookup_filter`).
    """

    def __init__(self, omisell: OmisellApi, shop_id: int, *, filtered: bool = False) -> None:
        self._omisell = omisell
        self._shop_id = shop_id
        self._is_filtered = filtered
        self._questions: list[_Question] = []
        self._reader: asyncio.Task[None] | None = None

    async def find(self, order_number: str, age: float) -> list[ListedOrder]:
        """All orders at Omisell with this number: none, one, or (not of our making) more.

        The reading begins after the call of this method, so what it does not show was not listed then.

        Args:
            order_number: the shop's number, compared exactly.
            age: seconds since the order may have come to be.

        Raises:
            OmisellError: the list cannot be read now.
            Incomplete: it moved too much while it was read.
        """
        if self._is_filtered:
            found = await self._filtered(order_number)
            if found:
                return found
        answer: asyncio.Future[list[ListedOrder]] = asyncio.get_running_loop().create_future()
        self._questions.append(_Question(order_number, age, answer))
        if self._reader is None:
            self._reader = asyncio.create_task(self._read())
        return await answer

    async def _filtered(self, order_number: str) -> list[ListedOrder]:
        page = await self._omisell.order_page(
            page=1,
            updated_from=None,
            updated_to=None,
            shop_id=self._shop_id,
            order_number=order_number,
            cls=CallClass.ADD,
        )
        # an unknown filter may be ignored: what came back is believed only by its own number
        return [order for order in page.orders if order.order_number == order_number]

    async def _read(self) -> None:
        try:
            while self._questions:
                questions, self._questions = self._questions, []
                try:
                    await self._answer(questions)
                except Exception as error:  # noqa: BLE001 - handed to everyone who asked
                    for question in questions:
                        if not question.answer.done():
                            question.answer.set_exception(error)
        finally:
            self._reader = None
            for question in self._questions:  # only when the reader itself was cancelled
                question.answer.cancel()

    async def _answer(self, questions: list[_Question]) -> None:
        oldest = max(question.age for question in questions)
        listed = await read_window(
            self._omisell,
            updated_from=int(self._omisell.server_time() - oldest - LOOKUP_MARGIN),
            updated_to=None,
            shop_id=self._shop_id,
            cls=CallClass.ADD,
        )
        by_number: dict[str, list[ListedOrder]] = {}
        for order in listed.values():
            by_number.setdefault(order.order_number or "", []).append(order)
        for question in questions:
            if not question.answer.done():
                found = by_number.get(question.order_number, [])
                question.answer.set_result(sorted(found, key=lambda order: order.omisell_order_number))
