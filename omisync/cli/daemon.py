"""`omisync run` and `migrate`: bringing the daemon up."""

# ruff: noqa: PLC0415 (what is heavy is imported by the command that needs it, so that --help answers at once)

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from omisync.cli import output
from omisync.cli.options import Common, Config, Debug, Json, examples

if TYPE_CHECKING:
    from omisync.config import Settings


def add_to(app: typer.Typer) -> None:
    """Puts the commands into the tree."""
    app.command(epilog=examples("run --config /etc/omisync/config.toml"))(run)
    app.command(epilog=examples("migrate --plan"))(migrate)


def run(context: typer.Context, config: Config = None, json: Json = False, debug: Debug = False) -> None:
    """Run the daemon in the foreground, as systemd does.

    SIGTERM ends it in order, SIGHUP re-reads the log level and the secrets. --json logs JSON on a terminal too.
    """
    common = Common.of(context, config, json, debug)
    import asyncio

    from omisync import daemon

    raise typer.Exit(asyncio.run(daemon.run(_with_logs(common), lambda: _with_logs(common))))


def _with_logs(common: Common) -> Settings:
    """The configuration, read now, and the logs as it wants them."""
    from omisync import log

    settings = common.settings()
    log.configure(
        "json" if common.json else settings.log.format,
        "debug" if common.debug else settings.log.level,
        sums_up=True,
    )
    return settings


def migrate(
    context: typer.Context,
    plan: Annotated[bool, typer.Option("--plan", help="Only print what would be applied.")] = False,
    config: Config = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Bring the database's schema up to this version.

    Safe to repeat, and when two start at once. Needs a user who may create the schema.
    """
    common = Common.of(context, config, json, debug)
    settings = common.settings()
    dsn, schema = settings.database.dsn.get_secret_value(), settings.database.schema
    from omisync.store import migrations

    names = common.run(
        migrations.plan(dsn, schema) if plan else migrations.migrate(dsn, schema, notify=settings.outbox.notify)
    )
    if common.json:
        output.print_json({"schema": schema, "pending" if plan else "applied": names})
        return
    for name in names:
        output.say(f"{'would apply' if plan else 'applied'} {name}")
    if not names:
        output.say(f"schema {schema} is up to date", "green")
