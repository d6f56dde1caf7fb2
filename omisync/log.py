"""Logs: one event a line, JSON for the journal, readable on a terminal, personal data and secrets masked."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import sys
from collections.abc import Mapping, Sequence
from typing import Any, Literal, TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from omisync.journal import JournalHandler, is_journal
from omisync.repeats import Repeats

MASK = "***"

MASKED_KEYS = frozenset(
    {
        "access_token",
        "address",
        "admin_token",
        "api_key",
        "api_secret",
        "authorization",
        "body",
        "company",
        "credentials",
        "customer_name",
        "dsn",
        "email",
        "fullname",
        "full_name",
        "invoice_information",
        "name",
        "password",
        "payload",
        "phone",
        "phone_number",
        "receiver",
        "refresh",
        "refresh_token",
        "secret",
        "tax_code",
        "token",
        "webhook_secret",
    }
)
"""Keys whose value never reaches a log, however deep they stand: Omisell's names and our own."""

_CREDENTIALS = re.compile(
    r"(?P<url>\b[a-z][a-z0-9+.-]*://)[^\s/@]*@|\b(?P<scheme>Omi|Account|Partner|Bearer|Basic) [^\s\"',;]{6,}",
)
"""A user and password in a URL, or the value of an Authorization header, inside a text."""

DEEPEST = 6
"""Levels of nesting that are searched; what lies deeper is replaced as a whole."""

NOISY = ("aiohttp.access", "apscheduler", "asyncio")
"""Libraries that tell every step at `info`; only their warnings are of use."""

USUAL = ("apscheduler.scheduler",)
"""It warns of what is meant: that a job which outlasts its interval is not begun a second time beside itself."""


def configure(
    format: Literal["auto", "console", "json"] = "auto",  # noqa: A002 (the configuration's own word)
    level: str = "info",
    stream: TextIO | None = None,
    *,
    sums_up: bool = False,
) -> None:
    """Sends structlog's and the standard library's logs to one stream, one event a line.

    May be called again, for a new level (`SIGHUP`) or stream: loggers made before follow.

    Args:
        format: `console` for people, `json` for the journal; `auto` decides by whether `stream` is a terminal.
        level: `debug`, `info`, `warning` or `error`.
        stream: standard error by default. If that is the journal, lines go there by its own protocol, with fields.
        sums_up: gather failures that repeat; `tell_repeats` has to be called now and then.
    """
    stream = sys.stderr if stream is None else stream
    console = format == "console" or (format == "auto" and stream.isatty())
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.PositionalArgumentsFormatter(),
    ]
    renderers: list[Processor] = [
        structlog.processors.TimeStamper(fmt="%H:%M:%S" if console else "iso", utc=not console),
        structlog.processors.StackInfoRenderer(),
        *_renderers(console=console, colours=console and stream.isatty()),
    ]
    structlog.configure(
        processors=[_by_level, *([_repeats() or Repeats()] if sums_up else []), *shared],
        logger_factory=_logger,
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler: logging.Handler = _Output(stream, renderers)
    if is_journal(stream):
        handler = JournalHandler(handler)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name, structlog.stdlib.ExtraAdder()],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *renderers],
        )
    )
    root = logging.getLogger()
    for old in root.handlers:
        if isinstance(old, JournalHandler):
            old.close()
    root.handlers = [handler]
    root.setLevel(level.upper())
    for name in NOISY:
        logging.getLogger(name).setLevel(logging.DEBUG if level == "debug" else logging.WARNING)
    for name in USUAL:
        logging.getLogger(name).setLevel(logging.DEBUG if level == "debug" else logging.ERROR)
    logging.captureWarnings(capture=True)


def tell_repeats(*, everything: bool = False) -> None:
    """Tells what has been gathered of failures for a minute, or all of it, as before an end."""
    if (repeats := _repeats()) is not None:
        repeats.tell(everything=everything)


async def keep_telling_repeats(every: float) -> None:
    """Does so every so many seconds, until it is cancelled."""
    while True:
        await asyncio.sleep(every)
        tell_repeats()


def _repeats() -> Repeats | None:
    """The one at work: loggers that were made before keep it, so a new set-up does as well."""
    return next((one for one in structlog.get_config()["processors"] if isinstance(one, Repeats)), None)


_LEVELS = {name.lower(): level for name, level in logging.getLevelNamesMapping().items()} | {"exception": logging.ERROR}


class _Output(logging.StreamHandler[TextIO]):
    """Where the lines go: the standard library's as records, structlog's own as they are, which costs a third of it."""

    def __init__(self, stream: TextIO, renderers: Sequence[Processor]) -> None:
        super().__init__(stream)
        self._renderers = renderers

    def write(self, logger: WrappedLogger, method: str, event: EventDict) -> None:
        """Puts out one event."""
        line: Any = event
        for renderer in self._renderers:
            line = renderer(logger, method, line)
        self.acquire()
        try:
            self.stream.write(f"{line}{self.terminator}")
            self.stream.flush()
        finally:
            self.release()


class _Logger:
    """What structlog's loggers write to: the output that is the root logger's now, whenever they were made."""

    def __init__(self, name: str) -> None:
        self._logger = logging.getLogger(name)
        self.name = name
        # asked for each event: it follows a new level, and is remembered by the standard library
        self.isEnabledFor = self._logger.isEnabledFor

    def debug(self, /, **event: Any) -> None:
        self._write("debug", event)

    def info(self, /, **event: Any) -> None:
        self._write("info", event)

    def warning(self, /, **event: Any) -> None:
        self._write("warning", event)

    def error(self, /, **event: Any) -> None:
        self._write("error", event)

    exception = error

    def critical(self, /, **event: Any) -> None:
        self._write("critical", event)

    def _write(self, method: str, event: EventDict) -> None:
        handlers = self._logger.root.handlers
        if len(handlers) == 1 and isinstance(handlers[0], _Output):
            handlers[0].write(self, method, event)
        else:  # the journal, or somebody else's: they take records
            extra = {"_logger": self._logger, "_name": method}
            self._logger.log(_LEVELS[method], event, extra=extra)


def _by_level(logger: _Logger, method: str, event: EventDict) -> EventDict:
    if not logger.isEnabledFor(_LEVELS[method]):
        raise structlog.DropEvent
    return event


def _logger(*names: str) -> _Logger:
    return _Logger(names[0] if names else "omisync")


def _renderers(*, console: bool, colours: bool) -> list[Processor]:
    # A traceback is plain text, without the values of local variables: they hold payloads and tokens.
    before: list[Processor] = [structlog.processors.format_exc_info, mask]
    if console:
        return [*before, structlog.dev.ConsoleRenderer(colors=colours)]
    return [*before, _in_reading_order, _as_json]


def _in_reading_order(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    first = {key: event.pop(key) for key in ("timestamp", "level", "event") if key in event}
    return {**first, **event}


_encoded = json.JSONEncoder(ensure_ascii=False, default=str).encode


def _as_json(_: WrappedLogger, __: str, event: EventDict) -> str:
    return _encoded(event)


def mask(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """A structlog processor: the last line of defence against personal data and secrets in a log."""
    for key, value in event.items():
        event[key] = MASK if key.lower() in MASKED_KEYS and value is not None else _masked(value, 1)
    return event


def _masked(value: Any, depth: int) -> Any:
    if isinstance(value, str):
        return _mask_text(value)
    if value is None or isinstance(value, (int, float)):  # most of what is told, and cheaper to ask than the rest
        return value
    if isinstance(value, Mapping | list | tuple | set | frozenset) and depth >= DEEPEST:
        return MASK
    if isinstance(value, Mapping):
        return {
            key: MASK if str(key).lower() in MASKED_KEYS and item is not None else _masked(item, depth + 1)
            for key, item in value.items()
        }
    if isinstance(value, list | tuple | set | frozenset):
        return [_masked(item, depth + 1) for item in value]
    return value


def _mask_text(text: str) -> str:
    if "://" not in text and " " not in text:
        return text
    return _CREDENTIALS.sub(
        lambda found: f"{found['url']}{MASK}@" if found["url"] else f"{found['scheme']} {MASK}", text
    )
