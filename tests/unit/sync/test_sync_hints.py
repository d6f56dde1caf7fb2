"""What a sender asks its database when it is told of rows: adds that are due it claims, for anything else it looks."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from omisync.store import Claim, Kind
from omisync.sync.sender import Sender
from tests.unit.sync.open_house import OpenHouse, rest


class Empty(OpenHouse):
    """And an outbox with nothing in it: writes down what it is asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def annul(self) -> list[Kind]:
        self.asked.append("annul")
        return []

    async def is_due(self, kind: Kind) -> bool:
        self.asked.append(f"is {kind} due")
        return False

    async def claim(self, kind: Kind, _: int, __: float | None = None) -> list[Claim]:
        self.asked.append(f"claim {kind}")
        return []

    async def renew(self, _: object) -> set[object]:
        return set()


@pytest.mark.parametrize(
    ("tell", "asked"),
    [
        (lambda sender: sender.adds_due(), ["claim order.add"]),
        (lambda sender: sender.wake("order.add"), ["is order.add due"]),
        (lambda sender: sender.wake("order.cancel"), ["annul", "is order.cancel due"]),
        (lambda sender: sender.notified(), ["annul", "claim order.add", "is order.cancel due"]),
        (lambda sender: sender.wake(), ["annul", "is order.add due", "is order.cancel due"]),
    ],
    ids=["adds are due", "look for adds", "look for cancels", "notified", "look"],
)
async def test_only_adds_that_are_known_to_be_due_are_claimed_without_a_look(
    tell: Callable[[Sender], None], asked: list[str]
) -> None:
    house: Any = Empty()
    sender = Sender(house, house, house, house, house, house, concurrency=3, interval=60.0)
    running = asyncio.create_task(sender.run(1.0))
    await rest()
    house.asked.clear()
    tell(sender)
    await rest()
    assert sorted(house.asked) == asked
    house.asked.clear()
    sender.wake("order.add")
    await rest()
    assert house.asked == ["is order.add due"]  # what was told once is not believed twice
    sender.stop()
    await asyncio.wait_for(running, 5)


async def test_of_what_is_notified_the_adds_come_first() -> None:
    house: Any = Empty()
    sender = Sender(house, house, house, house, house, house, concurrency=3, interval=60.0)
    running = asyncio.create_task(sender.run(1.0))
    await rest()
    house.asked.clear()
    sender.notified()
    await rest()
    assert house.asked[0] == "claim order.add"
    sender.stop()
    await asyncio.wait_for(running, 5)


async def test_while_omisell_is_away_nothing_is_claimed_although_the_budget_has_room() -> None:
    class Away(Empty):
        is_open = True

        async def passable(self) -> None:
            await asyncio.Future()

    house: Any = Away()
    sender = Sender(house, house, house, house, house, house, concurrency=3, interval=60.0)
    running = asyncio.create_task(sender.run(1.0))
    await rest()
    sender.notified()
    await rest()
    assert "claim order.add" not in house.asked
    sender.stop()
    await asyncio.wait_for(running, 5)
