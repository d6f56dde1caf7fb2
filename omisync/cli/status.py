"""`omisync status`: the state of things, once or as a live screen."""

# ruff: noqa: PLC0415 (what is heavy is imported by the command that needs it, so that --help answers at once)

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from omisync.cli import output
from omisync.cli.options import Common, Config, Debug, Json, examples

if TYPE_CHECKING:
    from rich.console import RenderableType

    from omisync.config import OmisellSettings
    from omisync.store import StoreError
    from omisync.store.operator import Operator, Status


def add_to(app: typer.Typer) -> None:
    """Puts the command into the tree."""
    app.command(short_help="Show how things stand; --watch as a live screen.", epilog=examples("status --watch"))(
        status
    )


def status(
    context: typer.Context,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Look again and again, until Ctrl-C.")] = False,
    interval: Annotated[float, typer.Option(metavar="SECONDS", min=0.1, max=3600, help="Seconds between looks.")] = 2.0,
    config: Config = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Show depths, ages, failures, what the backlog will take, token, budget, the last sweeps, and the tables' sizes.

    With --watch --json each look is one line.
    """
    common = Common.of(context, config, json, debug)
    omisell = common.settings().omisell
    common.operate(lambda operator: _look(operator, common, omisell, interval if watch else None))


async def _look(operator: Operator, common: Common, omisell: OmisellSettings, interval: float | None) -> None:
    from omisync.cli.status_view import as_json, render
    from omisync.sync.outlook import outlook

    def drawn(seen: Status) -> RenderableType:
        return render(seen, outlook(seen, omisell))

    def print_line(seen: Status) -> None:
        output.print_json(as_json(seen, outlook(seen, omisell)), indent=2 if interval is None else None)

    first = await operator.status(space=True)  # a wrong address is told at once, an outage later on is watched
    screen = output.console()
    if common.json:
        print_line(first)
        await _follow(
            operator, print_line, lambda error: output.print_json({"error": str(error)}, indent=None), interval
        )
    elif interval is None or not screen.is_terminal:
        screen.print(drawn(first))
        await _follow(
            operator,
            lambda seen: screen.print(output.clean(""), drawn(seen), sep="\n"),
            lambda error: screen.print(output.clean(error), soft_wrap=True),
            interval,
        )
    else:
        await _draw(operator, first, drawn, interval)


async def _draw(operator: Operator, first: Status, drawn: Callable[[Status], RenderableType], interval: float) -> None:
    from rich.live import Live

    with Live(drawn(first), console=output.console(), auto_refresh=False) as live:
        await _follow(
            operator,
            lambda seen: live.update(drawn(seen), refresh=True),
            lambda error: live.update(
                output.clean(f"{error}\nlooking again every {interval:g} s", "bold red"), refresh=True
            ),
            interval,
        )


async def _follow(
    operator: Operator, show: Callable[[Status], None], mourn: Callable[[StoreError], None], interval: float | None
) -> None:
    """Shows one look after another, until Ctrl-C; while the database is away, that it is."""
    import asyncio

    from omisync.store import StoreError

    while interval is not None:
        await asyncio.sleep(interval)
        try:
            show(await operator.status(space=True))
        except StoreError as error:
            mourn(error)
