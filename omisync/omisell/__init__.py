"""Omisell's wire: client, tokens, budget, authorization of pushes, models, statuses, errors.

Knows nothing of Postgres nor of what is above it. What is public is named here.
"""

from omisync.omisell.authorization import Authorizer, sign
from omisync.omisell.budget import Budget
from omisync.omisell.client import OmisellClient, connect
from omisync.omisell.errors import (
    AuthenticationFailed,
    NotFound,
    OmisellError,
    Refused,
    Throttled,
    Unavailable,
)
from omisync.omisell.forecast import Capacity, Clearing, Forecast, capacity, capacity_table, forecast
from omisync.omisell.models import (
    AddedOrder,
    CatalogueEntry,
    ListedOrder,
    OrderDetail,
    OrderPage,
    Page,
    Parcel,
    Pickup,
    Place,
    Product,
    Shop,
)
from omisync.omisell.pool import Holder, Pool, PoolAway, SharedPool
from omisync.omisell.push import ORDER_EVENTS, BadPush, Push, parse_push
from omisync.omisell.shares import CallClass, Shares
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
    "Capacity",
    "CatalogueEntry",
    "Clearing",
    "Forecast",
    "Holder",
    "ListedOrder",
    "NotFound",
    "OmisellClient",
    "OmisellError",
    "OrderDetail",
    "OrderPage",
    "Page",
    "Parcel",
    "Pickup",
    "Place",
    "Pool",
    "PoolAway",
    "Product",
    "Push",
    "Refused",
    "SharedPool",
    "Shares",
    "Shop",
    "StoredToken",
    "Throttled",
    "TokenStore",
    "Tokens",
    "Unavailable",
    "can_cancel",
    "capacity",
    "capacity_table",
    "connect",
    "forecast",
    "is_cancelled",
    "is_final",
    "name_of",
    "parse_push",
    "sign",
]
