"""The operator's listener: the status page, an order's page, health and metrics."""

from collections.abc import Awaitable, Callable
from typing import Final, Protocol
from urllib.parse import quote

from aiohttp import hdrs, web
from structlog.typing import FilteringBoundLogger

from omisync.store.errors import StoreError
from omisync.web.access import SESSION_SECONDS, Access, is_cross_site, is_from_here
from omisync.web.health import alive, ready
from omisync.web.metrics import CONTENT_TYPE
from omisync.web.pages import SECURITY, Pages
from omisync.web.seen import Lookout, StatusSource
from omisync.web.timeline import timeline
from omisync.web.trouble import Sparingly, fault

MAX_FORM: Final = 16 * 1024
"""Bytes of a form; ours have a few hundred."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Renders(Protocol):
    """What is measured; see `omisync.web.metrics.Metrics`."""

    def render(self) -> bytes:
        """Everything, in Prometheus's text format."""
        ...


class Admin:
    """The pages. Whoever may not see them is shown the form for the token instead."""

    def __init__(self, lookout: Lookout, metrics: Renders, access: Access, pages: Pages) -> None:
        self._lookout = lookout
        self._metrics = metrics
        self._access = access
        self._pages = pages

    def routes(self) -> list[web.RouteDef]:
        """All addresses of the listener."""
        return [
            web.get("/", self._guarded(self.status)),
            web.get("/fragments/now", self._guarded(self.now)),
            web.get("/orders", self._guarded(self.search)),
            web.get("/orders/{number:.+}", self._guarded(self.order)),
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
        return self._page("status.html", request, seen=await self._lookout.look())

    async def now(self, request: web.Request) -> web.StreamResponse:
        """The living part of `/`."""
        return self._page("now.html", request, seen=await self._lookout.look())

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
            return self._page("trouble.html", request, status=503, title="The database is away", why=str(error))
        if view is None:
            why = "Neither the outbox nor Omisell's orders have this number."
            return self._page("trouble.html", request, status=404, title=f"No order {number}", why=why)
        return self._page("order.html", request, view=view, moments=timeline(view))

    async def login_form(self, request: web.Request) -> web.StreamResponse:
        """`GET /login`: asks for the token."""
        if self._access.admits(request):
            raise web.HTTPSeeOther("/")
        return self._ask(request)

    async def log_in(self, request: web.Request) -> web.StreamResponse:
        """`POST /login`: a session for whoever has the token."""
        if is_cross_site(request):
            raise web.HTTPForbidden(text="This form was sent by another site.")
        if self._access.is_closed:
            return self._ask(request, status=429, wrong="Too many wrong tokens. Wait a minute.")
        form = await request.post()
        session = self._access.log_in(str(form.get("token", "")).strip())
        if session is None:
            return self._ask(
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

    def _guarded(self, handler: Handler) -> Handler:
        async def guarded(request: web.Request) -> web.StreamResponse:
            if self._access.admits(request):
                return await handler(request)
            if not self._access.needs_token:
                why = (
                    f"The page was asked for as {request.host}. Without admin.token it answers to an address or "
                    "localhost only, so that no other site can read it through a browser: set admin.token."
                )
                return self._page("trouble.html", request, status=403, title="Not under this name", why=why)
            return self._ask(request, status=401)

        return guarded

    def _ask(self, request: web.Request, *, status: int = 200, wrong: str = "") -> web.Response:
        answer = self._page("login.html", request, status=status, wrong=wrong)
        if status == 401:
            answer.headers[hdrs.WWW_AUTHENTICATE] = 'Bearer realm="omisync"'
        return answer

    def _page(self, template: str, request: web.Request, *, status: int = 200, **shown: object) -> web.Response:
        logged_in = self._access.needs_token and self._access.admits(request)
        key = self._access.form_key(request) if logged_in else ""
        return self._pages.page(template, status=status, logged_in=logged_in, form_key=key, **shown)


def admin_app(
    *,
    source: StatusSource,
    metrics: Renders,
    token: str | Access | None,
    log: FilteringBoundLogger,
    pages: Pages | None = None,
) -> web.Application:
    """The application of the admin listener.

    Args:
        source: where the state of things is read.
        metrics: what `/metrics` shows.
        token: `admin.token`, or an `Access` whose token may change; None lets everyone look who reaches the listener.
        log: hears of trouble, without personal data.
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
    app.add_routes(Admin(Lookout(source, log), metrics, access, pages or Pages()).routes())
    return app
