"""`omisync check`: the doctor."""

# ruff: noqa: PLC0415 (what is heavy is imported by the command that needs it, so that --help answers at once)

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from omisync.cli import output
from omisync.cli.failures import CommandFailed, OutOfReach
from omisync.cli.options import Common, Config, Debug, Json, examples

if TYPE_CHECKING:
    from omisync.checkup import Check

STYLES = {
    "ok": "green",
    "warning": "yellow",
    "failed": "bold red",
    "unreachable": "bold red",
    "skipped": "dim",
}


def add_to(app: typer.Typer) -> None:
    """Puts the command into the tree."""
    app.command(short_help="Say what is wrong, and what to do about it.", epilog=examples("check", "check --offline"))(
        check
    )


def check(
    context: typer.Context,
    offline: Annotated[
        bool, typer.Option("--offline", help="Before a start: without Omisell, and the database may be away.")
    ] = False,
    config: Config = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Look at everything the daemon depends on, and say what to do about what is wrong.

    Configuration, database and schema, clocks, credentials, token, shop_id and pickup_id at Omisell, the
    signature of pushes, certificate and proxies, both listeners, the budget. Changes nothing; costs two or three calls.
    """
    common = Common.of(context, config, json, debug)
    settings = common.settings()
    from omisync.checkup import examine

    made: list[Check] = []

    def tell(one: Check) -> None:
        made.append(one)
        if not common.json:
            _print(one)

    common.run(examine(settings, tell, offline=offline))
    wrong = [one for one in made if one.state in {"failed", "unreachable"}]
    if common.json:
        output.print_json({"ok": not wrong, "checks": made})
    if wrong:
        words = f"{len(wrong)} of {len(made)} checks failed: {', '.join(one.name for one in wrong)}"
        raise OutOfReach(words) if any(one.state == "unreachable" for one in wrong) else CommandFailed(words)


def _print(one: Check) -> None:
    from rich.table import Table

    line = Table.grid()
    line.add_column(width=12, no_wrap=True)
    line.add_column(width=18, no_wrap=True)
    line.add_column(overflow="fold")
    advice = f": {one.advice}" if one.advice else ""
    state, name = output.clean(one.state, STYLES[one.state]), output.clean(one.name, "bold")
    line.add_row(state, name, output.clean(f"{one.says}{advice}"))
    output.console().print(line)
