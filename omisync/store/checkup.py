"""What `omisync check` asks of a database: who and what it is, its clock, its rights, what is installed in it."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

from omisync.store.database import Database

PAGE = 500
"""Rows of the outbox that are read at a time."""


@dataclass(frozen=True, slots=True)
class Server:
    """The server that answered.

    Attributes:
        version: Postgres's own, such as `15.4`.
        database: the database's name.
        login: the user as whom we are in.
        standby: whether it only follows another server, and so takes no writes.
    """

    version: str
    database: str
    login: str
    standby: bool


class Inspection:
    """Looks, and changes nothing. All methods raise `StoreError`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def server(self) -> Server:
        """The server; needs no table of ours."""
        row = await self._database.row("checkup.server")
        assert row is not None  # noqa: S101 - a SELECT without FROM always has its row
        return Server(**dict(row))

    async def clock(self) -> float:
        """The database's clock, Unix seconds; needs no table of ours."""
        seconds: float = await self._database.value("checkup.clock")
        return seconds

    async def closed_tables(self) -> list[str]:
        """The schema's tables that this user may not both read and write."""
        return [row["name"] for row in await self._database.rows("checkup.closed_tables")]

    async def notifies(self) -> bool:
        """Whether the shop's inserts notify the daemon."""
        found: bool = await self._database.value("checkup.notifies")
        return found

    async def hook(self, function: str) -> bool | None:
        """Whether this user may call the hook; None if there is no such function taking `jsonb`."""
        allowed: bool | None = await self._database.value("checkup.hook", signature=f"{function}(jsonb)")
        return allowed

    async def pending_adds(self) -> AsyncIterator[tuple[int, str]]:
        """Id and payload, as JSON, of every add that waits to be sent."""
        after = 0
        while rows := await self._database.rows("checkup.pending_adds", after=after, most=PAGE):
            for row in rows:
                yield row["id"], row["payload"]
            after = rows[-1]["id"]
