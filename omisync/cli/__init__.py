"""The command line: one file a command group, no logic of its own.

Heavy modules are imported inside the commands, so that `omisync --help` and shell completion answer at once.
"""

from omisync.cli.main import main

__all__ = ["main"]
