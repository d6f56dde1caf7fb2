"""The operator's pages over HTTP: what is shown, to whom, and what a browser may do with it."""

import asyncio
import datetime as dt
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from omisync.omisell import CallClass, Clearing, Forecast
from omisync.store.errors import SchemaError, StoreError, StoreUnavailable
from omisync.store.history import ByHand, Hour, LastDay, Latest, PushSeen, Repair, Table
from omisync.store.imports import Import
from omisync.store.mirrors import MirrorAge
from omisync.store.operator import (
    Change,
    Finding,
    OrderRow,
    OrderView,
    OutboxRow,
    Pause,
    Replica,
    Status,
    SweepRun,
)
from omisync.web import Access, Metrics, admin_app
from omisync.web.pages import Pages

Start = Callable[..., Awaitable[Any]]

TOKEN = "mã-của-người-vận-hành"
NOW = dt.datetime.now(dt.UTC)
EVIL = "<script>alert(1)</script>"


def status_at(now: dt.datetime) -> Status:
    return Status(
        outbox={"pending": 12, "sending": 3, "failed": 1},
        oldest_pending_seconds=75.0,
        failed=1,
        refresh_pending=4,
        refresh_lag_seconds=2.0,
        inbox={"new": 5, "waiting": 6},
        token_expires_seconds=1234.0,
        budget_used_ratio=0.42,
        pauses=[],
        leader="shop-1",
        replicas=[Replica("shop-1", "0.1.0", now - dt.timedelta(hours=3), now, leads=True, state={"away": None})],
        sweeps=[SweepRun("incremental", now - dt.timedelta(minutes=9), now - dt.timedelta(minutes=8), 120, 2, None)],
        webhook_forms={"token": 7},
        hooks_waiting=0,
        findings=[],
        schema_version="0005_roles",
    )


STATUS = status_at(NOW)
FAILED = OutboxRow(
    id=17,
    kind="order.add",
    order_number="ORD-9",
    state="failed",
    outcome=None,
    attempts=1,
    available_at=NOW,
    error=f"Omisell says: SKU {EVIL} unknown",
    created_at=NOW - dt.timedelta(minutes=3),
    finished_at=NOW - dt.timedelta(minutes=2),
    payload='{"receiver": {"phone": "0912345678"}}',
)
VIEW = OrderView(
    order_number="ORD/7 ơ",
    order=OrderRow("ORD/7 ơ", "OMI-7", 500, f"Shipped {EVIL}", False, NOW, NOW, ["VN123"]),
    parcels=[
        {
            "package_number": "P-1",
            "courier_name": EVIL,
            "courier_tracking_number": "VN123",
            "shipment_status": 300,
            "shipment_status_name": "shipped",
            "pickup_id": None,
        }
    ],
    events=[
        {
            "id": 1,
            "kind": "added",
            "old_status_id": None,
            "new_status_id": 200,
            "source": "outbox",
            "data": '{"outbox_id": 3}',
            "occurred_at": NOW - dt.timedelta(minutes=9),
            "recorded_at": NOW - dt.timedelta(minutes=9),
        },
        {
            "id": 2,
            "kind": "status",
            "old_status_id": 200,
            "new_status_id": 500,
            "source": "webhook",
            "data": None,
            "occurred_at": NOW - dt.timedelta(minutes=5),
            "recorded_at": NOW - dt.timedelta(minutes=4),
        },
    ],
    outbox=[
        replace(FAILED, id=3, state="done", outcome="added", error=None, created_at=NOW - dt.timedelta(minutes=10))
    ],
    pushes=[
        {
            "id": 1,
            "event": "order.shipped",
            "request_id": "r-1",
            "status_id": 500,
            "updated_time": 1,
            "authorization_form": "token",
            "state": "done",
            "received_at": NOW - dt.timedelta(minutes=5),
            "handled_at": NOW,
        }
    ],
    by_hand=[ByHand(NOW - dt.timedelta(seconds=50), "admin page", "retry", "3")],
)


LATEST = Latest(
    pushes=[PushSeen("order.shipped", "ORD/7 ơ", "OMI-7", 500, "hmac-body", "waiting", NOW - dt.timedelta(seconds=30))],
    by_hand=[ByHand(NOW - dt.timedelta(minutes=1), "an@shop", "discard", "11")],
)
FIRST_HOUR = dt.datetime(2026, 3, 4, 5, tzinfo=dt.UTC)
DAY = LastDay(
    hours=[
        Hour(FIRST_HOUR + dt.timedelta(hours=place), sent, failed, pushes)
        for place, (sent, failed, pushes) in enumerate([(10, 0, 0), (40, 1, 0), (0, 0, 0)])
    ],
    repairs=[Repair("ORD-8", "status", 300, 500, NOW - dt.timedelta(minutes=8), NOW - dt.timedelta(minutes=7))],
    tables=[Table("outbox", 3 * 1024 * 1024, 12345, 6, NOW - dt.timedelta(hours=3)), Table("orders", 8192, 2, 0)],
)


class FakeSource:
    def __init__(self) -> None:
        self.state = STATUS
        self.failed = [FAILED]
        self.seen = LATEST
        self.day = DAY
        self.trouble: Exception | None = None
        self.asked = 0
        self.days_asked = 0
        self.looked_for: list[str] = []
        self.done: list[tuple[object, ...]] = []
        self.changes = [Change(17, "order.add", "ORD-9", "pending again")]

    async def latest(self) -> Latest:
        return self.seen

    async def last_day(self) -> LastDay:
        self.days_asked += 1
        return self.day

    async def retry(
        self, ids: Sequence[int] | None = None, *, all_failed: bool = False, dry_run: bool = False, by: str
    ) -> list[Change]:
        self._do("retry", list(ids or ()), all_failed, dry_run, by)
        return self.changes

    async def discard(
        self, ids: Sequence[int] | None = None, *, all_failed: bool = False, dry_run: bool = False, by: str
    ) -> list[Change]:
        self._do("discard", list(ids or ()), all_failed, dry_run, by)
        return self.changes

    async def pause(self, kind: str | None, reason: str | None, by: str) -> None:
        self._do("pause", kind, reason, by)

    async def resume(self, kind: str | None, by: str) -> int:
        self._do("resume", kind, by)
        return 1

    def _do(self, *deed: object) -> None:
        if self.trouble is not None:
            raise self.trouble
        self.done.append(deed)

    async def status(self) -> Status:
        self.asked += 1
        if self.trouble is not None:
            raise self.trouble
        return self.state

    async def outbox_list(self, state: str | None = None, order: str | None = None, limit: int = 50) -> list[OutboxRow]:
        assert (state, order) == ("failed", None)
        return self.failed[:limit]

    async def order_show(self, number: str) -> OrderView | None:
        self.looked_for.append(number)
        if self.trouble is not None:
            raise self.trouble
        return VIEW if number in {"ORD/7 ơ", "OMI-7"} else None


AHEAD = Forecast(
    Clearing(19, 12.0),
    {cls: Clearing(12 if cls is CallClass.ADD else 7 if cls is CallClass.REFRESH else 0, 12.0) for cls in CallClass},
)


class Page:
    """An admin listener under test, seen by a browser."""

    def __init__(self, source: FakeSource, url: str, session: Any, metrics: Metrics) -> None:
        self.source, self.url, self.session, self.metrics = source, url, session, metrics

    async def get(self, path: str, **more: Any) -> tuple[int, str, Any]:
        async with self.session.get(self.url + path, **more) as answer:
            return answer.status, await answer.text(), answer.headers

    async def post(self, path: str, form: dict[str, str], **more: Any) -> tuple[int, str, Any]:
        async with self.session.post(self.url + path, data=form, allow_redirects=False, **more) as answer:
            return answer.status, await answer.text(), answer.headers


@pytest.fixture
def admin(serving: Start, logged: Any, session: Any) -> Start:
    async def start(token: str | Access | None = None, pages: Pages | None = None) -> Page:
        source, metrics = FakeSource(), Metrics()
        app = admin_app(
            source=source, metrics=metrics, token=token, log=logged.logger(), forecast=lambda _: AHEAD, pages=pages
        )
        server = await serving(app, name="admin")
        # localhost, not an address: the client keeps no cookies for addresses
        return Page(source, f"http://localhost:{server.port}", session, metrics)

    return start


def bearer(token: str) -> dict[str, dict[str, bytes]]:
    return {"headers": {"Authorization": f"Bearer {token}"}}  # type: ignore[dict-item]


async def test_the_status_page_shows_depths_ages_budget_token_leader_and_sweeps(admin: Start) -> None:
    page = await admin(pages=Pages(clock=NOW.timestamp))  # whenever in a long run of tests this one comes
    status, text, headers = await page.get("/")
    assert status == 200
    assert headers["Content-Type"] == "text/html; charset=utf-8"
    words = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", "", text))
    for shown in (
        "To send12 and 3 on the way",
        "Oldest unsent1 min 15 s",
        "Failed1",
        "To fetch4 for 2 s",
        "Pushes to handle5 and 6 waiting for a fetch",
        "42 % in use",
        "Token good for20 min 34 s",
        "shop-1 0.1.0, up 3 h, seen",
        "leader",
        "incremental9 min ago1 min1202–",
        "What waits: 19 calls, clear in 12 s: adds 12 calls, clear in 12 s; fetches 7 calls, clear in 12 s.",
        "order.shippedORD/7 ơ500hmac-bodywaiting",
        "ORD-8status300 → 500",
        "discard row 11 by an@shop",
        "outbox3.0 MiB12,34563 h ago",
        "orders8.0 KiB20never",
        'webhook.authorization = "token" pins it',
        "Schema 0005_roles",
    ):
        assert shown in words
    assert '<meter aria-labelledby="budget" min="0" max="1" low="0.7" high="0.9" optimum="0" value="0.420">' in text


async def test_what_omisell_or_the_shop_wrote_is_escaped_everywhere(admin: Start) -> None:
    page = await admin()
    page.source.state = replace(
        STATUS,
        pauses=[Pause("order.add", EVIL, EVIL, NOW)],
        leader=EVIL,
        replicas=[Replica(EVIL, EVIL, NOW, NOW, leads=True, state={"away": EVIL})],
        sweeps=[SweepRun(EVIL, NOW, None, 0, 0, EVIL)],
        webhook_forms={EVIL: 1},
        findings=[Finding(EVIL, EVIL, EVIL, {EVIL: EVIL}, NOW)],
        schema_version=EVIL,
    )
    page.source.failed = [replace(FAILED, order_number=EVIL, kind=EVIL)]
    page.source.seen = Latest(
        [PushSeen(EVIL, EVIL, EVIL, 1, EVIL, EVIL, NOW)],
        [ByHand(NOW, EVIL, "retry", EVIL), ByHand(NOW, EVIL, EVIL, EVIL)],
    )
    page.source.day = replace(DAY, repairs=[Repair(EVIL, EVIL, None, 1, NOW, NOW)])
    for path in ("/", "/fragments/now", "/orders/OMI-7", f"/orders/{EVIL}", "/orders/%22%3E%3Cb%3E"):
        _, text, _ = await page.get(path)
        assert EVIL not in text
        assert "<b>" not in text
        assert text.count("<script") <= 1


async def test_the_failed_rows_show_their_reason_and_never_their_payload(admin: Start) -> None:
    page = await admin()
    _, text, _ = await page.get("/")
    assert "Omisell says: SKU &lt;script&gt;alert(1)&lt;/script&gt; unknown" in text
    assert '<span class="advice">put the product into Omisell&#39;s catalogue with exactly this SKU' in text
    assert '<a href="/orders/ORD-9">' in text
    assert "omisync outbox retry ID" in text
    assert "0912345678" not in text


async def test_more_failed_rows_than_are_shown_are_told(admin: Start) -> None:
    page = await admin()
    page.source.state = replace(STATUS, failed=200)
    _, text, _ = await page.get("/")
    assert "The newest 1 of 200." in text


async def test_how_old_omisells_lists_are_and_what_is_off_without_one(admin: Start) -> None:
    page = await admin()
    page.source.state = replace(
        STATUS,
        lists=[
            MirrorAge("catalogue", NOW, 60.0, 60.0, 1204, offered=True, error=EVIL),
            MirrorAge("locations", None, None, 60.0, 0, offered=False, error="none"),
        ],
    )
    _, text, _ = await page.get("/")
    assert "<td>catalogue</td><td>1,204</td>" in text
    assert "not offered by the account; addresses are not checked" in text
    assert EVIL not in text


async def test_an_import_that_is_not_finished_is_shown_with_how_far_it_is(admin: Start) -> None:
    assert "import" not in (await (await admin()).get("/"))[1]
    broken_off = Import(
        id=1, since_seconds=7_776_000, window_from=0, page_size=100, next_page=1, pass_number=2, quiet=True, pages=40,
        counted=3900, unread=0, seen=3912, known=700, fetched=500, others=3, lost=1,
        started_at=NOW - dt.timedelta(hours=2), listed_at=NOW, finished_at=None,
    )  # fmt: skip
    page = await admin()
    page.source.state = replace(STATUS, unfinished_import=broken_off)
    _, text, _ = await page.get("/")
    assert "<strong>An import is not finished:</strong> 1,204 of 3,912 orders, begun 2 h" in text


async def test_trouble_is_told_at_the_top(admin: Start) -> None:
    page = await admin()
    page.source.state = replace(
        STATUS,
        pauses=[Pause("order.cancel", "stock-taking", "thu", NOW)],
        leader=None,
        token_expires_seconds=None,
        findings=[Finding("two_at_omisell", "ORD-4", "OMI-4b", {"kept": "OMI-4"}, NOW)],
        hooks_waiting=3,
        budget_used_ratio=None,
        sweeps=[],
        replicas=[],
        webhook_forms={},
        pushes_silent_since=NOW - dt.timedelta(hours=2),
    )
    page.source.failed = []
    page.source.seen = Latest([], [])
    _, text, _ = await page.get("/")
    for shown in ("order.cancel is paused", "stock-taking", "No leader.", "No token.", "two_at_omisell", "kept OMI-4"):
        assert shown in text
    assert "No push comes any more" in text
    assert "Nothing was changed by hand yet." in text
    assert "None was seen in the last minute." in text
    assert "No push yet." in text


@pytest.mark.parametrize(
    ("trouble", "words"),
    [
        (StoreUnavailable("the database at db1 cannot be reached"), "The database is away."),
        (SchemaError("the schema is older than this version: run `omisync migrate`"), "The database cannot be read."),
        (ValueError("something with 0912345678 in it"), "an unexpected error, see the log"),
    ],
)
async def test_with_the_database_away_the_page_still_comes_up_and_says_so(
    admin: Start, trouble: Exception, words: str, logged: Any
) -> None:
    page = await admin()
    page.source.trouble = trouble
    status, text, _ = await page.get("/")
    assert status == 200
    assert words in text
    assert "0912345678" not in text + str(logged.entries)


async def test_with_the_database_gone_away_the_last_known_state_is_shown_with_its_age(
    admin: Start, monkeypatch: Any
) -> None:
    monkeypatch.setattr("omisync.web.seen.FRESH_SECONDS", 0.0)
    page = await admin()
    await page.get("/")
    page.source.trouble = StoreUnavailable("the database at db1 cannot be reached")
    _, text, _ = await page.get("/")
    assert "the database at db1 cannot be reached" in text
    assert re.search(r"What is shown is as it was \d+ s ago\.", text)
    assert "Oldest unsent" in text


async def test_many_readers_make_one_question_a_second(admin: Start) -> None:
    page = await admin()
    await asyncio.gather(*(page.get("/fragments/now") for _ in range(20)))
    assert (page.source.asked, page.source.days_asked) == (1, 1)


async def test_the_last_day_is_drawn_by_the_hour_and_told_in_words(admin: Start) -> None:
    page = await admin()
    _, text, _ = await page.get("/")
    assert 'aria-label="Orders sent by the hour: 50 in the last day, at most 40, at 06:00 UTC"' in text
    assert 'aria-label="Pushes received by the hour: none in the last day"' in text
    assert '<rect x="0.0" y="36.0" width="10" height="12.0"><title>05:00 UTC: 10</title></rect>' in text
    assert '<rect x="12.0" y="0.0" width="10" height="48.0"><title>06:00 UTC: 40</title></rect>' in text
    assert text.count("<rect ") == 3  # two hours with orders, one with a failure


async def test_a_last_day_that_cannot_be_read_leaves_the_rest_of_the_page(
    admin: Start, monkeypatch: Any, logged: Any
) -> None:
    page = await admin()

    async def too_much() -> LastDay:
        raise StoreUnavailable("the database did not answer in time")

    monkeypatch.setattr(page.source, "last_day", too_much)
    status, text, _ = await page.get("/")
    assert status == 200
    assert "Oldest unsent" in text
    assert "<svg" not in text
    assert logged.events("warning") == ["the last day could not be read"]


async def test_an_orders_page_tells_its_story_in_order(admin: Start) -> None:
    page = await admin()
    text = ""
    for number in ("OMI-7", "ORD%2F7%20%C6%A1", "ORD/7%20%C6%A1"):
        status, text, _ = await page.get(f"/orders/{number}")
        assert status == 200
    words = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", text))
    told = [
        "shop wrote order.add",
        "outbox added: 200 New",
        "omisell pushed order.shipped",
        "webhook status: 200 New → 500 Shipped",
        "outbox order.add done: added",
        "operator retried by hand outbox row 3, by admin page",
    ]
    places = [words.index(part) for part in told]
    assert places == sorted(places)
    assert "request r-1" in words
    assert "outbox 3" in words
    assert "0912345678" not in text


async def test_an_orders_page_shows_its_return_and_that_the_buyers_data_is_gone(admin: Start, monkeypatch: Any) -> None:
    page = await admin()
    assert VIEW.order is not None
    told = {"event": "order.returned", "status_id": 800, "status_name": f"Returned {EVIL}", "updated_at": NOW}
    view = replace(
        VIEW,
        order=replace(VIEW.order, forgotten_at=NOW),
        returned={"returned_at": NOW, "received_at": None, "data": '{"phone": "0912345678"}', **told},
        events=[{**VIEW.events[1], "kind": "returned", "old_status_id": 800, "new_status_id": 800}],
        by_hand=[ByHand(NOW, "an@desk", "forget", "ORD/7 ơ"), ByHand(NOW, "an@desk", "refresh", "ORD/7 ơ")],
    )

    async def show(_: str) -> OrderView:
        return view

    monkeypatch.setattr(page.source, "order_show", show)
    _, text, _ = await page.get("/orders/OMI-7")
    words = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", text))
    assert re.search(r"Return Returned \S+ \S+ UTC", words)
    assert "Received back not yet, as far as Omisell has told" in words
    assert "Last told order.returned: 800 Returned" in words
    assert "Buyer&#39;s data removed" in words or "Buyer's data removed" in words
    assert "webhook returned: 800 Returned Omisell" in words
    assert "removed the buyer&#39;s data by hand by an@desk" in words
    assert "asked for a fetch by hand by an@desk" in words
    assert EVIL not in text
    assert "0912345678" not in text


async def test_an_order_that_only_the_outbox_knows(admin: Start, monkeypatch: Any) -> None:
    page = await admin()
    only = OrderView("ORD-1", None, [], [], [], [])

    async def show(_: str) -> OrderView:
        return only

    monkeypatch.setattr(page.source, "order_show", show)
    status, text, _ = await page.get("/orders/ORD-1")
    assert status == 200
    assert "not there yet" in text
    assert "Nothing yet." in text


async def test_an_order_that_nobody_knows_is_404(admin: Start) -> None:
    page = await admin()
    status, text, _ = await page.get("/orders/NOPE")
    assert status == 404
    assert "No order NOPE" in text


@pytest.mark.parametrize("number", ["%00", "a" * 256, "%0A"])
async def test_what_can_be_no_number_is_not_even_asked_for(admin: Start, number: str) -> None:
    page = await admin()
    status, _, _ = await page.get(f"/orders/{number}")
    assert status == 404
    assert page.source.looked_for == []


async def test_with_the_database_away_an_orders_page_is_503(admin: Start) -> None:
    page = await admin()
    page.source.trouble = StoreError("away")
    status, text, _ = await page.get("/orders/OMI-7")
    assert status == 503
    assert "The database is away" in text


async def test_a_page_that_fails_says_nothing_of_why(admin: Start, logged: Any) -> None:
    page = await admin()
    page.source.trouble = ValueError("0912345678")
    status, text, _ = await page.get("/orders/OMI-7")
    assert (status, text) == (500, "This page failed; the log says where.")
    (entry,) = logged.entries
    assert (entry["level"], entry["error"]) == ("error", "builtins.ValueError")
    assert "0912345678" not in str(entry)


async def test_search_leads_to_the_orders_page(admin: Start) -> None:
    page = await admin()
    status, text, _ = await page.get("/orders", params={"number": " ORD/7 ơ "})
    assert status == 200
    assert "OMI-7" in text
    status, text, _ = await page.get("/orders", params={"number": " "})
    assert "<h1>Status</h1>" in text


async def test_every_answer_carries_the_security_headers(admin: Start) -> None:
    page = await admin()
    for path in ("/", "/orders/NOPE", "/healthz", "/metrics", "/nowhere", "/login"):
        _, _, headers = await page.get(path, allow_redirects=False)
        policy = headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "script-src 'self'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert headers["Server"] == "omisync"
    _, text, headers = await page.get("/")
    assert headers["Cache-Control"] == "no-store"
    assert not re.search(r"\son\w+=|\sstyle=|<style|javascript:", text)
    assert re.findall(r"<script[^>]*>([^<]*)", text) == [""]


async def test_styles_and_script_come_from_the_package_and_never_grow_old(admin: Start) -> None:
    page = await admin()
    _, text, _ = await page.get("/")
    urls = re.findall(r'(?:href|src)="(/static/[^"]+)"', text)
    assert [url.split("?")[0] for url in urls] == ["/static/omisync.svg", "/static/omisync.css", "/static/omisync.js"]
    for url in urls:
        status, content, headers = await page.get(url)
        assert status == 200
        assert content
        assert "immutable" in headers["Cache-Control"]
    assert "://" not in re.sub(r"http://www\.w3\.org/2000/svg", "", text)
    assert (await page.get("/static/admin.py"))[0] == 404
    assert (await page.get("/static/..%2Fadmin.py"))[0] == 404


@pytest.mark.parametrize("path", ["/", "/fragments/now", "/live", "/orders?number=1", "/orders/OMI-7"])
async def test_with_a_token_set_nothing_is_shown_without_it(admin: Start, path: str) -> None:
    page = await admin(TOKEN)
    for wrong in ({}, bearer("wrong"), {"headers": {"Authorization": "Basic x"}}, {"cookies": {"omisync": "1.2"}}):
        status, text, headers = await page.get(path, **wrong)
        assert status == 401
        assert headers["WWW-Authenticate"] == 'Bearer realm="omisync"'
        assert "ORD" not in text.replace("ORD-2024", "")
        assert 'name="token"' in text
    assert page.source.asked == 0
    assert page.source.looked_for == []


async def test_the_token_opens_everything_as_bearer(admin: Start) -> None:
    page = await admin(TOKEN)
    assert (await page.get("/", **bearer(TOKEN)))[0] == 200
    assert (await page.get("/orders/OMI-7", **bearer(TOKEN)))[0] == 200


async def test_logging_in_and_out(admin: Start) -> None:
    page = await admin(TOKEN)
    status, _, headers = await page.post("/login", {"token": TOKEN})
    assert (status, headers["Location"]) == (303, "/")
    cookie = headers["Set-Cookie"]
    assert re.match(r"omisync_[0-9a-f]{8}=\d+\.[0-9a-f]{64}; HttpOnly; Max-Age=43200; Path=/; SameSite=Strict", cookie)
    assert TOKEN not in cookie
    status, text, _ = await page.get("/")
    assert status == 200
    assert (await page.get("/login", allow_redirects=False))[0] == 303
    key = re.findall(r'name="form_key" value="([^"]+)"', text)[0]
    assert (await page.post("/logout", {"form_key": "made up"}))[0] == 403
    assert (await page.get("/"))[0] == 200
    status, _, headers = await page.post("/logout", {"form_key": key})
    assert (status, headers["Location"]) == (303, "/login")
    assert (await page.get("/"))[0] == 401


async def test_a_wrong_token_is_401_and_too_many_close_the_form(admin: Start) -> None:
    page = await admin(TOKEN)
    for _ in range(10):
        status, text, headers = await page.post("/login", {"token": "guess"})
        assert status == 401
        assert "That is not the token. It is admin.token" in text
        assert "Set-Cookie" not in headers
    status, text, _ = await page.post("/login", {"token": TOKEN})
    assert status == 429
    assert "Wait a minute" in text
    assert (await page.get("/", **bearer(TOKEN)))[0] == 200


@pytest.mark.parametrize(
    "header", [{"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example"}, {"Origin": "null"}]
)
async def test_forms_of_other_sites_are_refused(admin: Start, header: dict[str, str]) -> None:
    page = await admin(TOKEN)
    assert (await page.post("/login", {"token": TOKEN}, headers=header))[0] == 403
    assert (await page.post("/logout", {}, headers=header))[0] == 403


async def test_without_a_token_the_page_answers_to_no_foreign_name(admin: Start) -> None:
    page = await admin()
    for host in ("evil.example", "evil.example:8081", "127.0.0.1.evil.example"):
        status, text, _ = await page.get("/", headers={"Host": host})
        assert status == 403
        assert "set admin.token" in text
        assert "ORD-9" not in text
    for host in ("127.0.0.1:8081", "[::1]:8081", "localhost", "192.168.1.7"):
        assert (await page.get("/", headers={"Host": host}))[0] == 200


async def test_healthz_answers_whatever_the_database_does(admin: Start) -> None:
    page = await admin(TOKEN)
    page.source.trouble = StoreUnavailable("away")
    status, text, headers = await page.get("/healthz")
    assert (status, text) == (200, '{"ok": true}')
    assert headers["Content-Type"].startswith("application/json")
    assert page.source.asked == 0


async def test_readyz_names_each_part(admin: Start) -> None:
    page = await admin(TOKEN)
    async with page.session.get(page.url + "/readyz") as answer:
        assert answer.status == 200
        assert await answer.json() == {
            "ready": True,
            "database": {"ok": True},
            "schema": {"ok": True, "version": "0005_roles"},
            "token": {"ok": True, "expires_seconds": 1234},
        }


async def test_readyz_is_503_with_the_database_away_and_tells_no_stranger_where_it_is(admin: Start) -> None:
    page = await admin(TOKEN)
    page.source.trouble = StoreUnavailable("the database at db1.internal cannot be reached")
    status, text, _ = await page.get("/readyz")
    assert status == 503
    assert '"database": {"ok": false, "why": "it does not answer"}' in text
    assert "db1" not in text


async def test_metrics_are_open_on_this_machine(admin: Start) -> None:
    page = await admin(TOKEN)
    page.metrics.set_leader(True)
    status, text, headers = await page.get("/metrics")
    assert status == 200
    assert headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert "omisync_leader 1.0" in text


async def test_metrics_want_the_token_from_elsewhere(admin: Start, monkeypatch: Any) -> None:
    page = await admin(TOKEN)
    monkeypatch.setattr("omisync.web.admin.is_from_here", lambda _: False)
    assert (await page.get("/metrics"))[0] == 401
    assert (await page.get("/metrics", **bearer(TOKEN)))[0] == 200


async def test_the_token_can_be_exchanged_while_it_runs(admin: Start) -> None:
    access = Access(TOKEN)
    page = await admin(access)
    await page.post("/login", {"token": TOKEN})
    assert (await page.get("/"))[0] == 200
    access.replace("new")
    assert (await page.get("/"))[0] == 401
    assert (await page.get("/", **bearer(TOKEN)))[0] == 401
    assert (await page.get("/", **bearer("new")))[0] == 200


async def test_a_huge_form_is_413(admin: Start) -> None:
    page = await admin(TOKEN)
    assert (await page.post("/login", {"token": "x" * 20_000}))[0] == 413
