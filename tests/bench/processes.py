"""What a process costs: processor time and memory, out of /proc."""

import os
from collections.abc import Iterator
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid: int) -> float:
    """Processor time of a process and of its children, living or ended."""
    fields = _fields(pid)
    own = sum(int(fields[at]) for at in (11, 12, 13, 14)) / TICKS  # utime, stime, cutime, cstime
    return own + sum(cpu_seconds(child) for child in _children(pid))


def resident_bytes(pid: int) -> int:
    """Memory of a process that is in the machine's memory."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) * 1024
    return 0


def _children(pid: int) -> Iterator[int]:
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        yield from map(int, task.read_text().split())


def _fields(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


class Meter:
    """Processor time of a worker, and of Postgres, from a moment on."""

    def __init__(self, server: int, worker: int) -> None:
        self._server = server
        self._worker = worker
        self._before = (0.0, 0.0)
        self._last = (0.0, 0.0)
        self.start()

    def start(self) -> None:
        """From now on."""
        self._before = self._last = (self._cpu(self._worker), self._cpu(self._server))

    def read(self) -> tuple[float, float]:
        """Seconds of the worker and of Postgres; of a worker that has ended, as far as it was last seen."""
        own = self._cpu(self._worker) or self._last[0]
        self._last = (own, self._cpu(self._server))
        return own - self._before[0], self._last[1] - self._before[1]

    @staticmethod
    def _cpu(pid: int) -> float:
        try:
            return cpu_seconds(pid)
        except (FileNotFoundError, ProcessLookupError):
            return 0.0
