"""`omisync run` as a real process: a completed order comes back, and the shop hears of each step."""

from omisync.simulator import PushConfig
from tests.chaos.world import World, until

KINDS = "SELECT array_agg(kind ORDER BY id) FROM omisync.order_events WHERE kind NOT IN ('status', 'parcels')"


async def test_the_daemon_tells_what_only_pushes_tell(made: World) -> None:
    daemon = made.replica()
    await made.start(daemon, pushed_to=True)
    push: PushConfig = made.simulator.config.push
    await made.place("A-1")
    await made.known("A-1", 200)
    made.simulator.advance("A-1", 900)
    await made.known("A-1", 900)
    made.simulator.event("A-1", "order.reconciled")
    made.simulator.advance("A-1", 800)
    await made.known("A-1", 800)
    made.simulator.event("A-1", "order.return_receive")

    async def told() -> bool:
        kinds = await made.sql.fetchval(KINDS)
        return sorted(kinds) == ["added", "reconciled", "return_receive", "returned"]

    await until(told)
    assert push.categories == ("order",)
    row = await made.sql.fetchrow("SELECT returned_at < received_at AS in_order, event FROM omisync.returns")
    assert tuple(row) == (True, None)
