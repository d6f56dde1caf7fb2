"""The sender with the real client, on a real Postgres, against the real simulator and its faults."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from typing import Any

import aiohttp
import asyncpg
import pytest
from structlog.testing import capture_logs

from omisync.config import OmisellSettings
from omisync.omisell import AuthenticationFailed, Budget, OmisellClient, connect
from omisync.simulator import BucketConfig, ListConfig, OrderConfig, Simulator, SimulatorConfig
from omisync.store import Database, Hooks, Leases, ListLag, Outbox, StoreUnavailable, TokenTable
from omisync.store.operator import Operator
from omisync.sync.add import Adder
from omisync.sync.backoff import Backoff
from omisync.sync.breaker import Breaker
from omisync.sync.cancel import Canceller
from omisync.sync.lookup import Lookup
from omisync.sync.rules import SendingRules
from omisync.sync.sender import Sender
from omisync.sync.tokens import SharedTokens

SECONDS = 30.0  # for anything a test waits on: two cores may be shared
SETTLE = 0.3
SHOP = 21001


class Noted:
    """The observer and the counters."""

    def __init__(self) -> None:
        self.done: Counter[tuple[str, str]] = Counter()

    def request(self, endpoint: str, status: str, seconds: float) -> None:
        return

    def outbox_done(self, kind: str, outcome: str) -> None:
        self.done[kind, outcome] += 1

    def sweep_repair(self, kind: str) -> None:
        return


@dataclass
class Shop:
    """A sender at work between a database and a simulator."""

    sql: asyncpg.Connection
    database: Database
    simulator: Simulator
    client: OmisellClient
    sender: Sender
    breaker: Breaker
    outbox: Outbox
    noted: Noted
    tasks: list[asyncio.Task[None]] = field(default_factory=list)

    def start(self) -> None:
        self.tasks = [asyncio.create_task(self.sender.run(5.0)), asyncio.create_task(self.breaker.run())]

    async def stop(self) -> None:
        self.sender.stop()
        for task in self.tasks[1:]:
            task.cancel()
        await asyncio.wait_for(asyncio.gather(*self.tasks, return_exceptions=True), SECONDS)

    async def add(self, number: str, sku: str = "TEE-M") -> int:
        payload = json.dumps({"order_number": number, "items": [{"sku": sku, "quantity": 1}]})
        row: int = await self.sql.fetchval("SELECT omisync.add_order($1)", payload)
        return row

    async def cancel(self, number: str) -> int:
        row: int = await self.sql.fetchval("SELECT omisync.cancel_order($1)", number)
        return row

    async def until(self, condition: str, *values: object) -> None:
        """Waits until the database says so."""
        async with asyncio.timeout(SECONDS):
            while not await self.sql.fetchval(f"SELECT {condition}", *values):  # noqa: ASYNC110 - ours; no signal
                await asyncio.sleep(0.02)

    async def ended(self, row: int) -> tuple[str, str | None, int, str | None]:
        """The row once it is finished: state, outcome, attempts, error."""
        await self.until("finished_at IS NOT NULL FROM omisync.outbox WHERE id = $1", row)
        ending = await self.sql.fetchrow(
            "SELECT state, outcome, attempts, error FROM omisync.outbox WHERE id = $1", row
        )
        return tuple(ending)

    def times(self, number: str) -> int:
        """How often the order is at the simulator."""
        return len(self.simulator.orders.named(number))


@pytest.fixture
async def shop(dsn: str) -> AsyncIterator[Shop]:
    """Not started yet, so that a test can choose what is wrong first."""
    config = SimulatorConfig(
        lists=ListConfig(lag=(0, 0)), bucket=BucketConfig(size=10_000, leak_per_minute=600_000), seed=7
    )
    simulator = Simulator(config)
    await simulator.start()
    database, sql = Database(dsn), await asyncpg.connect(dsn)
    noted = Noted()
    async with aiohttp.ClientSession() as session:
        settings = OmisellSettings.model_validate(
            {
                "base_url": simulator.url,
                "api_key": "k_demo",
                "api_secret": "s_demo",
                "seller_id": "77",
                "country": "VN",
                "shop_id": SHOP,
                "timeout": 2.0,
            }
        )
        budget = Budget(10_000, 600_000)
        tokens = SharedTokens(TokenTable(database, Leases(database, "0.0")))
        client = connect(
            settings,
            session=session,
            token_store=tokens,
            budget=budget,
            observer=noted,
        )
        breaker = Breaker(client)
        lookup = Lookup(client, SHOP, record=ListLag(database))
        rules = SendingRules(4, SETTLE, Backoff(0.05, 0.2), SHOP, {"shop_id": SHOP, "pickup_id": 167})
        outbox = Outbox(database, Hooks(database))
        sender = Sender(
            outbox,
            Adder(client, lookup, rules),
            Canceller(client, lookup, rules),
            breaker,
            budget,
            noted,
            concurrency=8,
            interval=0.05,
        )
        house = Shop(sql, database, simulator, client, sender, breaker, outbox, noted)
        try:
            yield house
        finally:
            await house.stop()
            await simulator.stop()
    await sql.close()
    await database.close()


def duplicates(shop: Shop, mode: Any) -> None:
    shop.simulator.configure(replace(shop.simulator.config, orders=OrderConfig(duplicates=mode)))


async def test_orders_go_out_and_cancels_follow_them(shop: Shop) -> None:
    shop.start()
    adds = [await shop.add(f"A-{number}") for number in range(10)]
    cancel = await shop.cancel("A-3")
    for row in adds[:3] + adds[4:]:
        assert await shop.ended(row) == ("done", "added", 1, None)
    assert (await shop.ended(cancel))[0] == "done"
    assert [shop.times(f"A-{number}") for number in range(10) if number != 3] == [1] * 9
    assert shop.noted.done["order.add", "added"] >= 9


async def test_an_add_cancelled_before_it_was_tried_is_annulled_and_counted(shop: Shop) -> None:
    add, cancel = await shop.add("A-1"), await shop.cancel("A-1")
    shop.start()
    assert (await shop.ended(add))[1] == (await shop.ended(cancel))[1] == "annulled"
    assert shop.noted.done == Counter({("order.add", "annulled"): 1, ("order.cancel", "annulled"): 1})
    assert shop.times("A-1") == 0


@pytest.mark.parametrize("mode", ["reject", "return_existing", "create_second"])
@pytest.mark.parametrize("fault", ["reset_after", "error_after", "gateway_page_after", "hang_after", "malformed"])
async def test_an_applied_add_whose_answer_was_lost_is_there_once(shop: Shop, mode: str, fault: str) -> None:
    duplicates(shop, mode)
    shop.simulator.faults.set(fault, endpoints=("order.add",), times=1)
    row = await shop.add("A-1")
    shop.start()
    state, outcome, _, _ = await shop.ended(row)
    assert (state, outcome, shop.times("A-1")) == ("done", "adopted", 1)


async def test_an_add_that_never_arrived_is_sent_again_when_that_is_known(shop: Shop) -> None:
    duplicates(shop, "create_second")
    shop.simulator.faults.set("reset_before", endpoints=("order.add",), times=2)
    row = await shop.add("A-1")
    shop.start()
    assert await shop.ended(row) == ("done", "added", 3, None)
    assert shop.times("A-1") == 1


async def test_drifting_pages_and_an_ignored_filter_hide_no_order(shop: Shop) -> None:
    duplicates(shop, "create_second")
    for number in range(120):
        shop.simulator.create({"order_number": f"OTHER-{number}"})
    shop.simulator.faults.set("page_drift", rate=0.5)
    shop.simulator.faults.set("reset_after", endpoints=("order.add",), times=5)
    rows = [await shop.add(f"A-{number}") for number in range(5)]
    shop.start()
    for row in rows:
        assert (await shop.ended(row))[:2] == ("done", "adopted")
    assert [shop.times(f"A-{number}") for number in range(5)] == [1] * 5


async def test_one_order_that_waits_to_settle_holds_up_no_other(shop: Shop) -> None:
    shop.simulator.faults.set("poison_order", values=("BAD",))
    bad = await shop.add("BAD")
    shop.start()
    await shop.until("attempts > 0 FROM omisync.outbox WHERE id = $1", bad)
    for number in range(5):
        assert (await shop.ended(await shop.add(f"A-{number}")))[1] == "added"
    state, _, attempts, error = await shop.ended(bad)
    assert (state, attempts) == ("failed", 5)
    assert error == "given up after 4 attempts; it is not at Omisell"


async def test_a_payload_of_five_megabytes_is_sent_and_holds_up_no_other(shop: Shop) -> None:
    payload = {"order_number": "BIG", "items": [{"sku": "TEE-M", "quantity": 1}], "note": "x" * 5_000_000}
    big = await shop.sql.fetchval("SELECT omisync.add_order($1)", json.dumps(payload))
    small = await shop.add("A-1")
    shop.start()
    assert (await shop.ended(small))[:2] == ("done", "added")
    assert (await shop.ended(big))[:2] == ("done", "added")
    assert (shop.times("BIG"), shop.times("A-1")) == (1, 1)


async def test_a_refusal_is_a_dead_letter_in_omisells_words(shop: Shop) -> None:
    row = await shop.add("A-1", sku="NO-SUCH-SKU")
    shop.start()
    state, _, attempts, error = await shop.ended(row)
    assert (state, attempts) == ("failed", 1)
    assert "NO-SUCH-SKU" in str(error)
    events = await shop.sql.fetch("SELECT kind FROM omisync.order_events WHERE order_number = 'A-1'")
    assert [event["kind"] for event in events] == ["failed"]


async def test_omisells_words_stay_in_the_row_and_out_of_the_log(shop: Shop) -> None:
    shop.start()
    with capture_logs() as logs:
        row = await shop.add("A-1", sku="Nguyễn Văn An")
        _, _, _, error = await shop.ended(row)
        async with asyncio.timeout(SECONDS):
            while not any(line["event"] == "order.add failed" for line in logs):  # noqa: ASYNC110 - the log has no signal
                await asyncio.sleep(0.02)
    assert "Nguyễn Văn An" in str(error)
    (told,) = [line for line in logs if line["event"] == "order.add failed"]
    assert (told["order_number"], told["outbox_id"], told["see"]) == ("A-1", row, f"omisync outbox show {row}")
    assert "Nguyễn" not in str(logs)


async def test_throttling_and_revoked_tokens_spend_no_attempt(shop: Shop) -> None:
    shop.simulator.faults.set("throttle", endpoints=("order.add",), times=2, seconds=0)
    shop.simulator.faults.set("token_revoked", endpoints=("order.add",), times=1)
    row = await shop.add("A-1")
    shop.start()
    assert await shop.ended(row) == ("done", "added", 1, None)


async def test_an_outage_spends_no_attempt_and_then_everything_flows_oldest_first(shop: Shop) -> None:
    await shop.client.shops()  # a token is at hand
    await shop.simulator.refuse_connections()
    rows = [await shop.add(f"A-{number}") for number in range(3)]
    shop.start()
    async with asyncio.timeout(SECONDS):
        while not shop.breaker.is_open:  # noqa: ASYNC110 - it has no signal for opening
            await asyncio.sleep(0.02)
    rows += [await shop.add(f"A-{number}") for number in range(3, 6)]
    await shop.simulator.accept_connections()
    for row in rows:
        assert await shop.ended(row) == ("done", "added", 1, None)
    assert not shop.breaker.is_open


async def test_a_refused_cancel_fails_with_its_event_and_one_under_way_is_done(shop: Shop) -> None:
    shop.start()
    for number in ("A-1", "A-2"):
        await shop.ended(await shop.add(number))
    shop.simulator.advance("A-1", 500)
    shop.simulator.advance("A-2", 370)
    shop.simulator.faults.set("reset_before", endpoints=("order.cancel",), times=1)
    state, _, _, error = await shop.ended(await shop.cancel("A-1"))
    advice = "What to do: an order that is on its way can no longer be cancelled; use Omisell's return flow."
    assert (state, error) == ("failed", f"Order cannot be cancelled in status Shipped.\n{advice}")
    events = await shop.sql.fetch("SELECT kind FROM omisync.order_events WHERE order_number = 'A-1' ORDER BY id")
    assert [event["kind"] for event in events] == ["added", "cancel_refused"]
    assert (await shop.ended(await shop.cancel("A-2")))[0] == "done"


@pytest.mark.parametrize("fault", ["reset_after", "error_after"])
async def test_an_applied_cancel_whose_answer_was_lost_is_cancelled_once(shop: Shop, fault: str) -> None:
    shop.start()
    await shop.ended(await shop.add("A-1"))
    shop.simulator.faults.set(fault, endpoints=("order.cancel",), times=1)
    state, outcome, _, _ = await shop.ended(await shop.cancel("A-1"))
    assert (state, outcome) == ("done", "cancelled")
    assert shop.simulator.ledger.cancels_applied["A-1"] == 1
    assert shop.simulator.ledger.cancels_repeated["A-1"] == 0


async def test_a_cancel_does_not_wait_behind_adds_that_get_no_answer(shop: Shop) -> None:
    shop.start()
    await shop.ended(await shop.add("A-1"))
    shop.simulator.faults.set("hang_before", endpoints=("order.add",), seconds=60)
    rows = [await shop.add(f"B-{number}") for number in range(8)]
    await shop.until("count(*) = 8 FROM omisync.outbox WHERE state = 'sending'")
    assert (await shop.ended(await shop.cancel("A-1")))[0] == "done"
    assert len(rows) == 8


async def test_nothing_is_sent_while_paused_and_all_of_it_afterwards(shop: Shop) -> None:
    operator = Operator(shop.database)
    await operator.pause("order.add", "stock count", "anna")
    shop.start()
    row = await shop.add("A-1")
    await shop.simulator.wait_for(lambda: True)
    assert not await shop.outbox.is_due("order.add")
    assert shop.times("A-1") == 0
    await operator.resume(None, "anna")
    assert (await shop.ended(row))[1] == "added"


async def test_a_stop_gives_back_what_was_cut_off_as_uncertain_and_spends_no_attempt(shop: Shop) -> None:
    shop.simulator.faults.set("hang_after", endpoints=("order.add",), seconds=60)
    row = await shop.add("A-1")
    running = asyncio.create_task(shop.sender.run(0.05))
    await shop.simulator.wait_for(lambda: shop.times("A-1") == 1, SECONDS)
    shop.sender.stop()
    await asyncio.wait_for(running, SECONDS)
    ending = await shop.sql.fetchrow("SELECT * FROM omisync.outbox WHERE id = $1", row)
    assert (ending["state"], ending["attempts"], ending["error"]) == ("pending", 0, "cut off by a stop")
    assert ending["maybe_sent_at"] is not None


async def test_an_ending_is_written_when_the_database_comes_back(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    finish, failures = shop.outbox.finish, iter([True, True])

    async def away(ending: Any) -> bool:
        if next(failures, False):
            raise StoreUnavailable("away")
        return await finish(ending)

    monkeypatch.setattr(shop.outbox, "finish", away)
    row = await shop.add("A-1")
    shop.start()
    assert await shop.ended(row) == ("done", "added", 1, None)
    assert next(failures, None) is None


async def test_a_commit_whose_answer_was_lost_is_harmless(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    finish, lost = shop.outbox.finish, iter([True])

    async def answer_lost(ending: Any) -> bool:
        ours = await finish(ending)
        if next(lost, False):
            raise StoreUnavailable("the connection was lost after the commit")
        return ours

    monkeypatch.setattr(shop.outbox, "finish", answer_lost)
    row = await shop.add("A-1")
    shop.start()
    assert await shop.ended(row) == ("done", "added", 1, None)
    assert shop.times("A-1") == 1
    assert await shop.sql.fetchval("SELECT count(*) FROM omisync.order_events") == 1


async def test_an_ending_that_the_database_will_not_take_makes_no_row_stuck(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    finish, bad = shop.outbox.finish, iter([True])

    async def refusing(ending: Any) -> bool:
        if next(bad, False):
            raise ValueError("not what a column holds")
        return await finish(ending)

    monkeypatch.setattr(shop.outbox, "finish", refusing)
    monkeypatch.setattr("omisync.sync.sender.UNWRITTEN_RETRY", 0.05)
    row = await shop.add("A-1")
    shop.start()
    assert (await shop.ended(row))[:2] == ("done", "adopted")
    assert shop.times("A-1") == 1


def failing(error: Exception) -> Callable[..., Any]:
    struck = iter([True])

    def made(real: Any) -> Any:
        async def call(*given: Any, **named: Any) -> Any:
            if next(struck, False):
                raise error
            return await real(*given, **named)

        return call

    return made


@pytest.mark.parametrize(
    ("error", "attempts"), [(StoreUnavailable("no token without the database"), 1), (RuntimeError("a fault"), 2)]
)
async def test_a_lost_database_or_a_fault_of_our_own_puts_the_row_back(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, error: Exception, attempts: int
) -> None:
    monkeypatch.setattr("omisync.sync.sender.PUT_OFF_RETRY", 0.05)
    monkeypatch.setattr(shop.client, "add_order", failing(error)(shop.client.add_order))
    row = await shop.add("A-1")
    shop.start()
    assert await shop.ended(row) == ("done", "added", attempts, None)


async def test_a_lease_that_ran_out_before_the_request_gives_the_row_back_as_not_sent(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("omisync.sync.flight.LEASE_MARGIN", 3600.0)
    row = await shop.add("A-1")
    shop.start()
    await shop.until("error LIKE 'the lease may have run out%' FROM omisync.outbox WHERE id = $1", row)
    monkeypatch.undo()
    assert await shop.ended(row) == ("done", "added", 1, None)


async def test_an_answer_that_comes_after_the_lease_has_gone_changes_nothing(shop: Shop) -> None:
    # longer than a row that was left behind may wait for a look at all rows
    shop.simulator.faults.set("hang_after", endpoints=("order.add",), seconds=5, times=1)
    row = await shop.add("A-1")
    shop.start()
    await shop.simulator.wait_for(lambda: shop.times("A-1") == 1, SECONDS)
    await shop.sql.execute("UPDATE omisync.outbox SET lease_until = now() - interval '1 s'")
    assert await shop.ended(row) == ("done", "adopted", 0, None)
    async with asyncio.timeout(SECONDS):
        while len(shop.sender._flight):  # noqa: ASYNC110 - the late answer comes without a signal
            await asyncio.sleep(0.02)
    assert (await shop.ended(row))[1] == "adopted"
    assert shop.times("A-1") == 1


async def test_a_key_that_is_refused_spends_no_attempt_and_stops_no_row(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("omisync.sync.sender.AUTH_RETRY", 0.05)
    refused = failing(AuthenticationFailed("Omisell gives no token"))
    monkeypatch.setattr(shop.client, "add_order", refused(shop.client.add_order))
    row = await shop.add("A-1")
    shop.start()
    assert await shop.ended(row) == ("done", "added", 1, None)


async def test_more_orders_than_places_all_go_out(shop: Shop) -> None:
    shop.simulator.faults.set("apply_late", endpoints=("order.add",), seconds=0.05)
    rows = [await shop.add(f"A-{number}") for number in range(30)]
    shop.start()
    assert {(await shop.ended(row))[:2] for row in rows} == {("done", "added")}
    assert [shop.times(f"A-{number}") for number in range(30)] == [1] * 30


async def test_a_row_whose_ending_cannot_be_written_for_long_is_taken_up_again_and_looked_for(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    finish, away = shop.outbox.finish, iter([True])

    async def refusing(ending: Any) -> bool:
        if next(away, False):
            raise StoreUnavailable("away")
        return await finish(ending)

    monkeypatch.setattr(shop.outbox, "finish", refusing)
    monkeypatch.setattr("omisync.sync.sender.LEASE_SECONDS", -1.0)
    monkeypatch.setattr("omisync.store.outbox.LEASE_SECONDS", 0.5)
    row = await shop.add("A-1")
    shop.start()
    assert (await shop.ended(row))[:2] == ("done", "adopted")
    assert shop.times("A-1") == 1


async def test_leases_of_calls_under_way_are_renewed_also_after_a_renewal_that_failed(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("omisync.sync.sender.RENEW_EVERY", 0.05)
    flight = shop.sender._flight
    monkeypatch.setattr(flight, "renew", failing(StoreUnavailable("away"))(flight.renew))
    shop.simulator.faults.set("hang_before", endpoints=("order.add",), seconds=60)
    row = await shop.add("A-1")
    shop.start()
    await shop.until("state = 'sending' FROM omisync.outbox WHERE id = $1", row)
    until = await shop.sql.fetchval("SELECT lease_until FROM omisync.outbox WHERE id = $1", row)
    await shop.until("lease_until > $2 FROM omisync.outbox WHERE id = $1", row, until)


async def test_a_sender_that_is_woken_looks_at_once(shop: Shop) -> None:
    shop.sender._interval = 3600.0
    shop.start()
    row = await shop.add("A-1")
    shop.sender.wake()
    async with asyncio.timeout(SECONDS):
        while shop.times("A-1") == 0:
            shop.sender.wake()
            await asyncio.sleep(0.02)
    assert (await shop.ended(row))[1] == "added"
