"""The program as a whole: help, version, wrong usage, --debug, the configuration's places, real processes."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from typing import Any

import pytest

from omisync.cli import main

SECONDS = 60


def program(*arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    """`omisync …` as a process of its own."""
    return subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-m", "omisync", *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )


@pytest.mark.parametrize("arguments", [["--help"], ["-h"]])
def test_help(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 0
    shown = capsys.readouterr().out
    commands = (
        *("demo", "run", "migrate", "check", "status", "outbox", "orders", "pause", "resume"),
        *("reconcile", "shops", "pickups", "simulate"),
    )
    for command in commands:
        assert f"\n  {command} " in shown
    assert "Exit codes: 0 done, 1 a check or the work failed, 2 wrong usage or" in shown


def test_each_command_has_a_help_with_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    for command in ("demo", "run", "migrate", "check", "status", "pause", "reconcile", "simulate"):
        assert main([command, "--help"]) == 0
        shown = capsys.readouterr().out
        assert f"  omisync {command}" in shown
        assert "--config" in shown
        assert "--json" in shown


def test_a_command_is_needed(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in ([], ["outbox"], ["orders"]):
        assert main(arguments) == 2
        taken = capsys.readouterr()
        assert taken.out == ""
        assert "Usage: omisync" in taken.err


def test_a_command_that_does_not_exist(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["statuss"]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("omisync: No such command 'statuss'")


def test_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    name, version = capsys.readouterr().out.split()
    assert name == "omisync"
    assert version[0].isdigit()


def test_the_package_has_a_version_and_nothing_made_up() -> None:
    import omisync  # noqa: PLC0415 - what is tested

    assert omisync.__version__[0].isdigit()
    with pytest.raises(AttributeError, match="no attribute 'verzion'"):
        _ = omisync.verzion


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys; from omisync.cli import main; main(['--help']);"
        "print([name for name in ('aiohttp', 'asyncpg', 'pydantic', 'asyncio', 'rich', 'structlog')"
        " if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=SECONDS, check=True
    )
    assert done.stderr.strip() == "[]"


async def test_options_may_stand_before_the_command_and_after_it(cli: Any) -> None:
    assert (await cli("--json", "status")).json["failed"] == 0
    assert (await cli("status", "--json")).json["failed"] == 0
    ran = await cli("status", "--config", "/nowhere/omisync.toml")
    assert ran.code == 2
    assert ran.err == "omisync: /nowhere/omisync.toml: no such file: give the configuration with --config FILE\n"


async def test_debug_shows_the_traceback(cli: Any, nobody_there: str) -> None:
    cli.change({"database": {"dsn": nobody_there}})
    ran = await cli("status", "--debug")
    assert ran.code == 3
    assert "Traceback (most recent call last)" in ran.err
    assert ran.err.splitlines()[-1].startswith("omisync: the database cannot be used now: ")
    assert "pass-word" not in ran.err
    assert "Traceback" not in (await cli("status")).err


async def test_an_error_nobody_thought_of_is_one_line(cli: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from omisync.store.operator import Operator  # noqa: PLC0415 - what is planted

    async def broken(_: Operator, **_options: object) -> None:
        raise ZeroDivisionError("division by zero")

    monkeypatch.setattr(Operator, "status", broken)
    ran = await cli("status")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err == (
        "omisync: internal error: ZeroDivisionError: division by zero (run again with --debug for the details)\n"
    )


async def test_the_configuration_named_by_the_environment(cli: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    done = await asyncio.to_thread(program, "outbox", "list", OMISYNC_CONFIG=str(cli.config))
    assert (done.returncode, done.stdout, done.stderr) == (0, "no rows\n", "")


async def test_a_pipe_that_is_closed_early_is_no_failure(cli: Any) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "omisync", "--config", str(cli.config), "status", "--watch", "--json"),
        *("--interval", "0.1"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        line = await asyncio.wait_for(process.stdout.readline(), SECONDS)
        assert json.loads(line)["failed"] == 0
        process._transport.get_pipe_transport(1).close()  # type: ignore[attr-defined] # as `head -1` does
        assert await asyncio.wait_for(process.wait(), SECONDS) == 0
        assert await process.stderr.read() == b""
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


# run


async def daemon(cli: Any) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "omisync", "--config", str(cli.config), "run", "--json"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def until(process: asyncio.subprocess.Process, event: str) -> list[dict[str, Any]]:
    """The log up to an event."""
    assert process.stderr is not None
    seen: list[dict[str, Any]] = []
    while not seen or seen[-1]["event"] != event:
        line = await asyncio.wait_for(process.stderr.readline(), SECONDS)
        assert line, f"ended before {event!r}: {seen}"
        seen.append(json.loads(line))
    return seen


async def test_run_logs_json_and_ends_in_order(cli: Any) -> None:
    process = await daemon(cli)
    try:
        await until(process, "ready")
        ran = await cli("check", "--json")
        said = {one["name"]: (one["state"], one["says"]) for one in ran.json["checks"]}
        assert ran.code == 0
        assert said["webhook listener"] == (
            "ok",
            f"up at {cli.given['webhook']['listen']}/webhooks/omisell, and accepts our signature",
        )
        assert said["admin listener"] == ("ok", f"up at {cli.given['admin']['listen']}")
        process.send_signal(signal.SIGTERM)
        await until(process, "stopped")
        assert await asyncio.wait_for(process.wait(), SECONDS) == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


@pytest.mark.parametrize("schema", ["too old", "too new"])
async def test_run_refuses_a_schema_that_is_not_its_own(cli: Any, sql: Any, schema: str) -> None:
    if schema == "too old":
        await sql.execute(
            "DELETE FROM omisync.migrations WHERE version = (SELECT max(version) FROM omisync.migrations)"
        )
        words = "run `omisync migrate` with a user who owns the schema"
    else:
        await sql.execute(
            "INSERT INTO omisync.migrations (version, name, checksum) VALUES (999, '0999_later.after', 'x')"
        )
        words = "install the newer omisync again (`pip install --upgrade omisync`)"
    done = await asyncio.to_thread(program, "--config", str(cli.config), "run")
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last.startswith("omisync: ")
    assert last.endswith(words)
    assert "Traceback" not in done.stderr


async def test_run_with_its_port_taken_says_so(cli: Any) -> None:
    async def nothing(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    port = int(cli.given["webhook"]["listen"].rpartition(":")[2])
    async with await asyncio.start_server(nothing, "127.0.0.1", port):
        done = await asyncio.to_thread(program, "--config", str(cli.config), "run")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith(
        f"omisync: cannot listen on 127.0.0.1:{port} (webhook.listen): the port"
    )


# demo


def test_the_demo_without_its_package_says_what_to_install(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "omisync.demo.main", None)
    assert main(["demo"]) == 1
    assert "which is not installed: pip install 'omisync[demo]'" in capsys.readouterr().err


@pytest.mark.parametrize("code", [0, 1])
def test_the_demo_hands_its_options_on_and_its_code_back(monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    from omisync.demo import main as demo  # noqa: PLC0415 - what is planted

    given: list[demo.DemoOptions] = []

    async def run_demo(options: demo.DemoOptions, _: object) -> int:
        given.append(options)
        return code

    monkeypatch.setattr(demo, "run_demo", run_demo)
    assert main(["demo", "--orders", "3", "--seconds", "2", "--faults", "--keep"]) == code
    assert given == [demo.DemoOptions(orders=3, seconds=2.0, faults=True, keep=True)]
