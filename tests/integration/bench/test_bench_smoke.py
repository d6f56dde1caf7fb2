"""The measurements of speed in their short form: each runs, and says what it found; no time is asserted."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
SECONDS = 240.0
"""For one measurement in short; a few seconds, but a machine may be busy."""
RATES = {"ingest": "pushes a second", "drain": "rows a second"}


def run(what: str, out: Path) -> str:
    """Run one measurement in short; what it printed."""
    done = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-m", "tests.bench", what, "--short", "--out", os.fspath(out)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize(
    "what",
    [
        pytest.param("ingest", marks=pytest.mark.skipif(shutil.which("wrk") is None, reason="wrk is not installed")),
        "drain",
    ],
)
def test_a_measurement_in_short_finds_figures_of_omisync_and_writes_them_down(what: str, tmp_path: Path) -> None:
    said = run(what, tmp_path)
    told = json.loads((tmp_path / f"{what}.json").read_text())
    (figures,) = told["figures"].values()
    (ours,) = figures["omisync"][RATES[what]]["values"]
    assert ours > 0
    assert told["settings"]["fsync"] == "on"
    assert told["settings"]["synchronous_commit"] == "on"
    assert told["machine"]["omisync"] != "not installed"
    assert "| omisync |" in said
    assert (tmp_path / f"{what}.md").read_text() in said
    assert (tmp_path / f"{what}.svg").exists() == (importlib.util.find_spec("matplotlib") is not None)


def test_the_latency_is_measured_in_both_modes(tmp_path: Path) -> None:
    run("latency", tmp_path)
    figures = json.loads((tmp_path / "latency.json").read_text())["figures"]
    assert set(figures) == {"polling", "notify"}
    assert all(figures[mode]["calm p50"]["median"] > 0 for mode in figures)


def test_the_hot_queries_are_timed_before_and_after_claims_and_beside_an_open_transaction(tmp_path: Path) -> None:
    run("size", tmp_path)
    figures = json.loads((tmp_path / "size.json").read_text())["figures"]
    assert {"claim of 1", "claim of 50", "finish of 50", "apply of 50", "the page's status"} <= set(figures["fresh"])
    assert set(figures["fresh"]) == set(figures["after the claims"])
    assert figures["beside an open transaction"]
