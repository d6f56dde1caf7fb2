"""The operator's listener: the status page, an order's page, health and metrics."""

from collections.abc import Callable
from typing import Any, Final, Protocol
from urllib.parse import quote

from aiohttp import hdrs, web
from structlog.typing import FilteringBoundLogger

from omisync.omisell import Forecast
from omisync.store.errors import StoreError
from omisync.store.operator import Status
from omisync.web.access import SESSION_SECONDS, Access, is_cross_site, is_from_here
from omisync.web.charts import charts
from omisync.web.deeds import Deeds, Mends
from omisync.web.door import Door, Handler
from omisync.web.health import alive, ready
from omisync.web.live import Streams
from omisync.web.metrics import CONTENT_TYPE
from omisync.web.pages import SECURITY, Pages
from omisync.web.seen import Lookout, StatusSource
from omisync.web.timeline import timeline
from omisync.web.trouble import Sparingly, fault

MAX_FORM: Final = 16 * 1024
"""Bytes of a form; ours have a few hundred."""

Foresee = Callable[[Status], Forecast | None]


class AdminSource(StatusSource, Mends, Protocol):
    """All that the pages show and change."""


class Renders(Protocol):
    """What is measured; see `omisync.web.metrics.Metrics`."""

    def render(self) -> bytes:
        """Everything, in Prometheus's text format."""
        ...


class Admin:
    """The pages that show, and the way in and out."""

    def __init__(
        self,
        lookout: Lookout,
        metrics: Renders,
        access: Access,
        pages: Pages,
        forecast: Foresee,
        log: FilteringBoundLogger,
    ) -> None:
        self._log = log
        self._lookout = lookout
        self._metrics = metrics
        self._access = access
        self._pages = pages
        self._forecast = forecast
        self._streams = Streams()
        self.door = Door(access, pages)

    def routes(self) -> list[web.RouteDef]:
        """Every address that changes nothing."""
        looking = self.door.looking
        return [
            web.get("/", looking(self.status)),
            web.get("/fragments/now", looking(self.now)),
            web.get("/live", looking(self.live)),
            web.get("/orders", looking(self.search)),
            web.get("/orders/{number:.+}", looking(self.order)),
            web.get("/login", self.login_form),
            web.post("/login", self.log_in),
            web.post("/logout", self.log_out),
            web.get("/static/{name}", self.static),
            web.get("/healthz", alive),
            web.get("/readyz", self.readyz),
            web.get("/metrics", self.metrics),
        ]

    async def status(self, request: web.Request) -> web.StreamResponse:
        """`/`: how things stand."""
        return self.door.page("status.html", request, **await self._shown())

    async def now(self, request: web.Request) -> web.StreamResponse:
        """The living part of `/`, for browsers that get no stream."""
        return self.door.page("now.html", request, **await self._shown())

    async def live(self, request: web.Request) -> web.StreamResponse:
        """The living part of `/`, again and again."""

        async def render() -> str:
            return self.door.part("now.html", request, **await self._shown())

        return await self._streams.answer(request, render, lambda: self._access.admits(request))

    async def _shown(self) -> dict[str, Any]:
        seen = await self._lookout.look_back()
        return {
            "seen": seen,
            "ahead": None if seen.status is None else self._forecast(seen.status),
            "charts": None if seen.day is None else charts(seen.day.hours),
        }

    async def search(self, request: web.Request) -> web.StreamResponse:
        """`/orders?number=`: to the page of the order with that number, the shop's or Omisell's."""
        number = request.query.get("number", "").strip()
        if not number:
            raise web.HTTPSeeOther("/")
        raise web.HTTPSeeOther(f"/orders/{quote(number, safe='')}")

    async def order(self, request: web.Request) -> web.StreamResponse:
        """`/orders/{number}`: an order with everything that happened to it."""
        number = request.match_info["number"]
        try:
            view = await self._lookout.order(number)
        except StoreError as error:
            return self.door.trouble(request, 503, "The database is away", str(error))
        if view is None:
            why = "Neither the outbox nor Omisell's orders have this number."
            return self.door.trouble(request, 404, f"No order {number}", why)
        return self.door.page("order.html", request, view=view, moments=timeline(view))

    async def login_form(self, request: web.Request) -> web.StreamResponse:
        """`GET /login`: asks for the token."""
        if self._access.admits(request):
            raise web.HTTPSeeOther("/")
        return self.door.ask(request)

    async def log_in(self, request: web.Request) -> web.StreamResponse:
        """`POST /login`: a session for whoever has the token."""
        if is_cross_site(request):
            raise web.HTTPForbidden(text="This form was sent by another site.")
        if self._access.is_closed:
            return self.door.ask(request, status=429, wrong="Too many wrong tokens. Wait a minute.")
        form = await request.post()
        session = self._access.log_in(str(form.get("token", "")).strip())
        if session is None:
            self._log.warning("a wrong token at the admin page", client=request.remote or "unix")
            return self.door.ask(
                request, status=401, wrong="That is not the token. It is admin.token of the configuration."
            )
        answer = web.HTTPSeeOther("/")
        answer.set_cookie(
            self._access.cookie,
            session,
            max_age=SESSION_SECONDS,
            httponly=True,
            samesite="Strict",
            secure=request.secure,
        )
        raise answer

    async def log_out(self, request: web.Request) -> web.StreamResponse:
        """`POST /logout`: the browser forgets its session."""
        form = await request.post()
        if is_cross_site(request) or not self._access.is_own_form(request, str(form.get("form_key", ""))):
            raise web.HTTPForbidden(text="This form was not made here. Go back, load the page again, and repeat.")
        answer = web.HTTPSeeOther("/login")
        answer.del_cookie(self._access.cookie)
        raise answer

    async def static(self, request: web.Request) -> web.StreamResponse:
        """A file of the package; its URL names its content, so it never grows old."""
        file = self._pages.static.get(request.match_info["name"])
        if file is None:
            raise web.HTTPNotFound
        kept = {"Cache-Control": "public, max-age=31536000, immutable"}
        return web.Response(body=file.content, content_type=file.content_type, charset="utf-8", headers=kept)

    async def readyz(self, _: web.Request) -> web.StreamResponse:
        """`/readyz`."""
        return await ready(self._lookout)

    async def metrics(self, request: web.Request) -> web.StreamResponse:
        """`/metrics`: without token for this machine only."""
        if not is_from_here(request) and not self._access.admits(request):
            raise web.HTTPUnauthorized(text="Send admin.token as `Authorization: Bearer ...`.")
        return web.Response(body=self._metrics.render(), headers={hdrs.CONTENT_TYPE: CONTENT_TYPE})


def admin_app(
    *,
    source: AdminSource,
    metrics: Renders,
    token: str | Access | None,
    log: FilteringBoundLogger,
    forecast: Foresee = lambda _: None,
    pages: Pages | None = None,
) -> web.Application:
    """The application of the admin listener.

    Args:
        source: where the state of things is read, and changed.
        metrics: what `/metrics` shows.
        token: `admin.token`, or an `Access` whose token may change; None lets everyone look who reaches the listener.
        log: hears of trouble, without personal data.
        forecast: what the backlog will take; without it, nothing is said of that.
        pages: in place of the package's own, for tests.
    """
    access = token if isinstance(token, Access) else Access(token)
    trouble = Sparingly(log)

    @web.middleware
    async def careful(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            answer = await handler(request)
        except web.HTTPException as refused:
            refused.headers.update(SECURITY)
            raise
        except Exception as error:  # noqa: BLE001 - the page tells that it failed, the log tells where
            trouble.error("page failed", path=request.path, **fault(error))
            answer = web.Response(status=500, text="This page failed; the log says where.")
        answer.headers.update(SECURITY)
        return answer

    app = web.Application(middlewares=[careful], client_max_size=MAX_FORM)
    lookout = Lookout(source, log)
    admin = Admin(lookout, metrics, access, pages or Pages(), forecast, log)
    app.add_routes(admin.routes())
    app.add_routes(Deeds(source, lookout, admin.door, log).routes())
    return app
