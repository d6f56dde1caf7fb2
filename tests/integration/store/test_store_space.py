"""What the tables ask of autovacuum, and where room on a page pays."""

from typing import Any, Final

HOT: Final = {
    "outbox": {"autovacuum_vacuum_scale_factor=0.0", "autovacuum_vacuum_threshold=5000"},
    "inbox": {
        "autovacuum_vacuum_scale_factor=0.0",
        "autovacuum_vacuum_threshold=5000",
        "autovacuum_vacuum_insert_scale_factor=0.05",
    },
    "refreshes": {"autovacuum_vacuum_scale_factor=0.0", "autovacuum_vacuum_threshold=2000"},
    "orders": {"autovacuum_vacuum_scale_factor=0.02", "autovacuum_vacuum_threshold=1000", "fillfactor=80"},
    "order_events": {"autovacuum_vacuum_insert_scale_factor=0.05"},
    "parcels": {"fillfactor=80"},
}
UPDATES: Final = """
SELECT pg_stat_get_xact_tuples_updated(c), pg_stat_get_xact_tuples_hot_updated(c)
FROM (SELECT 'omisync.parcels'::regclass::oid) AS t (c)
"""


async def test_hot_tables_bring_their_own_thresholds(house: Any) -> None:
    rows = await house.sql.fetch(
        "SELECT relname, reloptions FROM pg_class WHERE relnamespace = 'omisync'::regnamespace AND relname = ANY($1)",
        list(HOT),
    )
    options = {row["relname"]: set(row["reloptions"]) for row in rows}
    assert {table: HOT[table] - options[table] for table in HOT} == {table: set() for table in HOT}


async def test_a_parcels_update_leaves_its_indexes_alone(house: Any) -> None:
    await house.sql.execute("INSERT INTO omisync.orders (order_number) VALUES ('A-1')")
    await house.sql.execute("INSERT INTO omisync.parcels (order_number, package_number) VALUES ('A-1', 'P-1')")
    async with house.sql.transaction():
        await house.sql.execute("UPDATE omisync.parcels SET shipment_status = 230, courier_tracking_number = 'TRK-1'")
        assert tuple(await house.sql.fetchrow(UPDATES)) == (1, 1)
