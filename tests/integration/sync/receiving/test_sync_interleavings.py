"""Pushes, fetches, lists, adds and crashes in any order: nothing goes back, and in the end all is as at Omisell.

Each run draws its steps from a seed. What is read at Omisell is held back and applied later, so that every answer may
be out of date when it arrives.
"""

import asyncio
import datetime as dt
import json
import random
from typing import Any

import pytest

from omisync.store import Ending
from omisync.sync.bulk import Bulk
from omisync.sync.listed import FIRSTS, listed_of

STEPS = 70
NUMBERS = ("A-1", "A-2", "A-3", "A-4")
STATUSES = (250, 300, 350, 400, 440, 460, 500, 600, 900, 703, 800)


class Run:
    """One run of steps drawn by chance."""

    def __init__(self, world: Any, seed: int, *, loses: bool) -> None:
        self.world = world
        self.chance = random.Random(seed)  # noqa: S311 - a test's
        self.loses = loses
        self.pushes: list[Any] = []
        self.seen_pushes: list[Any] = []
        self.fetched: list[tuple[Any, Any]] = []
        self.listed: list[tuple[list[Any], dt.datetime, bool]] = []
        self.adding: list[tuple[Any, Any]] = []
        self.refresher = world.refresher()
        self.bulk = Bulk(world.omisell, world.orders, shop_id=world.shop_id, clock=self._never_too_soon)
        self.trace: list[str] = []
        self._clock = 0.0

    def _never_too_soon(self) -> float:
        self._clock += 1000.0
        return self._clock

    async def step(self) -> None:
        """Does something, and checks that nothing went back."""
        before = await self._times()
        work = self.chance.choice(
            (
                *[self.move] * 4,
                *[self.deliver] * 3,
                self.repeat,
                *[self.route] * 2,
                *[self.fetch] * 3,
                *[self.apply] * 3,
                *[self.read_list] * 2,
                *[self.take_list] * 2,
                self.relieve,
                self.crash,
                self.add,
                self.finish,
                self.hurry,
                self.ask,
            )
        )
        self.trace.append(work.__name__)
        await work()
        self.pushes += self.world.pushes()
        after = await self._times()
        await self._check_rows()
        for number, (status_at, detail_at) in before.items():
            assert after[number][0] >= status_at, (number, self.trace)
            assert after[number][1] >= detail_at, (number, self.trace)

    async def _times(self) -> dict[str, tuple[dt.datetime, dt.datetime]]:
        rows = await self.world.sql.fetch(
            "SELECT order_number, coalesce(omisell_updated_at, '0001-01-02') AS at,"
            " coalesce(detail_updated_at, '0001-01-02') AS detail_at FROM omisync.orders"
        )
        return {row["order_number"]: (row["at"], row["detail_at"]) for row in rows}

    async def _check_rows(self) -> None:
        """Status and detail are each what Omisell had at the time that is told of them."""
        rows = await self.world.sql.fetch(
            "SELECT order_number, status_id, extract(epoch FROM omisell_updated_at)::bigint AS at, synced_at,"
            " (detail ->> 'status_id')::bigint AS detail_status, (detail ->> 'updated_time')::bigint AS detail_time,"
            " extract(epoch FROM detail_updated_at)::bigint AS detail_at FROM omisync.orders"
        )
        for row in rows:
            order = self.world.simulator.orders.find(row["order_number"])
            was = {state.updated_time: state.status_id for state in order.history}
            if row["at"] is not None:
                assert row["status_id"] == was[row["at"]], (dict(row), self.trace)
            if row["detail_at"] is not None:
                assert row["detail_status"] == was[row["detail_at"]], (dict(row), self.trace)
                assert row["detail_time"] == row["detail_at"], (dict(row), self.trace)

    async def move(self) -> None:
        number = self.chance.choice(NUMBERS)
        simulator = self.world.simulator
        if simulator.orders.named(number):
            simulator.advance(number, self.chance.choice(STATUSES))
            if self.chance.random() < 0.5:
                simulator.push(number, "order.approved")
        elif number in {"A-1", "A-2"}:
            simulator.create({"order_number": number})

    async def add(self) -> None:
        number = self.chance.choice(("A-3", "A-4"))
        payload = {"order_number": number, "items": [{"sku": "TEE-M", "quantity": 1}]}
        await self.world.sql.execute("SELECT omisync.add_order($1)", json.dumps(payload))
        for claim in await self.world.outbox.claim("order.add", 1):
            if not self.world.simulator.orders.named(claim.order_number):
                answer = await self.world.omisell.add_order(json.loads(claim.payload) | {"shop_id": self.world.shop_id})
                self.adding.append((claim, answer))

    async def finish(self) -> None:
        if self.adding:
            claim, answer = self.adding.pop(0)
            await self.world.outbox.finish(
                Ending(
                    claim,
                    "done",
                    "added",
                    event="added",
                    omisell_order_number=answer.omisell_order_number,
                    status_id=answer.status_id,
                    updated_time=self.chance.choice((None, answer.updated_time)),
                    spent=1,
                )
            )

    async def deliver(self) -> None:
        if self.pushes:
            push = self.pushes.pop(self.chance.randrange(len(self.pushes)))
            if self.loses and self.chance.random() < 0.3:
                return
            self.seen_pushes.append(push)
            await self.world.inbox.add(push)

    async def repeat(self) -> None:
        if self.seen_pushes:
            await self.world.inbox.add(self.chance.choice(self.seen_pushes))

    async def route(self) -> None:
        await self.world.inbox.route(
            self.world.shop_id,
            self.chance.choice((1, 3, 1000)),
            omisell_now=self.world.omisell.server_time(),
            firsts=FIRSTS,
        )

    async def fetch(self) -> None:
        for fetch in await self.world.orders.claim(self.chance.choice((1, 4)), owed=self.chance.random() < 0.3):
            detail = await self.world.omisell.order_detail(fetch.omisell_order_number)
            self.fetched.append((fetch, detail))

    async def apply(self) -> None:
        if self.fetched:
            fetch, detail = self.fetched.pop(self.chance.randrange(len(self.fetched)))
            await self.refresher._apply(fetch, detail, self.refresher._log)

    async def read_list(self) -> None:
        read_at = await self.world.sql.fetchval("SELECT now()")
        page = await self.world.omisell.order_page(page=1, updated_from=1, updated_to=None, shop_id=self.world.shop_id)
        self.listed.append(([listed_of(order) for order in page.orders], read_at, self.chance.random() < 0.5))

    async def take_list(self) -> None:
        if self.listed:
            rows, read_at, adopting = self.listed.pop(self.chance.randrange(len(self.listed)))
            await self.world.orders.take_listed(rows, read_at, source="sweep", adopting=adopting)

    async def relieve(self) -> None:
        await self.bulk.relieve(await self.bulk.pressing())

    async def crash(self) -> None:
        """Whoever held a lease is dead; what it has read may still arrive."""
        await self.world.sql.execute(
            "UPDATE omisync.refreshes SET lease_until = now() - interval '1 s' WHERE lease_token IS NOT NULL"
        )
        if self.chance.random() < 0.5:
            self.fetched.clear()

    async def hurry(self) -> None:
        await self.world.sql.execute("UPDATE omisync.refreshes SET available_at = now()")

    async def ask(self) -> None:
        await self.world.operator.request_refresh([self.chance.choice(NUMBERS)], "anna")


async def drained(world: Any) -> None:
    """Everything that is wanted is fetched, without waiting for its time."""
    async with world.refreshing():
        async with asyncio.timeout(60):
            while True:
                await world.sql.execute("UPDATE omisync.refreshes SET available_at = now() WHERE available_at > now()")
                await world.sql.execute(
                    "UPDATE omisync.refreshes SET lease_until = now() - interval '1 s'"
                    " WHERE lease_until < now() + interval '12 s'"
                )
                if await world.sql.fetchval(
                    "SELECT NOT EXISTS (SELECT FROM omisync.refreshes)"
                    " AND NOT EXISTS (SELECT FROM omisync.inbox WHERE state IN ('new', 'waiting'))"
                ):
                    return
                await asyncio.sleep(0.02)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("loses", [False, True], ids=["all pushes come", "some are lost"])
async def test_whatever_the_order_of_things_the_end_is_as_at_omisell(
    world: Any, monkeypatch: Any, seed: int, loses: bool
) -> None:
    monkeypatch.setattr("omisync.sync.bulk.BULK_FROM", 1)
    monkeypatch.setattr("omisync.sync.bulk.WORTH", 1)
    run = Run(world, seed, loses=loses)
    for _ in range(STEPS):
        await run.step()
    while run.adding:
        await run.finish()
    for push in run.pushes:
        if not loses:
            await world.inbox.add(push)
    # what is still on its way arrives, late
    for rows, read_at, adopting in run.listed:
        await world.orders.take_listed(rows, read_at, source="sweep", adopting=adopting)
    for fetch, detail in run.fetched:
        await run.refresher._apply(fetch, detail, run.refresher._log)
    if loses:
        await world.sweeper().incremental()
    await drained(world)
    if not loses:
        silent = {
            order.order_number
            for order in world.simulator.orders
            if order.state.updated_time
            > max(
                (p.updated_time or 0 for p in [*run.seen_pushes, *run.pushes] if p.order_number == order.order_number),
                default=0,
            )
        }
    else:
        silent = set()
    assert set(await world.differences()) <= silent, run.trace
    for number in NUMBERS:
        told = [
            row["occurred_at"]
            for row in await world.sql.fetch(
                "SELECT occurred_at FROM omisync.order_events WHERE order_number = $1 AND source <> 'outbox'"
                " AND kind <> 'parcels' ORDER BY id",
                number,
            )
        ]
        assert told == sorted(told), run.trace
