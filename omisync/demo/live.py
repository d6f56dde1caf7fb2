"""The live table on a terminal, and plain lines elsewhere."""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Final

from prometheus_client.parser import text_string_to_metric_families
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from omisync.demo.shop import Counts

REFRESH_SECONDS: Final = 0.5
LINE_SECONDS: Final = 5.0
"""Without a terminal, a line this often."""
HAPPENED: Final = 6
"""So many of the latest happenings are shown below the table."""


@dataclass(frozen=True, slots=True)
class AtOmisell:
    """What the simulator says of itself: orders it holds, pushes, calls, and faults that struck."""

    orders: int = 0
    pushes_sent: int = 0
    pushes_accepted: int = 0
    pushes_withheld: int = 0
    calls: int = 0
    throttled: int = 0
    faults: int = 0


@dataclass(frozen=True, slots=True)
class Gauges:
    """What the daemon's metrics say; None while it does not answer.

    `budget` is the share of the bucket in use; the two lags are in seconds.
    """

    budget: float | None = None
    outbox_lag: float | None = None
    refresh_lag: float | None = None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All that the table shows."""

    seconds: float = 0.0
    goal: int | None = None
    counts: Counts = field(default_factory=Counts)
    omisell: AtOmisell = field(default_factory=AtOmisell)
    gauges: Gauges = field(default_factory=Gauges)
    phase: str = ""


def read_gauges(exposition: str) -> Gauges:
    """Pick ours out of the daemon's /metrics."""
    values = {
        sample.name: sample.value
        for family in text_string_to_metric_families(exposition)
        for sample in family.samples
        if not sample.labels
    }
    return Gauges(
        budget=values.get("omisync_budget_used_ratio"),
        outbox_lag=values.get("omisync_outbox_oldest_seconds"),
        refresh_lag=values.get("omisync_refresh_lag_seconds"),
    )


def table(snapshot: Snapshot, happened: Iterable[str] = ()) -> RenderableType:
    """Draw one moment."""
    counts, omisell, gauges = snapshot.counts, snapshot.omisell, snapshot.gauges
    goal = "" if snapshot.goal is None else f" of {snapshot.goal}"
    grid = Table(title=f"omisync demo, {snapshot.seconds:.0f} s: {snapshot.phase}", title_justify="left")
    grid.add_column("shop")
    grid.add_column("outbox")
    grid.add_column("at Omisell, as the shop can read it")
    grid.add_column("pushes")
    grid.add_column("budget and lag")
    grid.add_row(
        f"placed {counts.placed}{goal}\ncancelled {counts.cancelled}",
        "\n".join(f"{state} {counts.outbox.get(state, 0)}" for state in ("pending", "sending", "done", "failed"))
        + f"\nannulled {counts.annulled}",
        f"orders there {omisell.orders}\n"
        + "\n".join(f"{status} {name} {number}" for status, (name, number) in sorted(counts.orders.items())),
        f"sent {omisell.pushes_sent}\naccepted {omisell.pushes_accepted}\nlost {omisell.pushes_withheld}",
        f"calls {omisell.calls}\nthrottled {omisell.throttled}\nfaults {omisell.faults}\n"
        f"bucket {_share(gauges.budget)}\noldest unsent {_seconds(gauges.outbox_lag)}\n"
        f"oldest unread {_seconds(gauges.refresh_lag)}",
    )
    return Group(grid, *(Text(line, style="yellow") for line in happened))


def line(snapshot: Snapshot) -> str:
    """One moment as one plain line."""
    counts, omisell, gauges = snapshot.counts, snapshot.omisell, snapshot.gauges
    states = " ".join(f"{status}:{number}" for status, (_, number) in sorted(counts.orders.items()))
    return (
        f"{snapshot.seconds:5.1f} s {snapshot.phase}: "
        f"placed {counts.placed}, cancelled {counts.cancelled}, "
        f"pending {counts.outbox.get('pending', 0)}, at Omisell {omisell.orders} [{states}], "
        f"pushes {omisell.pushes_accepted}/{omisell.pushes_sent}, bucket {_share(gauges.budget)}, "
        f"lag {_seconds(gauges.outbox_lag)}" + (f", faults {omisell.faults}" if omisell.faults else "")
    )


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.0%}"


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f} s"


class Screen:
    """Shows what goes on: a table that is redrawn on a terminal, a line now and then elsewhere.

    Args:
        console: Where to.
        look: Fetches a snapshot's counts, Omisell's and the daemon's figures; what it cannot learn it
            leaves as it was in the snapshot given.
        goal: How many orders are to be placed, if that is known.
        clock: Seconds that only go forward.
    """

    def __init__(
        self,
        console: Console,
        look: Callable[[Snapshot], Awaitable[Snapshot]],
        *,
        goal: int | None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._console = console
        self._look = look
        self._clock = clock
        self._begun = clock()
        self._happened: deque[str] = deque(maxlen=HAPPENED)
        self._snapshot = Snapshot(goal=goal)

    @property
    def snapshot(self) -> Snapshot:
        """What was seen last."""
        return self._snapshot

    def phase(self, words: str) -> None:
        """Say what the demo is doing now."""
        self._snapshot = replace(self._snapshot, phase=words)

    def happened(self, words: str) -> None:
        """Note something that happened, such as a killed daemon."""
        entry = f"{self._clock() - self._begun:5.1f} s {words}"
        self._happened.append(entry)
        if not self._console.is_terminal:
            self._console.print(Text(entry), soft_wrap=True)

    async def show(self) -> None:
        """Keep showing, until cancelled."""
        await (self._redraw() if self._console.is_terminal else self._report())

    async def update(self) -> None:
        """Look once."""
        seen = await self._look(self._snapshot)
        self._snapshot = replace(seen, seconds=self._clock() - self._begun, phase=self._snapshot.phase)

    async def _redraw(self) -> None:
        with Live(console=self._console, auto_refresh=False, transient=True) as live:
            while True:
                await self.update()
                live.update(table(self._snapshot, self._happened), refresh=True)
                await asyncio.sleep(REFRESH_SECONDS)

    async def _report(self) -> None:
        while True:
            await self.update()
            self._console.print(Text(line(self._snapshot)), soft_wrap=True)
            await asyncio.sleep(LINE_SECONDS)
