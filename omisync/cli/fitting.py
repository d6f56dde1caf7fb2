"""A table that fits the terminal without cutting anything off."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.table import Column, Table
from rich.text import Text

BROKEN = 12
"""Columns of the screen that a column with broken lines has at least."""
GAP = 3
"""Between two columns."""
ENDLESS = 10_000


class Fitting(Table):
    """A table that gives way where the screen is narrow, and says so.

    First the columns that may be broken into lines are; then spare columns are left out and named below; and if that is
    not enough, every column is broken into lines, for an id that is cut off is of no use.

    Args:
        spare: the heads of columns that can be left out, first to last.
        looks: of rich's table.
    """

    def __init__(self, spare: Sequence[str], **looks: Any) -> None:
        super().__init__(**looks)
        self._spare = spare

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        room = options.max_width
        shown = list(self.columns)
        left_out = []
        for name in self._spare:
            if _needed(console, options, shown) <= room:
                break
            left_out.append(name)
            shown = [column for column in shown if column.header != name]
        breaks = _needed(console, options, shown) > room
        kept = self.columns
        try:
            self.columns = [_broken(column) if breaks else column for column in shown]
            yield from super().__rich_console__(console, options)
        finally:
            self.columns = kept
        if left_out:
            yield Text(f"no room for: {', '.join(left_out)} (a wider window or --json shows them)", style="dim")


def _needed(console: Console, options: ConsoleOptions, columns: Sequence[Column]) -> int:
    return sum(_width(console, options, column) for column in columns) + GAP * (len(columns) - 1)


def _width(console: Console, options: ConsoleOptions, column: Column) -> int:
    if not column.no_wrap:
        return BROKEN
    endless = options.update_width(ENDLESS)
    return max(Measurement.get(console, endless, cell).maximum for cell in [column.header, *column.cells])


def _broken(column: Column) -> Column:
    copy = column.copy()
    copy._cells = column._cells  # noqa: SLF001 - rich's own copy leaves them out
    copy.no_wrap = False
    copy.min_width = None
    return copy
