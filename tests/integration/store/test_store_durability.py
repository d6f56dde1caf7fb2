"""What waits for the disk and what does not: what is only done again need not, what a call stands on must."""

import uuid
from typing import Any

from omisync.store.bucket import SharedBucket

LEASE = uuid.uuid4()


async def at_commit(house: Any, query: str, **values: object) -> str:
    """`synchronous_commit` as one named query leaves it for its transaction's commit."""
    async with house.database.transaction() as connection:
        assert await connection.rows(query, **values)
        return str(await connection.raw.fetchval("SHOW synchronous_commit"))


async def test_leases_and_judgements_do_not_wait_for_the_disk(house: Any) -> None:
    await house.orders.request([("OMI-1", "WEB-1", None)], "sweep")
    held: dict[str, object] = {"name": "leader", "holder": LEASE, "seconds": 10.0}
    beat: dict[str, object] = {"id": LEASE, "replica": "a", "version": "0", "state": "{}"}
    await house.database.rows("leases.take", **held)
    await house.database.rows("leases.beat", **beat)
    holds: dict[str, object] = {"lease_tokens": [LEASE], "lease_seconds": 15.0}
    found = {
        "leases.take": await at_commit(house, "leases.take", **held),
        "leases.beat": await at_commit(house, "leases.beat", **beat),
        "refreshes.claim": await at_commit(
            house, "refreshes.claim", owed=False, confirmed=False, most=1, lease_token=LEASE, lease_seconds=15.0
        ),
        "refreshes.renew": await at_commit(house, "refreshes.renew", **holds),
    }
    assert found == dict.fromkeys(found, "off")
    assert await house.sql.fetchval("SHOW synchronous_commit") == "on"


async def test_a_lease_is_there_again_by_the_next_look_and_later_transactions_wait_again(house: Any) -> None:
    await house.leases.lead()
    async with house.database.transaction() as connection:
        assert await connection.raw.fetchval("SHOW synchronous_commit") == "on"
    bucket = SharedBucket(house.database)
    row, _ = await bucket.read()
    assert await bucket.replace(row)
    async with house.database.transaction() as connection:
        assert await connection.raw.fetchval("SHOW synchronous_commit") == "on"


async def test_a_claim_of_the_outbox_is_on_disk_before_anything_is_sent(house: Any) -> None:
    await house.add("WEB-1")
    claimed: dict[str, object] = {
        "kind": "order.add",
        "most": 1,
        "since": None,
        "lease_token": LEASE,
        "lease_seconds": 15.0,
    }
    assert await at_commit(house, "outbox.claim", **claimed) == "on"
