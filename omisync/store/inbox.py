"""The inbox: pushes made durable before they are answered, many in one INSERT, repeats left out."""

import hashlib
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from omisync.store.database import Database
from omisync.store.group_commit import GroupCommit

OWED_DELAY = 120.0  # seconds that a detail nobody hurries for waits: the next push may ask for it too
SETTLED = 5.0  # seconds after which no further change of a second of Omisell's can come to light in a detail
STORE_SECONDS = 2.0  # until pushes handed to the database are on disk; Omisell's sister waits 3 s [sibling: boxme]


@dataclass(frozen=True, slots=True)
class Delivery:
    """One authentic push, as its listener understood it; `body` is what came, byte for byte."""

    event: str
    category: str
    handled: bool
    request_id: str | None
    order_number: str | None
    omisell_order_number: str | None
    status_id: int | None
    updated_time: int | None
    shop_id: int | None
    authorization: str
    body: bytes

    @property
    def dedup_key(self) -> uuid.UUID:
        """The same for a repeat of this push.

        The guide offers `request_id` or (`omisell_order_number`, `status_id`, `updated_time`). Both together: should
        one request_id ever name two changes, none is lost. Without either, the body itself is the key.
        """
        told = (self.omisell_order_number, self.status_id, self.updated_time)
        if self.request_id is None and None in told:
            return uuid.UUID(bytes=hashlib.blake2b(self.body, digest_size=16).digest())
        parts = "\x1f".join(map(str, (self.event, self.request_id, *told)))
        return uuid.UUID(bytes=hashlib.blake2b(parts.encode("utf-8", "replace"), digest_size=16).digest())


@dataclass(frozen=True, slots=True)
class Routed:
    """How many pushes of one event were judged one way."""

    verdict: str
    event: str
    pushes: int


class Inbox:
    """Stores pushes and turns them into fetches.

    Args:
        owed_delay: seconds that a detail nobody hurries for waits.
        store_seconds: how long the database may take to store what is handed to it.
    """

    def __init__(
        self, database: Database, *, owed_delay: float = OWED_DELAY, store_seconds: float = STORE_SECONDS
    ) -> None:
        self._database = database
        self._owed_delay = owed_delay
        self._adding: GroupCommit[tuple[uuid.UUID, Delivery], bool] = GroupCommit(
            self._add, most=500, seconds=store_seconds
        )

    async def add(self, delivery: Delivery) -> bool:
        """Returns once the push is on disk: True if new, False if a repeat.

        Raises:
            StoreError: it is not stored, or not for all we know, and must not be answered with 200. At most twice
                `store_seconds` after the call if the database has stopped answering; behind a backlog that it is
                working off, the wait may be longer.
        """
        return await self._adding.submit((delivery.dedup_key, delivery))

    async def route(
        self, shop_id: int, most: int = 1000, *, omisell_now: float | None = None, firsts: Sequence[int] = ()
    ) -> list[Routed]:
        """Judges up to `most` new pushes and asks for the fetches they call for.

        Args:
            shop_id: the custom store; another's pushes are ignored.
            most: how many pushes.
            omisell_now: Omisell's clock, Unix seconds; this machine's if None.
            firsts: statuses whose detail is fetched at once, also where the status itself is known already.
        """
        rows = await self._database.rows(
            "inbox.route",
            shop_id=shop_id,
            most=most,
            owed_delay=self._owed_delay,
            firsts=list(firsts),
            omisell_now=time.time() if omisell_now is None else omisell_now,
            settled=SETTLED,
        )
        return [Routed(row["state"], row["event"], row["pushes"]) for row in rows]

    async def purge(self, keep_seconds: float, most: int) -> int:
        """Removes up to `most` handled pushes older than `keep_seconds`: above the 2 h 35 min of repeats [guide]."""
        return len(await self._database.rows("inbox.purge", keep_seconds=keep_seconds, most=most))

    async def _add(self, items: Sequence[tuple[uuid.UUID, Delivery]]) -> list[bool]:
        first: dict[uuid.UUID, Delivery] = {}
        for key, delivery in items:
            first.setdefault(key, delivery)
        ds = list(first.values())
        rows = await self._database.rows(
            "inbox.add",
            dedup_keys=list(first),
            events=[d.event for d in ds],
            categories=[d.category for d in ds],
            handled=[d.handled for d in ds],
            request_ids=[d.request_id for d in ds],
            order_numbers=[d.order_number for d in ds],
            omisell_order_numbers=[d.omisell_order_number for d in ds],
            status_ids=[d.status_id for d in ds],
            updated_times=[d.updated_time for d in ds],
            shop_ids=[d.shop_id for d in ds],
            authorization_forms=[d.authorization for d in ds],
            bodies=[d.body for d in ds],
        )
        new = {row["dedup_key"] for row in rows}
        answers = []
        for key, _ in items:
            answers.append(key in new)
            new.discard(key)  # the second of two equal ones in a batch is a repeat
        return answers
