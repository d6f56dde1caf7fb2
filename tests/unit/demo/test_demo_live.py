"""What the demo shows while it runs."""

import asyncio
import contextlib
import io
from collections.abc import AsyncIterator
from dataclasses import replace

from rich.console import Console

from omisync.demo.live import AtOmisell, Gauges, Screen, Snapshot, line, read_gauges, table
from omisync.demo.shop import Counts


@contextlib.asynccontextmanager
async def shown(screen: Screen) -> AsyncIterator[None]:
    task = asyncio.create_task(screen.show())
    yield
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


SEEN = Snapshot(
    seconds=12.34,
    goal=60,
    counts=Counts(
        placed=40,
        cancelled=5,
        annulled=2,
        outbox={"pending": 3, "sending": 1, "done": 38},
        orders={900: ("Completed", 7), 200: ("New", 30)},
    ),
    omisell=AtOmisell(orders=37, pushes_sent=90, pushes_accepted=80, pushes_withheld=10, calls=200, throttled=1),
    gauges=Gauges(budget=0.42, outbox_lag=0.25, refresh_lag=None),
    phase="placing orders",
)


def test_a_plain_line_tells_the_figures() -> None:
    assert line(SEEN) == (
        " 12.3 s placing orders: placed 40, cancelled 5, pending 3, at Omisell 37 [200:30 900:7], "
        "pushes 80/90, bucket 42%, lag 0.2 s"
    )


def test_the_table_shows_shop_outbox_orders_pushes_and_budget() -> None:
    console = Console(width=160)
    with console.capture() as captured:
        console.print(table(SEEN, ["3.0 s daemon killed"]))
    shown = captured.get()
    for words in (
        *("placed 40 of 60", "cancelled 5", "pending 3", "sending 1", "done 38", "failed 0", "annulled 2"),
        *("orders there 37", "200 New 30", "900 Completed 7", "sent 90", "accepted 80", "lost 10"),
        *(
            "calls 200",
            "throttled 1",
            "faults 0",
            "bucket 42%",
            "oldest unsent 0.2 s",
            "oldest unread -",
            "daemon killed",
        ),
    ):
        assert words in shown


def test_the_daemons_gauges_are_read_from_its_metrics() -> None:
    text = (
        "# TYPE omisync_budget_used_ratio gauge\nomisync_budget_used_ratio 0.5\n"
        "# TYPE omisync_outbox_oldest_seconds gauge\nomisync_outbox_oldest_seconds 1.5\n"
        '# TYPE omisync_outbox_rows gauge\nomisync_outbox_rows{state="pending"} 3\n'
    )
    assert read_gauges(text) == Gauges(budget=0.5, outbox_lag=1.5, refresh_lag=None)


async def test_without_a_terminal_lines_and_happenings_are_printed() -> None:
    written = io.StringIO()
    looked = asyncio.Event()

    async def look(before: Snapshot) -> Snapshot:
        looked.set()
        return replace(before, counts=Counts(placed=3))

    screen = Screen(Console(file=written, width=200), look, goal=5, clock=lambda: 0.0)
    screen.phase("placing")
    async with shown(screen):
        await asyncio.wait_for(looked.wait(), 1)
        await asyncio.sleep(0)
        screen.happened("daemon killed")
    assert screen.snapshot.counts.placed == 3
    assert screen.snapshot.goal == 5
    assert "  0.0 s placing: placed 3" in written.getvalue()
    assert "  0.0 s daemon killed" in written.getvalue()


async def test_on_a_terminal_the_table_is_redrawn() -> None:
    written = io.StringIO()
    looked = asyncio.Event()

    async def look(before: Snapshot) -> Snapshot:
        looked.set()
        return before

    screen = Screen(Console(file=written, width=160, force_terminal=True), look, goal=None)
    async with shown(screen):
        screen.happened("Postgres restarted")
        await asyncio.wait_for(looked.wait(), 1)
        await asyncio.sleep(0)
    assert "omisync demo" in written.getvalue()
    assert "Postgres restarted" in written.getvalue()
