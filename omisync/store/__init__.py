"""Postgres: the outbox, the inbox, the orders, and what the daemon keeps for itself. SQL comes from `sql/` only."""

from omisync.store.database import Database
from omisync.store.errors import SchemaError, StoreError, StoreMisused, StoreUnavailable
from omisync.store.hooks import Hooks
from omisync.store.inbox import Delivery, Inbox
from omisync.store.lag import ListLag
from omisync.store.leases import Leases
from omisync.store.lifecycle import State
from omisync.store.notices import Notice, NoticeKind, Notices, Untold
from omisync.store.orders import Applied, Difference, Fetch, Listed, Orders, Snapshot, Unconfirmed
from omisync.store.outbox import Claim, Ending, Kind, Outbox, Reached
from omisync.store.sweeps import SweepKind, Sweeps
from omisync.store.tokens import TokenRow, TokenTable

__all__ = [
    "Applied",
    "Claim",
    "Database",
    "Delivery",
    "Difference",
    "Ending",
    "Fetch",
    "Hooks",
    "Inbox",
    "Kind",
    "Leases",
    "ListLag",
    "Listed",
    "Notice",
    "NoticeKind",
    "Notices",
    "Orders",
    "Outbox",
    "Reached",
    "SchemaError",
    "Snapshot",
    "State",
    "StoreError",
    "StoreMisused",
    "StoreUnavailable",
    "SweepKind",
    "Sweeps",
    "TokenRow",
    "TokenTable",
    "Unconfirmed",
    "Untold",
]
