"""The queries of 0.1, frozen, against the newest schema: during an upgrade 0.1's daemon goes on with them.

`queries_0_1/` is a copy of `sql/queries`. Until 0.1.0 is tagged it follows them, by one command:

    rm -r tests/integration/store/queries_0_1 && cp -r sql/queries tests/integration/store/queries_0_1

From the tag on it is never changed again, and neither are the arguments below: they are what installed daemons send.
A migration that fails here takes something away that 0.1 needs: give it a name that ends in `.after.sql`. Once no
supported version may run beside 0.1 the folder and this file go together, and a later version has its own.

What runs here has 0.1's rights besides its queries: those of the role omisync_daemon.
"""

import datetime as dt
import json
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import asyncpg
import pytest

from omisync.store.sql import Queries

FROZEN: Final = Queries("omisync", Path(__file__).parent / "queries_0_1")
SECONDS: Final = 15.0
SHOP: Final = 21001
LEASE: Final = uuid.UUID(int=1)
CREATED: Final = 1_760_000_000
SHIPPED: Final = CREATED + 60


@pytest.fixture
async def old(dsn: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection of a daemon of 0.1."""
    connection = await asyncpg.connect(dsn, timeout=SECONDS, command_timeout=SECONDS)
    try:
        await connection.execute("SET ROLE omisync_daemon")
        yield connection
    finally:
        await connection.close(timeout=SECONDS)


async def asked(old: asyncpg.Connection, name: str, /, **values: object) -> list[Any]:
    """The rows of a frozen query; it must take exactly these."""
    query = FROZEN[name]
    assert set(values) == set(query.parameters)
    rows: list[Any] = await old.fetch(query.text, *query.arguments(values))
    return rows


async def enqueued(old: asyncpg.Connection, number: str) -> int:
    """An order of the shop's, which was not upgraded either."""
    payload = json.dumps({"order_number": number, "items": [{"sku": "TEE-M", "quantity": 1}]})
    outbox_id: int = await old.fetchval("SELECT omisync.add_order($1::jsonb)", payload)
    return outbox_id


async def claimed(old: asyncpg.Connection, kind: str = "order.add") -> list[Any]:
    assert (await asked(old, "outbox.is_due", kind=kind))[0][0] is True
    return await asked(old, "outbox.claim", kind=kind, most=10, since=None, lease_token=LEASE, lease_seconds=15.0)


async def finished(old: asyncpg.Connection, outbox_id: int, **more: object) -> list[Any]:
    values = {
        "states": "done",
        "outcomes": "added",
        "errors": None,
        "spent": 1,
        "delays": None,
        "reached": "yes",
        "settlings": False,
        "events": "added",
        "sources": "outbox",
        "event_data": None,
        "omisell_order_numbers": "OMI-1",
        "status_ids": 200,
        "status_names": "Processing",
        "finals": False,
        "updated_times": CREATED,
        "shop_ids": SHOP,
        **more,
    }
    one = {name: [value] for name, value in values.items()}
    return await asked(old, "outbox.finish", ids=[outbox_id], lease_tokens=[LEASE], **one)


async def pushed(old: asyncpg.Connection, updated_time: int) -> list[Any]:
    return await asked(
        old,
        "inbox.add",
        dedup_keys=[uuid.UUID(int=updated_time)],
        events=["order.shipped"],
        categories=["order"],
        handled=[True],
        request_ids=["r-1"],
        order_numbers=["A-1"],
        omisell_order_numbers=["OMI-1"],
        status_ids=[500],
        updated_times=[updated_time],
        shop_ids=[SHOP],
        authorization_forms=["token"],
        bodies=[b"{}"],
    )


async def applied(old: asyncpg.Connection, fetch: Any) -> list[Any]:
    parcels = [{"package_number": "P-1", "courier_name": "Demo Express", "items": [{"catalogue_sku": "TEE-M"}]}]
    return await asked(
        old,
        "orders.apply",
        omisell_order_numbers=["OMI-1"],
        order_numbers=["A-1"],
        shop_ids=[SHOP],
        status_ids=[500],
        status_names=["Shipped"],
        finals=[False],
        created_times=[CREATED],
        updated_times=[SHIPPED],
        rts_times=[CREATED],
        shipped_times=[SHIPPED],
        completed_times=[None],
        tracking_numbers=['["TRK-1"]'],
        details=['{"order_number": "A-1"}'],
        parcels=[json.dumps(parcels)],
        fetched_ats=[fetch["fetched_at"]],
        sources=["webhook"],
        lease_tokens=[LEASE],
        generations=[fetch["generation"]],
        retry_delays=[None],
    )


async def test_each_is_understood(old: asyncpg.Connection) -> None:
    assert len(list(FROZEN)) > 100
    for name in FROZEN:
        try:
            statement = await old.prepare(FROZEN[name].text)
        except asyncpg.PostgresError as error:
            pytest.fail(f"{name}: {error}")
        assert len(statement.get_parameters()) == len(FROZEN[name].parameters), name


async def test_one_that_misses_what_a_migration_took_is_not(old: asyncpg.Connection, dsn: str) -> None:
    owner = await asyncpg.connect(dsn, timeout=SECONDS, command_timeout=SECONDS)
    try:
        await owner.execute("ALTER TABLE omisync.outbox RENAME COLUMN settle_at TO settles_at")
    finally:
        await owner.close(timeout=SECONDS)
    with pytest.raises(asyncpg.UndefinedColumnError):
        await old.prepare(FROZEN["outbox.claim"].text)


async def test_an_order_goes_its_whole_way(old: asyncpg.Connection) -> None:
    outbox_id = await enqueued(old, "A-1")
    (due,) = await asked(old, "due.anything", since=None)
    assert due["adds"] is True
    (claim,) = await claimed(old)
    assert (claim["id"], claim["order_number"], claim["uncertain"]) == (outbox_id, "A-1", False)
    assert len(await asked(old, "outbox.renew", lease_tokens=[LEASE], lease_seconds=15.0)) == 1
    (ended,) = await finished(old, outbox_id)
    assert (ended["id"], ended["event_id"] is not None) == (outbox_id, True)

    assert len(await pushed(old, SHIPPED)) == 1
    assert await pushed(old, SHIPPED) == []  # a repeat
    (routed,) = await asked(
        old,
        "inbox.route",
        most=10,
        shop_id=SHOP,
        owed_delay=120.0,
        firsts=[500],
        omisell_now=float(SHIPPED),
        settled=5.0,
    )
    assert tuple(routed) == ("waiting", "order.shipped", 1)
    (fetch,) = await asked(
        old, "refreshes.claim", owed=False, confirmed=False, most=10, lease_token=LEASE, lease_seconds=15.0
    )
    assert (fetch["omisell_order_number"], fetch["wanted_time"]) == ("OMI-1", SHIPPED)
    (told,) = await applied(old, fetch)
    assert (told["applied"], told["event_kind"]) == (True, "status")
    (event,) = await asked(old, "hooks.event", event_id=told["event_id"])
    assert json.loads(event[0])["new_status_id"] == 500

    order = await old.fetchrow("SELECT omisell_order_number, status_id, tracking_numbers FROM omisync.orders")
    assert tuple(order) == ("OMI-1", 500, ["TRK-1"])
    assert await old.fetchval("SELECT state FROM omisync.inbox") == "done"
    assert await old.fetchval("SELECT count(*) FROM omisync.refreshes") == 0


async def test_a_row_is_given_back_fails_and_is_sent_again(old: asyncpg.Connection) -> None:
    outbox_id = await enqueued(old, "A-1")
    await claimed(old)
    nothing: dict[str, object] = {
        "outcomes": None,
        "omisell_order_numbers": None,
        "status_ids": None,
        "status_names": None,
        "finals": None,
        "updated_times": None,
        "shop_ids": None,
    }
    back = {**nothing, "states": "pending", "errors": "later", "delays": 0.0, "reached": "no", "events": None}
    assert len(await finished(old, outbox_id, **back)) == 1
    await claimed(old)
    failed = {**nothing, "states": "failed", "errors": "no such SKU", "reached": "no", "events": "failed"}
    assert len(await finished(old, outbox_id, **failed)) == 1
    (row,) = await asked(old, "operator.chosen", ids=[], all_failed=True)
    assert (row["id"], row["superseded"]) == (outbox_id, False)
    assert len(await asked(old, "operator.retry", ids=[outbox_id])) == 1
    (claim,) = await claimed(old)
    assert claim["uncertain"] is True


async def test_an_add_that_a_cancel_overtakes_is_annulled(old: asyncpg.Connection) -> None:
    await enqueued(old, "A-1")
    await old.fetchval("SELECT omisync.cancel_order('A-1', 'changed their mind')")
    assert [row[0] for row in await asked(old, "outbox.overtaken", most=10)] == ["A-1"]
    assert {row["kind"] for row in await asked(old, "outbox.annul", order_numbers=["A-1"])} == {
        "order.add",
        "order.cancel",
    }
    states = await old.fetch("SELECT state, outcome FROM omisync.outbox")
    assert [tuple(row) for row in states] == [("done", "annulled")] * 2


async def test_sweeps_leases_and_the_token_go_on(old: asyncpg.Connection) -> None:
    (sweep,) = await asked(old, "sweeps.begin", kind="incremental", window_from=CREATED, window_to=SHIPPED)
    listed = {
        "omisell_order_numbers": ["OMI-9"],
        "order_numbers": ["A-9"],
        "status_ids": [200],
        "status_names": ["Processing"],
        "finals": [False],
        "updated_times": [CREATED],
        "firsts": [True],
    }
    more = {"read_at": dt.datetime.now(dt.UTC), "source": "sweep", "adopting": True, "owed_delay": 120.0}
    assert [row["order_number"] for row in await asked(old, "orders.take_listed", **listed, **more)] == ["A-9"]
    ended = await asked(
        old, "sweeps.end", id=sweep["id"], pages=1, seen=1, repaired=1, lost_times=[CREATED], error=None
    )
    assert len(ended) == 1
    assert (await asked(old, "sweeps.cursor"))[0][0] == SHIPPED
    times = {"expired_time": SHIPPED, "refresh_expired_time": SHIPPED, "obtained_at": float(CREATED)}
    assert len(await asked(old, "tokens.save", token="t", refresh_token="r", **times)) == 1
    assert (await asked(old, "tokens.load"))[0]["token"] == "t"
    assert len(await asked(old, "leases.take", name="leader", holder=LEASE, seconds=10.0)) == 1
    assert len(await asked(old, "leases.beat", id=LEASE, replica="shop-1", version="0.1.0", state="{}")) == 1
    assert (await asked(old, "operator.replicas"))[0]["leads"] is True
    assert (await asked(old, "operator.depths"))[0]["token_held"] is True
