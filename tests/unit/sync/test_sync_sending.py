"""How an add's and a cancel's claim ends, whatever Omisell answers; and the look for an order in its list."""

import asyncio
import json
import math
import uuid
from collections.abc import Callable
from typing import Any

import pytest

from omisync.checks.findings import Finding
from omisync.omisell import (
    AddedOrder,
    AuthenticationFailed,
    CallClass,
    ListedOrder,
    NotFound,
    OrderDetail,
    OrderPage,
    Refused,
    Throttled,
    Unavailable,
)
from omisync.store import Claim, Reached, StoreUnavailable
from omisync.store.outbox import OutboxId
from omisync.sync.add import Adder
from omisync.sync.backoff import Backoff
from omisync.sync.breaker import Breaker
from omisync.sync.cancel import Canceller
from omisync.sync.flight import Flight, Held, LeaseLost
from omisync.sync.lag import SLOW_ANSWER, LagNotes
from omisync.sync.listing import Incomplete, read_window
from omisync.sync.lookup import Lookup
from omisync.sync.prepare import Prepared
from omisync.sync.rules import SendingRules

SHOP = 21001
DUPLICATE = Refused("Order number A-1 already exists.", attr_error={"order_number": ["exists"]})
AWAY = Unavailable("time-out", maybe_applied=False)


class FakeOmisell:
    """Answers with what the test put there; an exception is raised."""

    def __init__(self) -> None:
        self.added: Any = AddedOrder(omisell_order_number="OMI-1", order_number="A-1", status_id=200)
        self.cancelled: Any = None
        self.detail: Any = NotFound("Order not found.")
        self.pages: list[Any] = []
        self.pinged: Any = None
        self.bodies: list[dict[str, Any]] = []
        self.windows: list[int | None] = []
        self.calls: list[str] = []
        self.clock = 1_000_000.0

    def _answer(self, name: str, answer: Any) -> Any:
        self.calls.append(name)
        if isinstance(answer, BaseException):
            raise answer
        return answer

    async def add_order(self, body: str, *, on_send: Callable[[], None] | None = None) -> AddedOrder:
        if on_send is not None:
            on_send()
        self.bodies.append(json.loads(body))
        return self._answer("add", self.added)  # type: ignore[no-any-return]

    async def cancel_order(self, omisell_order_number: str, reason: str | None, *, on_send: Any = None) -> None:
        on_send()
        self._answer(f"cancel {omisell_order_number} {reason}", self.cancelled)

    async def order_detail(self, omisell_order_number: str, **_: Any) -> OrderDetail:
        return self._answer(f"detail {omisell_order_number}", self.detail)  # type: ignore[no-any-return]

    async def order_page(self, *, page: int = 1, updated_from: int | None, **_: Any) -> OrderPage:
        self.windows.append(updated_from)
        return self._answer(f"page {page}", self.pages.pop(0) if self.pages else listed())  # type: ignore[no-any-return]

    async def ping(self) -> None:
        self._answer("ping", self.pinged)

    def server_time(self) -> float:
        return self.clock


def order(omisell: str, number: str = "A-1", shop_id: int | None = SHOP) -> ListedOrder:
    return ListedOrder(omisell_order_number=omisell, order_number=number, status_id=300, shop_id=shop_id)


def listed(*orders: ListedOrder, count: int | None = None, more: bool = False) -> OrderPage:
    return OrderPage(orders=orders, count=len(orders) if count is None else count, has_next=more)


def detail(status: int | None, shop_id: int | None = SHOP) -> OrderDetail:
    return OrderDetail(omisell_order_number="OMI-1", order_number="A-1", status_id=status, shop_id=shop_id)


def claim(**more: Any) -> Claim:
    told: dict[str, Any] = {
        "id": OutboxId(7),
        "lease_token": uuid.uuid4(),
        "kind": "order.add",
        "order_number": "A-1",
        "payload": '{"order_number": "A-1", "items": [{"sku": "TEE-M"}]}',
        "attempts": 0,
        "uncertain": False,
        "expired": False,
        "sent_age": 10.0,
        "settling_for": None,
        "list_lag": 0.0,
        "created_time": 1_790_000_000,
        "due_since": 1_790_000_000.0,
        "omisell_order_number": None,
        "status_id": None,
    }
    return Claim(**{**told, **more})


def cancel(**more: Any) -> Claim:
    return claim(**{"kind": "order.cancel", "payload": None, "omisell_order_number": "OMI-1", **more})


def held(good_until: float = math.inf) -> Held:
    return Held(uuid.uuid4(), good_until)


@pytest.fixture
def omisell() -> FakeOmisell:
    return FakeOmisell()


def rules() -> SendingRules:
    return SendingRules(3, 30.0, Backoff(2.0, 8.0), SHOP, {"shop_id": SHOP, "pickup_id": 167})


@pytest.fixture
def adder(omisell: FakeOmisell) -> Adder:
    return Adder(omisell, Lookup(omisell, SHOP), rules())


@pytest.fixture
def canceller(omisell: FakeOmisell) -> Canceller:
    return Canceller(omisell, Lookup(omisell, SHOP), rules())


async def test_an_add_is_sent_with_what_the_shop_left_out_and_nothing_else_changed(
    omisell: FakeOmisell, adder: Adder
) -> None:
    payload = '{"order_number": "A-1", "pickup_id": 5, "shop_id": null, "receiver": {"fullname": "Đặng Lan"}}'
    ending = await adder.work(claim(payload=payload), held())
    assert (ending.state, ending.outcome, ending.omisell_order_number, ending.spent) == ("done", "added", "OMI-1", 1)
    assert omisell.bodies == [
        {
            "order_number": "A-1",
            "pickup_id": 5,
            "shop_id": SHOP,
            "receiver": {"fullname": "Đặng Lan"},
            "created_time": 1_790_000_000,
        }
    ]


@pytest.mark.parametrize(
    ("payload", "more"),
    [
        ('{"order_number": "A-1", "price": 149000.10, "weight": 0.12345678901234567890}', True),
        ('{"shop_id": 7, "pickup_id": 5, "created_time": 5, "order_number": "A-1", "note": "1e5"}', False),
    ],
)
async def test_the_shops_own_text_goes_out_as_it_is(
    omisell: FakeOmisell, adder: Adder, monkeypatch: pytest.MonkeyPatch, payload: str, more: bool
) -> None:
    texts: list[str] = []
    sound = omisell.add_order

    async def add_order(body: str, **given: Any) -> Any:
        texts.append(body)
        return await sound(body, **given)

    monkeypatch.setattr(omisell, "add_order", add_order)
    assert (await adder.work(claim(payload=payload), held())).state == "done"
    defaults = f', "shop_id": {SHOP}, "pickup_id": 167, "created_time": 1790000000}}'
    assert texts == [payload[:-1] + defaults if more else payload]


@pytest.mark.parametrize("payload", ['{"a": ' + "[" * 100_000 + "]" * 100_000 + "}", '{"price": 1e999}'])
async def test_a_payload_that_cannot_be_written_as_json_fails_and_is_never_sent(
    omisell: FakeOmisell, adder: Adder, payload: str
) -> None:
    ending = await adder.work(claim(payload=payload), held())
    assert (ending.state, ending.reached) == ("failed", Reached.NO)
    assert str(ending.error).startswith("the payload cannot be sent")
    assert omisell.calls == []


async def test_a_lease_that_may_have_run_out_lets_no_request_go(omisell: FakeOmisell, adder: Adder) -> None:
    with pytest.raises(LeaseLost):
        await adder.work(claim(), held(-math.inf))
    assert omisell.calls == []


async def test_a_number_that_orders_has_is_adopted_without_a_call(omisell: FakeOmisell, adder: Adder) -> None:
    ending = await adder.work(claim(omisell_order_number="OMI-9", status_id=None), held())
    assert (ending.outcome, ending.omisell_order_number, omisell.calls) == ("adopted", "OMI-9", [])


async def test_a_refusal_fails_at_once_with_omisells_own_words(omisell: FakeOmisell, adder: Adder) -> None:
    omisell.added = Refused("SKU cannot be ordered.", attr_error={"items": ["SKU X"]})
    ending = await adder.work(claim(), held())
    words, _, advice = str(ending.error).partition("\n")
    assert (ending.state, words) == ("failed", 'SKU cannot be ordered. {"items": ["SKU X"]}')
    assert advice.startswith("What to do: put the product into Omisell's catalogue")
    assert json.loads(str(ending.event_data)) == {"outbox_id": 7, "why": ending.error}
    assert omisell.calls == ["add"]


async def test_a_refusal_is_followed_by_what_was_seen_wrong_before(omisell: FakeOmisell) -> None:
    class Seen:
        async def prepare(self, body: dict[str, object]) -> Prepared:
            return Prepared(body, findings=(Finding("receiver.district_name", "Omisell writes it 'Quận 1'"),))

    omisell.added = Refused("District Q1 does not exist.")
    ending = await Adder(omisell, Lookup(omisell, SHOP), rules(), Seen()).work(claim(), held())
    lines = str(ending.error).split("\n")
    assert lines[:2] == [
        "District Q1 does not exist.",
        "Seen before it was sent: receiver.district_name: Omisell writes it 'Quận 1'.",
    ]
    assert lines[2].startswith("What to do: the names of province, district and subdistrict must be Omisell's own")


async def test_a_duplicate_that_is_listed_is_adopted_and_others_are_named(omisell: FakeOmisell, adder: Adder) -> None:
    omisell.added = DUPLICATE
    omisell.pages = [listed(order("OMI-2"), order("OMI-1"), order("OMI-3", "B-1"))]
    ending = await adder.work(claim(), held())
    assert (ending.outcome, ending.omisell_order_number, ending.status_id) == ("adopted", "OMI-1", 300)
    assert json.loads(str(ending.event_data)) == {"outbox_id": 7, "also_at_omisell": ["OMI-2"]}


@pytest.mark.parametrize("look", [listed(), AWAY, AuthenticationFailed("no"), listed(count=5)])
async def test_a_duplicate_that_is_not_seen_yet_is_uncertain_and_not_annulled(
    omisell: FakeOmisell, adder: Adder, look: Any
) -> None:
    omisell.added = DUPLICATE
    omisell.pages = [look] * 3
    ending = await adder.work(claim(), held())
    assert (ending.state, ending.reached, ending.settling, ending.delay) == ("pending", Reached.MAYBE, True, 5.0)
    assert (ending.spent, str(ending.error).startswith("Order number A-1 already exists.")) == (1, True)


async def test_a_duplicate_that_never_comes_to_light_fails_with_omisells_words(
    omisell: FakeOmisell, adder: Adder
) -> None:
    omisell.added = DUPLICATE
    ending = await adder.work(claim(attempts=1), held())
    assert (ending.state, ending.reached) == ("failed", Reached.NO)
    assert str(ending.error).startswith("Order number A-1 already exists.")


async def test_a_duplicate_of_another_shops_order_is_not_adopted(omisell: FakeOmisell, adder: Adder) -> None:
    omisell.added = DUPLICATE
    omisell.pages = [listed(order("OMI-1", shop_id=None))]
    omisell.detail = detail(300, shop_id=21002)
    ending = await adder.work(claim(attempts=1), held())
    assert (ending.state, omisell.calls) == ("failed", ["add", "page 1", "detail OMI-1"])


async def test_an_uncertain_add_is_looked_for_and_not_sent(omisell: FakeOmisell, adder: Adder) -> None:
    omisell.pages = [listed(order("OMI-1", shop_id=None))]
    omisell.detail = detail(300)
    ending = await adder.work(claim(uncertain=True), held())
    assert (ending.outcome, ending.omisell_order_number) == ("adopted", "OMI-1")
    assert "add" not in omisell.calls


@pytest.mark.parametrize(
    ("more", "delay", "settling"),
    [
        ({"settling_for": None}, 5.0, True),
        ({"settling_for": 5.0}, 25.0, False),
        ({"settling_for": 29.9}, 1.0, False),
        ({"settling_for": 35.0, "list_lag": 40.0}, 45.0, False),
    ],
)
async def test_not_listed_is_not_believed_before_the_settling_time_is_over(
    omisell: FakeOmisell, adder: Adder, more: dict[str, Any], delay: float, settling: bool
) -> None:
    ending = await adder.work(claim(uncertain=True, **more), held())
    assert (ending.state, ending.reached, ending.spent) == ("pending", Reached.MAYBE, 0)
    assert ending.delay == pytest.approx(delay)
    assert ending.settling is settling


async def test_found_absent_it_is_sent_again_at_once_or_after_its_backoff(omisell: FakeOmisell, adder: Adder) -> None:
    first = await adder.work(claim(uncertain=True, settling_for=30.0), held())
    assert (first.state, first.reached, first.delay) == ("pending", Reached.NO, None)
    second = await adder.work(claim(uncertain=True, settling_for=30.0, attempts=2), held())
    assert second.delay is not None
    assert 0.8 <= second.delay <= 8.0
    last = await adder.work(claim(uncertain=True, settling_for=30.0, attempts=3), held())
    assert (last.state, last.error) == ("failed", "given up after 3 attempts; it is not at Omisell")


async def test_a_list_that_moves_or_a_detail_that_is_late_decides_nothing(omisell: FakeOmisell, adder: Adder) -> None:
    omisell.pages = [listed(count=9)] * 3
    moving = await adder.work(claim(uncertain=True, settling_for=99.0), held())
    assert (moving.state, moving.reached, moving.delay) == ("pending", Reached.MAYBE, 5.0)
    omisell.pages = [listed(order("OMI-1", shop_id=None))]
    late = await adder.work(claim(uncertain=True, settling_for=99.0), held())
    assert (late.state, late.reached) == ("pending", Reached.MAYBE)


def test_what_may_have_been_applied_is_uncertain_whatever_its_attempts(adder: Adder) -> None:
    ending = adder.after_failure(claim(attempts=9), "time-out", maybe_applied=True, outage=False)
    assert (ending.state, ending.reached, ending.settling, ending.spent) == ("pending", Reached.MAYBE, True, 1)


def test_a_look_that_fails_keeps_the_time_that_has_settled_and_never_gives_the_row_up(adder: Adder) -> None:
    begun = adder.after_failure(
        claim(uncertain=True, settling_for=9.0, attempts=9), "x", maybe_applied=False, outage=False
    )
    assert (begun.state, begun.reached, begun.settling, begun.spent) == ("pending", Reached.MAYBE, False, 1)
    fresh = adder.after_failure(claim(uncertain=True), "x", maybe_applied=False, outage=True)
    assert (fresh.settling, fresh.spent, fresh.delay) == (True, 0, 5.0)


def test_a_failure_that_time_can_mend_is_retried_until_the_attempts_are_used_up(adder: Adder) -> None:
    again = adder.after_failure(claim(attempts=1), "HTTP 503", maybe_applied=False, outage=False)
    assert (again.state, again.reached, again.spent) == ("pending", Reached.NO, 1)
    assert again.delay is not None
    assert 0.4 <= again.delay <= 4.0
    dead = adder.after_failure(claim(attempts=2), "HTTP 503", maybe_applied=False, outage=False)
    assert (dead.state, dead.error) == ("failed", "HTTP 503")


def test_an_outage_spends_no_attempt_and_a_row_keeps_its_place(adder: Adder, canceller: Canceller) -> None:
    for worker, row in ((adder, claim(attempts=2)), (canceller, cancel(attempts=2))):
        ending = worker.after_failure(row, "refused", maybe_applied=False, outage=True)
        assert (ending.state, ending.spent, ending.delay, ending.reached) == ("pending", 0, None, Reached.NO)


async def test_a_cancel_is_sent_with_its_reason(omisell: FakeOmisell, canceller: Canceller) -> None:
    ending = await canceller.work(cancel(payload='{"reason": "changed my mind"}'), held())
    assert (ending.outcome, ending.event, ending.omisell_order_number) == ("cancelled", "cancel_requested", "OMI-1")
    await canceller.work(cancel(payload='{"reason": null}'), held())
    assert omisell.calls == ["cancel OMI-1 changed my mind", "cancel OMI-1 None"]


@pytest.mark.parametrize("status", [370, 700, 708])
async def test_an_uncertain_cancel_believes_the_status_and_is_not_sent_again(
    omisell: FakeOmisell, canceller: Canceller, status: int
) -> None:
    omisell.detail = detail(status)
    ending = await canceller.work(cancel(uncertain=True), held())
    assert (ending.state, ending.outcome, omisell.calls) == ("done", "cancelled", ["detail OMI-1"])


async def test_an_uncertain_cancel_that_left_no_trace_is_sent_again(omisell: FakeOmisell, canceller: Canceller) -> None:
    omisell.detail = detail(300)
    ending = await canceller.work(cancel(uncertain=True), held())
    assert (ending.outcome, omisell.calls) == ("cancelled", ["detail OMI-1", "cancel OMI-1 None"])


async def test_a_refused_cancel_ends_failed_only_if_the_status_says_so(
    omisell: FakeOmisell, canceller: Canceller
) -> None:
    omisell.cancelled = Refused("Order cannot be cancelled in status Shipped.")
    omisell.detail = detail(500)
    ending = await canceller.work(cancel(), held())
    assert (ending.state, ending.event, ending.status_id) == ("failed", "cancel_refused", 500)
    words, _, advice = str(ending.error).partition("\n")
    assert words == "Order cannot be cancelled in status Shipped."
    assert advice.startswith("What to do: an order that is on its way can no longer be cancelled")
    omisell.detail = detail(300)
    again = await canceller.work(cancel(), held())
    assert (again.state, again.spent, again.reached) == ("pending", 1, Reached.NO)
    assert (await canceller.work(cancel(attempts=2), held())).state == "failed"


async def test_a_refused_cancel_whose_order_shows_no_detail_yet_is_tried_again(
    omisell: FakeOmisell, canceller: Canceller
) -> None:
    omisell.cancelled = NotFound("Order not found.")
    assert (await canceller.work(cancel(), held())).state == "pending"
    assert (await canceller.work(cancel(attempts=2), held())).event == "cancel_refused"


@pytest.mark.parametrize(("uncertain", "outcome"), [(True, "cancelled"), (False, "already_cancelled")])
async def test_a_refused_cancel_of_an_order_under_way_to_be_cancelled_is_done(
    omisell: FakeOmisell, canceller: Canceller, uncertain: bool, outcome: str
) -> None:
    omisell.cancelled = Refused("no")
    answers = iter([detail(300), detail(370)] if uncertain else [detail(370)])
    omisell.order_detail = lambda *_, **__: _soon(next(answers))  # type: ignore[method-assign]
    ending = await canceller.work(cancel(uncertain=uncertain), held())
    assert (ending.state, ending.outcome) == ("done", outcome)


async def _soon(answer: OrderDetail) -> OrderDetail:
    return answer


async def test_a_cancel_whose_add_was_given_up_waits_whether_the_order_comes_to_light(
    omisell: FakeOmisell, canceller: Canceller
) -> None:
    unknown = {"omisell_order_number": None}
    first = await canceller.work(cancel(**unknown), held())
    assert (first.state, first.settling, first.delay) == ("pending", True, 5.0)
    second = await canceller.work(cancel(**unknown, uncertain=True, settling_for=10.0), held())
    assert (second.state, second.delay) == ("pending", 20.0)
    last = await canceller.work(cancel(**unknown, uncertain=True, settling_for=30.0), held())
    assert (last.state, last.outcome, last.reached) == ("done", "annulled", Reached.NO)
    omisell.pages = [listed(order("OMI-5"))]
    found = await canceller.work(cancel(**unknown), held())
    assert (found.outcome, found.omisell_order_number) == ("cancelled", "OMI-5")
    assert omisell.windows[0] == 1_000_000 - 86_400 - 600


def test_a_cancel_that_keeps_failing_ends_failed(canceller: Canceller) -> None:
    again = canceller.after_failure(cancel(), "time-out", maybe_applied=True, outage=False)
    assert (again.state, again.reached, again.spent) == ("pending", Reached.MAYBE, 1)
    dead = canceller.after_failure(cancel(attempts=2, uncertain=True), "x", maybe_applied=False, outage=False)
    assert (dead.state, dead.event, dead.reached) == ("failed", "failed", Reached.MAYBE)


class Record:
    """A record of the list's lag that answers with what the test put there."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer
        self.seen: list[list[str]] = []

    async def observe(self, listed: Any, age: float, reach: float) -> float:
        assert age >= 0
        assert reach == 520.0  # the window's ten minutes and the age asked for, less a slow answer
        self.seen.append(sorted(listed))
        if isinstance(self.answer, BaseException):
            raise self.answer
        return float(self.answer)


async def test_a_reading_that_shows_a_lag_itself_is_not_believed(omisell: FakeOmisell) -> None:
    record = Record(25.0)
    lookup = Lookup(omisell, SHOP, record=record)
    omisell.pages = [listed(order("OMI-7", "Z-1"))]
    ending = await Adder(omisell, lookup, rules()).work(claim(uncertain=True, settling_for=31.0), held())
    assert (ending.state, ending.reached, ending.delay) == ("pending", Reached.MAYBE, 19.0)
    assert (record.seen, lookup.lag) == ([["OMI-7"]], 25.0)


async def test_a_lag_that_cannot_be_noted_spoils_no_look(omisell: FakeOmisell) -> None:
    lookup = Lookup(omisell, SHOP, record=Record(StoreUnavailable("away")))
    omisell.pages = [listed(order("OMI-1"))]
    assert [each.omisell_order_number for each in await lookup.find("A-1", 10.0)] == ["OMI-1"]


async def test_a_short_window_tells_nothing_of_the_lag() -> None:
    record = Record(25.0)
    assert await LagNotes(record).note(["OMI-1"], 0.0, SLOW_ANSWER) == 0.0
    assert record.seen == []


async def test_a_clock_ahead_of_omisells_makes_no_look_miss_an_order(omisell: FakeOmisell) -> None:
    page = omisell.order_page

    async def answered(**asked: Any) -> OrderPage:
        omisell.clock = 1_000_000.0 - 3600.0  # the first answer tells Omisell's own time
        return await page(**asked)

    omisell.order_page = answered  # type: ignore[method-assign]
    omisell.pages = [listed(), listed(order("OMI-1"))]
    found = await Lookup(omisell, SHOP).find("A-1", 10.0)
    assert [each.omisell_order_number for each in found] == ["OMI-1"]
    assert omisell.windows == [1_000_000 - 610, 1_000_000 - 3600 - 610]


async def test_a_filter_is_believed_only_by_the_number_of_what_it_brings(omisell: FakeOmisell) -> None:
    lookup = Lookup(omisell, SHOP, filtered=True)
    omisell.pages = [listed(order("OMI-2", "B-1"), order("OMI-1"))]
    assert [each.omisell_order_number for each in await lookup.find("A-1", 1.0)] == ["OMI-1"]
    omisell.pages = [listed(order("OMI-2", "B-1")), listed(order("OMI-3"))]
    assert [each.omisell_order_number for each in await lookup.find("A-1", 1.0)] == ["OMI-3"]


async def test_who_asks_for_an_old_order_makes_nobody_else_wait(omisell: FakeOmisell) -> None:
    lookup = Lookup(omisell, SHOP)
    assert await lookup.find("A-1", 3600.0) == []
    assert await lookup.find("A-1", 90_000.0) == []
    assert omisell.windows == [1_000_000 - 4200, 1_000_000 - 90_600]


async def test_what_a_moving_list_shows_is_there_and_only_what_it_does_not_show_is_unknown(
    omisell: FakeOmisell,
) -> None:
    record = Record(25.0)
    lookup = Lookup(omisell, SHOP, record=record)
    omisell.pages = [listed(order("OMI-1"), count=3), *[listed(count=3)] * 5]
    found, unknown = await asyncio.gather(lookup.find("A-1", 1.0), lookup.find("A-2", 1.0), return_exceptions=True)
    assert isinstance(found, list)
    assert [each.omisell_order_number for each in found] == ["OMI-1"]
    assert isinstance(unknown, Incomplete)
    assert record.seen == []  # what was not seen was not late


async def test_a_look_goes_before_the_adds_that_wait(omisell: FakeOmisell) -> None:
    page, asked = omisell.order_page, []

    async def noted(**more: Any) -> OrderPage:
        asked.append((more["cls"], more["ahead"]))
        return await page(**more)

    omisell.order_page = noted  # type: ignore[method-assign]
    await Lookup(omisell, SHOP, filtered=True).find("A-1", 1.0)
    assert asked == [(CallClass.ADD, True)] * 2


async def test_a_look_that_fails_is_told_to_who_asked(omisell: FakeOmisell) -> None:
    omisell.pages = [AWAY]
    with pytest.raises(Unavailable):
        await Lookup(omisell, SHOP).find("A-1", 1.0)


async def read(omisell: FakeOmisell, **more: Any) -> list[str]:
    found = await read_window(omisell, updated_from=0, updated_to=None, shop_id=SHOP, cls=CallClass.ADD, **more)
    return sorted(found)


async def test_a_window_is_read_again_until_as_many_orders_were_seen_as_it_counts(omisell: FakeOmisell) -> None:
    one, two, three = order("OMI-1"), order("OMI-2"), order("OMI-3")
    omisell.pages = [listed(one, count=3, more=True), listed(one, two, count=3), listed(two, three, count=3)]
    told: list[tuple[int, int]] = []
    assert await read(omisell, on_page=lambda seen, count: told.append((seen, count))) == ["OMI-1", "OMI-2", "OMI-3"]
    assert told == [(1, 3), (2, 3), (3, 3)]
    omisell.pages = [listed(one, count=3)] * 3
    with pytest.raises(Incomplete, match="1 of 3 orders seen"):
        await read(omisell)


async def test_a_list_that_counts_nothing_is_read_until_nothing_new_is_seen(omisell: FakeOmisell) -> None:
    omisell.pages = [listed(order("OMI-1"), count=0), listed(order("OMI-2"), count=0), listed(order("OMI-1"), count=0)]
    assert await read(omisell) == ["OMI-1", "OMI-2"]
    omisell.pages = [listed(order("OMI-1", shop_id=5), order("OMI-2", shop_id=None), count=2)]
    assert await read(omisell, enough=lambda seen: len(seen) == 2) == ["OMI-2"]


async def test_the_breaker_tells_an_outage_from_a_failing_order(omisell: FakeOmisell) -> None:
    breaker = Breaker(omisell)
    assert await breaker.suspect() is False
    for answer in (Refused("no"), Throttled(1.0)):
        omisell.pinged = answer
        assert await breaker.suspect() is False  # an answer all the same
    omisell.pinged = StoreUnavailable("the database is away, and with it the token")
    assert await breaker.suspect() is True
    assert not breaker.is_open
    omisell.pinged = AWAY
    assert await breaker.suspect() is True
    assert breaker.is_open
    assert breaker.reason == "Omisell did not answer the call: time-out"
    asked = len(omisell.calls)
    assert await breaker.suspect() is True
    assert len(omisell.calls) == asked  # while it is open only the probe asks


async def test_leases_are_renewed_and_what_is_lost_is_not_sent() -> None:
    ours: set[str] = {"a"}
    asked: list[int] = []

    async def renew(leases: Any) -> set[str]:
        asked.append(len(leases))
        return ours

    flight: Flight[str] = Flight(renew)
    await flight.renew()
    assert asked == []
    kept, lost = flight.take("a", uuid.uuid4(), 0.0), flight.take("b", uuid.uuid4(), math.inf)
    await flight.renew()
    assert (asked, len(flight)) == ([2], 2)
    kept.about_to_send()
    assert kept.sent
    with pytest.raises(LeaseLost):
        lost.about_to_send()
    flight.drop("a")
    flight.drop("b")
    assert len(flight) == 0


def test_the_backoff_doubles_up_to_its_cap_with_jitter_below_it() -> None:
    backoff = Backoff(2.0, 600.0)
    assert [backoff.bound(attempts) for attempts in (0, 1, 4, 9, 5000)] == [2.0, 4.0, 32.0, 600.0, 600.0]
    delays = [backoff.delay(4) for _ in range(200)]
    assert min(delays) >= 3.2
    assert max(delays) <= 32.0
    assert len(set(delays)) > 100


async def test_after_a_reading_that_took_long_the_next_waits_and_answers_all_who_asked_meanwhile(
    omisell: FakeOmisell, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, rests, over = [0.0], [], asyncio.Event()

    async def rest(seconds: float) -> None:
        rests.append(seconds)
        await over.wait()

    async def page(**more: Any) -> OrderPage:
        now[0] += 2.0  # each page takes so long
        return await FakeOmisell.order_page(omisell, **more)

    monkeypatch.setattr("omisync.sync.lookup.since_boot", lambda: now[0])
    monkeypatch.setattr("omisync.sync.lookup.asyncio.sleep", rest)
    monkeypatch.setattr(omisell, "order_page", page)
    omisell.pages = [listed(order("OMI-1")), listed(order("OMI-2", "B-1"), order("OMI-3", "C-1"))]
    lookup = Lookup(omisell, SHOP)
    assert [each.omisell_order_number for each in await lookup.find("A-1", 10.0)] == ["OMI-1"]
    asking = [asyncio.ensure_future(lookup.find(number, 10.0)) for number in ("B-1", "C-1")]
    await asyncio.wait(asking, timeout=0)
    assert (omisell.calls, rests) == (["page 1"], [6.0])
    over.set()
    found = await asyncio.gather(*asking)
    assert [each.omisell_order_number for (each,) in found] == ["OMI-2", "OMI-3"]
    assert omisell.calls == ["page 1", "page 1"]
