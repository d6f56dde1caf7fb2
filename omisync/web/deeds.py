"""What an operator can do from the page: retry and discard rows, pause and resume. Each is written into the audit."""

import asyncio
import re
from collections.abc import Awaitable, Sequence
from typing import Final, Literal, Protocol, TypeVar

from aiohttp import web
from structlog.typing import FilteringBoundLogger

from omisync.store.errors import StoreError
from omisync.store.operator import KINDS, Change
from omisync.web.door import Door
from omisync.web.seen import Lookout

WHO: Final = "admin page"
"""The name in the audit: the token is everyone's who has it."""
DEED_SECONDS: Final = 30.0
"""For one change; of all failed rows, it may take a while."""
DISCARDED_AT_ONCE: Final = 1000
"""Rows that one confirmation names, so that nothing is given up that it did not show."""
CHANGES_SHOWN: Final = 50
REASON_LENGTH: Final = 200
_ID: Final = re.compile(r"[0-9]{1,18}")

Action = Literal["retry", "discard"]
Result = TypeVar("Result")


class Mends(Protocol):
    """Where changes are made; see `omisync.store.operator.Operator`."""

    async def retry(
        self, ids: Sequence[int] | None = None, *, all_failed: bool = False, dry_run: bool = False, by: str
    ) -> list[Change]:
        """Puts failed rows back to be tried from the start."""
        ...

    async def discard(
        self, ids: Sequence[int] | None = None, *, all_failed: bool = False, dry_run: bool = False, by: str
    ) -> list[Change]:
        """Gives rows up."""
        ...

    async def pause(self, kind: str | None, reason: str | None, by: str) -> None:
        """Stops sending of one kind, or of both."""
        ...

    async def resume(self, kind: str | None, by: str) -> int:
        """Starts sending again."""
        ...


class Deeds:
    """The forms of the pages. What cannot be undone is shown, and asked again, before it is done."""

    def __init__(self, source: Mends, lookout: Lookout, door: Door, log: FilteringBoundLogger) -> None:
        self._source = source
        self._log = log
        self._lookout = lookout
        self._door = door

    def routes(self) -> list[web.RouteDef]:
        """Every address that changes something."""
        return [
            web.post("/rows", self._door.changing(self.rows)),
            web.post("/pause", self._door.changing(self.pause)),
            web.post("/resume", self._door.changing(self.resume)),
        ]

    async def rows(self, request: web.Request) -> web.StreamResponse:
        """`POST /rows`: `do` is `retry` or `discard`, for the rows chosen; with `:ID` for that one, `:all` for all."""
        form = await request.post()
        action, _, which = str(form.get("do", "")).partition(":")
        ids = _ids([which] if which not in {"", "all"} else [str(value) for value in form.getall("row", [])])
        if ids is None or action not in {"retry", "discard"}:
            raise web.HTTPBadRequest(text="This form is not one of ours.")
        if not ids and which != "all":
            why = "No row was chosen. Go back and tick the rows that are meant."
            return self._door.trouble(request, 400, "Nothing to do", why)
        sure = action == "retry" or "sure" in form
        try:
            if action == "retry":
                changes = await self._soon(self._source.retry(ids, all_failed=which == "all", by=WHO))
            else:
                changes = await self._soon(
                    self._source.discard(ids, all_failed=which == "all" and not sure, dry_run=not sure, by=WHO)
                )
        except StoreError as error:
            return self._away(request, error)
        if not sure:
            return self._ask(request, changes)
        return self._changed(request, changes, action)

    async def pause(self, request: web.Request) -> web.StreamResponse:
        """`POST /pause`: sending of `kind`, or of both, for `reason`."""
        form = await request.post()
        reason = " ".join(str(form.get("reason", "")).split())[:REASON_LENGTH] or None
        try:
            await self._soon(self._source.pause(kind := _kind(form.get("kind")), reason, WHO))
        except StoreError as error:
            return self._away(request, error)
        self._log.info("sending paused", kind=kind or "all", by=WHO)
        raise web.HTTPSeeOther("/")

    async def resume(self, request: web.Request) -> web.StreamResponse:
        """`POST /resume`: sending of `kind`, or of both, goes on."""
        form = await request.post()
        try:
            await self._soon(self._source.resume(kind := _kind(form.get("kind")), WHO))
        except StoreError as error:
            return self._away(request, error)
        self._log.info("sending resumed", kind=kind or "all", by=WHO)
        raise web.HTTPSeeOther("/")

    async def _soon(self, change: Awaitable[Result]) -> Result:
        try:
            async with asyncio.timeout(DEED_SECONDS):
                return await change
        except TimeoutError:
            raise StoreError(f"the database did not answer within {DEED_SECONDS:g} s; nothing was changed") from None
        finally:
            self._lookout.forget()

    def _ask(self, request: web.Request, changes: Sequence[Change]) -> web.Response:
        meant = [change for change in changes if change.done]
        if not meant:
            return self._changed(request, changes, "discard")
        asked = meant[:DISCARDED_AT_ONCE]
        return self._door.page(
            "sure.html", request, asked=asked, shown=asked[:CHANGES_SHOWN], later=len(meant) - len(asked)
        )

    def _changed(self, request: web.Request, changes: Sequence[Change], action: str) -> web.Response:
        verb = {"retry": "retried", "discard": "discarded"}[action]
        done = sum(change.done for change in changes)
        for change in changes:
            if change.done:
                facts = {"order_number": change.order_number, "outbox_id": change.id, "by": WHO}
                self._log.info(f"{change.kind} {verb}", **facts)
        told = sorted(changes, key=lambda change: change.done)[:CHANGES_SHOWN]  # first what was left alone, and why
        return self._door.page("changed.html", request, shown=told, done=done, of=len(changes), verb=verb)

    def _away(self, request: web.Request, error: StoreError) -> web.Response:
        return self._door.trouble(request, 503, "The database is away", str(error))


def _ids(texts: Sequence[str]) -> list[int] | None:
    """The rows that a form names, one or several in a field; None if that are no rows."""
    words = [word for text in texts for word in text.split()]
    if not all(_ID.fullmatch(word) for word in words):
        return None
    return [int(word) for word in words]


def _kind(value: object) -> str | None:
    """One kind of rows; None for both.

    Raises:
        HTTPBadRequest: there is no such kind.
    """
    if value in (None, ""):
        return None
    kind = next((kind for kind in KINDS if kind == value), None)
    if kind is None:
        raise web.HTTPBadRequest(text="There is no such kind.")
    return kind
