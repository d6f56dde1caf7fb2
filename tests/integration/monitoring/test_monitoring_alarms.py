"""Alarms and dashboard: Prometheus takes them, every metric they name is ours, each alarm fires in its incident."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from omisync.web import Metrics

ROOT = Path(__file__).parents[3]
RULES = ROOT / "systemd" / "prometheus-alerts.yml"
DASHBOARD = json.loads((ROOT / "systemd" / "grafana-dashboard.json").read_text())
ALARMS = re.findall(r"^ +- alert: (\w+)$", RULES.read_text(), re.MULTILINE)

PROMTOOL = shutil.which("promtool")
needs_promtool = pytest.mark.skipif(
    PROMTOOL is None, reason="promtool is missing: Debian's package prometheus brings it"
)
OTHERS = {"up", "process_resident_memory_bytes"}
"""Metrics that Prometheus and its library give."""

CONTRACT = {
    "omisync_outbox_rows": ["state"],
    "omisync_outbox_oldest_seconds": [],
    "omisync_outbox_done_total": ["kind", "outcome"],
    "omisync_api_requests_total": ["endpoint", "status"],
    "omisync_api_request_seconds": ["endpoint"],
    "omisync_budget_used_ratio": [],
    "omisync_webhooks_total": ["event", "outcome"],
    "omisync_webhook_seconds": [],
    "omisync_refresh_pending": [],
    "omisync_refresh_lag_seconds": [],
    "omisync_sweep_repairs_total": ["kind"],
    "omisync_token_expires_seconds": [],
    "omisync_leader": [],
}
"""Every metric of the contract with its labels."""


def shown() -> str:
    """All metrics, after each thing that is counted has happened once."""
    metrics = Metrics()
    metrics.request("order.add", "200", 0.1)
    metrics.webhook("order.created", "stored", 0.01)
    metrics.outbox_done("order.add", "added")
    metrics.sweep_repair("status")
    metrics.job_succeeded("sweep")
    return metrics.render().decode()


def run(*arguments: str) -> str:
    """What promtool says; it must be content."""
    assert PROMTOOL is not None
    done = subprocess.run([PROMTOOL, *arguments], capture_output=True, text=True, timeout=120, check=False)  # noqa: S603
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def expressions() -> list[str]:
    """Of the dashboard's panels."""
    return [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]


@pytest.mark.parametrize(("name", "labels"), CONTRACT.items(), ids=list(CONTRACT))
def test_every_metric_of_the_contract_is_there_with_its_labels(name: str, labels: list[str]) -> None:
    series = re.findall(rf"^{name}(?:_bucket)?(?:{{(.*)}})? \S+$", shown(), re.MULTILINE)
    assert series
    for one in series:
        assert re.findall(r"(\w+)=", re.sub(r'le="[^"]*"', "", one)) == labels


def test_every_metric_that_an_alarm_or_the_dashboard_names_is_ours() -> None:
    named = set(re.findall(r"\b(?:omisync|process)_[a-z_]+\b", RULES.read_text() + " ".join(expressions())))
    assert len(named) > len(CONTRACT)
    ours = set(re.findall(r"^([a-z_]+)(?:{.*})? \S+$", shown(), re.MULTILINE))
    assert named - ours - OTHERS == set()


def test_every_alarm_is_in_the_operators_table_and_no_other() -> None:
    told = re.findall(r"^\| `(Omisync\w+)` \|", (ROOT / "docs" / "operating.md").read_text(), re.MULTILINE)
    assert sorted(told) == sorted(ALARMS)


def test_every_panel_has_its_own_place_name_and_number() -> None:
    panels = DASHBOARD["panels"]
    assert len({panel["id"] for panel in panels}) == len({panel["title"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken
        assert at["x"] + at["w"] <= 24  # the width of Grafana's grid
        taken |= cells


@needs_promtool
def test_prometheus_takes_the_alarms() -> None:
    assert f"SUCCESS: {len(ALARMS)} rules found" in run("check", "rules", str(RULES))


@needs_promtool
def test_prometheus_understands_every_question_of_the_dashboard(tmp_path: Path) -> None:
    rules = [
        {"record": f"panel:{place}", "expr": expr.replace("$__rate_interval", "5m").replace("$job", "omisync")}
        for place, expr in enumerate(expressions())
    ]
    file = tmp_path / "panels.json"  # JSON is YAML
    file.write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}))
    assert f"SUCCESS: {len(rules)} rules found" in run("check", "rules", str(file))


HOURS = 8
MINUTES = HOURS * 60
ORDINARY = {
    "up": "1x480",
    "omisync_outbox_rows{state='failed'}": "0x480",
    "omisync_outbox_oldest_seconds": "5x480",
    "omisync_refresh_lag_seconds": "2x480",
    "omisync_token_expires_seconds": "40000x480",
    "omisync_webhook_silent_seconds": "0x480",
    "omisync_webhook_last_timestamp_seconds": "0+60x480",  # the simulated clock begins at 0
    "omisync_outbox_done_total{kind='order.add', outcome='added'}": "0+3x480",
    "omisync_webhooks_total{event='none', outcome='unauthorized'}": "0x480",
    "omisync_webhooks_total{event='none', outcome='forbidden'}": "0x480",
    "omisync_budget_used_ratio": "0.4x480",
    "omisync_sweep_last_success_timestamp_seconds": "0+60x480",
    "omisync_hooks_waiting": "0x480",
    "omisync_leader": "1x480",
}
"""A day on which all is well, a value a minute, as Prometheus's tests write it."""

INCIDENTS = [
    # the daemon's machine is off: what it measured goes stale with it
    ("OmisyncDown", {"up": "1x99 0x380"}, 100, 5, "critical"),
    # sending is paused, or Omisell is away: the oldest row grows older
    ("OmisyncBacklogOld", {"omisync_outbox_oldest_seconds": "5x99 0+60x380"}, 116, 5, "critical"),
    # Omisell refuses an order
    ("OmisyncRowsFailed", {"omisync_outbox_rows{state='failed'}": "0x99 1x380"}, 100, 1, "warning"),
    # a sale evening spends the limit on adds
    ("OmisyncStatesLate", {"omisync_refresh_lag_seconds": "2x99 0+60x380"}, 116, 5, "warning"),
    # the API key was withdrawn
    ("OmisyncTokenNearItsEnd", {"omisync_token_expires_seconds": "1800-60x480"}, 1, 5, "critical"),
    # the hook was deleted in the Console: sweeps find what no push told
    ("OmisyncNoPush", {"omisync_webhook_silent_seconds": "0x99 0+60x380"}, 131, 5, "warning"),
    # the same while sweeps fail as well: orders go out, and no push comes
    ("OmisyncNoPush", {"omisync_webhook_last_timestamp_seconds": "0x480"}, 361, 5, "warning"),
    # the secret was changed on one side only
    (
        "OmisyncPushesRefused",
        {"omisync_webhooks_total{event='none', outcome='unauthorized'}": "0x99 1+1x380"},
        110,
        0,
        "warning",
    ),
    # Omisell pushes from an address that webhook.allow does not have
    (
        "OmisyncPushesRefused",
        {"omisync_webhooks_total{event='none', outcome='forbidden'}": "0x99 1+1x380"},
        110,
        0,
        "warning",
    ),
    # another program uses the account's API
    ("OmisyncBudgetExhausted", {"omisync_budget_used_ratio": "0.4x99 0.99x380"}, 100, 30, "warning"),
    # every sweep ends with an error
    ("OmisyncSweepNotRun", {"omisync_sweep_last_success_timestamp_seconds": "0x480"}, 61, 5, "warning"),
    # the shop's SQL function raises
    ("OmisyncHookFailing", {"omisync_hooks_waiting": "0x99 4x380"}, 100, 10, "warning"),
    # no replica can take the lease
    ("OmisyncNoLeader", {"omisync_leader": "1x99 0x380"}, 100, 2, "critical"),
]
"""Alarm, what is measured otherwise, the minute from which its condition holds, for how long it must, severity."""


def labelled(series: str) -> str:
    """The series as a job of Prometheus's has it."""
    name, _, labels = series.rstrip("}").partition("{")
    return f"{name}{{{labels + ', ' if labels else ''}job='omisync', instance='shop-1:8081'}}"


def firing_at(minute: int, expected: list[dict[str, str]]) -> dict[str, Any]:
    samples = [
        {
            "labels": "ALERTS{" + ", ".join(f'{name}="{value}"' for name, value in alarm.items()) + "}",
            "value": 1,
        }
        for alarm in expected
    ]
    return {"expr": 'ALERTS{alertstate="firing"}', "eval_time": f"{minute}m", "exp_samples": samples}


def simulate(tmp_path: Path, series: dict[str, str], questions: list[dict[str, Any]]) -> None:
    test = {
        "interval": "1m",
        "input_series": [{"series": labelled(name), "values": values} for name, values in series.items()],
        "promql_expr_test": questions,
    }
    file = tmp_path / "incident.json"
    file.write_text(json.dumps({"rule_files": [str(RULES)], "evaluation_interval": "1m", "tests": [test]}))
    assert "SUCCESS" in run("test", "rules", str(file))


@needs_promtool
def test_on_an_ordinary_day_no_alarm_fires(tmp_path: Path) -> None:
    simulate(tmp_path, ORDINARY, [firing_at(minute, []) for minute in (1, 60, 240, MINUTES - 1)])


@needs_promtool
def test_a_token_without_an_end_sets_off_no_alarm(tmp_path: Path) -> None:
    endless = ORDINARY | {"omisync_token_expires_seconds": " ".join(["Inf"] * MINUTES)}
    simulate(tmp_path, endless, [firing_at(minute, []) for minute in (60, MINUTES - 1)])


@needs_promtool
@pytest.mark.parametrize(("alarm", "measured", "minute", "patience", "severity"), INCIDENTS)
def test_in_its_incident_the_alarm_fires_after_its_patience_and_no_other(
    tmp_path: Path, alarm: str, measured: dict[str, str], minute: int, patience: int, severity: str
) -> None:
    assert measured.keys() <= ORDINARY.keys()
    fired = {"alertname": alarm, "alertstate": "firing", "job": "omisync", "severity": severity}
    if alarm == "OmisyncDown":
        fired["instance"] = "shop-1:8081"
    before, after = minute + patience - 2, minute + patience + 1
    quiet = [firing_at(before, [])] if before > 0 else []
    simulate(tmp_path, ORDINARY | measured, [*quiet, firing_at(after, [fired])])


def test_every_alarm_has_an_incident() -> None:
    assert {alarm for alarm, *_ in INCIDENTS} == set(ALARMS)
