"""The guard cleans up after a parent that was killed, and only then."""

import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from omisync.demo import guard
from omisync.demo.guarded import Guarded

SLEEPER = "import signal\nprint('up', flush=True)\nsignal.pause()\n"
STUBBORN = SLEEPER.replace("print", "signal.signal(signal.SIGTERM, signal.SIG_IGN)\nprint")


@pytest.fixture
def children() -> Iterator[list["subprocess.Popen[str]"]]:
    started: list[subprocess.Popen[str]] = []
    yield started
    for process in started:
        process.kill()
        process.communicate(timeout=10)


def child(children: list["subprocess.Popen[str]"], program: str = SLEEPER) -> "subprocess.Popen[str]":
    process = subprocess.Popen(  # noqa: S603 - our own program
        [sys.executable, "-I", "-S", "-c", program],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    children.append(process)
    assert process.stdout is not None
    assert process.stdout.readline() == "up\n"
    return process


def test_at_the_end_of_input_processes_are_stopped_and_folders_removed(
    tmp_path: Path, children: list["subprocess.Popen[str]"]
) -> None:
    folder = tmp_path / "with a blank"
    (folder / "deep").mkdir(parents=True)
    process = child(children)
    guard.watch([f"folder {folder}\n", f"process {process.pid} {int(signal.SIGTERM)}\n"])
    assert process.wait(10) == -signal.SIGTERM
    assert not folder.exists()


def test_a_process_that_does_not_obey_is_killed(
    children: list["subprocess.Popen[str]"], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guard, "STOP_SECONDS", 0.05)
    process = child(children, STUBBORN)
    guard.watch([f"process {process.pid} {int(signal.SIGTERM)}\n"])
    assert process.wait(10) == -signal.SIGKILL


def test_after_done_nothing_is_touched(tmp_path: Path, children: list["subprocess.Popen[str]"]) -> None:
    process = child(children)
    guard.watch([f"folder {tmp_path}\n", f"process {process.pid} 15\n", "done\n"])
    assert process.poll() is None
    assert tmp_path.exists()


def test_a_forgotten_process_is_left_alone(children: list["subprocess.Popen[str]"]) -> None:
    process = child(children)
    guard.watch([f"process {process.pid} 15\n", f"forget {process.pid}\n", "forget 1\n", "unknown words\n"])
    assert process.poll() is None


def test_a_process_that_has_gone_already_is_no_error(children: list["subprocess.Popen[str]"]) -> None:
    process = child(children)
    process.kill()
    process.wait(10)
    guard.watch([f"process {process.pid} 15\n"])


def test_a_guarded_folder_is_private_and_can_be_removed(tmp_path: Path) -> None:
    guarded = Guarded()
    folder = guarded.folder("omisync-", tmp_path)
    assert folder.stat().st_mode & 0o777 == 0o700
    (folder / "file").write_text("x")
    guarded.remove(folder)
    guarded.close()
    assert list(tmp_path.iterdir()) == []


def test_closing_a_guard_that_was_never_needed_is_nothing() -> None:
    Guarded().close()


def test_a_guard_that_somebody_killed_does_not_stop_us(tmp_path: Path) -> None:
    guarded = Guarded()
    folder = guarded.folder("omisync-", tmp_path)
    assert guarded._guard is not None
    guarded._guard.kill()
    guarded._guard.wait(10)
    guarded.process(os.getpid(), signal.SIGTERM)
    guarded.remove(folder)
    guarded.close()
    assert not folder.exists()


PARENT = """
import os, signal, sys, time
from pathlib import Path
from omisync.demo.guarded import Guarded
guarded = Guarded()
print(guarded.folder("omisync-", Path(sys.argv[1])), guarded._guard.pid, flush=True)
signal.pause()
"""


def test_the_folder_goes_when_the_parent_is_killed(tmp_path: Path) -> None:
    parent = subprocess.Popen(  # noqa: S603 - our own program
        [sys.executable, "-c", PARENT, os.fspath(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        assert parent.stdout is not None
        folder, pid = parent.stdout.readline().split()
        descriptor = os.pidfd_open(int(pid))
        assert Path(folder).is_dir()
    finally:
        os.killpg(parent.pid, signal.SIGKILL)
        parent.communicate(timeout=10)
    assert select.select([descriptor], [], [], 10)[0], "the guard did not leave"
    os.close(descriptor)
    assert not Path(folder).exists()
