"""Renders the operator's pages from the package's own templates, styles and script."""

import datetime as dt
import functools
import hashlib
import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web

from omisync.checks.refusals import ADVICE, SEEN, advice_on
from omisync.sync.standing import off_without

if TYPE_CHECKING:
    import jinja2

SECURITY: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
"""On every answer of the admin listener. No script or style in a page itself: what a page shows is data only."""

WITHOUT_SECONDS: Final = 600.0
"""From this age on nobody counts its seconds."""

STATIC: Final = {"omisync.css": "text/css", "omisync.js": "text/javascript", "omisync.svg": "image/svg+xml"}


@dataclass(frozen=True, slots=True)
class StaticFile:
    """A file of the package; its URL changes with its content."""

    content: bytes
    content_type: str
    url: str


class Pages:
    """All templates, with the filters they use.

    Args:
        clock: Unix seconds, for ages.
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self.static = {name: _read(name, content_type) for name, content_type in STATIC.items()}

    def page(self, template: str, *, status: int = 200, **shown: Any) -> web.Response:
        """A whole page, or a part of one, as the answer to a request."""
        text = self.text(template, **shown)
        return web.Response(status=status, text=text, content_type="text/html", headers={"Cache-Control": "no-store"})

    def text(self, template: str, **shown: Any) -> str:
        """The same as text."""
        return self._templates.get_template(template).render(now=self._clock(), **shown)

    @functools.cached_property
    def _templates(self) -> "jinja2.Environment":
        import jinja2  # noqa: PLC0415 - the first page loads it; a daemon that nobody looks at does without

        made = jinja2.Environment(
            loader=jinja2.PackageLoader("omisync.web"),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        made.filters.update(duration=duration, moment=_moment, ago=self._ago, iso=_iso, reason=reason)
        made.filters["off_without"] = off_without
        made.globals["static"] = {name: file.url for name, file in self.static.items()}
        return made

    def _ago(self, at: dt.datetime | float) -> str:
        seconds = max(self._clock() - (at.timestamp() if isinstance(at, dt.datetime) else at), 0.0)
        if seconds >= WITHOUT_SECONDS:
            seconds -= seconds % 60
        return f"{duration(seconds)} ago"


def duration(seconds: float | None) -> str:
    """Seconds for people, in at most two units: `45 s`, `3 min 20 s`, `5 h 12 min`, `2 d 4 h`; `–` for None."""
    if seconds is None:
        return "–"
    whole = round(abs(seconds))
    sign = "−" if seconds < 0 and whole else ""
    units = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))
    for (size, name), (next_size, next_name) in itertools.pairwise(units):
        if whole >= size:
            rest = whole % size // next_size
            return f"{sign}{whole // size} {name}" + (f" {rest} {next_name}" if rest else "")
    return f"{sign}{whole} s"


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a row failed: in the words it failed with, and what to do about it, if that is known."""

    words: str
    advice: str | None


def reason(error: str | None) -> Reason:
    """An outbox row's `error`, with the hint that stands in it, or that its words call for."""
    words, _, advice = (error or "–").partition(f"\n{ADVICE}")
    return Reason(words, advice or advice_on(words.partition(f"\n{SEEN}")[0]))


def _moment(at: dt.datetime) -> str:
    return f"{at.astimezone(dt.UTC):%Y-%m-%d %H:%M:%S} UTC"


def _iso(at: dt.datetime) -> str:
    return at.astimezone(dt.UTC).isoformat(timespec="seconds")


def _read(name: str, content_type: str) -> StaticFile:
    content = resources.files("omisync.web").joinpath("static", name).read_bytes()
    return StaticFile(content, content_type, f"/static/{name}?v={hashlib.sha256(content).hexdigest()[:12]}")
