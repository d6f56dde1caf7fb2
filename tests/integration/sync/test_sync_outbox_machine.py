"""The outbox in any order of events against a model Omisell with the worst manners: at most once, nothing lost.

The store, the adder, the canceller and the sender's judgement are the real ones, on a real Postgres. Omisell, and time,
are the model's: it makes a second order of every second add, shows orders in its list late, and applies some requests
after their answer was lost; time passes by moving the database's own timestamps back.
"""

import asyncio
import contextlib
import datetime as dt
import json
from dataclasses import dataclass, field
from typing import Any

import asyncpg
import structlog
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from omisync.omisell import AddedOrder, ListedOrder, NotFound, OrderDetail, OrderPage, Refused, Throttled, Unavailable
from omisync.store import Claim, Database, Ending, Hooks, Outbox
from omisync.store.operator import Operator
from omisync.store.outbox import LEASE_SECONDS
from omisync.sync.add import Adder
from omisync.sync.backoff import Backoff
from omisync.sync.breaker import Breaker
from omisync.sync.cancel import Canceller
from omisync.sync.flight import LEASE_MARGIN, Held
from omisync.sync.lookup import Lookup
from omisync.sync.rules import SendingRules
from omisync.sync.sender import Sender

SHOP = 21001
SETTLE = 30.0
LATE = 10.0  # seconds until a request whose answer was lost is applied
LAG = 10.0  # seconds until an order is listed; together below SETTLE, which is the promise's bound
STEP_SECONDS = 20.0  # for one step of the machine against the database
NUMBERS = ("A",)

FAULTS = st.sampled_from(["none", "none", "lost_after", "lost_before", "late", "unsent", "refused", "throttled"])
ENDS = ["finish", "finish", "keep", "crash"]


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

    def pass_time(self, seconds: float) -> None:
        self.now += seconds
        for due, number in [each for each in self.coming if each[0] <= self.now]:
            self.coming.remove((due, number))
            self._apply(number, due)

    def at(self, number: str) -> list[Kept]:
        return [order for order in self.orders if order.number == number]

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
    """A claim somewhere in a sender's hands; `ending` once it knows how it ends."""

    claim: Claim
    good_until: float
    ending: Ending | None = None


class Uncounted:
    """The sender's budget and counters, which play no part here."""

    def outbox_done(self, kind: str, outcome: str) -> None:
        return

    def sweep_repair(self, kind: str) -> None:
        return

    async def wait_available(self, cls: Any) -> int:
        return 1


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


class OutboxMachine(RuleBasedStateMachine):
    """Every event that can befall the rows of an order, in any order."""

    ground: Ground

    @initialize()
    def begin(self) -> None:
        self.run = self.ground.run
        self.sql = self.ground.sql
        self.run(
            self.sql.execute(
                "DELETE FROM omisync.outbox; DELETE FROM omisync.orders; DELETE FROM omisync.order_events;"
                " DELETE FROM omisync.list_lag; DELETE FROM omisync.findings"
            )
        )
        self.omisell = ModelOmisell()
        self.outbox = Outbox(self.ground.database, Hooks(self.ground.database))
        self.operator = Operator(self.ground.database)
        lookup = Lookup(self.omisell, SHOP)
        rules = SendingRules(3, SETTLE, Backoff(0.001, 0.001), SHOP, {"shop_id": SHOP})
        adder, canceller = Adder(self.omisell, lookup, rules), Canceller(self.omisell, lookup, rules)
        nobody = Uncounted()
        self.sender = Sender(
            self.outbox, adder, canceller, Breaker(self.omisell), nobody, nobody, concurrency=4, interval=1.0
        )
        self.workers: list[Worker] = []
        self.versions: dict[str, int] = dict.fromkeys(NUMBERS, 0)
        self.wanted: set[str] = set()

    # What the shop does

    @rule(number=st.sampled_from(NUMBERS))
    def add(self, number: str) -> None:
        self._try(f"SELECT omisync.add_order('{json.dumps(self._payload(number))}')")
        self.wanted.add(number)

    @rule(number=st.sampled_from(NUMBERS))
    def add_mended(self, number: str) -> None:
        """Another payload: refused while a row lives, a new row after a failure or a discard."""
        self.versions[number] += 1
        self._try(f"SELECT omisync.add_order('{json.dumps(self._payload(number))}')")
        self.wanted.add(number)

    @rule(number=st.sampled_from(NUMBERS))
    def cancel(self, number: str) -> None:
        self._try(f"SELECT omisync.cancel_order('{number}')")

    def _payload(self, number: str) -> dict[str, Any]:
        return {"order_number": number, "items": [{"sku": "TEE-M"}], "version": self.versions[number]}

    def _try(self, statement: str) -> None:
        # the shop is told, and nothing has happened
        with contextlib.suppress(asyncpg.UniqueViolationError, asyncpg.ForeignKeyViolationError):
            self.run(self.sql.execute(statement))

    # What senders do

    @rule()
    def annul(self) -> None:
        self.run(self.outbox.annul())

    @rule(kind=st.sampled_from(["order.add", "order.cancel"]), most=st.integers(1, 2))
    def claim(self, kind: Any, most: int) -> None:
        for claim in self.run(self.outbox.claim(kind, most)):
            self.workers.append(Worker(claim, self.omisell.now + LEASE_SECONDS - LEASE_MARGIN))

    @precondition(lambda self: any(worker.ending is None for worker in self.workers))
    @rule(data=st.data(), fault=FAULTS)
    def work(self, data: Any, fault: str) -> None:
        worker = data.draw(st.sampled_from([each for each in self.workers if each.ending is None]))
        self._decide(worker, fault)

    def _decide(self, worker: Worker, fault: str) -> Ending:
        self.omisell.fault = fault
        good = worker.good_until >= self.omisell.now
        held = Held(worker.claim.lease_token, float("inf") if good else float("-inf"))
        ending: Ending = self.run(self.sender._decide(worker.claim, held, structlog.get_logger("machine")))
        worker.ending = ending
        self.omisell.fault = "none"
        return ending

    @rule(kind=st.sampled_from(["order.add", "order.add", "order.cancel"]), fault=FAULTS, end=st.sampled_from(ENDS))
    def attempt(self, kind: Any, fault: str, end: str) -> None:
        """A claim and its call in one go, so that long stories come about: the ending is written, kept, or lost."""
        for claim in self.run(self.outbox.claim(kind, 2)):
            worker = Worker(claim, self.omisell.now + LEASE_SECONDS - LEASE_MARGIN)
            ending = self._decide(worker, fault)
            if end == "finish":
                self.run(self.outbox.finish(ending))
            elif end == "keep":
                self.workers.append(worker)

    @precondition(lambda self: any(worker.ending is not None for worker in self.workers))
    @rule(data=st.data())
    def finish(self, data: Any) -> None:
        """In time or late: then the fence must hold."""
        worker = data.draw(st.sampled_from([each for each in self.workers if each.ending is not None]))
        self.workers.remove(worker)
        assert worker.ending is not None
        self.run(self.outbox.finish(worker.ending))

    @precondition(lambda self: self.workers)
    @rule(data=st.data())
    def crash(self, data: Any) -> None:
        self.workers.remove(data.draw(st.sampled_from(self.workers)))

    @precondition(lambda self: self.workers)
    @rule(data=st.data())
    def renew(self, data: Any) -> None:
        worker = data.draw(st.sampled_from(self.workers))
        ours = self.run(self.outbox.renew([worker.claim.lease_token]))
        worker.good_until = self.omisell.now + LEASE_SECONDS - LEASE_MARGIN if worker.claim.id in ours else 0.0

    # What the operator does

    @rule(data=st.data(), action=st.sampled_from(["retry", "discard"]))
    def meddle(self, data: Any, action: str) -> None:
        rows = self.run(
            self.sql.fetch("SELECT id FROM omisync.outbox WHERE state IN ('failed', 'pending') ORDER BY id")
        )
        if rows:
            chosen = data.draw(st.sampled_from(sorted(row["id"] for row in rows)))
            self.run(getattr(self.operator, action)([chosen], by="machine"))

    # Time

    @rule(seconds=st.sampled_from([1.0, 6.0, 16.0, 31.0, 700.0]))
    def pass_time(self, seconds: float) -> None:
        self.omisell.pass_time(seconds)
        self.run(
            self.sql.execute(
                "UPDATE omisync.outbox SET available_at = available_at - $1::interval,"
                " lease_until = lease_until - $1::interval, maybe_sent_at = maybe_sent_at - $1::interval,"
                " settle_at = settle_at - $1::interval, created_at = created_at - $1::interval,"
                " finished_at = finished_at - $1::interval",
                dt.timedelta(seconds=seconds),
            )
        )

    # What must hold

    @invariant()
    def nothing_is_there_twice(self) -> None:
        for number in NUMBERS:
            assert len(self.omisell.at(number)) <= 1, number

    def teardown(self) -> None:
        """Calm: whatever is left comes to its end, and then nothing is lost."""
        self.workers = []
        for _ in range(60):
            self.pass_time(16.0)
            self.annul()
            for kind in ("order.cancel", "order.add"):
                self.claim(kind, 10)
            for worker in self.workers:
                self.run(self.outbox.finish(self._decide(worker, "none")))
            self.workers = []
            if not self.run(self.sql.fetchval("SELECT count(*) FROM omisync.outbox WHERE finished_at IS NULL")):
                break
        else:
            raise AssertionError("rows are stuck")
        self.nothing_is_there_twice()
        for number in self.wanted:
            self._nothing_is_lost(number)

    def _nothing_is_lost(self, number: str) -> None:
        rows = self.run(self.sql.fetch("SELECT * FROM omisync.outbox WHERE order_number = $1 ORDER BY id", number))
        adds = [row for row in rows if row["kind"] == "order.add"]
        there = self.omisell.at(number)
        if any(row["outcome"] in {"added", "adopted"} for row in adds):
            assert len(there) == 1, rows
            known = self.run(
                self.sql.fetchval("SELECT omisell_order_number FROM omisync.orders WHERE order_number = $1", number)
            )
            assert known == there[0].omisell
        elif all(row["state"] == "failed" or row["outcome"] == "annulled" for row in adds):
            assert not there, rows
        for row in rows:
            if row["kind"] == "order.cancel" and row["outcome"] in {"cancelled", "already_cancelled"}:
                assert there
                assert there[0].cancelled
            later_add = any(add["id"] > row["id"] for add in adds)
            if row["kind"] == "order.cancel" and row["outcome"] == "annulled" and not later_add:
                assert all(order.cancelled for order in there), rows


def test_in_any_order_of_events_an_order_is_there_at_most_once_and_none_is_lost(dsn: str) -> None:
    with asyncio.Runner() as runner:
        ground = Ground(runner, dsn)
        try:
            OutboxMachine.ground = ground
            run_state_machine_as_test(
                OutboxMachine,
                settings=settings(
                    max_examples=80,
                    stateful_step_count=40,
                    derandomize=True,
                    deadline=None,
                    database=None,
                    suppress_health_check=list(HealthCheck),
                ),
            )
        finally:
            ground.close()
