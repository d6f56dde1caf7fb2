"""The examples of the README, run as they stand against a migrated Postgres: SQL, Python, PHP and the configuration."""

import asyncio
import json
import re
import shutil
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import pytest

from omisync.config import load_settings
from omisync.demo.postgres import EmbeddedPostgres
from omisync.demo.stage import as_user
from omisync.store import Database, Hooks
from omisync.store.migrations import migrate
from omisync.store.operator import Operator

ROOT = Path(__file__).parents[3]
README = (ROOT / "README.md").read_text()
OPERATING = (ROOT / "docs" / "operating.md").read_text()
SECONDS = 30.0
SHOP = """
CREATE SCHEMA shop;
CREATE TABLE shop.orders (order_number text PRIMARY KEY, total integer NOT NULL, status_id integer);
"""
ITEMS = [{"sku": "TEE-M", "quantity": 1, "original_price": 120000, "discounted_price": 120000}]


def blocks(language: str, page: str = README) -> list[str]:
    """The fenced blocks of a language, in their order."""
    return re.findall(rf"^```{language}\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)


def block(language: str, *words: str) -> str:
    """The one block of a language in which these words stand."""
    (found,) = [text for text in blocks(language) if all(word in text for word in words)]
    return found


def defined(text: str) -> dict[str, Any]:
    """What a Python block defines."""
    names: dict[str, Any] = {}
    exec(compile(text, "README.md", "exec"), names)  # noqa: S102 - our own README, which is what is tested
    return names


@pytest.fixture
async def connection(dsn: str) -> AsyncIterator[asyncpg.Connection]:
    """The owner's, on a database with a shop in it."""
    opened = await asyncpg.connect(dsn, timeout=SECONDS, command_timeout=SECONDS)
    try:
        await opened.execute(SHOP)
        yield opened
    finally:
        await opened.close(timeout=SECONDS)


@pytest.fixture
async def as_shop(
    connection: asyncpg.Connection, dsn: str
) -> AsyncIterator[Callable[[], Awaitable[asyncpg.Connection]]]:
    """Opens connections that may do what the README grants to the shop, and no more."""
    user = f"shop_user_{urlsplit(dsn).path.removeprefix('/').rpartition('_')[2]}"  # roles are the whole server's
    await connection.execute(f"CREATE ROLE {user} NOLOGIN")
    await connection.execute(block("sql", "GRANT omisync_app").replace("shop_user", user))
    await connection.execute(f"GRANT USAGE ON SCHEMA shop TO {user}; GRANT ALL ON shop.orders TO {user}")
    opened: list[asyncpg.Connection] = []

    async def enter() -> asyncpg.Connection:
        entered = await asyncpg.connect(dsn, timeout=SECONDS, command_timeout=SECONDS)
        opened.append(entered)
        await entered.execute(f"SET ROLE {user}")
        return entered

    yield enter
    for entered in opened:
        await entered.close(timeout=SECONDS)
    await connection.execute(f"DROP OWNED BY {user}; DROP ROLE {user}")


async def test_the_sql_examples_do_what_the_text_says_as_the_shops_user(
    connection: asyncpg.Connection, as_shop: Callable[[], Awaitable[asyncpg.Connection]]
) -> None:
    shop = await as_shop()
    await shop.execute(block("sql", "BEGIN;", "add_order"))
    placed = await connection.fetchrow(
        "SELECT kind, state, payload::text FROM omisync.outbox WHERE order_number = 'WEB-1001'"
    )
    assert (placed["kind"], placed["state"]) == ("order.add", "pending")
    assert json.loads(placed["payload"])["receiver"]["subdistrict_name"] == "Phường Hàng Trống"
    assert await connection.fetchval("SELECT total FROM shop.orders WHERE order_number = 'WEB-1001'") == 256000

    await shop.execute(block("sql", "cancel_order"))
    await shop.execute(block("sql", "INSERT INTO omisync.outbox"))
    kinds = await connection.fetch("SELECT order_number, kind FROM omisync.outbox ORDER BY id")
    assert [tuple(row) for row in kinds] == [
        ("WEB-1001", "order.add"),
        ("WEB-1001", "order.cancel"),
        ("WEB-1002", "order.add"),
    ]

    assert await shop.fetch(block("sql", "FROM omisync.orders")) == []
    rows = await shop.fetch(block("sql", "SELECT kind, state, outcome, error"))
    assert [tuple(row) for row in rows] == [
        ("order.add", "pending", None, None),
        ("order.cancel", "pending", None, None),
    ]


async def test_no_sql_example_is_left_out_of_the_test() -> None:
    known = (
        "GRANT omisync_app",
        "BEGIN;",
        "cancel_order",
        "INSERT INTO omisync.outbox",
        "FROM omisync.orders",
        "state, outcome",
        "CREATE FUNCTION",
    )
    assert [text for text in blocks("sql") if not any(words in text for words in known)] == []


async def test_the_python_example_writes_both_or_neither(
    connection: asyncpg.Connection, as_shop: Callable[[], Awaitable[asyncpg.Connection]]
) -> None:
    place_order = defined(block("python", "place_order"))["place_order"]
    shop = await as_shop()
    outbox_id = await place_order(shop, "WEB-2001", 120000, {"items": ITEMS})
    assert await connection.fetchval("SELECT order_number FROM omisync.outbox WHERE id = $1", outbox_id) == "WEB-2001"
    with pytest.raises(asyncpg.CheckViolationError, match="has no items"):
        await place_order(shop, "WEB-2002", 0, {"items": []})
    assert await connection.fetch("SELECT order_number FROM shop.orders ORDER BY 1") == [("WEB-2001",)]


async def test_the_php_example_writes_both_or_neither(connection: asyncpg.Connection, dsn: str, tmp_path: Path) -> None:
    php = shutil.which("php")
    if php is None:
        pytest.skip("there is no php (Debian: php-cli and php-pgsql)")
    modules = await asyncio.to_thread(
        subprocess.run, [php, "-m"], capture_output=True, text=True, timeout=SECONDS, check=True
    )
    if "pdo_pgsql" not in modules.stdout:
        pytest.skip("php has no pdo_pgsql (Debian: php-pgsql)")
    where = urlsplit(dsn)
    program = f"""<?php
{block("php", "place_order")}
$db = new PDO('pgsql:host={where.hostname};port={where.port};dbname={where.path[1:]}', {json.dumps(where.username)},
    {json.dumps(where.password or "")}, [PDO::ATTR_ERRMODE => PDO::ERRMODE_EXCEPTION]);
$items = json_decode('{json.dumps(ITEMS)}', true);
$first = place_order($db, 'WEB-3001', 120000, ['items' => $items]);
try {{
    place_order($db, 'WEB-3002', 0, ['items' => []]);
}} catch (PDOException $error) {{
    echo json_encode([$first, $error->getCode()]);
}}
"""
    (tmp_path / "example.php").write_text(program)
    run = [php, str(tmp_path / "example.php")]
    done = await asyncio.to_thread(subprocess.run, run, capture_output=True, text=True, timeout=SECONDS, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    first, code = json.loads(done.stdout)
    assert code == "23514"  # check_violation
    assert await connection.fetchval("SELECT order_number FROM omisync.outbox WHERE id = $1", first) == "WEB-3001"
    assert await connection.fetch("SELECT order_number FROM shop.orders ORDER BY 1") == [("WEB-3001",)]


async def test_the_listen_example_hears_of_each_event(connection: asyncpg.Connection, dsn: str) -> None:
    follow = defined(block("python", "follow"))["follow"]
    changed: asyncio.Queue[dict[str, object]] = asyncio.Queue()
    listening = await follow(dsn, changed)
    try:
        event_id = await connection.fetchval(
            "INSERT INTO omisync.order_events (order_number, kind, new_status_id, source)"
            " VALUES ('WEB-1001', 'status', 460, 'webhook') RETURNING id"
        )
        async with asyncio.timeout(SECONDS):
            heard = await changed.get()
    finally:
        await listening.close(timeout=SECONDS)
    assert heard == {"id": event_id, "order_number": "WEB-1001", "kind": "status", "status_id": 460}


async def test_the_hook_example_follows_the_order_with_the_daemons_own_rights(
    connection: asyncpg.Connection, dsn: str
) -> None:
    await connection.execute(block("sql", "CREATE FUNCTION shop.on_order_change"))
    await connection.execute("INSERT INTO shop.orders VALUES ('WEB-1001', 256000, NULL)")
    (named,) = re.findall(r"`hooks\.on_change = \"([^\"]+)\"`", README)
    database = Database(dsn)
    hooks = Hooks(database, named)
    try:
        for kind, status in (("added", 200), ("status", 460), ("cancel_refused", None)):
            async with database.transaction() as inside:
                await inside.raw.execute("SET LOCAL ROLE omisync_daemon")
                event_id = await inside.raw.fetchval(
                    "INSERT INTO omisync.order_events (order_number, kind, new_status_id, source)"
                    " VALUES ('WEB-1001', $1, $2, 'webhook') RETURNING id",
                    kind,
                    status,
                )
                await hooks.call(inside, [event_id])
    finally:
        await database.close()
    assert await connection.fetchval("SELECT count(*) FROM omisync.hook_calls") == 0
    assert await connection.fetchval("SELECT status_id FROM shop.orders") == 460


def test_the_configuration_example_loads_with_its_secrets_as_systemd_hands_them_over(tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text(block("toml", "dsn_file"))
    handed = {
        "database_dsn": "postgresql://omisync:password@127.0.0.1/shop",
        "api_key": "example-key",
        "api_secret": "example-secret",
        "webhook_secret": "example-webhook-secret",
    }
    for name, secret in handed.items():
        (tmp_path / name).write_text(secret + "\n")
    settings = load_settings(config, {"CREDENTIALS_DIRECTORY": str(tmp_path)})
    assert settings.database.dsn.get_secret_value() == "postgresql://omisync:password@127.0.0.1/shop"
    assert settings.omisell.api_key.get_secret_value() == "example-key"
    assert [secret.get_secret_value() for secret in settings.webhook.secret] == ["example-webhook-secret"]
    assert (settings.omisell.shop_id, settings.omisell.pickup_id) == (21001, 167)


async def test_the_database_users_of_the_installation_suffice_for_all_that_they_are_for() -> None:
    (users,) = blocks("sql", OPERATING)
    with EmbeddedPostgres(durable=False) as server:  # of its own: roles are the whole server's
        owner = await asyncpg.connect(server.dsn(), timeout=SECONDS, command_timeout=SECONDS)
        await owner.execute("CREATE DATABASE shop")
        await owner.execute("CREATE ROLE shop_user LOGIN PASSWORD 'of-the-shop'")
        await owner.execute(users)
        await owner.close(timeout=SECONDS)
        daemons = as_user(server.dsn("shop"), "omisync", "change-me")
        assert (await migrate(daemons))[0] == "0001_outbox"

        shop = await asyncpg.connect(as_user(server.dsn("shop"), "shop_user", "of-the-shop"), timeout=SECONDS)
        await shop.execute(block("sql", "INSERT INTO omisync.outbox"))
        await shop.close(timeout=SECONDS)
        database = Database(daemons)
        try:
            assert (await Operator(database).status()).outbox["pending"] == 1
        finally:
            await database.close()
