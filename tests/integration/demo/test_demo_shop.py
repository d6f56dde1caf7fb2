"""The sample shop against a real database: one transaction, no more rights than it needs, patience."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from itertools import islice
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

import asyncpg
import pytest

from omisync.demo import shop as shop_module
from omisync.demo.errors import DemoError
from omisync.demo.people import Order, Place, Product, orders
from omisync.demo.shop import Change, Counts, Shop
from omisync.demo.trade import LATER_FROM, Pace, Trade

GOODS = (Product("AO-M", "Áo thun", 129_000), Product("NON", "Nón lá", 65_000))
PLACES = (Place("Hà Nội", "Ba Đình", "Cống Vị"),)


def invented(count: int = 1) -> list[Order]:
    return list(islice(orders(1, GOODS, PLACES), count))


def as_user(dsn: str, user: str, password: str) -> str:
    parts = urlsplit(dsn)
    return urlunsplit(parts._replace(netloc=f"{user}:{quote(password)}@{parts.hostname}:{parts.port}"))


@pytest.fixture
async def admin(dsn: str) -> AsyncIterator[Any]:
    connection = await asyncpg.connect(dsn)
    yield connection
    await connection.close()


@pytest.fixture
async def shop(dsn: str, admin: Any) -> AsyncIterator[Shop]:
    await admin.execute("DROP ROLE IF EXISTS shop_app")  # users are the whole server's
    await Shop.install(dsn, "pass'word")
    async with Shop.opened(as_user(dsn, "shop_app", "pass'word")) as opened:
        yield opened
    await admin.execute("DROP OWNED BY shop_app; DROP ROLE shop_app")


async def told(admin: Any, order_number: str, status_id: int, kind: str = "status") -> None:
    """What the daemon does when Omisell moves an order."""
    await admin.execute(
        "INSERT INTO omisync.orders "
        "(order_number, omisell_order_number, status_id, status_name, tracking_numbers) "
        "VALUES ($1, 'OD' || $1, $2, 'Some', '{TRK}') "
        "ON CONFLICT (order_number) DO UPDATE SET status_id = $2",
        order_number,
        status_id,
    )
    await admin.execute(
        "INSERT INTO omisync.order_events (order_number, kind, new_status_id, source) VALUES ($1, $2, $3, 'webhook')",
        order_number,
        kind,
        status_id,
    )


async def test_an_order_and_its_outbox_row_are_written_together(shop: Shop, admin: Any) -> None:
    order = invented()[0]
    await shop.place(order)
    row = await admin.fetchrow("SELECT kind, order_number, payload, state FROM omisync.outbox")
    assert (row["kind"], row["order_number"], row["state"]) == ("order.add", "WEB-1001", "pending")
    assert json.loads(row["payload"]) == order.payload()
    lines = await admin.fetch("SELECT sku, quantity FROM shop.order_lines ORDER BY line")
    assert [tuple(line) for line in lines] == [(line.product.sku, line.quantity) for line in order.lines]


async def test_when_the_outbox_refuses_nothing_of_the_order_is_kept(shop: Shop, admin: Any) -> None:
    await admin.execute(
        "INSERT INTO omisync.outbox (kind, order_number, payload) VALUES ('order.add', 'WEB-1001', $1)",
        '{"order_number": "WEB-1001", "items": [1]}',
    )
    with pytest.raises(asyncpg.UniqueViolationError, match="enqueued already with another payload"):
        await shop.place(invented()[0])
    assert await admin.fetchval("SELECT count(*) FROM shop.orders") == 0
    assert await admin.fetchval("SELECT count(*) FROM shop.customers") == 0


async def test_the_shops_user_can_read_neither_tokens_nor_the_inbox(shop: Shop) -> None:
    async with shop._pool.acquire() as connection:
        for table in ("tokens", "inbox"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.fetch(f"SELECT * FROM omisync.{table}")  # noqa: S608 - two names of ours


async def test_a_cancel_marks_the_order_and_asks_for_it_once(shop: Shop, admin: Any) -> None:
    await shop.place(invented()[0])
    await shop.cancel("WEB-1001", "Khách đổi ý")
    await shop.cancel("WEB-1001", "Khách đổi ý")
    payload = await admin.fetchval("SELECT payload FROM omisync.outbox WHERE kind = 'order.cancel'")
    assert payload == '{"reason": "Khách đổi ý"}'
    assert await admin.fetchval("SELECT cancelled_at IS NOT NULL FROM shop.orders") is True


async def test_states_are_read_back_when_told_of_them(shop: Shop, admin: Any) -> None:
    await shop.place(invented()[0])
    async with contextlib.aclosing(shop.changes()) as looks:
        waiting = asyncio.ensure_future(anext(looks))
        await told(admin, "WEB-1001", 200)
        assert await asyncio.wait_for(waiting, 5) == [Change("WEB-1001", 200)]
    assert await shop.read_states() == []


async def test_a_state_that_nobody_told_of_is_read_back_too(
    shop: Shop, admin: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shop_module, "LOOK_SECONDS", 0.01)
    await shop.place(invented()[0])
    async with contextlib.aclosing(shop.changes()) as looks:
        waiting = asyncio.ensure_future(anext(looks))
        await admin.execute("INSERT INTO omisync.orders (order_number, status_id) VALUES ('WEB-1001', 900)")
        assert await asyncio.wait_for(waiting, 5) == [Change("WEB-1001", 900)]


async def test_reading_back_goes_on_after_the_connections_were_killed(shop: Shop, admin: Any) -> None:
    await shop.place(invented()[0])
    async with contextlib.aclosing(shop.changes()) as looks:
        first = asyncio.ensure_future(anext(looks))
        await told(admin, "WEB-1001", 200)
        await asyncio.wait_for(first, 5)
        await kill_sessions(admin)
        second = asyncio.ensure_future(anext(looks))
        await told(admin, "WEB-1001", 300)
        assert await asyncio.wait_for(second, 5) == [Change("WEB-1001", 300)]


@pytest.mark.parametrize("turns", range(5))
async def test_reading_back_ends_when_called_off_in_the_moment_of_a_notification(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, turns: int
) -> None:
    calls: list[Callable[..., None]] = []
    asked = asyncio.Event()

    class Listener:
        async def add_listener(self, _: str, call: Callable[..., None]) -> None:
            calls.append(call)

        def is_closed(self) -> bool:
            return False

        def terminate(self) -> None:
            return

    async def connect(*_: object, **__: object) -> Listener:
        return Listener()

    async def nothing() -> list[Change]:
        asked.set()
        return []

    monkeypatch.setattr(asyncpg, "connect", connect)
    monkeypatch.setattr(shop, "read_states", nothing)
    reading = asyncio.ensure_future(anext(shop.changes()))
    await asked.wait()
    await asyncio.sleep(0)  # one turn each: it is waiting to be told by now
    asked.clear()
    calls[0]()
    for _ in range(turns):
        await asyncio.sleep(0)
    reading.cancel()
    assert await asyncio.wait({reading}, timeout=0.5) == ({reading}, set())


async def kill_sessions(admin: Any) -> None:
    await admin.execute("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = 'shop_app'")


async def test_a_commit_whose_answer_was_lost_is_not_repeated(shop: Shop, admin: Any) -> None:
    order = invented()[0]
    attempts = 0

    async def write(connection: Any) -> None:
        nonlocal attempts
        attempts += 1
        await connection.execute(
            "INSERT INTO shop.customers (fullname, phone, email, address, subdistrict, district, province) "
            "VALUES ('', '', '', '', '', '', '')"
        )

    async def written(connection: Any) -> bool:
        return bool(await connection.fetchval("SELECT EXISTS (SELECT FROM shop.customers)"))

    class LosesTheAnswer:
        def __init__(self, pool: Any) -> None:
            self._pool = pool
            self._lost = False

        @contextlib.asynccontextmanager
        async def acquire(self, *, timeout: float) -> AsyncIterator[Any]:  # noqa: ASYNC109 - the pool's own signature
            async with self._pool.acquire(timeout=timeout) as connection:
                yield connection
            if not self._lost:
                self._lost = True
                raise ConnectionResetError

    shop._pool = LosesTheAnswer(shop._pool)
    await shop._commit(write, written)
    assert attempts == 1
    assert await admin.fetchval("SELECT count(*) FROM shop.customers") == 1
    assert order.order_number == "WEB-1001"


async def test_placing_waits_for_a_database_that_is_away_but_not_for_ever(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shop_module, "PATIENCE_SECONDS", 0.0)

    class Away:
        def acquire(self, *, timeout: float) -> Any:
            raise ConnectionRefusedError

    shop._pool = Away()
    with pytest.raises(DemoError, match="stayed away"):
        await shop.place(invented()[0])


async def test_the_counts_for_the_live_table(shop: Shop, admin: Any) -> None:
    for order in invented(3):
        await shop.place(order)
    await shop.cancel("WEB-1002", "x")
    await told(admin, "WEB-1001", 200)
    assert await shop.counts() == Counts(
        placed=3, cancelled=1, annulled=0, outbox={"pending": 4}, orders={200: ("Some", 1)}
    )


async def test_the_ledgers_hold_the_shops_and_our_side_and_strangers(shop: Shop, admin: Any) -> None:
    for order in invented(2):
        await shop.place(order)
    await shop.cancel("WEB-1002", "x")
    await told(admin, "WEB-1001", 300)
    await told(admin, "OTHER-1", 300)
    rows = {row["order_number"]: row for row in await shop.ledgers()}
    assert list(rows) == ["OTHER-1", "WEB-1001", "WEB-1002"]
    assert (rows["OTHER-1"]["placed"], rows["OTHER-1"]["add_state"]) == (False, None)
    assert (rows["WEB-1001"]["omisell_order_number"], rows["WEB-1001"]["status_id"]) == ("ODWEB-1001", 300)
    assert (rows["WEB-1002"]["cancelled"], rows["WEB-1002"]["cancel_state"]) == (True, "pending")


async def test_a_day_of_trade_cancels_some_at_once_and_some_once_omisell_has_them(shop: Shop, admin: Any) -> None:
    trade = Trade(shop, orders(1, GOODS, PLACES), seed=1)
    assert await trade.place_all(Pace(orders=12, seconds=None, rate=1000.0)) == 12
    assert [row["order_number"] for row in await shop.ledgers() if row["cancelled"]] == ["WEB-1005"]
    assert list(trade.to_cancel) == ["WEB-1010"]
    following = asyncio.create_task(trade.follow())
    cancelled = asyncio.Event()
    listener = await asyncpg.connect(shop._dsn)
    await admin.execute(
        "CREATE FUNCTION public.tell() RETURNS trigger LANGUAGE plpgsql "
        "AS $$ BEGIN NOTIFY cancelled; RETURN NULL; END $$;"
        "CREATE TRIGGER tell AFTER UPDATE OF cancelled_at ON shop.orders EXECUTE FUNCTION public.tell()"
    )
    await listener.add_listener("cancelled", lambda *_: cancelled.set())
    await told(admin, "WEB-1010", max(LATER_FROM))
    await asyncio.wait_for(cancelled.wait(), 5)
    await listener.close()
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)
    assert [row["order_number"] for row in await shop.ledgers() if row["cancelled"]] == [
        "WEB-1005",
        "WEB-1010",
    ]
    assert not trade.to_cancel


async def test_the_seconds_end_the_placing(shop: Shop) -> None:
    now = iter([0.0, *(moment for start in (0.0, 1.0, 2.0) for moment in (start, start)), 3.0, 3.0])
    trade = Trade(shop, orders(1, GOODS, PLACES), seed=1, clock=lambda: next(now))
    assert await trade.place_all(Pace(orders=None, seconds=2.5, rate=1000.0)) == 3


@pytest.mark.parametrize(
    ("asked", "pace", "duration"),
    [
        ((None, None), Pace(60, None, 4.0), 15.0),
        ((200, None), Pace(200, None, 4.0), 50.0),
        ((None, 600.0), Pace(None, 600.0, 4.0), 600.0),
        ((120, 60.0), Pace(120, 60.0, 2.0), 60.0),
    ],
)
def test_the_pace_follows_what_was_asked_for(
    asked: tuple[int | None, float | None], pace: Pace, duration: float
) -> None:
    assert Pace.of(*asked) == pace
    assert Pace.of(*asked).duration == duration
