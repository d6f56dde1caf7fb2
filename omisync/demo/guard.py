"""A small process that cleans up after a parent which was killed without a word (SIGKILL, out of memory).

Run by file, not as a module, so that it costs no import of the package: ``python -I -S guard.py``. It reads
commands from its standard input, whose other end only the parent holds:

    folder PATH        remove this folder, should the parent die
    process PID SIGNAL stop this process with SIGNAL, then, if it stays, its whole group with SIGKILL
    forget PID         that process has been stopped in an orderly way
    done               everything has been cleaned up; leave

End of input without ``done`` means that the parent is gone.
"""

import contextlib
import os
import select
import shutil
import signal
import sys
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

REMOVE_SECONDS = 5.0
"""How long to try; what is left then cannot be removed by this user."""
STOP_SECONDS = 5.0
"""How long a process may take to obey its signal before its group is killed."""


def clean_up(processes: Mapping[int, tuple[int, int]], folders: Iterable[Path]) -> None:
    """Stop the processes and remove the folders.

    Args:
        processes: By pid, a file descriptor for the process (pidfd) and the signal that stops it.
        folders: Removed after the processes have gone.
    """
    for descriptor, number in processes.values():
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(descriptor, number)
    for pid, (descriptor, _) in processes.items():
        select.select([descriptor], [], [], STOP_SECONDS)
        # Whoever is left of its group: itself, if it did not obey, and children that it did not take along.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)
        select.select([descriptor], [], [], STOP_SECONDS)
    for folder in folders:
        remove(folder)


def remove(folder: Path) -> None:
    """Remove a folder, again and again should something that is just ending still write into it."""
    deadline = time.monotonic() + REMOVE_SECONDS
    while folder.exists() and time.monotonic() < deadline:
        shutil.rmtree(folder, ignore_errors=True)


def watch(commands: Iterable[str]) -> None:
    """Follow the commands to their end, and clean up unless told that there is nothing left to do."""
    processes: dict[int, tuple[int, int]] = {}
    folders: list[Path] = []
    for line in commands:
        word, _, rest = line.rstrip("\n").partition(" ")
        if word == "done":
            return
        if word == "folder":
            folders.append(Path(rest))
        elif word == "process":
            pid, number = (int(part) for part in rest.split())
            with contextlib.suppress(ProcessLookupError):
                processes[pid] = (os.pidfd_open(pid), number)
        elif word == "forget":
            known = processes.pop(int(rest), None)
            if known is not None:
                os.close(known[0])
    clean_up(processes, folders)


if __name__ == "__main__":
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    watch(sys.stdin)
