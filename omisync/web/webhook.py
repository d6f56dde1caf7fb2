"""The listener for Omisell's pushes: authentic and on disk before it says 200."""

import asyncio
import time
from typing import Protocol

from aiohttp import hdrs, web
from structlog.typing import FilteringBoundLogger

from omisync.omisell.push import BadPush, Push, parse_push
from omisync.store.errors import StoreError
from omisync.store.inbox import Delivery
from omisync.web.answers import Answer, Answers
from omisync.web.body import Bodies, BodyLimits, Broken, NoRoom, TooLarge, TooSlow
from omisync.web.clients import Clients, is_forwarded
from omisync.web.connections import STRAIGHT, Straight
from omisync.web.metrics import NO_EVENT
from omisync.web.trouble import Sparingly, fault


class Authorizes(Protocol):
    """Tells an authentic push; see `omisync.omisell.authorization.Authorizer`."""

    def check(self, header: str | None, body: bytes) -> str | None:
        """The form by which `header` proves itself, or None."""
        ...


class KeepsDeliveries(Protocol):
    """Where pushes are kept; see `omisync.store.inbox.Inbox`."""

    async def add(self, delivery: Delivery) -> bool:
        """Returns once it is on disk; False for a repeat. How long the database may take is known there."""
        ...


class CountsPushes(Protocol):
    """Where pushes are counted; see `omisync.web.metrics.Metrics`."""

    def webhook(self, event: str, outcome: str, seconds: float) -> None:
        """One was answered."""
        ...


class Replaceable:
    """An authorizer whose secrets can be exchanged while pushes come in."""

    def __init__(self, authorizer: Authorizes) -> None:
        self._authorizer = authorizer

    def replace(self, authorizer: Authorizes) -> None:
        """From the next push on, this one decides."""
        self._authorizer = authorizer

    def check(self, header: str | None, body: bytes) -> str | None:
        """The form by which `header` proves itself, or None."""
        return self._authorizer.check(header, body)


class Webhook:
    """Answers pushes. Whatever happens, the answer is one of the contract's, and none is 5xx but 503."""

    def __init__(
        self,
        bodies: Bodies,
        authorizer: Authorizes,
        inbox: KeepsDeliveries,
        metrics: CountsPushes,
        log: FilteringBoundLogger,
        *,
        pinned: bool,
        clients: Clients,
    ) -> None:
        self._bodies = bodies
        self._authorizer = authorizer
        self._inbox = inbox
        self._metrics = metrics
        self._log = log
        self._trouble = Sparingly(log)
        self._pinned = pinned
        self._clients = clients
        self._forms_seen: set[str] = set()
        self._answers = Answers()

    async def receive(self, request: web.BaseRequest) -> Answer:
        """One push: read, proved, understood, stored, answered."""
        began = time.perf_counter()
        event = NO_EVENT
        try:
            encoding = request.headers.get(hdrs.CONTENT_ENCODING)
            if encoding is not None and encoding.strip().lower() not in {"", "identity"}:
                outcome, answer = "encoded", self._answers.encoded()
            else:
                body = await self._bodies.read(request)
                form = self._authorizer.check(request.headers.get(hdrs.AUTHORIZATION), body)
                if form is None:
                    outcome, answer = "unauthorized", self._turn_away(request)
                else:
                    if form not in self._forms_seen:
                        self._note_form(form)
                    push = parse_push(body)
                    event = push.event
                    outcome, answer = await self._store(push, form, body)
        except Exception as error:  # noqa: BLE001 - Omisell must get an answer that makes it try again, whatever it is
            outcome, answer = self._sorry(error)
        self._metrics.webhook(event, outcome, time.perf_counter() - began)
        return answer

    async def _store(self, push: Push, form: str, body: bytes) -> tuple[str, Answer]:
        delivery = Delivery(
            event=push.event,
            category=push.category,
            handled=push.handled,
            request_id=push.request_id,
            order_number=push.order_number,
            omisell_order_number=push.omisell_order_number,
            status_id=push.status_id,
            updated_time=push.updated_time,
            shop_id=push.shop_id,
            authorization=form,
            body=body,
        )
        try:
            new = await self._inbox.add(delivery)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            return self._unavailable("the inbox is being closed")  # it gave the push up, nobody stopped us
        except StoreError as error:
            return self._unavailable(str(error))
        if not new:
            return "repeat", self._answers.repeat()
        return "stored" if push.handled else "unhandled", self._answers.stored()

    def _unavailable(self, why: str) -> tuple[str, Answer]:
        self._trouble.warning("push not stored, Omisell will send it again", why=why)
        return "unavailable", self._answers.unavailable()

    def _sorry(self, error: Exception) -> tuple[str, Answer]:
        match error:
            case BadPush():
                self._trouble.warning("push refused", field=error.field, why=error.why)
                return "invalid", self._answers.invalid(error.field, error.why)
            case TooLarge():
                self._trouble.warning("push refused", field="body", why="larger than webhook.max_body")
                return "too_large", self._answers.too_large()
            case TooSlow():
                return "slow", self._answers.too_slow()
            case Broken():
                return "broken", self._answers.invalid("body", "did not come whole")
            case NoRoom():
                self._trouble.warning(
                    "push not stored, Omisell will send it again", why="too many large bodies at once"
                )
                return "unavailable", self._answers.unavailable()
            case _:
                self._trouble.error("push not stored for a reason that nobody thought of", **fault(error))
                return "unavailable", self._answers.unavailable()

    async def receive_if_allowed(self, request: web.BaseRequest) -> Answer:
        """One push, of which nothing is read if it comes from where nobody may push."""
        if self._clients.admits(request):
            return await self.receive(request)
        began = time.perf_counter()
        self._log.warning(
            "push turned away: its address is not in webhook.allow",
            client=self._clients.name(request),
            peer=request.remote or "unix",
            advice="if it is Omisell's, add it to webhook.allow"
            + ("; if peer is your own proxy, add that to webhook.trusted_proxies" if is_forwarded(request) else ""),
        )
        self._metrics.webhook(NO_EVENT, "forbidden", time.perf_counter() - began)
        return self._answers.forbidden()

    def _turn_away(self, request: web.BaseRequest) -> Answer:
        self._log.warning(
            "push turned away: its Authorization header does not prove that it comes from Omisell",
            header="there" if hdrs.AUTHORIZATION in request.headers else "missing",
            client=self._clients.name(request),
            advice="compare webhook.secret, webhook.callback_url and webhook.authorization with the hook in "
            "Omisell's Console",
        )
        return self._answers.unauthorized()

    def _note_form(self, form: str) -> None:
        self._forms_seen.add(form)
        if self._pinned:
            self._log.info("first push in this authorization form", form=form)
        else:
            self._log.info(
                "first push in this authorization form", form=form, advice=f'set webhook.authorization = "{form}"'
            )


def webhook_app(
    *,
    path: str,
    max_body: int,
    authorizer: Authorizes,
    inbox: KeepsDeliveries,
    metrics: CountsPushes,
    log: FilteringBoundLogger,
    pinned: bool = False,
    limits: BodyLimits | None = None,
    clients: Clients | None = None,
) -> web.Application:
    """The application that answers `POST {path}` and nothing else.

    Args:
        path: where Omisell pushes to, as in the hook's URL.
        max_body: bytes; a larger body is answered 413.
        authorizer: tells authentic pushes; a `Replaceable` one if its secrets may change.
        inbox: keeps the pushes.
        metrics: counts them.
        log: hears of trouble, without personal data.
        pinned: whether `webhook.authorization` names one form; else the log advises which.
        limits: of reading bodies, in place of the defaults with `max_body`.
        clients: whom a trusted proxy speaks for, and who may push; without it the peer counts, and everybody may.

    Raises:
        ValueError: the path has braces, which no URL has.
    """
    if "{" in path or "}" in path:
        raise ValueError(f"webhook.path is {path!r}: a path without braces is needed")
    clients = clients or Clients()
    webhook = Webhook(
        Bodies(limits or BodyLimits(max_body)),
        authorizer,
        inbox,
        metrics,
        log,
        pinned=pinned,
        clients=clients,
    )
    app = web.Application()
    receive = webhook.receive_if_allowed if clients.is_choosy else webhook.receive
    resource = app.router.add_resource(path)
    resource.add_route(hdrs.METH_POST, receive)
    app[STRAIGHT] = Straight(resource.canonical, receive)
    return app
