"""What the backlog will take: the rows that wait, as calls of their classes, in the budget's order of service."""

from omisync.config import OmisellSettings
from omisync.omisell.forecast import Forecast, forecast
from omisync.omisell.shares import CallClass, Shares
from omisync.store.operator import Status

CLASSES = {
    "order.cancel": CallClass.CANCEL,
    "order.add": CallClass.ADD,
    "refresh": CallClass.REFRESH,
    "owed": CallClass.SWEEP,
}
"""Whose call a waiting row is, by its name in `Status.backlog`; a detail that is owed goes behind all else."""


def outlook(status: Status, settings: OmisellSettings) -> Forecast:
    """When everything that waits now is done, at a call for each row, which is the most that they can take.

    Rows of a paused kind are left out: they wait for a person, not for the budget.
    """
    paused = {pause.kind for pause in status.pauses}
    backlog = {cls: 0 if name in paused else status.backlog.get(name, 0) for name, cls in CLASSES.items()}
    used = status.budget_used_ratio
    room = 0.0 if used is None else (1 - used) * settings.bucket_size
    shares = Shares(**settings.shares.model_dump())
    return forecast(backlog, settings.leak_per_minute, shares=shares, room=room)
