"""The daemon's metrics: one registry of its own, every name of the contract, labels that stay bounded."""

import datetime as dt
import math
from collections.abc import Iterable, Mapping
from typing import Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from omisync.omisell.push import ORDER_EVENTS

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

OUTBOX_STATES: Final = ("pending", "sending", "failed")

NO_EVENT: Final = "none"
"""The event of a push that was turned away before it was read."""

API_SECONDS: Final = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0)
"""Reads of 30 to 60 seconds do occur at Omisell [notes: frappe-docs]."""

WEBHOOK_SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 3.0, 5.0)
"""3 s is the patience of Omisell's sister product [sibling: boxme]; ours ends at 2 s."""


class Metrics:
    """All that is measured.

    The methods are narrow on purpose: each part of the daemon gets an object with the one or two it needs.
    """

    def __init__(self) -> None:
        registry = CollectorRegistry(auto_describe=True)
        self._shown = _WithoutBirthdays(registry)
        self._outbox_rows = Gauge(
            "omisync_outbox_rows", "Rows of the outbox that are not finished.", ["state"], registry=registry
        )
        self._outbox_oldest = Gauge(
            "omisync_outbox_oldest_seconds", "Age of the oldest row still to be sent.", registry=registry
        )
        self._outbox_done = Counter(
            "omisync_outbox_done_total", "Rows finished.", ["kind", "outcome"], registry=registry
        )
        self._api_requests = Counter(
            "omisync_api_requests_total", "Requests to Omisell.", ["endpoint", "status"], registry=registry
        )
        self._api_seconds = Histogram(
            "omisync_api_request_seconds",
            "How long Omisell took.",
            ["endpoint"],
            registry=registry,
            buckets=API_SECONDS,
        )
        self._budget = Gauge(
            "omisync_budget_used_ratio", "Share of Omisell's bucket of calls that is in use.", registry=registry
        )
        self._webhooks = Counter(
            "omisync_webhooks_total", "Pushes from Omisell.", ["event", "outcome"], registry=registry
        )
        self._webhook_seconds = Histogram(
            "omisync_webhook_seconds",
            "From a push's head to its answer.",
            registry=registry,
            buckets=WEBHOOK_SECONDS,
        )
        self._refresh_pending = Gauge(
            "omisync_refresh_pending", "Orders whose detail is to be fetched.", registry=registry
        )
        self._refresh_lag = Gauge(
            "omisync_refresh_lag_seconds", "Age of the oldest fetch still to be done.", registry=registry
        )
        self._sweep_repairs = Counter(
            "omisync_sweep_repairs_total", "Differences that a sweep made good.", ["kind"], registry=registry
        )
        self._token = Gauge(
            "omisync_token_expires_seconds",
            "Seconds that Omisell's token is still good for; 0 without one, +Inf if Omisell told no end.",
            registry=registry,
        )
        self._leader = Gauge(
            "omisync_leader", "1 while this process sweeps and refreshes the token.", registry=registry
        )
        self._job_success = Gauge(
            "omisync_job_last_success_timestamp_seconds",
            "When a scheduled job last succeeded.",
            ["job"],
            registry=registry,
        )
        self._hooks_waiting = Gauge(
            "omisync_hooks_waiting", "Calls of hooks.on_change that failed or wait behind one.", registry=registry
        )
        self._last_push = Gauge(
            "omisync_webhook_last_timestamp_seconds",
            "When the last push came, to whichever replica; 0 before the first.",
            registry=registry,
        )
        self._pushes_silent = Gauge(
            "omisync_webhook_silent_seconds",
            "For how long no push has come although sweeps find unpushed changes; 0 while they come.",
            registry=registry,
        )
        self._last_sweep = Gauge(
            "omisync_sweep_last_success_timestamp_seconds",
            "When a sweep of any replica last ended well; 0 before the first.",
            registry=registry,
        )
        ProcessCollector(registry=registry)
        GCCollector(registry=registry)
        PlatformCollector(registry=registry)
        # the children, by their labels: to have the library look one up costs more than to count
        self._webhook_counters: dict[tuple[str, str], Counter] = {}
        self._outbox_counters: dict[tuple[str, str], Counter] = {}
        self._api: dict[tuple[str, str], tuple[Counter, Histogram]] = {}
        for state in OUTBOX_STATES:
            self._outbox_rows.labels(state)

    def request(self, endpoint: str, status: str, seconds: float) -> None:
        """A call to Omisell ended: `endpoint` is its short name, `status` a number, `timeout`, `reset`, ..."""
        seen = self._api.get((endpoint, status))
        if seen is None:
            seen = self._api_requests.labels(endpoint, status), self._api_seconds.labels(endpoint)
            self._api[endpoint, status] = seen
        seen[0].inc()
        seen[1].observe(seconds)

    def webhook(self, event: str, outcome: str, seconds: float) -> None:
        """A push was answered. An event that Omisell's guide does not know is counted as `other`."""
        key = (event if event in ORDER_EVENTS or event == NO_EVENT else "other", outcome)
        counter = self._webhook_counters.get(key)
        if counter is None:
            counter = self._webhook_counters[key] = self._webhooks.labels(*key)
        counter.inc()
        self._webhook_seconds.observe(seconds)

    def outbox_done(self, kind: str, outcome: str) -> None:
        """A row was finished; a failed one with the outcome `failed`."""
        done = self._outbox_counters.get((kind, outcome))
        if done is None:
            done = self._outbox_counters[kind, outcome] = self._outbox_done.labels(kind, outcome)
        done.inc()

    def sweep_repair(self, kind: str) -> None:
        """A sweep made a difference good."""
        self._sweep_repairs.labels(kind).inc()

    def set_outbox(self, states: Mapping[str, int], oldest: float | None) -> None:
        """Rows by state, and the age in seconds of the oldest still to be sent."""
        for state in OUTBOX_STATES:
            self._outbox_rows.labels(state).set(states.get(state, 0))
        self._outbox_oldest.set(oldest or 0.0)

    def set_refresh(self, pending: int, lag: float | None) -> None:
        """Orders to be fetched, and for how many seconds the first of them has been waiting."""
        self._refresh_pending.set(pending)
        self._refresh_lag.set(lag or 0.0)

    def set_budget(self, ratio: float | None) -> None:
        """The used share of Omisell's bucket, 0 to 1."""
        self._budget.set(ratio or 0.0)

    def set_token(self, seconds: float | None, *, held: bool = False) -> None:
        """Seconds until the token expires; None without one, which is shown as 0, or (`held`) without an end."""
        self._token.set(math.inf if held and seconds is None else max(seconds or 0.0, 0.0))

    def set_leader(self, leads: bool) -> None:
        """Whether this process is the leader."""
        self._leader.set(leads)

    def set_hooks_waiting(self, waiting: int) -> None:
        """Hook calls still to be made good."""
        self._hooks_waiting.set(waiting)

    def set_last_push(self, at: dt.datetime | None) -> None:
        """When the last push came."""
        self._last_push.set(0.0 if at is None else at.timestamp())

    def set_pushes_silent(self, seconds: float) -> None:
        """For how long pushes have been missing; 0 if they are not."""
        self._pushes_silent.set(max(seconds, 0.0))

    def set_last_sweep(self, at: dt.datetime | None) -> None:
        """When a sweep last ended well."""
        self._last_sweep.set(0.0 if at is None else at.timestamp())

    def job_succeeded(self, job: str) -> None:
        """A scheduled job ended well, now."""
        self._job_success.labels(job).set_to_current_time()

    def render(self) -> bytes:
        """Everything in Prometheus's text format 0.0.4."""
        return generate_latest(self._shown)


class _WithoutBirthdays(Collector):
    """A registry without the `_created` series, which the library adds to every counter and histogram."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry

    def collect(self) -> Iterable[Metric]:
        for metric in self._registry.collect():
            metric.samples = [sample for sample in metric.samples if not sample.name.endswith("_created")]
            yield metric
