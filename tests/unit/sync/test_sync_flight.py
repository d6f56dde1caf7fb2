"""A lease in the hands of a machine that sleeps: what may have run out meanwhile lets no call begin."""

import asyncio
import time
import uuid
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from omisync.omisell import CallClass
from omisync.store import Claim, Ending, Kind, Reached
from omisync.store.outbox import OutboxId
from omisync.sync.flight import Flight, Held, LeaseLost
from omisync.sync.refresher import Refresher
from omisync.sync.sender import Sender

HOURS = 8 * 3600.0  # seconds of sleep


@pytest.fixture
def sleep(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """A machine that has slept before; the call makes it sleep again: its monotonic clock stands still meanwhile."""
    slept = [HOURS]
    awake = time.clock_gettime
    monkeypatch.setattr(time, "clock_gettime", lambda clock: awake(clock) + slept[0])

    def again() -> None:
        slept[0] += HOURS

    return again


def flight() -> Flight[str]:
    async def renew(_: Sequence[uuid.UUID]) -> set[str]:
        return {"a"}

    return Flight(renew)


def test_a_lease_is_no_longer_good_when_the_machine_wakes(sleep: Callable[[], None]) -> None:
    lease = uuid.uuid4()
    held = flight().take("a", lease, time.clock_gettime(time.CLOCK_BOOTTIME))
    held.about_to_send()
    sleep()
    with pytest.raises(LeaseLost):
        held.about_to_send()


async def test_a_lease_renewed_after_waking_is_good_again(sleep: Callable[[], None]) -> None:
    flying = flight()
    held = flying.take("a", uuid.uuid4(), time.clock_gettime(time.CLOCK_BOOTTIME))
    sleep()
    await flying.renew()
    held.about_to_send()


class Idle:
    """Budget, breaker, counters: nothing holds a call up."""

    def __init__(self) -> None:
        self.brought: list[tuple[CallClass, int]] = []

    async def passable(self) -> None:
        return

    is_open = False

    def available(self, cls: CallClass) -> int:
        return 4

    async def wait_available(self, cls: CallClass) -> int:
        return 4

    def brings(self, cls: CallClass, calls: int) -> None:
        self.brought.append((cls, calls))

    def outbox_done(self, kind: str, outcome: str) -> None:
        return


class OneRow:
    """An outbox with one add; `on_claim` happens while the claim's answer is on its way."""

    def __init__(self, on_claim: Callable[[], None]) -> None:
        self._on_claim = on_claim
        self.endings: list[Ending] = []

    async def is_due(self, kind: Kind) -> bool:
        return True

    async def claim(self, kind: Kind, most: int, since: float | None = None) -> list[Claim]:
        self._on_claim()
        told: dict[str, Any] = {
            "kind": kind,
            "order_number": "A-1",
            "payload": None,
            "attempts": 0,
            "uncertain": False,
            "expired": False,
            "sent_age": 0.0,
            "settling_for": None,
            "list_lag": 0.0,
            "created_time": 1_790_000_000,
            "due_since": 1_790_000_000.0,
            "omisell_order_number": None,
            "status_id": None,
        }
        return [Claim(id=OutboxId(7), lease_token=uuid.uuid4(), **told)]

    async def renew(self, leases: Sequence[uuid.UUID]) -> set[OutboxId]:
        return set()

    async def finish(self, ending: Ending) -> bool:
        self.endings.append(ending)
        return True


class Sending:
    """An adder that sends at once."""

    async def work(self, claim: Claim, held: Held) -> Ending:
        held.about_to_send()
        return Ending(claim, "done", "added")


async def sent(on_claim: Callable[[], None]) -> Ending:
    """How the row ends when a sender takes it."""
    outbox, idle, worker = OneRow(on_claim), Idle(), Sending()
    parts: tuple[Any, ...] = (outbox, worker, worker, idle, idle, idle)
    sender = Sender(*parts, concurrency=2, interval=1.0)
    await sender._take("order.add", CallClass.ADD)
    await asyncio.wait_for(asyncio.gather(*sender._tasks["order.add"]), 10.0)
    (ending,) = outbox.endings
    assert idle.brought == [(CallClass.ADD, 1)]  # two places were free: there is no more
    return ending


async def test_a_row_claimed_before_the_machine_slept_is_not_sent(sleep: Callable[[], None]) -> None:
    ending = await sent(sleep)
    assert (ending.state, ending.reached) == ("pending", Reached.NO)
    assert ending.error == "the lease may have run out before the request went"


@pytest.mark.usefixtures("sleep")
async def test_a_machine_that_once_slept_sends_as_ever() -> None:
    assert (await sent(lambda: None)).outcome == "added"


@pytest.mark.usefixtures("sleep")
async def test_a_fetch_is_held_by_the_same_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    fetch = type("Fetch", (), {"omisell_order_number": "OMI-1", "order_number": "A-1", "lease_token": uuid.uuid4()})()

    class OneFetch:
        async def is_due(self, *, owed: bool) -> bool:
            return True

        async def claim(self, most: int, *, owed: bool, confirmed: bool) -> list[Any]:
            return [fetch]

        async def renew(self, leases: Sequence[uuid.UUID]) -> set[str]:
            return set()

    async def hold(*_: Any) -> None:
        return

    parts: tuple[Any, ...] = (None, OneFetch(), None, Idle(), Idle())
    refresher = Refresher(*parts, shop_id=21001, concurrency=4, interval=1.0)
    monkeypatch.setattr(refresher, "_work", hold)
    await refresher._take(CallClass.SWEEP)
    refresher._flight._held["OMI-1"].about_to_send()
