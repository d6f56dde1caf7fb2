"""The daemon's pulse: a sign of life for the other replicas, fresh gauges, and the service manager's status line."""

import time

from omisync import __version__
from omisync.omisell import Budget
from omisync.service_manager import notify
from omisync.store import Leases
from omisync.store.operator import Operator, Status
from omisync.sync.breaker import Breaker
from omisync.web import Metrics


class Pulse:
    """One beat after the other.

    Args:
        leases: where the sign of life is left.
        operator: tells how things stand.
        metrics: shows it to Prometheus.
        budget: of calls.
        breaker: knows whether Omisell is away.
    """

    def __init__(self, leases: Leases, operator: Operator, metrics: Metrics, budget: Budget, breaker: Breaker) -> None:
        self._leases = leases
        self._operator = operator
        self._metrics = metrics
        self._budget = budget
        self._breaker = breaker

    async def beat(self) -> bool:
        """Tells everybody; False, for there is never more to do at once.

        Raises:
            StoreError: the database is away.
        """
        away = self._breaker.reason
        self._metrics.set_budget(self._budget.used_ratio)
        await self._leases.beat(
            {"budget_used_ratio": round(self._budget.used_ratio, 3), "away": away, "version": __version__}
        )
        status = await self._operator.status()
        self._gauges(status)
        notify(
            f"STATUS={status.outbox['pending']} to send, {status.failed} failed, {status.refresh_pending} to fetch"
            + (f", Omisell is away: {away}" if away else "")
        )
        return False

    def _gauges(self, status: Status) -> None:
        metrics = self._metrics
        metrics.set_outbox(status.outbox, status.oldest_pending_seconds)
        metrics.set_refresh(status.refresh_pending, status.refresh_lag_seconds)
        metrics.set_token(status.token_expires_seconds, held=status.token_held)
        metrics.set_hooks_waiting(status.hooks_waiting)
        metrics.set_last_push(status.last_push_at)
        metrics.set_last_sweep(status.last_sweep_at)
        silent = status.pushes_silent_since
        metrics.set_pushes_silent(0.0 if silent is None else time.time() - silent.timestamp())
