"""The tree of commands."""

# ruff: noqa: PLC0415 (what is heavy is imported by the command that needs it, so that --help answers at once)

from __future__ import annotations

import typer

from omisync.cli import (
    checkup,
    daemon,
    demo,
    importing,
    lists,
    omisell,
    orders,
    outbox,
    sending,
    simulate,
    status,
    validate,
)
from omisync.cli.options import Common, Config, Debug, Json

app = typer.Typer(
    name="omisync",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="The daemon between a self-built shop on Postgres and Omisell.",
    epilog="Exit codes: 0 done, 1 a check or the work failed, 2 wrong usage or configuration, "
    "3 the database or Omisell could not be reached.",
)


def _version(wanted: bool) -> None:
    if wanted:
        from omisync import __version__

        typer.echo(f"omisync {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    context: typer.Context,
    config: Config = None,
    json: Json = False,
    debug: Debug = False,
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Print the version."),
) -> None:
    del version  # its callback has done it all
    context.obj = Common(config, json, debug)


for group in (demo, daemon, checkup, status, outbox, orders, sending, omisell, importing, lists, validate, simulate):
    group.add_to(app)
