"""`omisync import`: adopts the orders that are at Omisell already."""

# ruff: noqa: PLC0415 (what is heavy is imported by the command that needs it, so that --help answers at once)

from __future__ import annotations

import math
import sys
import time
from typing import TYPE_CHECKING, Annotated, Self

import typer

from omisync.cli import output
from omisync.cli.failures import CommandFailed, OutOfReach
from omisync.cli.omisell import seconds_of
from omisync.cli.options import Common, Config, Debug, Json, examples

if TYPE_CHECKING:
    from omisync.store.imports import Import
    from omisync.sync.importer import Forecast, Imported, Progress

SAID_EVERY = 30.0
"""Seconds between lines of progress where there is no terminal for a bar."""
NAMED = 20
"""Orders not to be had that are named to people; --json names a thousand."""


def add_to(app: typer.Typer) -> None:
    """Puts the command into the tree."""
    lines = examples("import --since 90d --dry-run", "import --since 90d")
    app.command("import", epilog=lines)(import_)


def import_(
    context: typer.Context,
    since: Annotated[str, typer.Option(metavar="DURATION", help="Orders changed in the last 12h, 90d.")] = "90d",
    share: Annotated[
        float,
        typer.Option(
            "--share", metavar="PART", min=0.01, max=1.0, help="Part of Omisell's limit that it takes at most."
        ),
    ] = 0.8,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say how many orders and calls, how long.")] = False,
    config: Config = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Adopt the shop's existing orders: Omisell's list first, then each order's detail.

    Stands back while the daemon has something urgent to do. After a break of any kind the same command goes on where it
    was.
    """
    common = Common.of(context, config, json, debug)
    seconds = int(seconds_of(since))
    settings = common.settings()
    from omisync import importing

    if dry_run:
        ahead = common.run(importing.forecast(settings, seconds, share))
        _print_forecast(ahead, settings.omisell.leak_per_minute * share, as_json=common.json)
        return
    from omisync.store.imports import TakenOver
    from omisync.sync.importer import GaveUp
    from omisync.sync.listing import Incomplete

    try:
        with _Bar(shown=not common.json) as bar:
            done = common.run(importing.import_orders(settings, seconds, share, bar.tell))
    except TakenOver:
        raise CommandFailed("another `omisync import` was started and goes on with it; this one ends") from None
    except GaveUp as error:
        raise OutOfReach(f"{error}; the same command goes on where it was") from None
    except Incomplete as error:
        raise CommandFailed(f"{error}; the same command reads it again") from None
    _print_done(done, as_json=common.json)
    if done.entry.lost:
        raise CommandFailed(
            f"{_orders(done.entry.lost)} of the list could not be had: look them up in Omisell, and import again"
        )


def _print_forecast(ahead: Forecast, pace: float, *, as_json: bool) -> None:
    calls = ahead.pages + ahead.details
    if as_json:
        output.print_json(
            {
                "orders": ahead.orders,
                "known": ahead.known,
                "pages": ahead.pages,
                "details": ahead.details,
                "calls": calls,
                "calls_a_minute": pace,
                "seconds": round(ahead.seconds, 1),
                "unfinished": _as_json(ahead.unfinished),
            }
        )
        return
    if ahead.unfinished is not None:
        output.say(f"goes on with the import begun {output.ago(ahead.unfinished.started_at)}, {ahead.known:,} settled")
    known = f", {ahead.known:,} of them up to date already" if ahead.known and ahead.unfinished is None else ""
    output.say(f"{_orders(ahead.orders)} at Omisell{known}")
    pages = "1 call" if ahead.pages == 1 else f"{ahead.pages:,} calls"
    output.say(f"{pages} for the list and at most {ahead.details:,} for details")
    output.say(f"about {output.span(math.ceil(ahead.seconds))} at {pace:g} calls a minute; nothing was changed")


def _print_done(done: Imported, *, as_json: bool) -> None:
    entry = done.entry
    if as_json:
        lost = [{"omisell_order_number": omisell, "order_number": number} for omisell, number in done.lost]
        output.print_json({**(_as_json(entry) or {}), "resumed": done.resumed, "lost_orders": lost})
        return
    others = f", {entry.others:,} another shop's" if entry.others else ""
    missing = f", {entry.lost:,} not to be had" if entry.lost else ""
    known = f", {entry.known:,} up to date already" if entry.known else ""
    output.say(f"{_orders(entry.seen)} at Omisell: {entry.fetched:,} fetched{known}{others}{missing}")
    for omisell, number in done.lost[:NAMED]:
        output.say(f"  {number or '(no number of the shop)'}, at Omisell {omisell}")


def _as_json(entry: Import | None) -> dict[str, object] | None:
    if entry is None:
        return None
    return {
        "since_seconds": entry.since_seconds,
        "window_from": entry.window_from,
        "started_at": entry.started_at,
        "finished_at": entry.finished_at,
        "pages": entry.pages,
        "orders": max(entry.seen, entry.counted),
        "seen": entry.seen,
        "known": entry.known,
        "fetched": entry.fetched,
        "others": entry.others,
        "lost": entry.lost,
    }


def _orders(count: int) -> str:
    return "1 order" if count == 1 else f"{count:,} orders"


class _Bar:
    """A bar with an ETA on a terminal; elsewhere a line on standard error now and then."""

    def __init__(self, *, shown: bool) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

        screen = Console(stderr=True)
        self._lines = shown and not screen.is_terminal
        self._said = time.monotonic()
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[eta]}"),
        )
        self._bar = Progress(*columns, console=screen, transient=True, disable=not (shown and screen.is_terminal))
        self._task = self._bar.add_task("asking Omisell", total=None, eta="")

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def tell(self, progress: Progress) -> None:
        """How far it is."""
        entry = progress.entry
        listing = entry.listed_at is None
        what, done = ("reading Omisell's list", entry.seen) if listing else ("fetching details", entry.settled)
        total = max(entry.seen, entry.counted)
        eta = f"{output.span(math.ceil(progress.seconds))} left"
        if progress.away is not None:
            eta = "waiting: Omisell is away"
        elif progress.slowed:
            eta += ", standing back for the daemon's work"
        self._bar.update(self._task, description=what, completed=done, total=total, eta=eta)
        if self._lines and time.monotonic() - self._said >= SAID_EVERY:
            self._said = time.monotonic()
            print(f"{what}: {done:,} of {total:,}, {eta}", file=sys.stderr, flush=True)  # noqa: T201 (a line for a log)
