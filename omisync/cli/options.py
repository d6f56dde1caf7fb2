"""The options that every command has, accepted before the command's name and after it."""

# ruff: noqa: PLC0415 (what is heavy is imported by the command that needs it, so that --help answers at once)

from __future__ import annotations

import getpass
import os
import socket
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

if TYPE_CHECKING:
    from omisync.config import Settings
    from omisync.store.operator import Operator

T = TypeVar("T")

Config = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="FILE",
        help="The configuration; else $OMISYNC_CONFIG, ./config.toml, /etc/omisync/config.toml.",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]

Refresh = Annotated[bool, typer.Option("--refresh", help="Read the list at Omisell first.")]

UNKNOWN_YET = {
    "omisell.shop_id": 1,
    "webhook.secret": "not known yet",
    "database.dsn": "postgresql://127.0.0.1:9/not-known-yet",
}
"""Stands for keys that `omisync shops` and `pickups` can do without: the shop's id is what the first one finds."""


@dataclass(frozen=True, slots=True)
class Common:
    """What the common options say, from before and after the command's name together."""

    config: Path | None = None
    json: bool = False
    debug: bool = False

    @classmethod
    def of(cls, context: typer.Context, config: Path | None, json: bool, debug: bool) -> Common:
        """The options of a command joined with those given before its name; a command's own file wins."""
        outer = context.find_root().obj
        before = outer if isinstance(outer, Common) else cls()
        return cls(config or before.config, json or before.json, debug or before.debug)

    def settings(self) -> Settings:
        """The configuration.

        Raises:
            ConfigError: it is not usable.
        """
        from omisync.config import load_settings

        return load_settings(self.config)

    def settings_for_lookup(self) -> Settings:
        """The configuration for looking at Omisell, before all that is not Omisell's has been filled in.

        Raises:
            ConfigError: what is needed for a call to Omisell is missing, or something is wrong.
        """
        from omisync.config import load_settings

        return load_settings(self.config, stand_ins=UNKNOWN_YET)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Runs a coroutine to its end; its logs go to standard error, only warnings and worse."""
        import asyncio

        from omisync import log

        log.configure("console", "debug" if self.debug else "warning")
        return asyncio.run(work)

    def operate(self, work: Callable[[Operator], Awaitable[T]]) -> T:
        """Opens the database as an operator sees it and does `work` with it.

        Raises:
            ConfigError, StoreError: nothing was done.
        """
        database = self.settings().database

        async def opened() -> T:
            from omisync.store.operator import open_operator

            async with open_operator(database.dsn.get_secret_value(), database.schema) as operator:
                return await work(operator)

        return self.run(opened())


def operator_name() -> str:
    """Who changes something, for the record: the user behind sudo where there is one, at this machine."""
    try:
        user = os.environ.get("SUDO_USER") or getpass.getuser()
    except (KeyError, OSError):
        user = f"uid {os.getuid()}"  # a container's user without a name
    return f"{user}@{socket.gethostname()}"


def examples(*lines: str) -> str:
    """The end of a help text: command lines to copy."""
    head = "Example" if len(lines) == 1 else "Examples"
    # The backspace keeps the library from joining the lines.
    return "\b\n" + "\n".join([f"{head}:", *(f"  omisync {line}" for line in lines)])
