"""`omisync pause` and `resume`: stopping what goes to Omisell, on all replicas."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from omisync.cli import output
from omisync.cli.options import Common, Config, Debug, Json, examples, operator_name


class Kind(StrEnum):
    """What can be paused by itself."""

    add = "order.add"
    cancel = "order.cancel"


OneKind = Annotated[Kind | None, typer.Option(help="Only rows of this kind; all without it.")]


def add_to(app: typer.Typer) -> None:
    """Puts the commands into the tree."""
    app.command(epilog=examples('pause --kind order.add --reason "stock-taking"'))(pause)
    app.command(epilog=examples("resume"))(resume)


def pause(
    context: typer.Context,
    kind: OneKind = None,
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Shown to everybody who looks.")] = "",
    config: Config = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Stop sending to Omisell, on all replicas.

    Pushes are still received and applied.
    """
    common = Common.of(context, config, json, debug)
    which, by = (kind.value if kind else None), operator_name()
    common.operate(lambda operator: operator.pause(which, reason or None, by))
    if common.json:
        output.print_json({"paused": [which] if which else [each.value for each in Kind], "reason": reason, "by": by})
    else:
        output.say(f"paused: {which or 'all sending'}; start again with `omisync resume`")


def resume(
    context: typer.Context, kind: OneKind = None, config: Config = None, json: Json = False, debug: Debug = False
) -> None:
    """Start sending again."""
    common = Common.of(context, config, json, debug)
    which, by = (kind.value if kind else None), operator_name()
    ended = common.operate(lambda operator: operator.resume(which, by))
    if common.json:
        output.print_json({"resumed": ended, "by": by})
    else:
        output.say(f"resumed: {which or 'all sending'}" if ended else "nothing was paused")
