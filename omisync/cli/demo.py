"""`omisync demo`: the main job with nothing installed."""

# ruff: noqa: PLC0415 (what is heavy is imported by the command that needs it, so that --help answers at once)

from __future__ import annotations

from typing import Annotated

import typer

from omisync.cli.failures import CommandFailed
from omisync.cli.options import Common, Config, Debug, Json, examples


def add_to(app: typer.Typer) -> None:
    """Puts the command into the tree."""
    app.command(epilog=examples("demo --orders 200 --faults"))(demo)


def demo(
    context: typer.Context,
    orders: Annotated[
        int | None, typer.Option(metavar="N", min=1, max=100_000, help="How many to place; 60 by default.")
    ] = None,
    seconds: Annotated[
        float | None, typer.Option(metavar="SECONDS", min=1, help="For how long to place orders.")
    ] = None,
    faults: Annotated[bool, typer.Option("--faults", help="With crashes, outages, time-outs and lost pushes.")] = False,
    keep: Annotated[bool, typer.Option("--keep", help="Stay up afterwards, to look at the admin page.")] = False,
    config: Config = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Show the main job, with nothing installed.

    A sample shop on a Postgres of its own, the daemon, and a simulated Omisell.
    Ends with a proof: every order placed is at Omisell exactly once, states are equal, cancels are done.
    Needs no configuration and no network.
    """
    Common.of(context, config, json, debug)
    import asyncio

    from omisync.cli.output import console

    try:
        from omisync.demo.main import DemoOptions, run_demo
    except ModuleNotFoundError as error:
        raise CommandFailed(
            f"the demo needs the package {error.name}, which is not installed: pip install 'omisync[demo]'"
        ) from error
    options = DemoOptions(orders=orders, seconds=seconds, faults=faults, keep=keep)
    raise typer.Exit(asyncio.run(run_demo(options, console())))
