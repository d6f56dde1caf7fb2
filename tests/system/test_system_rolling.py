"""An upgrade as it goes with two replicas: one after the other is restarted, the shop and Omisell notice nothing."""

import asyncio
import dataclasses
from typing import Final

from omisync.demo.postgres import free_port
from omisync.simulator import BucketConfig
from tests.chaos.door import door
from tests.chaos.world import World, until

ORDER_EVERY: Final = 0.1
"""Seconds between the shop's orders."""
MOVES: Final = (460, 500)
"""Statuses that each order is given at Omisell, which pushes each."""
ROUNDS: Final = 2
PATIENT: Final = {"omisell": {"timeout": "20s"}, "daemon": {"grace": "25s"}}
"""A machine that is busy with other things must not look like an Omisell that does not answer."""


async def shop(made: World, over: asyncio.Event) -> None:
    """Places orders, and moves those that are at Omisell on, until it is over."""
    while not over.is_set():
        await made.place(f"WEB-{len(made.placed)}")
        there = list(made.simulator.orders)
        for place, status in enumerate(MOVES, start=1):
            if len(there) > 5 * place:
                made.simulator.advance(there[-5 * place].order_number, status)
        await asyncio.sleep(ORDER_EVERY)


async def goes_on(made: World) -> None:
    """Waits for some more orders and pushes."""
    sent, delivered = len(made.simulator.orders), made.simulator.ledger.pushes["delivered"]
    await until(lambda: len(made.simulator.orders) > sent + 5)
    await until(lambda: made.simulator.ledger.pushes["delivered"] > delivered + 5)


async def test_two_replicas_are_restarted_in_turn_under_load_and_nothing_is_lost(made: World) -> None:
    config = dataclasses.replace(made.simulator.config, bucket=BucketConfig(size=200, leak_per_minute=6000))
    made.simulator.configure(config)
    replicas = [made.replica(changes=PATIENT) for _ in range(2)]
    public = free_port()
    async with door(public, [replica.webhook_port for replica in replicas]):
        made.push_to_port(public)
        for replica in replicas:
            await made.start(replica)
        over = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            group.create_task(shop(made, over))
            for _ in range(ROUNDS):
                for replica in replicas:
                    assert await replica.daemon.stop() == 0
                    await goes_on(made)  # by the other one
                    await made.start(replica)
            over.set()
        await made.at_rest()

    verdict = await made.verdict()
    assert verdict.findings == ()
    assert sorted(order.order_number for order in made.simulator.orders) == sorted(made.placed)
    outcomes = await made.sql.fetch("SELECT DISTINCT state, outcome FROM omisync.outbox")
    assert [tuple(row) for row in outcomes] == [("done", "added")]
    standing = await made.sql.fetch("SELECT order_number, status_id FROM omisync.orders")
    assert dict(map(tuple, standing)) == {order.order_number: order.status_id for order in made.simulator.orders}
    # a door that knows nothing of HTTP may cut off one that a stopping replica had not read yet: Omisell comes again
    assert [push for push in made.simulator.pushes if push.tries[-1].status != 200] == []
    assert all(replica.count("ready") == 1 + ROUNDS for replica in replicas)
    assert [line for replica in replicas for line in replica.log if line["level"] == "error"] == []
