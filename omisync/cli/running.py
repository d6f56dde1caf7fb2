"""`omisync run` as a process that lives for years: what only other commands need is never loaded."""

# ruff: noqa: PLC0415 (in this order, and only once it is known that the daemon is what is wanted)

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from omisync.config import Settings

COMMAND: Final = "run"
FLAGS: Final = ("--json", "--debug")
CONFIG: Final = "--config"


def run(config: Path | None, *, json: bool, debug: bool) -> int:
    """Runs the daemon until it is told to stop; its exit code.

    Raises:
        ConfigError: the configuration is not usable.
    """
    import asyncio
    import gc

    from omisync import daemon

    def read() -> Settings:
        """The configuration, read now, and the logs as it wants them."""
        from omisync import log
        from omisync.config import load_settings

        settings = load_settings(config)
        log.configure("json" if json else settings.log.format, "debug" if debug else settings.log.level, sums_up=True)
        return settings

    def settled() -> None:
        # what is there now stays for years: looking it through at each full collection costs a tenth of a send
        gc.collect()
        gc.freeze()

    return asyncio.run(daemon.run(read(), read, settled))


def straight(arguments: Sequence[str]) -> int | None:
    """Runs the daemon if that is all that the command line asks for, in plain words; else None, and nothing is done.

    The library that reads command lines, and the one for colours on terminals, are a fifth of the daemon's memory and
    a quarter of a second's work at its start, for one word.

    Raises:
        ConfigError: as `run`.
    """
    config: Path | None = None
    commands = 0
    words = iter(arguments)
    for word in words:
        name, equals, value = word.partition("=")
        if word == COMMAND:
            commands += 1
        elif name == CONFIG and (given := value if equals else next(words, "")) and not given.startswith("-"):
            config = Path(given)
        elif word not in FLAGS:
            return None
    if commands != 1:
        return None
    _without_colours()
    return run(config, json="--json" in arguments, debug="--debug" in arguments)


def _without_colours() -> None:
    """Loads structlog as if rich were not installed: it would import it for tracebacks that are never shown."""
    if "structlog" in sys.modules:
        return
    sys.modules["rich"] = None  # type: ignore[assignment] # documented: an import of it fails
    try:
        import structlog  # noqa: F401
    finally:
        del sys.modules["rich"]
