"""Omisell's order statuses: which end an order, which are cancellations, which can still be cancelled.

Ids are the key; names arrive localised and nothing may branch on them [guide 5.5].
"""

from types import MappingProxyType
from typing import Final

CANCELLATION_REQUESTED: Final = 370
"""Omisell took the request and has not decided yet [guide]."""

SHIPPED: Final = 500
"""From here on an order usually cannot be cancelled [guide 6]."""

NAMES: Final = MappingProxyType(
    {
        200: "New",
        250: "Awaiting confirmation",
        260: "Courier allocation",
        300: "Approved",
        350: "Awaiting Generate Label",
        360: "Exception - Ready to Ship",
        370: "Cancellation Requested",
        380: "Label Generation Errors",
        400: "Processing",
        440: "Exceptions",
        460: "Ready to Ship",
        500: "Shipped",
        600: "Delivering",
        700: "Cancelled by seller",
        701: "Cancelled by operator",
        702: "Cancelled by partner",
        703: "Cancelled by system",
        708: "Cancelled by lost items at warehouse",
        800: "Returned",
        850: "Courier Lost Items",
        900: "Completed",
    }
)
"""Every status of the guide, by id, in English [guide]."""

_FINAL_BESIDES_CANCELLED = frozenset({800, 850, 900})


def is_cancelled(status_id: int) -> bool:
    """Whether the order is cancelled: 700-799, also those ids the guide does not list [guide, omisell-api 7.1]."""
    return 700 <= status_id <= 799


def is_final(status_id: int) -> bool:
    """Whether the guide calls the status final.

    A push or a sweep may still change such an order, for example to returned after 900: apply it.
    An id the guide does not list is not final, except 700-799.
    """
    return is_cancelled(status_id) or status_id in _FINAL_BESIDES_CANCELLED


def can_cancel(status_id: int) -> bool:
    """Whether a cancel can still succeed: not final and not yet shipped [guide 6]."""
    return status_id < SHIPPED and not is_final(status_id)


def name_of(status_id: int) -> str:
    """The guide's English name, for people; `status 123` for an id it does not list."""
    return NAMES.get(status_id, f"status {status_id}")
