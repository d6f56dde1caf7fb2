"""systemd's notify protocol, spoken to a socket of the test's own."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from omisync.service_manager import notify, watchdog_interval


@pytest.fixture(autouse=True)
def no_systemd(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def manager() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.settimeout(5)
        yield listening


def test_without_a_manager_nothing_is_sent() -> None:
    assert notify("READY=1") is False


def test_assignments_are_lines_of_one_message(
    manager: socket.socket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manager.bind(str(tmp_path / "notify"))
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    assert notify("READY=1", "STATUS=working: ế") is True
    assert manager.recv(4096) == "READY=1\nSTATUS=working: ế".encode()


def test_an_abstract_socket(manager: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"omisync-test-{os.getpid()}"
    manager.bind("\0" + name)
    monkeypatch.setenv("NOTIFY_SOCKET", f"@{name}")
    assert notify("WATCHDOG=1") is True
    assert manager.recv(4096) == b"WATCHDOG=1"


def test_a_manager_that_does_not_listen_is_no_trouble(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "gone"))
    assert notify("READY=1") is False


@pytest.mark.parametrize(
    ("microseconds", "pid", "seconds"),
    [
        (None, None, None),
        ("30000000", None, 15.0),
        ("30000000", str(os.getpid()), 15.0),
        ("30000000", "1", None),
        ("0", None, None),
        ("soon", None, None),
    ],
    ids=["none", "ours", "ours by name", "another's", "zero", "no number"],
)
def test_a_sign_of_life_is_due_twice_as_often_as_asked(
    monkeypatch: pytest.MonkeyPatch, microseconds: str | None, pid: str | None, seconds: float | None
) -> None:
    if microseconds is not None:
        monkeypatch.setenv("WATCHDOG_USEC", microseconds)
    if pid is not None:
        monkeypatch.setenv("WATCHDOG_PID", pid)
    assert watchdog_interval() == seconds
