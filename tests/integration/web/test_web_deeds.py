"""What an operator changes from the page, on a real database: who may, what is asked first, what is written down."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import aiohttp
import asyncpg
import pytest

from omisync.store import Database
from omisync.store.errors import StoreError
from omisync.store.operator import Operator
from omisync.web import Access, Metrics, admin_app

TOKEN = "mã-của-người-vận-hành"
FAIL = (
    "UPDATE omisync.outbox SET state = 'sending', lease_token = gen_random_uuid(), lease_until = now() WHERE id = $1",
    (
        "UPDATE omisync.outbox SET state = 'failed', lease_token = NULL, lease_until = NULL, attempts = 3,"
        " finished_at = now(), error = 'SKU TEE-M not found' WHERE id = $1"
    ),
)


@dataclass
class Desk:
    """An operator before the page, and the database behind it."""

    url: str
    session: aiohttp.ClientSession
    sql: asyncpg.Connection
    operator: Operator

    async def failed(self, number: str) -> int:
        row: int = await self.sql.fetchval(
            "SELECT omisync.add_order(jsonb_build_object('order_number', $1::text, 'items', '[{}]'::jsonb))", number
        )
        for statement in FAIL:
            await self.sql.execute(statement, row)
        return row

    async def get(self, path: str) -> tuple[int, str]:
        async with self.session.get(self.url + path) as answer:
            return answer.status, await answer.text()

    async def key(self) -> str:
        _, text = await self.get("/")
        return str(re.findall(r'name="form_key" value="([^"]+)"', text)[0])

    async def post(self, path: str, form: dict[str, str] | list[tuple[str, str]], **headers: str) -> tuple[int, str]:
        fields = [("form_key", await self.key()), *(form.items() if isinstance(form, dict) else form)]
        async with self.session.post(
            self.url + path, data=fields, headers={"Sec-Fetch-Site": "same-origin", **headers}, allow_redirects=False
        ) as answer:
            return answer.status, await answer.text()

    async def states(self) -> dict[int, str]:
        rows = await self.sql.fetch("SELECT id, state FROM omisync.outbox ORDER BY id")
        return {row["id"]: row["state"] for row in rows}

    async def audit(self) -> list[tuple[str, str, str | None]]:
        rows = await self.sql.fetch("SELECT who, action, subject FROM omisync.audit ORDER BY id")
        return [tuple(row) for row in rows]


@pytest.fixture
async def desk(serving: Callable[..., Awaitable[Any]], logged: Any, session: Any, dsn: str) -> AsyncIterator[Desk]:
    """Logged in."""
    database = Database(dsn)
    sql = await asyncpg.connect(dsn)
    operator = Operator(database)
    app = admin_app(source=operator, metrics=Metrics(), token=Access(TOKEN), log=logged.logger())
    server = await serving(app, name="admin")
    made = Desk(f"http://localhost:{server.port}", session, sql, operator)
    async with session.post(made.url + "/login", data={"token": TOKEN}) as answer:
        assert answer.status == 200
    yield made
    await sql.close()
    await database.close()


async def test_one_row_is_retried_and_the_others_stay(desk: Desk) -> None:
    one, two = await desk.failed("A"), await desk.failed("B")
    status, text = await desk.post("/rows", {"do": f"retry:{one}"})
    assert status == 200
    assert "<h1>1 of 1 row retried</h1>" in text
    assert await desk.states() == {one: "pending", two: "failed"}
    assert await desk.audit() == [("admin page", "retry", str(one))]
    _, text = await desk.get("/")
    assert "<strong>retry</strong> row" in text


async def test_the_chosen_rows_are_retried(desk: Desk) -> None:
    one, two, three = [await desk.failed(number) for number in "ABC"]
    status, text = await desk.post("/rows", [("do", "retry"), ("row", str(one)), ("row", str(three))])
    assert status == 200
    assert "2 of 2 rows retried" in text
    assert await desk.states() == {one: "pending", two: "failed", three: "pending"}


async def test_all_failed_rows_are_retried(desk: Desk) -> None:
    rows = [await desk.failed(number) for number in "ABC"]
    _, text = await desk.post("/rows", {"do": "retry:all"})
    assert "3 of 3 rows retried" in text
    assert set((await desk.states()).values()) == {"pending"}
    assert await desk.audit() == [("admin page", "retry", str(row)) for row in rows]


async def test_a_row_that_is_left_alone_says_why(desk: Desk) -> None:
    row = await desk.failed("A")
    await desk.post("/rows", {"do": f"retry:{row}"})
    _, text = await desk.post("/rows", {"do": f"retry:{row}"})
    assert "0 of 1 row retried" in text
    assert "left alone: it is pending, only a failed row can be retried" in text
    assert len(await desk.audit()) == 1


async def test_a_discard_is_shown_and_asked_before_it_is_done(desk: Desk) -> None:
    one, two = await desk.failed("A"), await desk.failed("B")
    status, text = await desk.post("/rows", {"do": f"discard:{two}"})
    assert status == 200
    assert "<h1>Discard 1 row?</h1>" in text
    assert await desk.states() == {one: "failed", two: "failed"}
    assert await desk.audit() == []
    hidden = dict(re.findall(r'<input type="hidden" name="(row|sure)" value="([^"]*)">', text))
    assert hidden == {"row": str(two), "sure": "yes"}
    _, text = await desk.post("/rows", {"do": "discard", **hidden})
    assert "1 of 1 row discarded" in text
    assert await desk.states() == {one: "failed", two: "discarded"}
    assert await desk.audit() == [("admin page", "discard", str(two))]


async def test_of_all_only_those_are_discarded_that_were_shown(desk: Desk) -> None:
    one, two = await desk.failed("A"), await desk.failed("B")
    _, text = await desk.post("/rows", {"do": "discard:all"})
    assert "Discard 2 rows?" in text
    hidden = dict(re.findall(r'<input type="hidden" name="(row|sure)" value="([^"]*)">', text))
    later = await desk.failed("C")
    await desk.post("/rows", {"do": "discard", **hidden})
    assert await desk.states() == {one: "discarded", two: "discarded", later: "failed"}


async def test_all_said_twice_discards_nothing_unseen(desk: Desk) -> None:
    row = await desk.failed("A")
    await desk.post("/rows", {"do": "discard:all", "sure": "yes"})
    assert await desk.states() == {row: "failed"}


async def test_with_no_row_failed_there_is_nothing_to_do(desk: Desk) -> None:
    for action in ("retry:all", "discard:all"):
        status, text = await desk.post("/rows", {"do": action})
        assert status == 200
        assert "Nothing to do: no row has failed" in text


async def test_without_a_row_chosen_it_says_so(desk: Desk) -> None:
    status, text = await desk.post("/rows", {"do": "retry"})
    assert status == 400
    assert "No row was chosen." in text


@pytest.mark.parametrize(
    "form", [{}, {"do": "destroy:1"}, {"do": "retry:x"}, {"do": "retry", "row": "-1"}, {"do": f"retry:{2**63}"}]
)
async def test_what_no_form_of_ours_sends_is_400(desk: Desk, form: dict[str, str]) -> None:
    assert (await desk.post("/rows", form))[0] == 400


async def test_sending_is_paused_for_a_reason_and_resumed(desk: Desk) -> None:
    status, _ = await desk.post("/pause", {"kind": "order.add", "reason": "  stock\r\n count "})
    assert status == 303
    _, text = await desk.get("/")
    assert "<strong>order.add is paused</strong> by admin page since" in text
    assert ": stock count." in text
    assert "Resume order.add" in text
    assert (await desk.post("/resume", {"kind": "order.add"}))[0] == 303
    assert (await desk.operator.status()).pauses == []
    assert await desk.audit() == [("admin page", "pause", "order.add"), ("admin page", "resume", "order.add")]


async def test_both_kinds_are_paused_when_none_is_named(desk: Desk) -> None:
    await desk.post("/pause", {"kind": "", "reason": ""})
    pauses = (await desk.operator.status()).pauses
    assert [(pause.kind, pause.reason) for pause in pauses] == [("order.add", None), ("order.cancel", None)]


async def test_a_kind_that_there_is_not_is_400(desk: Desk) -> None:
    assert (await desk.post("/pause", {"kind": "order.eat"}))[0] == 400
    assert (await desk.post("/resume", {"kind": "order.eat"}))[0] == 400


@pytest.mark.parametrize("path", ["/rows", "/pause", "/resume"])
async def test_nothing_is_changed_by_a_form_from_elsewhere(desk: Desk, path: str) -> None:
    row = await desk.failed("A")
    form = {"do": f"retry:{row}"}
    assert (await desk.post(path, form, **{"Sec-Fetch-Site": "cross-site"}))[0] == 403
    assert (await desk.post(path, form, **{"Sec-Fetch-Site": "same-site"}))[0] == 403
    for stolen in ({}, {"form_key": "made up"}):
        async with desk.session.post(desk.url + path, data={**stolen, **form}) as answer:
            assert answer.status == 403
    async with aiohttp.ClientSession() as stranger, stranger.post(desk.url + path, data=form) as answer:
        assert answer.status == 401
    assert (await desk.get(path))[0] == 405
    assert await desk.states() == {row: "failed"}
    assert await desk.audit() == []


async def test_without_a_token_everyone_may_look_and_nobody_may_change(
    desk: Desk, serving: Callable[..., Awaitable[Any]], logged: Any
) -> None:
    row = await desk.failed("A")
    app = admin_app(source=desk.operator, metrics=Metrics(), token=None, log=logged.logger())
    server = await serving(app, name="admin")
    async with aiohttp.ClientSession() as browser:
        url = f"http://127.0.0.1:{server.port}"
        async with browser.get(url + "/") as answer:
            text = await answer.text()
            assert answer.status == 200
        assert "<button name=" not in text
        assert "Set <code>admin.token</code> to do it from here." in text
        async with browser.post(url + "/rows", data={"do": f"retry:{row}", "form_key": ""}) as answer:
            assert answer.status == 403
            assert "nobody may change anything" in await answer.text()
    assert await desk.states() == {row: "failed"}


async def test_with_the_database_away_a_change_is_503_and_says_why(desk: Desk, monkeypatch: Any) -> None:
    row = await desk.failed("A")

    async def away(*_: object, **__: object) -> None:
        raise StoreError("the database cannot be reached")

    for name in ("retry", "discard", "pause", "resume"):
        monkeypatch.setattr(Operator, name, away)
    for path, form in (
        ("/rows", {"do": f"retry:{row}"}),
        ("/rows", {"do": "discard:all"}),
        ("/pause", {}),
        ("/resume", {}),
    ):
        status, text = await desk.post(path, form)
        assert status == 503
        assert "the database cannot be reached" in text


async def test_the_orders_page_offers_to_mend_its_failed_row(desk: Desk) -> None:
    row = await desk.failed("A")
    _, text = await desk.get("/orders/A")
    assert f'<button name="do" value="retry:{row}" aria-label="Retry row {row}">' in text
    assert "put the product into Omisell&#39;s catalogue" in text
    await desk.post("/rows", {"do": f"retry:{row}"})
    _, text = await desk.get("/orders/A")
    assert "Retry row" not in text
    assert "retried by hand" in text
