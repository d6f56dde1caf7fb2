"""`omisync reconcile`, `shops` and `pickups`: what is looked up at Omisell at once."""

# ruff: noqa: PLC0415 (what is heavy is imported by the command that needs it, so that --help answers at once)

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated, Self

import typer

from omisync.cli import output
from omisync.cli.failures import FAILED, CommandFailed, WrongUsage
from omisync.cli.options import Common, Config, Debug, Json, Refresh, examples

if TYPE_CHECKING:
    from omisync.store import Difference
    from omisync.store.mirrors import MirrorAge
    from omisync.sync.comparing import Named
    from omisync.sync.tally import Swept

WIDEST_SINCE = 366 * 86400.0
"""Seconds. Omisell's list gives a hundred orders a call, and a hundred calls a minute: a year is plenty."""


def add_to(app: typer.Typer) -> None:
    """Puts the commands into the tree."""
    app.command(
        epilog=examples("reconcile --since 30d --dry-run", "reconcile --dry-run --parcels --csv > differences.csv")
    )(reconcile)
    app.command(epilog=examples("shops"))(shops)
    app.command(epilog=examples("pickups"))(pickups)


def reconcile(
    context: typer.Context,
    since: Annotated[str, typer.Option(metavar="DURATION", help="How far to reach back: 12h, 7d.")] = "7d",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only print the differences; exit 1 if any.")] = False,
    parcels: Annotated[
        bool, typer.Option("--parcels", help="With --dry-run: compare parcels too, at a call an order.")
    ] = False,
    csv: Annotated[bool, typer.Option("--csv", help="With --dry-run: print the differences as CSV.")] = False,
    config: Config = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Compare Omisell's orders with our tables now.

    What differs is fetched by the daemon. With --dry-run nothing is changed: the differences are named, missing here,
    missing there, another status, changed since, parcels, duplicates.
    """
    common = Common.of(context, config, json, debug)
    seconds = seconds_of(since)
    if (parcels or csv) and not dry_run:
        raise WrongUsage("--parcels and --csv go with --dry-run")
    if csv and common.json:
        raise WrongUsage("--csv or --json, not both")
    settings = common.settings()
    from omisync.remote import compare_now, sweep_now

    with _Progress(shown=not (common.json or csv)) as progress:
        if not dry_run:
            swept = common.run(sweep_now(settings, seconds, on_page=progress.on_page))
            found: list[Named] = []
            seen = swept.seen
        else:
            swept = None
            seen, found = common.run(compare_now(settings, seconds, parcels=parcels, on_progress=progress.on_page))
    if swept is None:
        _print_named(seen, found, parcels=parcels, as_json=common.json, as_csv=csv)
        if found:
            raise typer.Exit(FAILED)
    elif common.json:
        differences, repairs = swept.differences, len(swept.repairs)
        output.print_json({"seen": seen, "differences": differences, "dry_run": False, "repairs": repairs})
    else:
        _print_swept(swept)


def _print_named(seen: int, found: Sequence[Named], *, parcels: bool, as_json: bool, as_csv: bool) -> None:
    if as_json:
        output.print_json({"seen": seen, "differences": found, "dry_run": True, "parcels_compared": parcels})
        return
    columns = ("kind", "order_number", "omisell_order_number", "here", "there", "asked")
    if as_csv:
        import csv

        # unlike the table's, these cells are data: as they are
        rows = csv.writer(sys.stdout, lineterminator="\n")
        rows.writerow(columns)
        rows.writerows([getattr(one, column) for column in columns] for one in found)
        sys.stdout.flush()
        return
    if found:
        made = output.table("difference", "order", "at Omisell", "here", "there", "fetch", wrap=["here", "there"])
        for one in found:
            asked = "asked for" if one.asked else ""
            output.row(made, one.kind, one.order_number, one.omisell_order_number, one.here, one.there, asked)
        output.console().print(made)
    compared = "1 order" if seen == 1 else f"{seen} orders"
    differences = "1 difference" if len(found) == 1 else f"{len(found)} differences"
    without = "" if parcels else "; parcels were not compared (--parcels, a call an order)"
    output.say(f"{compared} compared, {differences}{without}; nothing was changed")


def shops(
    context: typer.Context, refresh: Refresh = False, config: Config = None, json: Json = False, debug: Debug = False
) -> None:
    """List the account's shops, to find omisell.shop_id.

    As of the daemon's last look, or read now if it never looked. Works before shop_id, database or webhook are
    configured.
    """
    common = Common.of(context, config, json, debug)
    settings = common.settings_for_lookup()
    from omisync import mirrored

    found = common.run(mirrored.shops(settings, refresh=refresh))
    _require_offered("shops", found.age)
    if common.json:
        rows = [{"shop_id": shop.shop_id, "name": shop.name, "platform": shop.platform} for shop in found.rows]
        output.print_json({"list": found.age, "shops": rows})
        return
    rows_shown = [(shop.shop_id, shop.name, shop.platform) for shop in found.rows]
    _print_list(("shop_id", "name", "platform"), rows_shown, "no shops", found.age)


def pickups(
    context: typer.Context, refresh: Refresh = False, config: Config = None, json: Json = False, debug: Debug = False
) -> None:
    """List the account's warehouses, to find omisell.pickup_id; as of the daemon's last look, as for shops."""
    common = Common.of(context, config, json, debug)
    settings = common.settings_for_lookup()
    from omisync import mirrored

    found = common.run(mirrored.pickups(settings, refresh=refresh))
    _require_offered("warehouses", found.age)
    if common.json:
        rows = [{"pickup_id": pickup.id, "name": pickup.name} for pickup in found.rows]
        output.print_json({"list": found.age, "pickups": rows})
        return
    rows_shown = [(pickup.id, pickup.name) for pickup in found.rows]
    _print_list(("pickup_id", "name"), rows_shown, "no pickup addresses", found.age)


def _require_offered(what: str, age: MirrorAge | None) -> None:
    if age is not None and not age.offered and age.refreshed_at is None:
        raise CommandFailed(
            f"this account offers no list of {what} at the path in [omisell.paths]; the check that needs it is off"
        )


def seconds_of(since: str) -> float:
    """The seconds of `--since`.

    Raises:
        WrongUsage: it is no duration, or too long a one.
    """
    from omisync.config import parse_duration

    try:
        seconds = parse_duration(since)
    except ValueError as error:
        raise WrongUsage(f"--since {since}: {error}") from None
    if seconds > WIDEST_SINCE:
        raise WrongUsage(f"--since {since}: at most {WIDEST_SINCE / 86400:.0f}d")
    return seconds


def _print_list(names: Sequence[str], rows: Sequence[Sequence[object]], nothing: str, age: MirrorAge | None) -> None:
    read = "" if age is None or age.refreshed_at is None else f"read {output.ago(age.refreshed_at)}"
    if not rows:
        output.say(", ".join(filter(None, (nothing, read))))
        return
    made = output.table(*names, wrap=["name"])
    for one in rows:
        output.row(made, *one)
    output.console().print(made)
    if read:
        output.say(read)


def _print_swept(swept: Swept) -> None:
    if swept.differences:
        made = output.table("order", "at Omisell", "difference", "here", "there", wrap=["difference"])
        for one in swept.differences:
            output.row(
                made, one.order_number, one.omisell_order_number, _words(one), one.known_status_id, one.status_id
            )
        output.console().print(made)
    compared = "1 order" if swept.seen == 1 else f"{swept.seen} orders"
    differ = "1 differs" if len(swept.differences) == 1 else f"{len(swept.differences)} differ"
    output.say(f"{compared} compared, {differ}, {len(swept.repairs)} will be fetched")


def _words(difference: Difference) -> str:
    return {
        "missing": "not in our tables",
        "stale": "changed at Omisell since",
        "status": "another status",
        "detail": "its latest detail is not here yet",
        "asked": "being fetched already",
    }[difference.kind]


class _Progress:
    """A bar of orders read, on a terminal only."""

    def __init__(self, *, shown: bool) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

        screen = Console(stderr=True)
        columns = (TextColumn("reading Omisell's list"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        self._bar = Progress(*columns, console=screen, transient=True, disable=not (shown and screen.is_terminal))
        self._task = self._bar.add_task("", total=None)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    @property
    def on_page(self) -> Callable[[int, int], None]:
        """What the sweep tells of each page."""
        return lambda seen, count: self._bar.update(self._task, completed=seen, total=max(seen, count))
