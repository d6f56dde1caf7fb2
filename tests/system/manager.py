"""What systemd does for the daemon, without being PID 1: its notifications, the socket it passes, the check before."""

import asyncio
import contextlib
import os
import re
import shlex
import signal
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import IO, Final

UNITS: Final = Path(__file__).parents[2] / "systemd"
SECONDS: Final = 40.0
"""For a process to come up or go down while others have the cores."""

PASS_ON: Final = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.set_inheritable(3, True)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1", LISTEN_FDNAMES="webhook")
os.execv(sys.executable, [sys.executable, "-m", "omisync", *sys.argv[2:]])
"""
"""What systemd does before it executes a service that belongs to a socket; argv[1] is the socket's descriptor."""


def of_unit(unit: str, key: str) -> str:
    """The one value of a key in a unit.

    Raises:
        ValueError: there are none, or several.
    """
    (value,) = re.findall(rf"^{re.escape(key)}=(.*)$", (UNITS / unit).read_text(), re.MULTILINE)
    return str(value)


def open_socket(port: int = 0) -> socket.socket:
    """A socket of loopback as omisync.socket opens it."""
    made = socket.create_server(("127.0.0.1", port), backlog=int(of_unit("omisync.socket", "Backlog")))
    made.set_inheritable(True)
    return made


class Service:
    """The daemon's process, and what it tells its service manager."""

    def __init__(self, process: asyncio.subprocess.Process, manager: "Manager") -> None:
        self.process = process
        self._manager = manager

    async def tells(self, words: str) -> None:
        """Waits for an assignment that begins with these words."""
        async with asyncio.timeout(self._manager.patience):
            await self._manager.hears(words)

    async def stops(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Ends it; its exit code."""
        self.process.send_signal(number)
        async with asyncio.timeout(self._manager.patience):
            return await self.process.wait()


class Manager:
    """Hears notifications and starts daemons, as systemd does.

    Args:
        folder: where the daemons run, and the notification socket is.
        config: their configuration.
        output: where they write to; nowhere but for what goes to standard error by default.
        patience: seconds that a daemon may take to do what it is waited for.
    """

    def __init__(
        self, folder: Path, config: Path, output: IO[bytes] | None = None, *, patience: float = SECONDS
    ) -> None:
        self.patience = patience
        self._folder = folder
        self._config = config
        self._output = output
        self._heard: list[str] = []
        self._news = asyncio.Event()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._socket.bind(str(folder / "notify"))
        asyncio.get_running_loop().add_reader(self._socket, self._hear)
        self.services: list[Service] = []

    def _hear(self) -> None:
        with contextlib.suppress(BlockingIOError):
            self._heard += self._socket.recv(65536).decode().splitlines()
        self._news.set()

    async def hears(self, words: str) -> None:
        """Waits for an assignment that begins with these words, and forgets what came before it."""
        while True:
            for place, line in enumerate(self._heard):
                if line.startswith(words):
                    del self._heard[: place + 1]
                    return
            self._news.clear()
            await self._news.wait()

    async def starts(self, *before: str, passed: socket.socket | None = None, **extra: str) -> Service:
        """Starts `omisync run`, with a socket passed to it if there is one, or through another program."""
        program = [*before, sys.executable, "-m", "omisync"]
        if passed is not None:
            program = [*before, sys.executable, "-c", PASS_ON, str(passed.fileno())]
        process = await asyncio.create_subprocess_exec(
            *program,
            "run",
            "--config",
            str(self._config),
            cwd=self._folder,
            env=self._environment(extra),
            stdout=asyncio.subprocess.DEVNULL if self._output is None else self._output,
            stderr=self._output,  # if None, pytest shows it when a test fails
            pass_fds=() if passed is None else (passed.fileno(),),
        )
        service = Service(process, self)
        self.services.append(service)
        return service

    async def checks(self) -> int:
        """The unit's `ExecStartPre`; its exit code."""
        words = shlex.split(of_unit("omisync.service", "ExecStartPre"))[1:]
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "omisync", *words, "--config", str(self._config)),
            cwd=self._folder,
            env=self._environment({}),
            stdout=asyncio.subprocess.DEVNULL if self._output is None else self._output,
            stderr=self._output,
        )
        try:
            async with asyncio.timeout(self.patience):
                return await process.wait()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()

    def _environment(self, extra: dict[str, str]) -> dict[str, str]:
        own = {key: value for key, value in os.environ.items() if not key.startswith(("OMISYNC_", "LISTEN_"))}
        return own | {"NOTIFY_SOCKET": str(self._folder / "notify"), **extra}

    async def close(self) -> None:
        """Ends what is left."""
        asyncio.get_running_loop().remove_reader(self._socket)
        self._socket.close()
        for service in self.services:
            if service.process.returncode is None:
                service.process.kill()
                await service.process.wait()


@contextlib.asynccontextmanager
async def managed(
    folder: Path, config: Path, output: IO[bytes] | None = None, *, patience: float = SECONDS
) -> AsyncIterator[Manager]:
    """A manager whose daemons end with it."""
    made = Manager(folder, config, output, patience=patience)
    try:
        yield made
    finally:
        await made.close()
