"""`omisync run` and `migrate`: bringing the daemon up."""

# ruff: noqa: PLC0415 (what is heavy is imported by the command that needs it, so that --help answers at once)

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from omisync.cli import output, running
from omisync.cli.options import Common, Config, Debug, Json, examples


def add_to(app: typer.Typer) -> None:
    """Puts the commands into the tree."""
    app.command(epilog=examples("run --config /etc/omisync/config.toml"))(run)
    app.command(epilog=examples("migrate --plan", "migrate --after"))(migrate)


def run(context: typer.Context, config: Config = None, json: Json = False, debug: Debug = False) -> None:
    """Run the daemon in the foreground, as systemd does.

    SIGTERM ends it in order, SIGHUP re-reads the log level, the secrets and the
    certificate. --json logs JSON on a terminal too.
    """
    common = Common.of(context, config, json, debug)
    raise typer.Exit(running.run(common.config, json=common.json, debug=common.debug))


def migrate(
    context: typer.Context,
    plan: Annotated[bool, typer.Option("--plan", help="Only print what would be applied.")] = False,
    after: Annotated[
        bool, typer.Option("--after", help="Also what waits until every daemon is of this version; see Upgrades.")
    ] = False,
    config: Config = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Bring the database's schema up to this version.

    Safe to repeat, when two start at once, and while daemons of the version before are at work: what those could not
    live with waits for --after. Needs a user who may create the schema.
    """
    common = Common.of(context, config, json, debug)
    settings = common.settings()
    dsn, schema = settings.database.dsn.get_secret_value(), settings.database.schema
    from omisync.store import migrations

    names: Sequence[str] = ()
    if not plan:
        names = common.run(migrations.migrate(dsn, schema, notify=settings.outbox.notify, after=after))
    left = common.run(migrations.plan(dsn, schema))
    if plan:
        names = sorted((*left.now, *left.later)) if after else left.now
    later = [name for name in left.later if name not in names]
    if common.json:
        output.print_json({"schema": schema, "pending" if plan else "applied": names, "after": later})
        return
    for name in names:
        output.say(f"{'would apply' if plan else 'applied'} {name}")
    for name in later:
        output.say(f"waits       {name}: when every daemon is of this version, `omisync migrate --after`", "yellow")
    if not names and not later:
        output.say(f"schema {schema} is up to date", "green")
