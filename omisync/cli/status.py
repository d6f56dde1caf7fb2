"""`omisync status`: the state of things, once or as a live screen."""

# ruff: noqa: PLC0415 (what is heavy is imported by the command that needs it, so that --help answers at once)

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from omisync.cli import output
from omisync.cli.options import Common, Config, Debug, Json, examples

if TYPE_CHECKING:
    from omisync.store import StoreError
    from omisync.store.operator import Operator, Status


def add_to(app: typer.Typer) -> None:
    """Puts the command into the tree."""
    app.command(epilog=examples("status --watch"))(status)


def status(
    context: typer.Context,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Look again and again, until Ctrl-C.")] = False,
    interval: Annotated[float, typer.Option(min=0.1, max=3600, help="Seconds between looks.")] = 2.0,
    config: Config = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Show depths, ages, failures, token, budget and the last sweeps.

    With --watch --json each look is one line.
    """
    common = Common.of(context, config, json, debug)
    if watch:
        common.operate(lambda operator: _watch(operator, common, interval))
        return
    from omisync.cli.status_view import render

    seen = common.operate(lambda operator: operator.status())
    if common.json:
        output.print_json(seen)
    else:
        output.console().print(render(seen))


async def _watch(operator: Operator, common: Common, interval: float) -> None:
    from omisync.cli.status_view import render

    first = await operator.status()  # a wrong address is told at once, an outage later on is watched
    screen = output.console()
    if common.json:
        output.print_json(first, indent=None)
        await _follow(
            operator,
            lambda seen: output.print_json(seen, indent=None),
            lambda error: output.print_json({"error": str(error)}, indent=None),
            interval,
        )
    if not screen.is_terminal:
        screen.print(render(first), output.clean(""))
        await _follow(
            operator,
            lambda seen: screen.print(render(seen), output.clean("")),
            lambda error: screen.print(output.clean(error), soft_wrap=True),
            interval,
        )
    from rich.live import Live

    with Live(render(first), console=screen, auto_refresh=False) as live:
        await _follow(
            operator,
            lambda seen: live.update(render(seen), refresh=True),
            lambda error: live.update(
                output.clean(f"{error}\nlooking again every {interval:g} s", "bold red"), refresh=True
            ),
            interval,
        )


async def _follow(
    operator: Operator, show: Callable[[Status], None], mourn: Callable[[StoreError], None], interval: float
) -> NoReturn:
    """Shows one look after another; while the database is away, that it is."""
    import asyncio

    from omisync.store import StoreError

    while True:
        await asyncio.sleep(interval)
        try:
            show(await operator.status())
        except StoreError as error:
            mourn(error)
