"""Finds an order at Omisell by the shop's own number: one reading of the list answers all who ask."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from omisync.clock import since_boot
from omisync.omisell import CallClass, ListedOrder, NotFound
from omisync.sync.lag import LagNotes
from omisync.sync.listing import Incomplete, read_window
from omisync.sync.ports import LagRecord, OmisellApi

LOOKUP_MARGIN = 600.0  # seconds that the window reaches back before the first attempt: clocks differ, and lags show
RECENT = 3600.0  # seconds: who asks for something younger does not wait for the reading of a longer window
REST = 3.0  # times what a reading took, until the next: at most a quarter of the limit goes into looking
LONGEST_REST = 10.0  # seconds; each order that is looked for waits for it
CLOCK_STEP = 1.0  # seconds that Omisell's clock must turn out to be behind what we took it for, to read again


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
        record: where the lag that a reading shows is kept; None keeps it nowhere.
    """

    def __init__(
        self, omisell: OmisellApi, shop_id: int, *, filtered: bool = False, record: LagRecord | None = None
    ) -> None:
        self._omisell = omisell
        self._shop_id = shop_id
        self._is_filtered = filtered
        notes = LagNotes(record)
        self._recent = _Reader(omisell, shop_id, notes)
        self._older = _Reader(omisell, shop_id, notes)

    @property
    def lag(self) -> float:
        """The lag in seconds that the last readings have shown; 0 while every order of ours was listed."""
        return max(self._recent.lag, self._older.lag)

    async def find(self, order_number: str, age: float) -> list[ListedOrder]:
        """All orders of the shop at Omisell with this number: none, one, or (not of our making) more.

        The reading begins after the call of this method, so what it does not show was not listed then.

        Args:
            order_number: the shop's number, compared exactly but for blanks around it.
            age: seconds since the order may have come to be.

        Raises:
            OmisellError: the list cannot be read now.
            Incomplete: it moved too much while it was read to tell that the order is not there, or shows an order that
                cannot be told to be the shop's.
        """
        if self._is_filtered and (found := await self._ours(await self._filtered(order_number))):
            return found
        reader = self._recent if age <= RECENT else self._older
        return await self._ours(await reader.find(order_number, age))

    async def _filtered(self, order_number: str) -> list[ListedOrder]:
        page = await self._omisell.order_page(
            page=1,
            updated_from=None,
            updated_to=None,
            shop_id=self._shop_id,
            order_number=order_number,
            cls=CallClass.ADD,
            ahead=True,
        )
        # an unknown filter may be ignored: what came back is believed only by its own number
        return [order for order in page.orders if order.order_number == order_number.strip()]

    async def _ours(self, found: list[ListedOrder]) -> list[ListedOrder]:
        return [order for order in found if await self._is_ours(order)]

    async def _is_ours(self, order: ListedOrder) -> bool:
        """A list may ignore the shop as a filter, and its rows need not name it: then the detail tells."""
        shop_id = order.shop_id
        if shop_id is None:
            try:
                detail = await self._omisell.order_detail(order.omisell_order_number, cls=CallClass.ADD)
            except NotFound as error:
                raise Incomplete("the list shows an order whose detail is not there yet") from error
            shop_id = detail.shop_id
        return shop_id in {None, self._shop_id}


class _Reader:
    """Reads the list for all who asked meanwhile."""

    def __init__(self, omisell: OmisellApi, shop_id: int, notes: LagNotes) -> None:
        self._omisell = omisell
        self._shop_id = shop_id
        self._notes = notes
        self._questions: list[_Question] = []
        self._reading: asyncio.Task[None] | None = None
        self.lag = 0.0

    async def find(self, order_number: str, age: float) -> list[ListedOrder]:
        answer: asyncio.Future[list[ListedOrder]] = asyncio.get_running_loop().create_future()
        self._questions.append(_Question(order_number, age, answer))
        if self._reading is None:
            self._reading = asyncio.create_task(self._read())
        return await answer

    async def _read(self) -> None:
        questions: list[_Question] = []
        try:
            while self._questions:
                questions, self._questions = self._questions, []
                began = since_boot()
                try:
                    await self._answer(questions)
                except Exception as error:  # noqa: BLE001 - handed to everyone who asked
                    for question in questions:
                        if not question.answer.done():
                            question.answer.set_exception(error)
                # who asks meanwhile is answered together by the next reading: fifty orders whose outcomes became
                # unknown in one moment ask one after the other, and each reading is pages of the same list
                await asyncio.sleep(min(REST * (since_boot() - began), LONGEST_REST))
        finally:
            self._reading = None
            for question in [*questions, *self._questions]:  # only when the reader itself was cancelled
                question.answer.cancel()

    async def _answer(self, questions: list[_Question]) -> None:
        oldest = max(question.age for question in questions) + LOOKUP_MARGIN
        began = since_boot()
        missed: Incomplete | None = None
        listed: Mapping[str, ListedOrder]
        try:
            listed = await self._window(oldest)
        except Incomplete as error:
            # what was seen is there all the same; only that something is not there cannot be told
            listed, missed = error.seen, error
        else:
            self.lag = await self._notes.note(listed.keys(), began, oldest)
        by_number: dict[str, list[ListedOrder]] = {}
        for order in listed.values():
            by_number.setdefault(order.order_number or "", []).append(order)
        for question in questions:
            if question.answer.done():
                continue
            found = by_number.get(question.order_number.strip(), [])
            if found or missed is None:
                question.answer.set_result(sorted(found, key=lambda order: order.omisell_order_number))
            else:
                question.answer.set_exception(missed)

    async def _window(self, reach: float) -> dict[str, ListedOrder]:
        while True:
            begin = self._omisell.server_time() - reach
            listed = await read_window(
                self._omisell,
                updated_from=int(begin),
                updated_to=None,
                shop_id=self._shop_id,
                cls=CallClass.ADD,
                ahead=True,  # a list to which adds go on being made is never seen to its end
            )
            # before Omisell's first answer its clock is taken to be this machine's, which may be ahead
            if self._omisell.server_time() - reach > begin - CLOCK_STEP:
                return listed
