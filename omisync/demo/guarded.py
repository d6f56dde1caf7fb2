"""The parent's side of the guard: folders and processes that go when we go, however we go."""

import contextlib
import os
import secrets
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from omisync.demo import guard

GUARD_SECONDS = 5.0
"""The guard leaves at once when told so; more than this and it is killed."""


class Guarded:
    """Keeps a guard process informed of what would have to be cleaned up if this process were killed.

    The guard starts with the first folder or process, and leaves with close().
    """

    def __init__(self) -> None:
        self._guard: subprocess.Popen[str] | None = None

    def folder(self, prefix: str, parent: Path | None = None) -> Path:
        """Make a private folder (mode 0700).

        Args:
            prefix: Its name's beginning.
            parent: Where to make it; the system's folder for temporary files if not given.
        """
        path = (parent or Path(tempfile.gettempdir())) / f"{prefix}{secrets.token_hex(8)}"
        self._tell(f"folder {path}")  # first, so that there is no moment in which a kill would leave it behind
        path.mkdir(mode=0o700)
        return path

    def remove(self, folder: Path) -> None:
        """Remove a folder with all that is in it."""
        guard.remove(folder)

    def process(self, pid: int, number: signal.Signals) -> None:
        """Name a child, started in a session of its own, that `number` stops."""
        self._tell(f"process {pid} {int(number)}")

    def forget(self, pid: int) -> None:
        """The child has ended."""
        self._tell(f"forget {pid}")

    def close(self) -> None:
        """Tell the guard that nothing is left to clean up."""
        process, self._guard = self._guard, None
        if process is None:
            return
        with contextlib.suppress(BrokenPipeError):
            process.communicate("done\n", timeout=GUARD_SECONDS)
        process.kill()
        process.wait(GUARD_SECONDS)

    def _tell(self, line: str) -> None:
        if self._guard is None:
            self._guard = subprocess.Popen(  # noqa: S603 - our own file, no shell
                [sys.executable, "-I", "-S", os.fspath(Path(guard.__file__))],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                text=True,
                cwd="/",
                start_new_session=True,
            )
        assert self._guard.stdin is not None  # noqa: S101 - asked for as a pipe
        with contextlib.suppress(BrokenPipeError):  # somebody killed the guard: we still clean up ourselves
            self._guard.stdin.write(line + "\n")
            self._guard.stdin.flush()
