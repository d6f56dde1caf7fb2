"""A flood of pushes, hundreds of times what the limit lets be fetched: the shop's day goes on."""

import time

from tests.chaos.flood import flood, push
from tests.chaos.world import World, until

MEGABYTE = 1 << 20
CANCELLED = """
    SELECT EXISTS (SELECT FROM omisync.outbox WHERE kind = 'order.cancel' AND order_number = $1 AND state = 'done')
"""


async def test_a_flood_of_pushes_stops_nothing_and_takes_no_memory(made: World) -> None:
    daemon = made.replica()
    await made.start(daemon, pushed_to=True)
    await made.place("A-1")
    await made.known("A-1", 200)
    made.simulator.faults.set("push_drop")
    there = [made.simulator.create({"order_number": f"O-{number}"}) for number in range(100)]
    now = int(time.time())
    bodies = [
        push(order.omisell_order_number, order.order_number, now + number, number)
        for number, order in enumerate(there * 8)
    ]
    bodies += [push(f"NOBODY-{number}", f"N-{number}", now, 10_000 + number) for number in range(200)]
    pid = daemon.daemon.pid
    assert pid is not None
    url = f"http://127.0.0.1:{daemon.webhook_port}/webhooks/omisell"
    secret = {"Authorization": made.simulator.config.push.secret}
    await flood(made.session, url, bodies[:100], headers=lambda _: secret, pid=pid)  # what it needs once
    found = await flood(made.session, url, bodies, headers=lambda _: secret, pid=pid)
    assert set(found.statuses) <= {200, 503}
    assert found.statuses[200] > 800
    assert found.grown < 32 * MEGABYTE
    await made.place("A-2")
    await made.cancel("A-1")
    await made.known("A-2", 200)
    await until(lambda: made.sql.fetchval(CANCELLED, "A-1"))
    assert await made.sql.fetchval("SELECT count(*) FROM omisync.refreshes") > 10  # the flood is not over yet
    async with made.session.get(f"{daemon.admin_url}/readyz") as answer:
        assert answer.status == 200
