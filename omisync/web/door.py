"""Who is let in to the operator's pages, and who to change something; whoever is not gets the form for the token."""

from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import hdrs, web

from omisync.web.access import Access, is_cross_site
from omisync.web.pages import Pages

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Door:
    """Wraps handlers so that they answer only to whom they may, and renders pages for who is before it."""

    def __init__(self, access: Access, pages: Pages) -> None:
        self._access = access
        self._pages = pages

    def looking(self, handler: Handler) -> Handler:
        """For who may see personal data."""

        async def guarded(request: web.Request) -> web.StreamResponse:
            return await handler(request) if self._access.admits(request) else self._refuse(request)

        return guarded

    def changing(self, handler: Handler) -> Handler:
        """For the holder of the token, by a form that we made for this session: no other site can send one."""

        async def guarded(request: web.Request) -> web.StreamResponse:
            if is_cross_site(request):
                raise web.HTTPForbidden(text="This form was sent by another site.")
            if not self._access.admits(request):
                return self._refuse(request)
            if not self._access.needs_token:
                why = "Without admin.token anyone on this machine may look, and nobody may change anything: set it."
                return self.trouble(request, 403, "Nothing can be changed from here", why)
            form = await request.post()
            if not self._access.is_own_form(request, str(form.get("form_key", ""))):
                raise web.HTTPForbidden(text="This form was not made here. Go back, load the page again, and repeat.")
            return await handler(request)

        return guarded

    def page(self, template: str, request: web.Request, *, status: int = 200, **shown: Any) -> web.Response:
        """A page, with what its forms need if its reader may change something."""
        return self._pages.page(template, status=status, **self._reader(request), **shown)

    def part(self, template: str, request: web.Request, **shown: Any) -> str:
        """A part of a page, as text."""
        return self._pages.text(template, **self._reader(request), **shown)

    def trouble(self, request: web.Request, status: int, title: str, why: str) -> web.Response:
        """A page that says why there is no other."""
        return self.page("trouble.html", request, status=status, title=title, why=why)

    def ask(self, request: web.Request, *, status: int = 200, wrong: str = "") -> web.Response:
        """The form for the token."""
        answer = self.page("login.html", request, status=status, wrong=wrong)
        if status == 401:
            answer.headers[hdrs.WWW_AUTHENTICATE] = 'Bearer realm="omisync"'
        return answer

    def _reader(self, request: web.Request) -> dict[str, object]:
        logged_in = self._access.needs_token and self._access.admits(request)
        return {"logged_in": logged_in, "form_key": self._access.form_key(request) if logged_in else ""}

    def _refuse(self, request: web.Request) -> web.Response:
        if self._access.needs_token:
            return self.ask(request, status=401)
        why = (
            f"The page was asked for as {request.host}. Without admin.token it answers to an address or "
            "localhost only, so that no other site can read it through a browser: set admin.token."
        )
        return self.trouble(request, 403, "Not under this name", why)
