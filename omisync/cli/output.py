"""Printing: JSON for programs; for people tables that fit the terminal, colours on a terminal only."""

# ruff: noqa: PLC0415 (what is heavy is imported by the command that needs it, so that --help answers at once)

from __future__ import annotations

import dataclasses
import datetime as dt
import json
import os
import re
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

UNLIMITED = 10_000
"""Columns where the output goes to a file or a pipe: nothing is cut off or wrapped there."""

_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")

STATE_STYLES = {"failed": "bold red", "sending": "cyan", "pending": "yellow", "done": "green", "discarded": "dim"}


def console() -> Console:
    """The terminal, or whatever standard output is."""
    from rich.console import Console

    free = not sys.stdout.isatty() and "COLUMNS" not in os.environ
    return Console(width=UNLIMITED if free else None, highlight=False, markup=False, emoji=False)


def print_json(value: object, *, indent: int | None = 2) -> None:
    """Prints a value as JSON: dataclasses as objects, times in ISO 8601, secrets masked."""
    print(to_json(value, indent=indent), flush=True)  # noqa: T201 (standard output is what it is for)


def to_json(value: object, *, indent: int | None = None) -> str:
    """A value as JSON, see `print_json`."""
    return json.dumps(value, default=_plain, ensure_ascii=False, indent=indent)


def _plain(value: Any) -> object:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, dt.datetime | dt.date | dt.time):
        return value.isoformat()
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, set | frozenset | tuple | Sequence) and not isinstance(value, str | bytes):
        return list(value)
    return str(value)


def say(words: str, style: str = "") -> None:
    """Prints lines for people."""
    screen = console()
    for line in words.split("\n"):
        screen.print(clean(line, style), soft_wrap=True)


def clean(value: object, style: str = "") -> Text:
    """A text that cannot steer the terminal, whoever wrote it."""
    from rich.text import Text

    return Text(_CONTROLS.sub("�", str(value)), style=style)


def table(*columns: str, wrap: Sequence[str] = (), right: Sequence[str] = (), spare: Sequence[str] = ()) -> Table:
    """An empty table, which cuts nothing off: where the terminal is narrow, see `omisync.cli.fitting`.

    Args:
        columns: the heads.
        wrap: those whose content may be broken into lines where the terminal is narrow.
        right: those of numbers.
        spare: those to be left out, first to last, where even so there is no room.
    """
    from rich.box import SIMPLE_HEAD

    from omisync.cli.fitting import BROKEN, Fitting

    made = Fitting(spare, box=SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="bold")
    for name in columns:
        made.add_column(
            name,
            no_wrap=name not in wrap,
            overflow="fold",
            justify="right" if name in right else "left",
            min_width=BROKEN if name in wrap else None,
        )
    return made


def row(target: Table, *cells: object) -> None:
    """Adds a row; None is an empty cell, times are local, a `Text` stays as it is."""
    from rich.text import Text

    target.add_row(*(cell if isinstance(cell, Text) else clean(_cell(cell)) for cell in cells))


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, dt.datetime):
        return moment(value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(str(item) for item in value)
    return str(value).replace("\n", " ")  # an advice stands in a line of its own


def state(name: str) -> Text:
    """The state of an outbox row, coloured."""
    return clean(name, STATE_STYLES.get(name, ""))


def moment(time: dt.datetime) -> str:
    """A time in this machine's zone, to the second."""
    return time.astimezone().strftime("%Y-%m-%d %H:%M:%S")


def ago(time: dt.datetime, now: dt.datetime | None = None) -> str:
    """How long ago a time is, in words."""
    seconds = ((now or dt.datetime.now(dt.UTC)) - time).total_seconds()
    return f"{span(seconds)} ago" if seconds >= 0 else f"in {span(-seconds)}"


def span(seconds: float) -> str:
    """Seconds in the two largest fitting units: `5s`, `3m 20s`, `2h 5m`, `4d 3h`."""
    whole = int(seconds)
    units = ((86400, "d"), (3600, "h"), (60, "m"), (1, "s"))
    for place, (size, name) in enumerate(units):
        if whole >= size > 1:
            smaller, letter = units[place + 1]
            rest = whole % size // smaller
            return f"{whole // size}{name} {rest}{letter}" if rest else f"{whole // size}{name}"
    return f"{whole}s"


def size(count: int) -> str:
    """Bytes in the largest fitting unit: `512 B`, `24.0 KiB`, `3.1 GiB`."""
    amount, unit = float(count), "B"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if amount < 1024:
            break
        amount, unit = amount / 1024, larger
    return f"{amount:.0f} B" if unit == "B" else f"{amount:.1f} {unit}"


def duration(seconds: int) -> str:
    """Whole seconds as an option takes them, in one unit: `90d`, `12h`, `90m`, `45s`."""
    for size, unit in ((86400, "d"), (3600, "h"), (60, "m")):
        if seconds and seconds % size == 0:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def shortened(words: str | None, most: int) -> str:
    """The beginning of a text, on one line."""
    line = " ".join((words or "").split())
    return line if len(line) <= most else line[: most - 1] + "…"
