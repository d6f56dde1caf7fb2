"""Real programs of the demo: run to their end, kept running, killed, stopped."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from omisync.demo import processes
from omisync.demo.errors import DemoError
from omisync.demo.guarded import Guarded
from omisync.demo.processes import Daemon, command, environment, run_to_end, tail

SLEEPER = "import signal; print('awake', flush=True); signal.pause()"
STUBBORN = SLEEPER.replace("print", "signal.signal(signal.SIGTERM, signal.SIG_IGN); print")


@pytest.fixture
async def guarded() -> AsyncIterator[Guarded]:
    guard = Guarded()
    yield guard
    guard.close()


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as opened:
        yield opened


@pytest.fixture
async def ready_url() -> AsyncIterator[str]:
    """Answers 503, then 200."""
    answers = iter([503])

    async def ready(_: web.Request) -> web.Response:
        return web.Response(status=next(answers, 200))

    app = web.Application()
    app.router.add_get("/readyz", ready)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    yield f"http://127.0.0.1:{port}/readyz"
    await runner.cleanup()


def program(code: str) -> tuple[str, ...]:
    return (sys.executable, "-I", "-S", "-c", code)


async def awake(log: Path) -> None:
    async with asyncio.timeout(10):
        while "awake" not in tail(log):  # noqa: ASYNC110 - another process writes it
            await asyncio.sleep(0)


def test_the_command_is_this_very_installations() -> None:
    assert command("run", "--config", "x") == (sys.executable, "-m", "omisync", "run", "--config", "x")


def test_our_own_configuration_does_not_leak_into_the_demos(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMISYNC_CONFIG", "/etc/omisync/config.toml")
    monkeypatch.setenv("OMISYNC_OMISELL__API_KEY", "the real one")
    variables = environment({"OMISYNC_DATABASE__DSN": "demo"})
    assert "OMISYNC_CONFIG" not in variables
    assert "OMISYNC_OMISELL__API_KEY" not in variables
    assert variables["OMISYNC_DATABASE__DSN"] == "demo"
    assert variables["PATH"] == os.environ["PATH"]


async def test_a_program_that_ends_well_says_nothing(tmp_path: Path, guarded: Guarded) -> None:
    await run_to_end(
        program("import os; assert os.environ['GIVEN'] == '1'"),
        folder=tmp_path,
        guarded=guarded,
        extra={"GIVEN": "1"},
    )


async def test_a_program_that_fails_is_told_with_its_own_words(tmp_path: Path, guarded: Guarded) -> None:
    with pytest.raises(DemoError, match="ended with 3:\nno such schema"):
        await run_to_end(program("import sys; print('no such schema'); sys.exit(3)"), folder=tmp_path, guarded=guarded)


async def test_a_program_that_hangs_is_killed(
    tmp_path: Path, guarded: Guarded, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "PROGRAM_SECONDS", 0.1)
    with pytest.raises(DemoError, match="took longer"):
        await run_to_end(program(SLEEPER), folder=tmp_path, guarded=guarded)


async def test_a_daemon_is_waited_for_until_it_is_ready_and_stops_when_asked(
    tmp_path: Path, guarded: Guarded, session: aiohttp.ClientSession, ready_url: str
) -> None:
    daemon = Daemon(program(SLEEPER), folder=tmp_path, ready_url=ready_url, session=session, guarded=guarded)
    assert daemon.pid is None
    await daemon.start()
    await daemon.ready()
    await awake(daemon.log)
    assert daemon.pid is not None
    assert await daemon.stop() == -signal.SIGTERM
    assert daemon.pid is None
    assert await daemon.stop() is None


async def test_a_killed_daemon_can_be_started_again_and_its_log_goes_on(
    tmp_path: Path, guarded: Guarded, session: aiohttp.ClientSession, ready_url: str
) -> None:
    daemon = Daemon(program(SLEEPER), folder=tmp_path, ready_url=ready_url, session=session, guarded=guarded)
    await daemon.start()
    await awake(daemon.log)
    first = daemon.pid
    await daemon.kill()
    await daemon.start()
    assert daemon.pid != first
    await daemon.kill()
    assert daemon.log.read_text().startswith("awake\n")


async def test_a_daemon_that_ends_while_starting_is_told_with_the_end_of_its_log(
    tmp_path: Path, guarded: Guarded, session: aiohttp.ClientSession
) -> None:
    daemon = Daemon(
        program("print('omisell.api_key is missing')"),
        folder=tmp_path,
        ready_url="http://127.0.0.1:1/readyz",
        session=session,
        guarded=guarded,
    )
    await daemon.start()
    with pytest.raises(DemoError, match="ended while starting; its log ends with:\nomisell"):
        await daemon.ready()
    await daemon.stop()


async def test_a_daemon_that_never_gets_ready_is_given_up(
    tmp_path: Path,
    guarded: Guarded,
    session: aiohttp.ClientSession,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(processes, "READY_SECONDS", 0.1)
    daemon = Daemon(
        program(SLEEPER),
        folder=tmp_path,
        ready_url="http://127.0.0.1:1/readyz",
        session=session,
        guarded=guarded,
    )
    await daemon.start()
    with pytest.raises(DemoError, match="was not ready within"):
        await daemon.ready()
    await daemon.kill()


async def test_a_daemon_that_does_not_stop_is_killed(
    tmp_path: Path,
    guarded: Guarded,
    session: aiohttp.ClientSession,
    ready_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(processes, "STOP_SECONDS", 0.1)
    daemon = Daemon(program(STUBBORN), folder=tmp_path, ready_url=ready_url, session=session, guarded=guarded)
    await daemon.start()
    await awake(daemon.log)
    assert await daemon.stop() == -signal.SIGKILL


def test_of_a_log_that_is_not_there_the_tail_is_empty(tmp_path: Path) -> None:
    assert tail(tmp_path / "none") == ""
