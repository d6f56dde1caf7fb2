"""The real programs of the demo: `omisync migrate` once, and `omisync run`, killed and started again."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import aiohttp

from omisync.demo.errors import DemoError
from omisync.demo.guarded import Guarded

PROGRAM_SECONDS: Final = 60.0
"""A program that runs to its end: a migration takes less than a second."""
READY_SECONDS: Final = 60.0
"""From the daemon's start until it says that it can work."""
PROBE_SECONDS: Final = 2.0
LOOK_SECONDS: Final = 0.05
STOP_SECONDS: Final = 30.0
"""Longer than daemon.grace: what takes longer is killed."""
LOG_LINES: Final = 12


def command(*arguments: str) -> Sequence[str]:
    """The command line of this very installation's omisync."""
    return (sys.executable, "-m", "omisync", *arguments)


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Our environment without what would change omisync's configuration."""
    own = {key: value for key, value in os.environ.items() if not key.upper().startswith("OMISYNC_")}
    return {**own, **(extra or {})}


def tail(log: Path, lines: int = LOG_LINES) -> str:
    """The last lines of a log."""
    with contextlib.suppress(OSError):
        return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])
    return ""


async def run_to_end(
    arguments: Sequence[str], *, folder: Path, guarded: Guarded, extra: Mapping[str, str] | None = None
) -> None:
    """Run a program and wait for it.

    Raises:
        DemoError: It failed, or took too long; with what it said.
    """
    process = await asyncio.create_subprocess_exec(
        *arguments,
        cwd=folder,
        env=environment(extra),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
    )
    guarded.process(process.pid, signal.SIGKILL)
    name = " ".join(arguments[1:4])
    try:
        async with asyncio.timeout(PROGRAM_SECONDS):
            output, _ = await process.communicate()
    except TimeoutError as error:
        raise DemoError(f"{name} took longer than {PROGRAM_SECONDS:.0f} s") from error
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        guarded.forget(process.pid)
    if process.returncode != 0:
        raise DemoError(f"{name} ended with {process.returncode}:\n{output.decode(errors='replace').strip()}")


class Daemon:
    """`omisync run` as a process of its own, that can be killed and started again.

    Args:
        arguments: Its command line.
        folder: Where it runs; its log is `daemon.log` in it.
        ready_url: Answers 200 once it can work.
        session: For asking that.
        guarded: Kills it should we be killed.
        extra: Of its environment, beside ours.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        *,
        folder: Path,
        ready_url: str,
        session: aiohttp.ClientSession,
        guarded: Guarded,
        extra: Mapping[str, str] | None = None,
    ) -> None:
        self._arguments = arguments
        self._folder = folder
        self._ready_url = ready_url
        self._session = session
        self._guarded = guarded
        self._extra = extra
        self._process: asyncio.subprocess.Process | None = None

    @property
    def log(self) -> Path:
        """Where it writes its log, over all its lives."""
        return self._folder / "daemon.log"

    @property
    def pid(self) -> int | None:
        """Its process id, None while it is not running."""
        process = self._process
        return process.pid if process is not None and process.returncode is None else None

    async def start(self) -> None:
        """Start it; it may take a moment until it is ready."""
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *self._arguments,
                cwd=self._folder,
                env=environment(self._extra),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=asyncio.subprocess.STDOUT,
                start_new_session=True,
            )
        self._guarded.process(self._process.pid, signal.SIGKILL)

    async def ready(self) -> None:
        """Wait until it says that it can work.

        Raises:
            DemoError: It ended, or did not become ready in time; with the end of its log.
        """
        try:
            async with asyncio.timeout(READY_SECONDS):
                while not await self._answers():
                    if self.pid is None:
                        raise DemoError(f"the daemon ended while starting; its log ends with:\n{tail(self.log)}")
                    await asyncio.sleep(LOOK_SECONDS)
        except TimeoutError as error:
            late = f"the daemon was not ready within {READY_SECONDS:.0f} s"
            raise DemoError(f"{late}; its log ends with:\n{tail(self.log)}") from error

    def check(self) -> None:
        """Make sure that it has not ended by itself.

        Raises:
            DemoError: It has; with the end of its log.
        """
        if self._process is not None and self._process.returncode is not None:
            code = self._process.returncode
            raise DemoError(f"the daemon ended by itself with {code}; its log ends with:\n{tail(self.log)}")

    async def kill(self) -> None:
        """End it without a word, as a crash would (SIGKILL)."""
        await self._end(signal.SIGKILL)

    async def stop(self) -> int | None:
        """Ask it to stop (SIGTERM) and wait; its exit code."""
        return await self._end(signal.SIGTERM)

    async def _answers(self) -> bool:
        with contextlib.suppress(aiohttp.ClientError, TimeoutError, OSError):
            async with self._session.get(self._ready_url, timeout=aiohttp.ClientTimeout(total=PROBE_SECONDS)) as answer:
                return answer.status == 200
        return False

    async def _end(self, number: signal.Signals) -> int | None:
        process, self._process = self._process, None
        if process is None:
            return None
        try:
            if process.returncode is None:
                process.send_signal(number)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(STOP_SECONDS):
                    await process.wait()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
            self._guarded.forget(process.pid)
        return process.returncode
