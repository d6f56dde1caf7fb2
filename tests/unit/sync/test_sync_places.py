"""How many rows a sender holds: as many as may be in calls, and as many again whose endings are being written."""

import asyncio
import uuid
from collections.abc import Sequence
from typing import Any

from omisync.store import Claim, Ending, Kind
from omisync.store.outbox import OutboxId
from omisync.sync.flight import Held
from omisync.sync.sender import Sender
from tests.unit.sync.open_house import OpenHouse, rest

PLACES = 3


class Endless:
    """An outbox that always has more; endings are written when `writes` lets them."""

    def __init__(self) -> None:
        self.claimed = 0
        self.writes = asyncio.Semaphore(0)
        self.asked = asyncio.Condition()

    async def is_due(self, _: Kind) -> bool:
        return True

    async def annul(self) -> list[Kind]:
        return []

    async def claim(self, kind: Kind, most: int, _: float | None = None) -> list[Claim]:
        if kind == "order.cancel":
            return []
        told: dict[str, Any] = dict.fromkeys(Claim.__slots__)
        told |= {"kind": kind, "lease_token": uuid.uuid4(), "attempts": 0, "uncertain": False, "due_since": 0.0}
        rows = [Claim(**told | {"id": OutboxId(self.claimed + n), "order_number": f"A-{n}"}) for n in range(most)]
        async with self.asked:
            self.claimed += most
            self.asked.notify_all()
        return rows

    async def renew(self, _: Sequence[uuid.UUID]) -> set[OutboxId]:
        return set()

    async def finish(self, _: Ending) -> bool:
        await self.writes.acquire()
        return True


class Calling:
    """An adder whose calls end when `calls` lets them."""

    def __init__(self) -> None:
        self.calls = asyncio.Semaphore(0)
        self.begun = 0

    async def work(self, claim: Claim, held: Held) -> Ending:
        self.begun += 1
        held.about_to_send()
        await self.calls.acquire()
        return Ending(claim, "done", "added")


async def test_a_place_is_free_when_its_call_is_over_and_endings_have_as_many() -> None:
    outbox, adder, nothing = Endless(), Calling(), OpenHouse()
    parts: tuple[Any, ...] = (outbox, adder, adder, nothing, nothing, nothing)
    sender = Sender(*parts, concurrency=PLACES, interval=60.0)
    running = asyncio.create_task(sender.run(10.0))
    await rest()
    assert (outbox.claimed, adder.begun) == (3, 3)
    adder.calls.release()
    await rest()
    assert (outbox.claimed, adder.begun) == (4, 4)  # the first waits to be written, and another is called
    for _ in range(5):
        adder.calls.release()
    await rest()
    assert (outbox.claimed, adder.begun) == (6, 6)  # six wait to be written: nothing more is begun
    outbox.writes.release()
    await rest()
    assert (outbox.claimed, adder.begun) == (7, 7)
    sender.stop()
    for _ in range(7):
        adder.calls.release()
        outbox.writes.release()
    await asyncio.wait_for(running, 5)
    assert outbox.claimed == 7
