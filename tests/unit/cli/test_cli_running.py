"""`omisync run` in plain words goes straight to the daemon; anything else is the command-line library's."""

import subprocess
import sys
from pathlib import Path

import pytest

from omisync.cli import running


@pytest.mark.parametrize(
    ("words", "asked"),
    [
        (["run"], (None, False, False)),
        (["run", "--config", "a.toml"], (Path("a.toml"), False, False)),
        (["--config=a.toml", "run", "--json"], (Path("a.toml"), True, False)),
        (["--config", "a.toml", "run", "--config", "b.toml", "--debug"], (Path("b.toml"), False, True)),
    ],
)
def test_plain_words_go_straight(
    words: list[str], asked: tuple[Path | None, bool, bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    told = []

    def run(config: Path | None, *, json: bool, debug: bool) -> int:
        told.append((config, json, debug))
        return 7

    monkeypatch.setattr(running, "run", run)
    assert running.straight(words) == 7
    assert told == [asked]


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["status"],
        ["run", "--help"],
        ["run", "--version"],
        ["run", "twice", "run"],
        ["run", "run"],
        ["run", "--config"],
        ["run", "--config="],
        ["run", "--config", "--json"],
        ["--json"],
    ],
)
def test_what_is_not_plain_is_left_alone(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "run", lambda *_, **__: pytest.fail("the daemon was run"))
    assert running.straight(words) is None


def test_the_daemon_does_not_load_what_only_others_need() -> None:
    program = """
import sys
from omisync.cli import running
running.run = lambda *_, **__: __import__("omisync.daemon") and 0
assert running.straight(["run"]) == 0
print(*sorted({"typer", "rich", "pygments", "jinja2", "rapidfuzz"} & sys.modules.keys()))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)  # noqa: S603 - ours
    assert done.stdout == "\n"
