"""What is in flight under a lease: renewed while calls last, known to be lost when it is."""

import uuid
from collections.abc import Awaitable, Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from omisync.clock import since_boot
from omisync.store.outbox import LEASE_SECONDS

RENEW_EVERY = 4.0  # seconds; a lease outlasts two renewals that fail
LEASE_MARGIN = 2.0  # seconds before its end from which a lease no longer lets a call begin

K = TypeVar("K", bound=Hashable)


class LeaseLost(Exception):
    """Somebody else may hold this row by now: nothing may be sent for it."""


@dataclass(slots=True)
class Held:
    """One row under lease. `good_until` is by the clock `since_boot`: no wall clock matters, and no sleep."""

    lease: uuid.UUID
    good_until: float
    sent: bool = False

    def about_to_send(self) -> None:
        """To be called at the last moment before a request goes out.

        Raises:
            LeaseLost: the lease may have run out; the request must not go.
        """
        if since_boot() > self.good_until:
            raise LeaseLost
        self.sent = True


class Flight(Generic[K]):
    """The rows a worker holds, by key, and the renewal of their leases."""

    def __init__(self, renew: Callable[[Sequence[uuid.UUID]], Awaitable[set[K]]]) -> None:
        self._renew = renew
        self._held: dict[K, Held] = {}

    def __len__(self) -> int:
        return len(self._held)

    def take(self, key: K, lease: uuid.UUID, claimed_at: float) -> Held:
        """Notes a row claimed at `claimed_at` (`since_boot`, read before the claim was asked for)."""
        held = Held(lease, claimed_at + LEASE_SECONDS - LEASE_MARGIN)
        self._held[key] = held
        return held

    def drop(self, key: K) -> None:
        """Forgets a row."""
        self._held.pop(key, None)

    async def renew(self) -> None:
        """Renews every lease held; a row that is no longer ours may not be sent any more.

        Raises:
            StoreError: nothing was renewed; leases run on to their end.
        """
        if not self._held:
            return
        asked = dict(self._held)
        began = since_boot()
        ours = await self._renew(list({held.lease for held in asked.values()}))
        for key, held in asked.items():
            held.good_until = began + LEASE_SECONDS - LEASE_MARGIN if key in ours else 0.0
