"""The budget of calls: how much of it is used, and what a day of it can carry."""

from omisync.checkup.verdict import Check, State
from omisync.config import OmisellSettings
from omisync.omisell.forecast import capacity

PUSHES = 4
"""An order's ordinary life: created, ready to ship, shipped, completed [guide 5.2]."""
HIGH = 0.9
"""Share of the bucket from which every call has to wait its turn."""


def examine_budget(settings: OmisellSettings, used: float | None) -> Check:
    """Judges the budget.

    Args:
        settings: the configuration.
        used: how full the bucket is, 0 to 1; None if Omisell was not asked.
    """
    orders = capacity(settings.leak_per_minute, PUSHES).orders
    carries = f"{settings.leak_per_minute:g} calls a minute carry {orders:,} orders a day with {PUSHES} pushes each"
    if used is None:
        return Check("budget", State.OK, f"as configured, {carries}")
    said = f"{used:.0%} of the bucket is used; {carries}"
    if used >= HIGH:
        advice = "nothing is lost, but it takes time: `omisync status` says how long; does something else call too?"
        return Check("budget", State.WARNING, said, advice)
    return Check("budget", State.OK, said)
