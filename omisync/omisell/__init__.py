"""Omisell's wire: client, tokens, budget, authorization of pushes, models, statuses, errors.

Knows nothing of Postgres nor of what is above it. What is public is named here.
"""

from omisync.omisell.authorization import Authorizer, sign
from omisync.omisell.budget import Budget, CallClass
from omisync.omisell.client import OmisellClient, connect
from omisync.omisell.errors import (
    AuthenticationFailed,
    NotFound,
    OmisellError,
    Refused,
    Throttled,
    Unavailable,
)
from omisync.omisell.models import AddedOrder, ListedOrder, OrderDetail, OrderPage, Parcel, Pickup, Shop
from omisync.omisell.push import ORDER_EVENTS, BadPush, Push, parse_push
from omisync.omisell.statuses import can_cancel, is_cancelled, is_final, name_of
from omisync.omisell.tokens import StoredToken, Tokens, TokenStore

__all__ = [
    "ORDER_EVENTS",
    "AddedOrder",
    "AuthenticationFailed",
    "Authorizer",
    "BadPush",
    "Budget",
    "CallClass",
    "ListedOrder",
    "NotFound",
    "OmisellClient",
    "OmisellError",
    "OrderDetail",
    "OrderPage",
    "Parcel",
    "Pickup",
    "Push",
    "Refused",
    "Shop",
    "StoredToken",
    "Throttled",
    "TokenStore",
    "Tokens",
    "Unavailable",
    "can_cancel",
    "connect",
    "is_cancelled",
    "is_final",
    "name_of",
    "parse_push",
    "sign",
]
