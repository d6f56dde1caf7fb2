"""The units, judged by systemd's own programs and against the configuration: nothing runs as PID 1 for that."""

import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import typer.main

from omisync.cli.app import app
from omisync.config import load_settings
from omisync.config.keys import FILE_SUFFIX, known_keys

ROOT = Path(__file__).parents[3]
UNITS = ROOT / "systemd"
PROGRAM = "/usr/local/bin/omisync"
SECONDS = 60.0
MOST_EXPOSED = 1.2  # of 10; the network, which the daemon lives by, is most of it


def lines(unit: str, key: str) -> list[str]:
    """The values of a key in a unit, in their order."""
    return re.findall(rf"^{re.escape(key)}=(.*)$", (UNITS / unit).read_text(), re.MULTILINE)


def analyze(*arguments: str, folder: Path) -> "subprocess.CompletedProcess[str]":
    """Runs systemd-analyze, or skips the test where there is none."""
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("there is no systemd-analyze (Debian: systemd)")
    return subprocess.run(  # noqa: S603 - a program of the system's
        [program, *arguments], cwd=folder, capture_output=True, text=True, timeout=SECONDS, check=False
    )


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """The units as they are installed, with a program that is there, and one instance of each template."""
    for file in UNITS.glob("omisync*"):
        text = file.read_text().replace(PROGRAM, "/bin/true")
        (tmp_path / file.name).write_text(text)
        if "@" in file.name:
            (tmp_path / file.name.replace("@", "@north")).write_text(text)
    return tmp_path


@pytest.mark.parametrize(
    "names", [("omisync.service", "omisync.socket"), ("omisync@north.service", "omisync@north.socket")]
)
def test_systemd_finds_nothing_to_say_about_the_units(installed: Path, names: tuple[str, ...]) -> None:
    verified = analyze("verify", "--man=no", *(f"./{name}" for name in names), folder=installed)
    assert (verified.returncode, verified.stdout, verified.stderr) == (0, "", "")


@pytest.mark.parametrize("name", ["omisync.service", "omisync@north.service"])
def test_the_units_are_rated_1_2_or_better(installed: Path, name: str) -> None:
    judged = analyze("security", "--offline=true", "--no-pager", f"./{name}", folder=installed)
    (rating,) = re.findall(r"Overall exposure level for \S+: (\d+\.\d+)", judged.stdout)
    assert float(rating) <= MOST_EXPOSED, judged.stdout


def test_every_secret_is_handed_over_by_systemd(tmp_path: Path) -> None:
    handed = dict(line.split(":", 1) for line in lines("omisync.service", "LoadCredential"))
    (text,) = re.findall(r"^```toml\n(.*?)^```$", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    for name in handed:
        (tmp_path / name).write_text("postgresql://omisync@127.0.0.1/shop" if name == "database_dsn" else "secret")
    (tmp_path / "config.toml").write_text(text)
    # what the README's configuration asks for is what the unit hands over: no more, no less
    load_settings(tmp_path / "config.toml", {"CREDENTIALS_DIRECTORY": str(tmp_path)})
    assert set(re.findall(r'_file = "([^"]+)"', text)) == set(handed)
    secrets = {key for key, about in known_keys().items() if about.is_secret}
    spoken_of = (UNITS / "omisync.service").read_text()
    assert {key for key in secrets if f"{key.rpartition('.')[2]}{FILE_SUFFIX}" not in spoken_of} == set()
    assert set(handed.values()) == {f"/etc/omisync/secrets/{name}" for name in handed}


def test_an_instance_differs_from_the_single_unit_in_its_folder_and_socket_only() -> None:
    def settings(unit: str) -> list[str]:
        words = (UNITS / unit).read_text().splitlines()
        return [line for line in words if line and not line.startswith(("#", "Description="))]

    single = [
        line.replace("/etc/omisync/", "/etc/omisync/%i/").replace("Sockets=omisync.", "Sockets=omisync@%i.")
        for line in settings("omisync.service")
    ]
    assert settings("omisync@.service") == single


def test_the_programs_commands_are_those_the_units_call() -> None:
    root: Any = typer.main.get_command(app)
    called = [
        shlex.split(line)
        for unit in ("omisync.service", "omisync@.service")
        for key in ("ExecStartPre", "ExecStart")
        for line in lines(unit, key)
    ]
    assert [words[:2] for words in called] == [[PROGRAM, "check"], [PROGRAM, "run"]] * 2
    for words in called:
        options = {name for parameter in root.commands[words[1]].params for name in parameter.opts}
        assert set(words[2:]) <= options


def test_a_stop_has_longer_than_the_daemons_own_grace() -> None:
    (stop,) = lines("omisync.service", "TimeoutStopSec")
    grace = load_settings(ROOT / "config.toml", {}).daemon.grace
    listeners, leases, database = 2 * 5.0, 15.0, 5.0  # what may follow the grace, one after the other
    assert float(stop.removesuffix("s")) >= grace + listeners + leases + database


def test_the_socket_bears_the_name_by_which_the_daemon_knows_it() -> None:
    assert lines("omisync.socket", "FileDescriptorName") == ["webhook"]
    assert lines("omisync@.socket", "FileDescriptorName") == ["webhook"]
