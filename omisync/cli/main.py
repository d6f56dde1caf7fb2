"""The program's entry: runs a command and turns whatever goes wrong into one clear line and an exit code."""

# ruff: noqa: PLC0415 (what is heavy is imported by the command that needs it, so that --help answers at once)

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence

from omisync.cli.failures import USAGE, failure, help_instead
from omisync.cli.running import straight


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs `omisync` and returns its exit code: 0 done, 1 failed, 2 wrong usage, 3 something out of reach.

    Args:
        arguments: without the program's name; `sys.argv` by default.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        code = straight(given)
        if code is None:
            from omisync.cli.app import app

            code = app(given, prog_name="omisync", standalone_mode=False)
        sys.stdout.flush()
    except (BrokenPipeError, SystemExit) as error:
        # The library that reads the command line makes a SystemExit of a broken pipe, and of nothing else.
        if not isinstance(error, BrokenPipeError) and not isinstance(error.__context__, BrokenPipeError):
            raise
        # The reader (head, less) has seen enough; Python's own flush at exit would complain again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 (the last place: every error becomes a line)
        if (text := help_instead(error)) is not None:
            print(text, file=sys.stderr)  # noqa: T201 (what a command line is for)
            return USAGE
        if "--debug" in given:
            traceback.print_exc()
        code, words = failure(error)
        for line in words.splitlines():
            print(f"omisync: {line}", file=sys.stderr)  # noqa: T201 (what a command line is for)
    return code if isinstance(code, int) else 0
