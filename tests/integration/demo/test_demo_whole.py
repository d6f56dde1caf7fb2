"""The demo as a user runs it: a real process, ended at every stage, leaving nothing behind."""

import asyncio
import contextlib
import os
import secrets
import shutil
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from rich.console import Console

from omisync.demo import main
from omisync.demo.errors import DemoError
from omisync.demo.main import DemoOptions, run_demo

LINE_SECONDS = 180.0
GONE_SECONDS = 20.0
MARK = "MARK_OF_THIS_TEST"


@pytest.fixture
def temporary() -> Iterator[Path]:
    """A folder for temporary files that every user reaches, as /tmp is."""
    folder = Path("/tmp") / f"omisync-test-{secrets.token_hex(4)}"  # noqa: S108 - pytest's own is closed to others
    folder.mkdir()
    folder.chmod(0o1777)
    yield folder
    shutil.rmtree(folder)


class Run:
    """`omisync demo` as a process, and all that it started."""

    def __init__(self, process: asyncio.subprocess.Process, mark: str) -> None:
        self.process = process
        self._mark = f"{MARK}={mark}".encode()
        self.said = ""

    async def says(self, words: str) -> None:
        """Read on until these words."""
        assert self.process.stdout is not None
        async with asyncio.timeout(LINE_SECONDS):
            while words not in self.said:
                line = await self.process.stdout.readline()
                assert line, f"it ended without {words!r}; it said:\n{self.said}"
                self.said += line.decode()

    async def ends(self) -> int:
        """Read to the end; the exit code."""
        assert self.process.stdout is not None
        async with asyncio.timeout(LINE_SECONDS):
            self.said += (await self.process.stdout.read()).decode()
            return await self.process.wait()

    def left(self) -> list[str]:
        """The command lines of the processes that are still there, ourselves not counted."""
        lines = []
        for folder in Path("/proc").iterdir():
            with contextlib.suppress(OSError):
                if folder.name.isdigit() and self._mark in (folder / "environ").read_bytes().split(b"\0"):
                    lines.append((folder / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        return lines

    async def nothing_is_left(self, temporary: Path) -> None:
        """Wait until no process and no folder is left."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(GONE_SECONDS):
                while self.left() + entries(temporary):  # noqa: ASYNC110 - other processes are ending
                    await asyncio.sleep(0.05)
        assert self.left() + entries(temporary) == []


def entries(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


@contextlib.asynccontextmanager
async def demo(temporary: Path, *arguments: str) -> AsyncIterator[Run]:
    mark = secrets.token_hex(8)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "omisync", "demo", *arguments),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={**os.environ, "TMPDIR": os.fspath(temporary), "PYTHONUNBUFFERED": "1", MARK: mark},
        start_new_session=True,
    )
    try:
        yield Run(process, mark)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()


async def test_the_proof_holds_and_nothing_is_left_behind(temporary: Path) -> None:
    async with demo(temporary, "--orders", "12") as run:
        code = await run.ends()
        assert "It holds" in run.said, run.said
        assert code == 0
        await run.nothing_is_left(temporary)


@pytest.mark.parametrize(
    "words", ["starting an own Postgres", "migrating the database", "starting the daemon", "placing orders: placed"]
)
async def test_ctrl_c_at_any_time_leaves_nothing_behind(temporary: Path, words: str) -> None:
    async with demo(temporary, "--orders", "100") as run:
        await run.says(words)
        os.killpg(run.process.pid, signal.SIGINT)  # as a terminal does
        assert await run.ends() == 130
        assert "Traceback" not in run.said
        assert "nothing is left behind" in run.said
        await run.nothing_is_left(temporary)


async def test_two_ctrl_c_leave_nothing_behind_either(temporary: Path) -> None:
    async with demo(temporary, "--orders", "100") as run:
        await run.says("placing orders: placed")
        os.killpg(run.process.pid, signal.SIGINT)
        os.killpg(run.process.pid, signal.SIGINT)
        assert await run.ends() == 130
        await run.nothing_is_left(temporary)


async def test_a_kill_of_the_demo_itself_leaves_nothing_behind(temporary: Path) -> None:
    async with demo(temporary, "--orders", "100") as run:
        await run.says("placing orders: placed")
        run.process.kill()
        await run.process.wait()
        await run.nothing_is_left(temporary)


async def test_kept_up_it_shows_where_to_look_and_ends_with_the_proofs_code(temporary: Path) -> None:
    async with demo(temporary, "--orders", "1", "--keep") as run:
        await run.says("Omisell's page")
        assert "admin page" in run.said
        os.killpg(run.process.pid, signal.SIGINT)
        assert await run.ends() == 0
        await run.nothing_is_left(temporary)


async def test_what_stops_the_demo_is_told_on_stderr_and_is_no_success(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    @contextlib.asynccontextmanager
    async def broken(*_: object, **__: object) -> AsyncIterator[None]:
        raise DemoError("the embedded Postgres is not installed")
        yield

    monkeypatch.setattr(main, "set_up", broken)
    assert await run_demo(DemoOptions(), Console()) == 1
    assert "omisync demo: the embedded Postgres is not installed" in capsys.readouterr().err


async def test_cancelled_by_its_caller_it_is_cancelled(monkeypatch: pytest.MonkeyPatch) -> None:
    begun = asyncio.Event()

    @contextlib.asynccontextmanager
    async def slow(*_: object, **__: object) -> AsyncIterator[None]:
        begun.set()
        await asyncio.Event().wait()
        yield

    monkeypatch.setattr(main, "set_up", slow)
    task = asyncio.create_task(run_demo(DemoOptions(), Console()))
    await asyncio.wait_for(begun.wait(), 1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
