"""`omisync outbox`: what waits, what failed, and mending it."""

from __future__ import annotations

import datetime as dt
import json as json_module
from collections.abc import Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from omisync.cli import output
from omisync.cli.failures import FAILED, CommandFailed
from omisync.cli.ids import chosen
from omisync.cli.options import Common, Config, Debug, Json, examples, operator_name

if TYPE_CHECKING:
    from omisync.store.operator import Change, OutboxRow

LONGEST_ERROR = 160
"""Characters of an error that a list shows; `outbox show` shows all of them."""
SHORT_ERROR = 60
"""On a terminal of less than `ROOMY` columns, where each would be a dozen lines."""
ROOMY = 120

SPARE = ("created", "outcome", "tries")
"""Columns of a list that a narrow terminal does without: nothing that is typed into the next command."""

group = typer.Typer(no_args_is_help=True, help="Orders and cancels on their way to Omisell.")


class State(StrEnum):
    """The states of an outbox row."""

    pending = "pending"
    sending = "sending"
    done = "done"
    failed = "failed"
    discarded = "discarded"


Ids = Annotated[list[str] | None, typer.Argument(metavar="[ID|FROM-TO]...", help="Rows, such as 12 15-20.")]
AllFailed = Annotated[bool, typer.Option("--all-failed", help="Every failed row.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say what would be changed.")]


def add_to(app: typer.Typer) -> None:
    """Puts the group into the tree of commands."""
    app.add_typer(group, name="outbox")


@group.command("list", epilog=examples("outbox list --state failed"))
def list_rows(
    context: typer.Context,
    state: Annotated[State | None, typer.Option(help="Only rows in this state.")] = None,
    order: Annotated[str | None, typer.Option(metavar="NUMBER", help="Only rows of this order number.")] = None,
    limit: Annotated[int, typer.Option(metavar="N", min=1, max=100_000, help="At most so many.")] = 50,
    config: Config = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """List rows, newest first."""
    common = Common.of(context, config, json, debug)
    rows = common.operate(lambda operator: operator.outbox_list(state.value if state else None, order, limit))
    if common.json:
        # A list has no payloads: they hold buyers' names and addresses.
        output.print_json([_without_payload(row) for row in rows])
    elif not rows:
        output.say("no rows")
    else:
        _print_rows(rows)
        if len(rows) == limit:
            output.say(f"the newest {limit} are shown; more with --limit", "dim")


@group.command("show", epilog=examples("outbox show 12 --payload"))
def show(
    context: typer.Context,
    outbox_id: Annotated[int, typer.Argument(metavar="ID", min=1, max=2**63 - 1)],
    payload: Annotated[bool, typer.Option("--payload", help="With what is sent, buyer's data included.")] = False,
    config: Config = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Show one row with its whole error."""
    common = Common.of(context, config, json, debug)
    row = common.operate(lambda operator: operator.outbox_show(outbox_id))
    if row is None:
        raise CommandFailed(f"outbox row {outbox_id}: there is none; `omisync outbox list` shows those there are")
    shown = {**_without_payload(row), **({"payload": _parsed(row.payload)} if payload else {})}
    if common.json:
        output.print_json(shown)
        return
    for name, value in shown.items():
        text = output.to_json(value, indent=2) if name == "payload" else value
        output.console().print(output.clean(f"{name:<13}", "bold"), _value(text), sep="", soft_wrap=True)


@group.command("retry", epilog=examples("outbox retry 12 15-20", "outbox retry --all-failed --dry-run"))
def retry(
    context: typer.Context,
    ids: Ids = None,
    all_failed: AllFailed = False,
    dry_run: DryRun = False,
    config: Config = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Put failed rows back, to be tried from the start."""
    common = Common.of(context, config, json, debug)
    wanted = chosen(ids or [], all_failed)
    changes = common.operate(
        lambda operator: operator.retry(wanted, all_failed=all_failed, dry_run=dry_run, by=operator_name())
    )
    _print_changes(common, changes, dry_run)


@group.command("discard", epilog=examples("outbox discard 12"))
def discard(
    context: typer.Context,
    ids: Ids = None,
    all_failed: AllFailed = False,
    dry_run: DryRun = False,
    config: Config = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Give rows up that failed or wait: they will not be sent.

    The same order number can be enqueued anew afterwards.
    """
    common = Common.of(context, config, json, debug)
    wanted = chosen(ids or [], all_failed)
    changes = common.operate(
        lambda operator: operator.discard(wanted, all_failed=all_failed, dry_run=dry_run, by=operator_name())
    )
    _print_changes(common, changes, dry_run)


def _print_rows(rows: Sequence[OutboxRow]) -> None:
    made = output.table(
        "id", "kind", "order", "state", "outcome", "tries", "created", "error", wrap=["error"], spare=SPARE
    )
    longest = LONGEST_ERROR if output.console().width >= ROOMY else SHORT_ERROR
    for one in rows:
        error = output.shortened(one.error, longest)
        cells = (one.id, one.kind, one.order_number, output.state(one.state), one.outcome, one.attempts)
        output.row(made, *cells, one.created_at, error)
    output.console().print(made)


def _print_changes(common: Common, changes: Sequence[Change], dry_run: bool) -> None:
    done = [change for change in changes if change.result in DONE]
    if common.json:
        output.print_json(changes)
    elif not changes:
        output.say("no row has failed: nothing to do")
    else:
        made = output.table("id", "kind", "order", "result", wrap=["result"])
        for one in changes:
            output.row(made, one.id, one.kind, one.order_number, one.result)
        output.console().print(made)
        rest = len(changes) - len(done)
        left = f", {rest} left alone" if rest else ""
        output.say(f"{'would change' if dry_run else 'changed'}: {len(done)} of {len(changes)}{left}")
    if len(done) < len(changes):
        raise typer.Exit(FAILED)


DONE = frozenset({"pending again", "discarded"})
"""The results of a `Change` that was made; every other says why the row was left alone."""


def _without_payload(row: OutboxRow) -> dict[str, object]:
    names = ("id", "kind", "order_number", "state", "outcome", "attempts", "available_at", "error")
    return {name: getattr(row, name) for name in (*names, "created_at", "finished_at")}


def _parsed(payload: str | None) -> object:
    return None if payload is None else json_module.loads(payload)


def _value(value: object) -> object:
    if isinstance(value, dt.datetime):
        return output.clean(output.moment(value))
    return output.clean("" if value is None else str(value).replace("\n", " "))
