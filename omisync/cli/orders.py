"""`omisync orders`: what is known of orders, each with its timeline."""

# ruff: noqa: PLC0415 (what is heavy is imported by the command that needs it, so that --help answers at once)

from __future__ import annotations

import dataclasses
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from omisync.cli import output
from omisync.cli.failures import FAILED, CommandFailed, WrongUsage
from omisync.cli.options import Common, Config, Debug, Json, examples, operator_name

if TYPE_CHECKING:
    from omisync.store.operator import OrderRow
    from omisync.store.privacy import Forgetting

group = typer.Typer(no_args_is_help=True, help="Orders as Omisell has them.")


def add_to(app: typer.Typer) -> None:
    """Puts the group into the tree of commands."""
    app.add_typer(group, name="orders")


@group.command("list", epilog=examples("orders list --open"))
def list_orders(
    context: typer.Context,
    status: Annotated[int | None, typer.Option(metavar="ID", help="Only orders in this status, such as 460.")] = None,
    open_only: Annotated[bool, typer.Option("--open", help="Only orders that are not final.")] = False,
    limit: Annotated[int, typer.Option(metavar="N", min=1, max=100_000, help="At most so many.")] = 50,
    config: Config = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """List orders, the last changed first."""
    common = Common.of(context, config, json, debug)
    rows = common.operate(lambda operator: operator.orders_list(status, open_only=open_only, limit=limit))
    if common.json:
        output.print_json(rows)
    elif not rows:
        output.say("no orders")
    else:
        _print_orders(rows)
        if len(rows) == limit:
            shown = "the one changed last is shown" if limit == 1 else f"the {limit} changed last are shown"
            output.say(f"{shown}; more with --limit", "dim")


@group.command("show", epilog=examples("orders show WEB-1001"))
def show(
    context: typer.Context,
    number: Annotated[str, typer.Argument(help="The shop's order number, or Omisell's.")],
    config: Config = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Show an order with its parcels and everything that happened to it."""
    common = Common.of(context, config, json, debug)
    view = common.operate(lambda operator: operator.order_show(number))
    if view is None:
        raise CommandFailed(f"order {number}: neither the outbox nor Omisell's orders have it")
    from omisync.cli.order_view import as_json, print_order

    if common.json:
        output.print_json(as_json(view))
    else:
        print_order(view)


@group.command("refresh", epilog=examples("orders refresh WEB-1001 WEB-1002", "orders refresh WEB-1001 --dry-run"))
def refresh(
    context: typer.Context,
    numbers: Annotated[list[str], typer.Argument(help="Order numbers, the shop's or Omisell's.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say how many would be fetched.")] = False,
    config: Config = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Ask the daemon to fetch orders from Omisell anew."""
    common = Common.of(context, config, json, debug)
    wanted = list(dict.fromkeys(numbers))
    known = common.operate(lambda operator: operator.request_refresh(wanted, operator_name(), dry_run=dry_run))
    if common.json:
        output.print_json({"asked": len(wanted), "known": known})
    else:
        unknown = len(wanted) - known
        will = "would" if dry_run else "will"
        output.say(f"{known} of {len(wanted)} {will} be fetched" + (f"; {unknown} not known" if unknown else ""))
    if known < len(wanted):
        raise typer.Exit(FAILED)


@group.command("forget", epilog=examples("orders forget WEB-1001 --dry-run", "orders forget WEB-1001 --yes"))
def forget(
    context: typer.Context,
    number: Annotated[str, typer.Argument(help="The shop's order number, or Omisell's.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be removed.")] = False,
    config: Config = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Remove the buyer's data of an order: names, phones, addresses, e-mails.

    Here, not at Omisell and not in the shop's own tables. It cannot be undone; what is fetched later comes without it.
    """
    common = Common.of(context, config, json, debug)
    hook = common.settings().hooks.on_change is not None
    asks = not yes and not dry_run
    if asks and (common.json or not sys.stdin.isatty()):
        raise WrongUsage("orders forget cannot be undone: give --yes, or look first with --dry-run")

    def work(look: bool) -> Forgetting:
        found = common.operate(lambda operator: operator.forget(number, by=operator_name(), dry_run=look, hook=hook))
        if found is None:
            raise CommandFailed(f"order {number}: neither the outbox nor Omisell's orders have it")
        return found

    found = work(dry_run or asks)
    if asks and found.refused is None:
        output.say(_held(found))
        typer.confirm(f"Remove the buyer's data of order {found.order_number} for good?", abort=True)
        found = work(False)
    if common.json:
        output.print_json({**dataclasses.asdict(found), "removed": found.refused is None and not dry_run})
    elif found.refused is not None:
        raise CommandFailed(f"order {found.order_number}: nothing is removed, for {found.refused}")
    else:
        output.say(_held(found) if dry_run else f"the buyer's data of order {found.order_number} is removed")
    if found.refused is not None:
        raise typer.Exit(FAILED)


def _held(found: Forgetting) -> str:
    rows = ", ".join(
        f"{count} {name if count != 1 else name.removesuffix('s')}" for name, count in found.rows.items() if count
    )
    again = " (done before; what has come since)" if found.again else ""
    return f"order {found.order_number}: the buyer's data would be removed from {rows or 'its events only'}{again}"


def _print_orders(rows: list[OrderRow]) -> None:
    heads = ("order", "at Omisell", "status", "name", "changed", "tracking")
    made = output.table(*heads, wrap=["name", "tracking"], spare=["changed", "name"])
    for one in rows:
        status = output.clean("" if one.status_id is None else one.status_id, "dim" if one.is_final else "")
        output.row(
            made,
            one.order_number,
            one.omisell_order_number,
            status,
            one.status_name,
            one.omisell_updated_at,
            one.tracking_numbers,
        )
    output.console().print(made)
