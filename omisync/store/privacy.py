"""The end of personal data: removed of orders long final, or of one that is named; never of one still on its way."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from omisync.store.database import Connection, Database, Record
from omisync.store.hooks import Hooks

Remover = Literal["retention", "operator"]


@dataclass(frozen=True, slots=True)
class Forgetting:
    """What a removal did, or would do.

    Attributes:
        order_number: the shop's.
        refused: why nothing is removed; None if it is.
        again: the data was removed before; what has come since is removed now.
        rows: of which tables how many rows may hold personal data.
    """

    order_number: str
    refused: str | None
    again: bool
    rows: Mapping[str, int]


class Privacy:
    """Removes personal data. All methods raise `StoreError`.

    Removed is what names, phones, addresses and e-mails stand in: of payloads, details, parcels and returns, by the
    names of the keys (`omisync.without_personal_data`); bodies of pushes, errors and notes altogether. The rest stays.
    """

    def __init__(self, database: Database, hooks: Hooks) -> None:
        self._database = database
        self._hooks = hooks

    async def forget_due(self, keep_seconds: float, most: int) -> int:
        """Removes that of up to `most` orders final for `keep_seconds`, and of rows that never became one; how many."""
        rows = await self._database.rows("privacy.due", keep_seconds=keep_seconds, most=most)
        numbers = [row["order_number"] for row in rows]
        rows = await self._database.rows(
            "privacy.due_rows", keep_seconds=keep_seconds, most=max(most - len(numbers), 0)
        )
        numbers = list(dict.fromkeys([*numbers, *(row["order_number"] for row in rows)]))
        forgotten = 0
        for start in range(0, len(numbers), self._hooks.group):
            part = numbers[start : start + self._hooks.group]
            async with self._database.transaction() as connection:
                await self._hooks.in_turn(connection, part)
                good = [row["order_number"] for row in await _held(connection, part) if _refusal(row) is None]
                await self._hooks.call(connection, await _forget(connection, good, "retention"))
            await self._database.rows("privacy.empty_pushes", order_numbers=good)
            forgotten += len(good)
        return forgotten


async def forget_one(database: Database, number: str, *, by: str, dry_run: bool, hook: bool) -> Forgetting | None:
    """Removes that of one order by either number, and notes who did it; None if nobody knows it.

    Args:
        database: where.
        number: the shop's or Omisell's.
        by: who does it, for the audit.
        dry_run: changes nothing.
        hook: whether `hooks.on_change` is configured: the daemon calls it, right after this.
    """
    async with database.transaction() as connection:
        order_number = await connection.value("privacy.number", number=number)
        if order_number is None:
            return None
        (held,) = await _held(connection, [order_number])
        refused = _refusal(held)
        rows = {name: held[name] for name in ("payloads", "details", "parcels", "returns", "pushes")}
        if refused is None and not dry_run:
            if hook:
                await connection.value("hooks.in_turn", order_numbers=[order_number])
            for event_id in await _forget(connection, [order_number], "operator"):
                if hook:
                    await connection.value("hooks.postpone", event_id=event_id, seconds=0.0, error=None)
            await connection.value("operator.note", who=by, action="forget", subject=order_number, data="{}")
    if refused is None and not dry_run:
        await database.rows("privacy.empty_pushes", order_numbers=[order_number])
    return Forgetting(order_number, refused, held["forgotten_at"] is not None, rows)


async def _held(connection: Connection, order_numbers: Sequence[str]) -> list[Record]:
    await connection.rows("privacy.locked", order_numbers=list(order_numbers))
    return await connection.rows("privacy.held", order_numbers=list(order_numbers))


async def _forget(connection: Connection, order_numbers: Sequence[str], source: Remover) -> list[int]:
    rows = await connection.rows("privacy.forget", order_numbers=list(order_numbers), source=source)
    return [row["event_id"] for row in rows]


def _refusal(held: Record) -> str | None:
    """Why the data must stay for now."""
    if held["open_id"] is not None:
        row = f"outbox row {held['open_id']} is {held['open_state']}"
        if held["open_state"] == "failed":
            return f"{row}, and may be sent again: `omisync outbox discard {held['open_id']}` first"
        return f"{row}: its payload is still needed; wait until it has ended, or discard it"
    if held["is_known"] and not held["is_final"]:
        status = " ".join(str(held[name]) for name in ("status_id", "status_name") if held[name] is not None)
        return (
            f"it is not final ({status or 'status unknown'}): Omisell still delivers it; cancel it, or wait for its end"
        )
    return None
