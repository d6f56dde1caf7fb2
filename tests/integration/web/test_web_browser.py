"""The operator's pages in a real browser: by click, by keyboard, by ear, on a phone, in the dark, and alive."""

import os
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from omisync.omisell import CallClass, Clearing, Forecast
from omisync.store import Database
from omisync.store.operator import Operator
from omisync.web import Access, Metrics, admin_app

playwright = pytest.importorskip("playwright.async_api", reason="playwright is not installed: it is of the extra dev")
axe = pytest.importorskip("axe_playwright_python.async_playwright", reason="axe-playwright-python is not installed")

CHROMIUM = Path("/usr/bin/chromium")
pytestmark = pytest.mark.skipif(
    not CHROMIUM.exists(), reason=f"{CHROMIUM} is missing: `apt-get install chromium` brings it"
)
QUIET = [
    "--no-sandbox",  # a container's root has none
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
TOKEN = "mã-của-người-vận-hành"
PATIENCE = 30_000.0  # milliseconds; two cores may be shared
DESKTOP = {"width": 1200, "height": 900}
PHONE = {"width": 390, "height": 844}
MOST_BYTES = 150_000
PICTURES = os.environ.get("OMISYNC_PICTURES")
"""A folder for the README's pictures: `OMISYNC_PICTURES=docs/images pytest tests/integration/web/test_web_browser.py`
takes them anew."""

AHEAD = Forecast(Clearing(38, 17.0), {cls: Clearing(38 if cls is CallClass.ADD else 0, 17.0) for cls in CallClass})
MORNING = Path(__file__).with_name("shop_morning.sql")


@dataclass
class Eyes:
    """A browser before the page of a shop; every error of its console is kept."""

    url: str
    browser: Any
    sql: asyncpg.Connection
    errors: list[str] = field(default_factory=list)

    async def page(self, size: dict[str, int] = DESKTOP, scheme: str = "light", *, logged_in: bool = True) -> Any:
        context = await self.browser.new_context(
            viewport=size, color_scheme=scheme, is_mobile=size is PHONE, has_touch=size is PHONE, locale="en-GB"
        )
        context.set_default_timeout(PATIENCE)
        if logged_in:
            answer = await context.request.post(
                self.url + "/login", form={"token": TOKEN}, headers={"Origin": self.url}
            )
            assert answer.ok
        page = await context.new_page()
        page.on("console", lambda told: self.errors.append(told.text) if told.type in {"error", "warning"} else None)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        return page

    async def failed(self, number: str) -> int:
        """One more row fails."""
        row: int = await self.sql.fetchval(
            "SELECT omisync.add_order(jsonb_build_object('order_number', $1::text, 'items', '[{}]'::jsonb))", number
        )
        await self.fail(row)
        return row

    async def fail(self, row: int) -> None:
        await self.sql.execute(
            "UPDATE omisync.outbox SET state = 'sending', lease_token = gen_random_uuid(), lease_until = now()"
            " WHERE id = $1",
            row,
        )
        await self.sql.execute(
            "UPDATE omisync.outbox SET state = 'failed', lease_token = NULL, lease_until = NULL, finished_at = now(),"
            " maybe_sent_at = NULL, settle_at = NULL, error = 'quantity must be 1 or more' WHERE id = $1",
            row,
        )

    async def state(self, row: int) -> str:
        return str(await self.sql.fetchval("SELECT state FROM omisync.outbox WHERE id = $1", row))


async def blemishes(page: Any) -> list[str]:
    """What axe finds wrong, and whether the page is wider than the screen."""
    found = (await axe.Axe().run(page)).response["violations"]
    told = [f"{one['id']}: {one['nodes'][0]['html'][:200]}" for one in found]
    if await page.evaluate("document.documentElement.scrollWidth > innerWidth"):
        told.append("it scrolls sideways")
    return told


@pytest.fixture
async def eyes(serving: Callable[..., Awaitable[Any]], logged: Any, dsn: str) -> AsyncIterator[Eyes]:
    database = Database(dsn)
    sql = await asyncpg.connect(dsn)
    await sql.execute(MORNING.read_text())
    app = admin_app(
        source=Operator(database),
        metrics=Metrics(),
        token=Access(TOKEN),
        log=logged.logger(),
        forecast=lambda _: AHEAD,
    )
    server = await serving(app, name="admin")
    async with playwright.async_playwright() as driver:
        browser = await driver.chromium.launch(executable_path=str(CHROMIUM), args=QUIET, timeout=4 * PATIENCE)
        yield Eyes(f"http://127.0.0.1:{server.port}", browser, sql)
        await browser.close()
    await sql.close()
    await database.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_every_page_is_sound_for_eye_ear_and_thumb_and_the_console_is_quiet(eyes: Eyes, scheme: str) -> None:
    for size in (DESKTOP, PHONE):
        page = await eyes.page(size, scheme)
        for path in ("/", "/orders/WEB-999", "/orders/WEB-1001"):
            await page.goto(eyes.url + path)
            assert (path, size["width"], await blemishes(page)) == (path, size["width"], [])
        await page.goto(eyes.url)
        await page.get_by_role("button", name="Discard row 1").click()
        assert await blemishes(page) == []
        await page.goto(eyes.url)
        await page.get_by_role("checkbox", name="Choose row 2").check()
        await page.get_by_role("button", name="Retry chosen").click()
        await page.get_by_role("heading", name="1 of 1 row retried").wait_for()
        assert await blemishes(page) == []
        assert eyes.errors == []
        await eyes.fail(2)
        await page.goto(eyes.url + "/orders/NOPE")
        assert await blemishes(page) == []
        stranger = await eyes.page(size, scheme, logged_in=False)
        await stranger.goto(eyes.url + "/login")
        assert await blemishes(stranger) == []
        eyes.errors.clear()  # a 404 of a page is told in the console by the browser itself


async def test_a_long_order_number_among_the_failed_rows_makes_no_page_wider(eyes: Eyes) -> None:
    await eyes.failed("Đơn-hàng-rất-dài-của-cửa-hàng-thời-trang-Sài-Gòn-2026-" + "7" * 80)
    for size in (DESKTOP, {"width": 800, "height": 600}, PHONE):
        page = await eyes.page(size)
        await page.goto(eyes.url + "/")
        assert not await page.evaluate("document.documentElement.scrollWidth > innerWidth"), size


async def test_a_row_is_retried_by_a_click_and_the_audit_knows(eyes: Eyes) -> None:
    page = await eyes.page()
    await page.goto(eyes.url)
    await page.get_by_role("button", name="Retry row 1", exact=True).click()
    await page.get_by_role("heading", name="1 of 1 row retried").wait_for()
    assert [await eyes.state(row) for row in (1, 2, 3)] == ["pending", "failed", "failed"]
    await page.get_by_role("link", name="Back to the status").click()
    await page.get_by_text("retry row 1 by admin page").wait_for()
    assert await page.get_by_role("button", name="Retry row 1", exact=True).count() == 0
    assert eyes.errors == []


async def test_all_of_it_goes_by_keyboard_alone(eyes: Eyes) -> None:
    page = await eyes.page(logged_in=False)
    await page.goto(eyes.url + "/login")
    await page.keyboard.type(TOKEN)  # the field has the focus
    await page.keyboard.press("Enter")
    await page.get_by_role("heading", name="Status").wait_for()

    async def focused() -> str:
        return str(
            await page.evaluate(
                "document.activeElement.getAttribute('aria-label') || document.activeElement.textContent.trim()"
            )
        )

    async def tab_to(name: str) -> None:
        for _ in range(60):
            await page.keyboard.press("Tab")
            if await focused() == name:
                outline = await page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
                assert outline != "none"  # one sees where one is
                return
        raise AssertionError(f"{name} cannot be reached")

    await tab_to("To the content")
    await page.keyboard.press("Enter")
    await tab_to("Choose row 2")
    await page.keyboard.press("Space")
    await tab_to("Discard chosen…")
    await page.keyboard.press("Enter")
    await page.get_by_role("heading", name="Discard 1 row?").wait_for()
    assert await eyes.state(2) == "failed"
    await tab_to("Discard 1 row")
    await page.keyboard.press("Enter")
    await page.get_by_role("heading", name="1 of 1 row discarded").wait_for()
    assert await eyes.state(2) == "discarded"
    assert eyes.errors == []


async def test_an_order_is_found_by_either_number(eyes: Eyes) -> None:
    page = await eyes.page(PHONE)
    for number in ("WEB-999", "OMI-5999"):
        await page.goto(eyes.url)
        await page.get_by_role("searchbox", name="Order").fill(number)
        await page.keyboard.press("Enter")
        await page.get_by_role("heading", name="Order WEB-999").wait_for()
    assert eyes.errors == []


async def test_sending_is_paused_and_resumed_by_click(eyes: Eyes) -> None:
    page = await eyes.page()
    await page.goto(eyes.url)
    await page.get_by_text("Pause sending").click()
    await page.get_by_label("What", exact=True).select_option("order.cancel")
    await page.get_by_label("Why", exact=True).fill("stock count")
    await page.get_by_role("button", name="Pause", exact=True).click()
    await page.get_by_text("order.cancel is paused by admin page").wait_for()
    assert await eyes.sql.fetchval("SELECT reason FROM omisync.pauses") == "stock count"
    await page.get_by_role("button", name="Resume order.cancel").click()
    await page.get_by_text("resume order.cancel by admin page").wait_for()
    assert await eyes.sql.fetchval("SELECT count(*) FROM omisync.pauses") == 0
    assert eyes.errors == []


@pytest.mark.parametrize("way", ["by a stream", "by asking, where there is no stream"])
async def test_the_page_lives_without_being_loaded_again(eyes: Eyes, way: str) -> None:
    page = await eyes.page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url.removeprefix(eyes.url)))
    if way != "by a stream":
        await page.route("**/live", lambda route: route.fulfill(status=503))
    await page.goto(eyes.url)
    await eyes.failed("NEW-1")
    await page.get_by_role("link", name="NEW-1").wait_for()
    assert ("/fragments/now" in asked) == (way != "by a stream")
    assert asked.count("/") == 1


async def test_who_is_choosing_is_not_disturbed_while_the_rest_lives_on(eyes: Eyes) -> None:
    page = await eyes.page()
    await page.goto(eyes.url)
    await page.get_by_role("checkbox", name="Choose row 3").check()
    await eyes.failed("NEW-1")
    await page.locator(".tiles .bad dd", has_text="4").wait_for()
    assert await page.get_by_role("checkbox", name="Choose row 3").is_checked()
    assert await page.get_by_role("link", name="NEW-1").count() == 0
    await page.get_by_role("checkbox", name="Choose row 3").uncheck()
    await page.evaluate("document.activeElement.blur()")
    await page.get_by_role("link", name="NEW-1").wait_for()


async def test_a_daemon_that_has_gone_is_told(eyes: Eyes) -> None:
    page = await eyes.page()
    await page.add_init_script(
        "const hasten = () => { const now = document.getElementById('now'); if (now) now.dataset.every = '100'; };"
        "new MutationObserver(hasten).observe(document, { childList: true, subtree: true })"
    )
    await page.route("**/live", lambda route: route.abort())
    await page.route("**/fragments/now", lambda route: route.abort())
    await page.goto(eyes.url)
    await page.get_by_text("The daemon does not answer. What is shown is old.").wait_for()


async def test_the_pictures_of_the_readme_are_taken_from_it(eyes: Eyes, tmp_path: Path) -> None:
    folder = Path(PICTURES) if PICTURES else tmp_path
    for name, path, size in (
        ("status-page.png", "/", DESKTOP),
        ("status-phone.png", "/#failed", PHONE),
        ("order-page.png", "/orders/WEB-999", DESKTOP),
    ):
        page = await eyes.page(size)
        await page.goto(eyes.url + path)
        await page.screenshot(path=folder / name, scale="css")
        assert (folder / name).stat().st_size < MOST_BYTES
