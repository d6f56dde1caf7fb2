"""Every event that can befall the rows of an order, and what must hold after each."""

import contextlib
import datetime as dt
import json
import random
from typing import Any

import asyncpg

from omisync.store import Claim, Ending, Fetch, Hooks, Kind, Orders, Outbox, Snapshot
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
from tests.integration.sync.outbox_model import SETTLE, SHOP, Ground, ModelOmisell, Uncounted, Worker

NUMBER = "A-1"
FAULTS = ("none", "none", "lost_after", "lost_after", "late", "late", "lost_before", "unsent", "refused", "throttled")
OPEN = ("pending", "sending")
STEPS = 30  # events in an example
DEEDS = (
    *["attempt"] * 4,
    *["stall", "claim", "work", "finish", "cancel", "others_carry_on", "others_carry_on_until_one_has_sent"] * 2,
    *["add", "annul", "crash", "renew", "push", "retry", "discard", "pass_time"],
)
"""What can happen, the likelier the more often it stands here."""


class OutboxMachine:
    """An order's rows, and all who have to do with them; `trace` tells what happened."""

    def __init__(self, ground: Ground) -> None:
        self.run = ground.run
        self.sql = ground.sql
        self.omisell = ModelOmisell()
        hooks = Hooks(ground.database)
        self.outbox, self.orders = Outbox(ground.database, hooks), Orders(ground.database, hooks)
        self.operator = Operator(ground.database)
        lookup = Lookup(self.omisell, SHOP)
        rules = SendingRules(3, SETTLE, Backoff(0.001, 0.001), SHOP, {"shop_id": SHOP})
        adder, canceller = Adder(self.omisell, lookup, rules), Canceller(self.omisell, lookup, rules)
        nobody = Uncounted()
        self.sender = Sender(
            self.outbox, adder, canceller, Breaker(self.omisell), nobody, nobody, concurrency=4, interval=1.0
        )
        self.version = 0
        self.held: list[Worker] = []
        self.trace: list[str] = []
        self._begin_a_life()

    def _begin_a_life(self) -> None:
        self.held = []
        self.run(
            self.sql.execute(
                "DELETE FROM omisync.outbox; DELETE FROM omisync.orders; DELETE FROM omisync.order_events;"
                " DELETE FROM omisync.list_lag; DELETE FROM omisync.findings; DELETE FROM omisync.refreshes"
            )
        )
        self.omisell.forget()
        self.add()

    def live(self, chance: random.Random) -> None:
        """As many events as an example has, drawn by chance, and then calm."""
        try:
            for _ in range(STEPS):
                self._something_happens(chance)
                self.all_rows_are_as_at_omisell()
            self.calm()
        except AssertionError as error:
            error.add_note(" -> ".join(self.trace))
            raise

    def _something_happens(self, chance: random.Random) -> None:
        if self._is_over() and chance.random() < 0.5:
            self._begin_a_life()  # what is done is done, and little more would happen
        kind: Kind = chance.choice(("order.add", "order.add", "order.cancel"))
        deed, fault = chance.choice(DEEDS), chance.choice(FAULTS)
        self.trace.append(f"{deed} {kind} {fault}")
        match deed:
            case "add":
                self.add(mended=chance.random() < 0.5)
            case "cancel" | "annul" | "push" | "others_carry_on":
                getattr(self, deed)()
            case "attempt" | "stall":
                self.pass_time(chance.choice((0.0, 6.0, 31.0)))
                getattr(self, deed)(kind, fault)
            case "claim":
                self.claim(kind)
            case "others_carry_on_until_one_has_sent":
                self.others_carry_on_until_one_has_sent(chance.choice(("lost_after", "late")))
            case "pass_time":
                self.pass_time(chance.choice((6.0, 16.0, 31.0)))
            case "retry" | "discard":
                self.meddle(deed)
            case _ if self.held:
                worker = chance.choice(self.held)
                self.work(worker, fault) if deed == "work" else getattr(self, deed)(worker)

    def _is_over(self) -> bool:
        rows = self._rows()
        return not any(row["state"] in OPEN for row in rows) and any(row["state"] == "done" for row in rows)

    # What the shop does

    def add(self, *, mended: bool = False) -> None:
        """The same payload again, or another: refused while a row lives, a new row after a failure or a discard."""
        self.version += mended
        payload = json.dumps({"order_number": NUMBER, "items": [{"sku": "TEE-M"}], "version": self.version})
        self._try(f"SELECT omisync.add_order('{payload}')")

    def cancel(self) -> None:
        self._try(f"SELECT omisync.cancel_order('{NUMBER}')")

    def _try(self, statement: str) -> None:
        # the shop is told, and nothing has happened
        with contextlib.suppress(asyncpg.UniqueViolationError, asyncpg.ForeignKeyViolationError):
            self.run(self.sql.execute(statement))

    # What senders do

    def annul(self) -> None:
        self.run(self.outbox.annul())

    def claim(self, kind: Kind) -> list[Worker]:
        """A sender takes what is due, and nothing else happens to it yet."""
        claims: list[Claim] = self.run(self.outbox.claim(kind, 2))
        for claim in claims:
            self._check_claim(claim)
        found = [Worker(claim, self._lease_end()) for claim in claims]
        self.held += found
        return found

    def work(self, worker: Worker, fault: str) -> Ending:
        """It makes its call: in time, or late, when it must not."""
        if worker.ending is not None:
            return worker.ending
        self.omisell.fault = fault
        good = worker.good_until >= self.omisell.now
        held = Held(worker.claim.lease_token, float("inf") if good else float("-inf"))
        ending: Ending = self.run(self.sender._decide(worker.claim, held))
        worker.ending, self.omisell.fault = ending, "none"
        return ending

    def finish(self, worker: Worker) -> None:
        """It writes down how it ended: in time, or late, when the fence must hold."""
        if worker.ending is not None:
            self.run(self._written(worker.ending))
        self.crash(worker)

    async def _written(self, ending: Ending) -> bool:
        return await self.outbox.finish(ending)

    def crash(self, worker: Worker) -> None:
        self.held.remove(worker)

    def renew(self, worker: Worker) -> None:
        ours = self.run(self.outbox.renew([worker.claim.lease_token]))
        worker.good_until = self._lease_end() if worker.claim.id in ours else 0.0

    def _lease_end(self) -> float:
        return self.omisell.now + LEASE_SECONDS - LEASE_MARGIN

    def attempt(self, kind: Kind, fault: str) -> None:
        """A claim, its call and its end in one go."""
        for worker in self.stall(kind, fault):
            self.finish(worker)

    def stall(self, kind: Kind, fault: str) -> list[Worker]:
        """A claim and its call; the sender stands still before it writes down how it ended."""
        found = self.claim(kind)
        for worker in found:
            self.work(worker, fault)
        return found

    def others_carry_on(self) -> None:
        """Time passes, and another replica does whatever is to be done; who stands still sleeps through it."""
        for _ in range(5):
            self._carry_on()

    def others_carry_on_until_one_has_sent(self, loss: str) -> None:
        """Likewise, until an add goes out whose answer is lost; who sent it stands still."""
        for _ in range(5):
            self.pass_time(16.0)
            sent = self.omisell.requests
            for worker in self.stall("order.add", loss):
                if self.omisell.requests > sent:
                    return
                self.finish(worker)

    def _carry_on(self) -> None:
        self.pass_time(16.0)
        self.annul()
        for kind in ("order.cancel", "order.add"):
            self.attempt(kind, "none")

    # What Omisell tells

    def push(self) -> None:
        """The detail of an order that is there comes to the shop's tables, as a push or a sweep would bring it."""
        for order in self.omisell.orders[-1:]:
            self.run(self.orders.request([(order.omisell, order.number, None)], "webhook", priority=0))
            for fetch in self.run(self.orders.claim(1)):
                self.run(self.orders.apply(_snapshot(fetch, 700 if order.cancelled else 200, int(self.omisell.now))))

    # What the operator does

    def meddle(self, action: str) -> None:
        rows = self.run(self.sql.fetch("SELECT id FROM omisync.outbox WHERE state IN ('failed', 'pending')"))
        if rows:
            self.run(getattr(self.operator, action)([min(row["id"] for row in rows)], by="machine"))

    # Time

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
        self.run(self.sql.execute("UPDATE omisync.refreshes SET lease_until = lease_until - interval '1 min'"))

    # What must hold

    def _check_claim(self, claim: Claim) -> None:
        """Rows take effect in their order, and what was cancelled before it was sent is not sent."""
        rows = self._rows()
        before = [row for row in rows if row["id"] < claim.id and row["state"] in OPEN]
        assert not before, f"{claim.kind} {claim.id} overtakes {before}"
        if claim.kind == "order.add" and not claim.uncertain and claim.omisell_order_number is None:
            waiting = [row for row in rows if row["kind"] == "order.cancel" and row["state"] == "pending"]
            assert not waiting, f"add {claim.id} is sent though it is cancelled"

    def _rows(self) -> list[Any]:
        rows: list[Any] = self.run(self.sql.fetch("SELECT * FROM omisync.outbox ORDER BY id"))
        return rows

    def all_rows_are_as_at_omisell(self) -> None:
        rows, there = self._rows(), self.omisell.orders
        assert len(there) + len(self.omisell.coming) <= 1, f"{there} {self.omisell.coming}"
        alive = [order for order in there if not order.cancelled] or self.omisell.coming
        adds = [row for row in rows if row["kind"] == "order.add"]
        if any(row["outcome"] in {"added", "adopted"} for row in adds):
            known = self.run(self.sql.fetchval("SELECT omisell_order_number FROM omisync.orders"))
            assert [order.omisell for order in there] == [known], rows
        elif all(row["state"] == "failed" or row["outcome"] == "annulled" for row in adds):
            assert not there, rows
            assert not self.omisell.coming, rows
        for row in rows:
            if row["kind"] == "order.cancel" and row["outcome"] is not None:
                superseded = any(add["id"] > row["id"] for add in adds)
                assert not alive or (row["outcome"] == "annulled" and superseded), rows

    def calm(self) -> None:
        """Whoever stood still wakes up late, then calm: whatever is left comes to its end, and then nothing is lost."""
        late = [*self.held]
        self.others_carry_on_until_one_has_sent("lost_after")
        for worker in late:
            self.work(worker, "none")
            self.finish(worker)
        for _ in range(60):
            self._carry_on()
            self.all_rows_are_as_at_omisell()
            if not any(row["state"] in OPEN for row in self._rows()):
                return
        raise AssertionError("rows are stuck")


def _snapshot(fetch: Fetch, status: int, now: int) -> Snapshot:
    return Snapshot(
        fetch=fetch,
        order_number=NUMBER,
        shop_id=SHOP,
        status_id=status,
        status_name=None,
        is_final=status >= 700,
        created_time=now,
        updated_time=now,
        rts_time=None,
        shipped_time=None,
        completed_time=None,
        tracking_numbers="[]",
        detail="{}",
        parcels="[]",
    )
