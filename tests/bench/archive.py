"""Tables as after years: so many finished orders, made by a few large statements, on a data folder that can be kept.

Each statement is done or not done, and noted: a run that was cut off goes on where it was.
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from omisync.demo.postgres import EmbeddedPostgres
from omisync.store.migrations import migrate
from tests.bench.figures import durable
from tests.bench.ground import Ground

DATABASE: Final = "bench_size"
AT_ONCE: Final = 500_000
"""Rows of one INSERT."""
FILL_SECONDS: Final = 3600.0

ARCHIVE: Final = (
    """
    INSERT INTO omisync.outbox (kind, order_number, payload, state, outcome, finished_at, created_at, available_at)
    SELECT 'order.add', 'A-' || n, jsonb_build_object('order_number', 'A-' || n, 'rest', repeat(md5(n::text), 16)),
           'done', 'added', at, at, at
    FROM generate_series($1::bigint, $2::bigint) AS n, LATERAL (SELECT now() - interval '60 days' * random() AS at) AS t
    """,
    """
    INSERT INTO omisync.orders (order_number, omisell_order_number, shop_id, status_id, status_name, is_final,
                                omisell_updated_at, detail, detail_updated_at, synced_at)
    SELECT 'A-' || n, 'OA-' || n, 1, 900, 'Completed', true, to_timestamp(1760000000),
           jsonb_build_object('order_number', 'A-' || n, 'rest', repeat(md5(n::text), 16)), to_timestamp(1760000000),
           now()
    FROM generate_series($1::bigint, $2::bigint) AS n
    """,
    """
    INSERT INTO omisync.order_events (order_number, omisell_order_number, kind, new_status_id, source)
    SELECT 'A-' || n, 'OA-' || n, 'added', 900, 'outbox' FROM generate_series($1::bigint, $2::bigint) AS n
    """,
    """
    INSERT INTO omisync.inbox (dedup_key, event, category, order_number, omisell_order_number, status_id, updated_time,
                               shop_id, authorization_form, state, handled_at, body)
    SELECT md5(n::text)::uuid, 'order.completed', 'order', 'A-' || n, 'OA-' || n, 900, 1760000000, 1, 'token', 'done',
           now(), '{}'
    FROM generate_series($1::bigint, $2::bigint) AS n
    """,
)


@contextlib.contextmanager
def kept(folder: Path | None) -> Iterator[EmbeddedPostgres]:
    """A server whose data stay in `folder`; in a folder of its own that goes with it if None."""
    postgres = durable()
    if folder is None:
        with postgres:
            yield postgres
        return
    folder.mkdir(parents=True, exist_ok=True)
    password = folder / "bench-password"
    if password.exists():
        postgres._password = password.read_text()  # the data know only the first one
    postgres.start(folder)
    password.write_text(postgres._password)
    password.chmod(0o600)
    try:
        yield postgres
    finally:
        postgres.stop()
        postgres.close()


async def filled(this: Ground, rows: int) -> str:
    """The database with its archive; what is there already is not made again."""
    dsn = this.postgres.dsn(DATABASE)
    async with this.connected(this.postgres.dsn()) as admin:
        if not await admin.fetchval("SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)", DATABASE):
            await this.database(DATABASE)
    await migrate(dsn)
    async with this.connected(dsn) as connection:
        await connection.execute("CREATE SCHEMA IF NOT EXISTS bench")
        await connection.execute(
            "CREATE TABLE IF NOT EXISTS bench.filled (statement int, up_to bigint, PRIMARY KEY (statement, up_to))"
        )
        for which, statement in enumerate(ARCHIVE):
            there = await connection.fetchval("SELECT max(up_to) FROM bench.filled WHERE statement = $1", which) or 0
            for start in range(there + 1, rows + 1, AT_ONCE):
                end = min(start + AT_ONCE - 1, rows)
                async with connection.transaction():
                    await connection.execute("SET LOCAL session_replication_role = replica")  # no triggers
                    await connection.execute(statement, start, end, timeout=FILL_SECONDS)
                    await connection.execute("INSERT INTO bench.filled VALUES ($1, $2)", which, end)
                print(f"size: table {which + 1} of {len(ARCHIVE)}: {end:,} rows", flush=True)
        await connection.execute("VACUUM ANALYZE", timeout=FILL_SECONDS)
        await connection.execute("CHECKPOINT", timeout=FILL_SECONDS)
    return dsn
