"""A row of Omisell's list as the store takes it: cleaned, with what its status means for the detail."""

from omisync.omisell import ListedOrder, is_final
from omisync.store import Listed
from omisync.sync.snapshot import storable

FIRSTS = (460, 500)
"""Statuses at which a detail brings parcels and tracking that a list lacks: ready to ship, shipped [guide]. So do the
final ones, with the last word on the order; details of all others can wait for spare budget."""


def listed_of(order: ListedOrder) -> Listed:
    """The row, for `Orders.take_listed` and `Orders.differing`."""
    status_id = order.status_id
    final = status_id is not None and is_final(status_id)
    return Listed(
        order.omisell_order_number,
        order.order_number or "",
        status_id,
        order.updated_time,
        status_name=storable(order.status_name),
        is_final=final,
        first=final or status_id in FIRSTS,
    )
