"""The state of things for the eye: one block of lines, then tables of what needs attention."""

from __future__ import annotations

import dataclasses
import datetime as dt
import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from omisync.cli import output
from omisync.sync.standing import off_without

if TYPE_CHECKING:
    from omisync.omisell.forecast import Clearing, Forecast
    from omisync.store.imports import Import
    from omisync.store.operator import Status

SWEEPS_SHOWN = 5
FINDINGS_SHOWN = 10
TABLES_SHOWN = 6
"""The others are small by nature."""
DEAD_MANY = 0.5
"""Dead rows for each living one from which on autovacuum does not keep up, or something holds it back."""
DEAD_FEW = 20_000
"""Dead rows that are no matter, however few are living."""
OLD = 300.0
"""Seconds after which a waiting row or fetch is worth a colour."""
TOKEN_SOON = 600.0
"""Seconds before a token's end at which it should long have been refreshed."""
BUDGET_HIGH = 0.9

CLASSES = {"CANCEL": "cancels", "ADD": "adds", "REFRESH": "fetches", "SWEEP": "fetches that can wait"}
"""What each class of calls is called here."""

WARN = "yellow"
BAD = "bold red"


def as_json(status: Status, ahead: Forecast) -> dict[str, object]:
    """Everything of a status, and what its backlog will take; seconds are null for "never"."""
    classes = {cls.name.lower(): _clearing(ahead.classes[cls]) for cls in ahead.classes if cls.name in CLASSES}
    shown = {field.name: getattr(status, field.name) for field in dataclasses.fields(status)}
    return {**shown, "forecast": {**_clearing(ahead.total), "says": str(ahead.total), "classes": classes}}


def _clearing(one: Clearing) -> dict[str, object]:
    return {"calls": one.calls, "seconds": None if math.isinf(one.seconds) else round(one.seconds, 1)}


def render(status: Status, ahead: Forecast, now: dt.datetime | None = None) -> RenderableType:
    """Everything of a status.

    Args:
        status: what the operator's view of the database said.
        ahead: what its backlog will take.
        now: for the ages; this moment by default.
    """
    now = now or dt.datetime.now(dt.UTC)
    facts = Table.grid(padding=(0, 2))
    facts.add_column(style="bold", no_wrap=True)
    facts.add_column(overflow="fold")
    for name, value in _facts(status, ahead, now):
        facts.add_row(name, value)
    parts: list[RenderableType] = [facts]
    parts += _sweeps(status, now)
    parts += _findings(status, now)
    parts += _space(status, now)
    return Group(*parts)


def _facts(status: Status, ahead: Forecast, now: dt.datetime) -> Iterator[tuple[str, Text]]:
    for pause in status.pauses:
        reason = f": {pause.reason}" if pause.reason else ""
        words = f"{pause.kind} since {output.ago(pause.paused_at, now)} by {pause.paused_by}{reason}"
        yield "PAUSED", output.clean(words, BAD)
    yield "outbox", _outbox(status)
    yield "fetches", _fetches(status)
    yield "backlog", _backlog(ahead)
    if status.unfinished_import is not None:
        yield "import", _unfinished(status.unfinished_import, now)
    yield "pushes", _pushes(status)
    if status.hooks_waiting:
        yield "hook", output.clean(f"{status.hooks_waiting} calls failed and wait to be tried again", BAD)
    yield "token", _token(status)
    yield "budget", _budget(status)
    yield "replicas", _replicas(status, now)
    yield "lists", _lists(status)
    yield "schema", output.clean(status.schema_version)


def _outbox(status: Status) -> Text:
    text = Text(f"{status.outbox.get('pending', 0)} pending, {status.outbox.get('sending', 0)} sending, ")
    text.append(f"{status.failed} failed", BAD if status.failed else "")
    if status.oldest_pending_seconds is not None:
        style = WARN if status.oldest_pending_seconds > OLD else ""
        text.append(", ").append(f"oldest waits {output.span(status.oldest_pending_seconds)}", style)
    if status.failed:
        text.append("  (omisync outbox list --state failed)", "dim")
    return text


def _fetches(status: Status) -> Text:
    text = Text(f"{status.refresh_pending} waiting")
    if status.refresh_lag_seconds is not None:
        style = WARN if status.refresh_lag_seconds > OLD else ""
        text.append(", ").append(f"oldest {output.span(status.refresh_lag_seconds)}", style)
    return text


def _backlog(ahead: Forecast) -> Text:
    text = Text(str(ahead.total), WARN if ahead.total.seconds > OLD else "")
    for cls, one in ahead.classes.items():
        if one.calls:
            text.append(f"\n{CLASSES.get(cls.name, cls.name.lower())}: {one}", "dim")
    return text


def _unfinished(entry: Import, now: dt.datetime) -> Text:
    since = output.duration(entry.since_seconds)
    text = Text(
        f"not finished: {entry.settled:,} of {entry.total:,} orders, begun {output.ago(entry.started_at, now)}", WARN
    )
    return text.append(f"  (if it does not run: omisync import --since {since} goes on with it)", "dim")


def _pushes(status: Status) -> Text:
    waiting = ", ".join(f"{count} {state}" for state, count in status.inbox.items())
    forms = ", ".join(f"{form} ({count})" for form, count in status.webhook_forms.items())
    return output.clean(f"{waiting}; authorized by {forms or 'none yet'}")


def _token(status: Status) -> Text:
    seconds = status.token_expires_seconds
    if seconds is None:
        return Text("there is one; Omisell told no end") if status.token_held else Text("none yet", WARN)
    if seconds <= 0:
        return Text(f"expired {output.span(-seconds)} ago", BAD)
    return Text(f"ends in {output.span(seconds)}", WARN if seconds < TOKEN_SOON else "")


def _budget(status: Status) -> Text:
    ratio = status.budget_used_ratio
    if ratio is None:
        return Text("unknown: no daemon tells")
    return Text(f"{ratio:.0%} used", WARN if ratio >= BUDGET_HIGH else "")


def _replicas(status: Status, now: dt.datetime) -> Text:
    if not status.replicas:
        return Text("none: the daemon is not running (omisync run)", BAD)
    lines = Text()
    for place, replica in enumerate(status.replicas):
        lines.append("\n" if place else "")
        leads = ", leads" if replica.leads else ""
        words = (
            f"{replica.name} {replica.version}, up {output.ago(replica.started_at, now).removesuffix(' ago')}{leads}"
        )
        lines.append_text(output.clean(words))
        if away := replica.state.get("away"):
            lines.append_text(output.clean(f", Omisell is away: {away}", BAD))
    if status.leader is None:
        lines.append("\nnobody leads at this moment", WARN)
    return lines


def _lists(status: Status) -> Text:
    if not status.lists:
        return Text("none of Omisell's was read yet", WARN)
    without = off_without(status.lists)
    text = Text()
    for place, age in enumerate(status.lists):
        text.append("\n" if place else "")
        text.append(f"{age.name}: ")
        if age.refreshed_at is not None:
            text.append(f"{age.row_count:,}, read {output.span(age.age or 0.0)} ago")
        if not age.offered:
            text.append(f"not offered by the account; {without[age.name]}", WARN)
        elif age.error is not None:
            text.append_text(output.clean(f" (since then: {output.shortened(age.error, 120)})", WARN))
    return text


def _sweeps(status: Status, now: dt.datetime) -> list[RenderableType]:
    if not status.sweeps:
        return [Text("\nno sweep yet", WARN)]
    made = output.table(
        "sweep", "began", "took", "seen", "repaired", "error", wrap=["error"], right=["seen", "repaired"]
    )
    for sweep in status.sweeps[:SWEEPS_SHOWN]:
        took = (
            "runs" if sweep.finished_at is None else output.span((sweep.finished_at - sweep.started_at).total_seconds())
        )
        error = output.clean(output.shortened(sweep.error, 160), BAD)
        output.row(made, sweep.kind, output.ago(sweep.started_at, now), took, sweep.seen, sweep.repaired, error)
    return [Text(), made]


def _findings(status: Status, now: dt.datetime) -> list[RenderableType]:
    if not status.findings:
        return []
    made = output.table("needs a person", "order", "about", "data", "found", wrap=["data"])
    for one in status.findings[:FINDINGS_SHOWN]:
        data = ", ".join(f"{name} {value}" for name, value in one.data.items())
        output.row(made, one.kind, one.order_number, one.subject, data, output.ago(one.found_at, now))
    rest = len(status.findings) - FINDINGS_SHOWN
    more: list[RenderableType] = [Text(f"and {rest} more (--json shows them)", "dim")] if rest > 0 else []
    return [Text(), made, *more]


def _space(status: Status, now: dt.datetime) -> list[RenderableType]:
    if not status.tables:
        return []
    columns = ("table", "on disk", "rows, about", "dead", "vacuumed")
    made = output.table(*columns, right=columns[1:4])
    for one in status.tables[:TABLES_SHOWN]:
        late = one.dead > max(DEAD_FEW, one.rows * DEAD_MANY)
        vacuumed = "never" if one.clean_since is None else output.ago(one.clean_since, now)
        dead = output.clean(f"{one.dead:,}", WARN if late else "")
        output.row(made, one.name, output.size(one.bytes), f"{one.rows:,}", dead, vacuumed)
    return [Text(), made]
