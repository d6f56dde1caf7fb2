"""hooks.on_change: the merchant's own SQL function, called once for each event, never able to undo an order's state."""

import re
from collections.abc import Sequence

import asyncpg

from omisync.store.database import BY_VALUES, PLANNING_RESET, Connection, Database

FIRST_RETRY = 1.0  # seconds
LAST_RETRY = 60.0  # seconds between two tries, at the most
LOCK_TIMEOUT_MS = 500  # below Postgres's deadlock_timeout of 1 s: in a deadlock with the shop the hook yields
ANSWER_MARGIN = 2.0  # seconds beyond a call's own time-out until the server is taken to ignore it
# Transactions with a hook in them at a time, of endings and of details each: a slow call must not hold all, and slow
# calls of both must not take the whole pool of eight.
WRITERS = 2
_NAME = re.compile(r'(?:(?:[a-z_][a-z0-9_$]*|"[^"]+")\.)?(?:[a-z_][a-z0-9_$]*|"[^"]+")')


class Hooks:
    """Calls the hook inside the transaction that wrote an event; what fails is kept and tried again.

    Args:
        database: for the retries, which run in transactions of their own.
        function: `hooks.on_change`, a function taking `jsonb`; None calls nothing.
        timeout: seconds for one call, `hooks.timeout`.

    Raises:
        ValueError: `function` is not a function's name.
    """

    def __init__(self, database: Database, function: str | None = None, timeout: float = 5.0) -> None:
        if function is not None and not _NAME.fullmatch(function):
            raise ValueError(f"hooks.on_change {function!r} is not the name of a function, as shop.order_changed")
        self._database = database
        self._call = None if function is None else f"SELECT {function}($1::text::jsonb)"
        self._timeout = timeout

    @property
    def group(self) -> int:
        """How many orders one transaction may change: with a hook, one, so that a slow call holds no other order."""
        return 500 if self._call is None else 1

    @property
    def writers(self) -> int:
        """How many such transactions may be under way at a time."""
        return 1 if self._call is None else WRITERS

    async def in_turn(self, connection: Connection, order_numbers: Sequence[str]) -> None:
        """Waits, before events of these orders are written, for whoever writes others of theirs just now.

        Otherwise a slow call would be overtaken by that of a later event. Held until the transaction's end.
        """
        if self._call is not None:
            await connection.value("hooks.in_turn", order_numbers=list(order_numbers))

    async def whose_turn(self, connection: Connection, order_numbers: Sequence[str]) -> list[str]:
        """Up to `group` of these orders of which nobody writes events just now: `in_turn` for who can come later."""
        if self._call is None:
            return list(order_numbers[: self.group])
        rows = await connection.rows("hooks.whose_turn", order_numbers=list(order_numbers), most=self.group)
        return [row["order_number"] for row in rows]

    async def call(self, connection: Connection, event_ids: Sequence[int]) -> None:
        """Calls the hook for new events, in the transaction that wrote them."""
        if self._call is None or not event_ids:
            return
        behind = {row["id"] for row in await connection.rows("hooks.behind", event_ids=list(event_ids))}
        for event_id in sorted(event_ids):
            if event_id in behind:
                await connection.value("hooks.postpone", event_id=event_id, seconds=0.0, error=None)
            else:
                await self._try(connection, event_id, attempts=0)

    async def retry_due(self, most: int = 50) -> int:
        """Calls again what failed and is due, in order per order, each in its own transaction; returns how many."""
        if self._call is None:
            return 0
        well = 0
        for _ in range(most):
            async with self._database.transaction() as connection:
                due = await connection.row("hooks.due")
                if due is None:
                    break
                if await self._try(connection, due["event_id"], attempts=due["attempts"]):
                    await connection.value("hooks.done", event_id=due["event_id"])
                    well += 1
        return well

    async def _try(self, connection: Connection, event_id: int, attempts: int) -> bool:
        event = await connection.value("hooks.event", event_id=event_id)
        try:
            async with connection.raw.transaction():
                await connection.raw.execute(
                    f"SET LOCAL statement_timeout = {int(self._timeout * 1000)};"
                    f" SET LOCAL lock_timeout = {LOCK_TIMEOUT_MS}; {BY_VALUES}"  # the hook's queries are not ours
                )
                await connection.raw.execute(self._call, event, timeout=self._timeout + ANSWER_MARGIN)
                await connection.raw.execute(
                    f"SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0; {PLANNING_RESET}"
                )
        except asyncpg.PostgresConnectionError:
            raise
        except (asyncpg.PostgresError, TimeoutError) as error:
            delay = min(LAST_RETRY, FIRST_RETRY * 2.0 ** min(attempts, 10))
            # the hook's own words may carry personal data
            why = f"{getattr(error, 'sqlstate', 'no answer')}: {type(error).__name__}"
            await connection.value("hooks.postpone", event_id=event_id, seconds=delay, error=why)
            return False
        return True
