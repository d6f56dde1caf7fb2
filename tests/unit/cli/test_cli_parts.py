"""The command line's own parts: ids as they are typed, errors and their exit codes, printing."""

import asyncio
import dataclasses
import datetime as dt
import errno
import io
import itertools
import os
import sys
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import click
import pytest
from rich.console import Console
from rich.text import Text

from omisync.cli import failures, ids, options, output
from omisync.cli.failures import CommandFailed, OutOfReach, WrongUsage, failure
from omisync.config import ConfigError
from omisync.omisell import AuthenticationFailed, NotFound, Refused, Throttled, Unavailable
from omisync.store import SchemaError, StoreMisused, StoreUnavailable
from omisync.web import ListenError

ADVICE = "; check omisell.base_url and the network, or let `omisync check` look"

# Ids


@pytest.mark.parametrize(
    ("parts", "wanted"),
    [
        (["12"], [12]),
        (["12", "15-17"], [12, 15, 16, 17]),
        (["3,1", "2-2"], [1, 2, 3]),
        (["1-3", "2-4"], [1, 2, 3, 4]),
        ([","], []),
    ],
)
def test_ids_and_ranges(parts: list[str], wanted: list[int]) -> None:
    assert ids.parse_ids(parts) == wanted


@pytest.mark.parametrize("part", ["x", "1-", "-1", "1--2", "１", "9" * 20, "9223372036854775808", "1-100001"])
def test_what_is_no_id(part: str) -> None:
    with pytest.raises(WrongUsage, match=f"^{part}: "):
        ids.parse_ids([part])


def test_either_ids_or_all_failed() -> None:
    assert ids.chosen(["1"], False) == [1]
    assert ids.chosen([], True) is None
    for parts, all_failed in (([], False), (["1"], True)):
        with pytest.raises(WrongUsage, match="name the rows by id"):
            ids.chosen(parts, all_failed)


# Errors


class Let(Exception):
    """Of Postgres: the user is not let in."""

    sqlstate = "28P01"


def caused(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (WrongUsage("say which"), 2, "say which"),
        (CommandFailed("no such row"), 1, "no such row"),
        (OutOfReach("1 of 12 checks failed: database"), 3, "1 of 12 checks failed: database"),
        (ConfigError(["a: is missing", "b: is wrong"]), 2, "a: is missing\nb: is wrong"),
        (StoreUnavailable("cannot be used now"), 3, "cannot be used now"),
        (StoreMisused("a right is missing"), 1, "a right is missing"),
        (caused(StoreMisused("wrong password"), Let()), 3, "wrong password"),
        (SchemaError("run `omisync migrate`"), 1, "run `omisync migrate`"),
        (
            Unavailable("time-out", maybe_applied=False),
            3,
            "Omisell did not answer the call: time-out" + ADVICE,
        ),
        (Throttled(7, endpoint="shop.list"), 3, "Omisell throttled shop.list: again in 7 s"),
        (AuthenticationFailed("check the key"), 1, "check the key"),
        (
            Refused("No such\nshop", status=400, endpoint="shop.list"),
            1,
            "Omisell refused shop.list: HTTP 400: No such shop",
        ),
        (NotFound(endpoint="x"), 1, "Omisell refused x: HTTP 404: HTTP 404 without a reason given"),
        (ListenError("the port is taken"), 1, "the port is taken"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (click.exceptions.Abort(), 130, "interrupted"),
        (click.UsageError("No such option: --x"), 2, "No such option: --x"),
        (FileNotFoundError(errno.ENOENT, "No such file or directory", "x.toml"), 1, None),
        (OSError(errno.EPIPE, ""), 1, os.strerror(errno.EPIPE)),
        (OSError("odd"), 1, "odd"),
        (BaseExceptionGroup("two", [StoreUnavailable("away"), ValueError()]), 3, "away"),
        (
            ZeroDivisionError("division\nby zero"),
            1,
            "internal error: ZeroDivisionError: division by zero (run again with --debug for the details)",
        ),
        (
            RuntimeError(),
            1,
            "internal error: RuntimeError: RuntimeError (run again with --debug for the details)",
        ),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
)
def test_an_error_has_its_code_and_its_words(error: BaseException, code: int, words: str | None) -> None:
    got, said = failure(error)
    assert got == code
    assert said == (words if words is not None else "x.toml: [Errno 2] No such file or directory: 'x.toml'")


def test_an_error_of_the_command_line_names_where_to_read() -> None:
    context = click.Context(click.Command("list"), info_name="omisync list")
    assert failure(click.UsageError("No such option: --x", context)) == (
        2,
        "No such option: --x (see omisync list --help)",
    )


def test_errors_of_modules_that_are_not_loaded_are_internal(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("omisync.config", "omisync.store", "omisync.omisell", "omisync.web"):
        monkeypatch.delitem(sys.modules, module)
    assert failure(ValueError("x"))[1].startswith("internal error: ValueError")
    assert failures.help_instead(ValueError("x")) is None


# Printing


@dataclasses.dataclass(frozen=True)
class Thing:
    at: dt.datetime
    parts: Mapping[str, object]


def test_json_of_everything() -> None:
    at = dt.datetime(2026, 7, 1, 12, 0, tzinfo=dt.UTC)
    thing = Thing(at, MappingProxyType({"a": (1, 2), "b": frozenset({3}), "c": dt.time(3, 30), "d": 1j}))
    assert output.to_json(thing) == (
        '{"at": "2026-07-01T12:00:00+00:00", "parts": {"a": [1, 2], "b": [3], "c": "03:30:00", "d": "1j"}}'
    )
    assert output.to_json({"tên": "Nguyễn"}) == '{"tên": "Nguyễn"}'
    assert output.to_json(range(2)) == "[0, 1]"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0s"),
        (59.9, "59s"),
        (60, "1m"),
        (61, "1m 1s"),
        (3600, "1h"),
        (3660, "1h 1m"),
        (86400, "1d"),
        (90000, "1d 1h"),
    ],
)
def test_spans(seconds: float, words: str) -> None:
    assert output.span(seconds) == words


def test_ages() -> None:
    now = dt.datetime(2026, 7, 1, 12, 0, tzinfo=dt.UTC)
    assert output.ago(now - dt.timedelta(minutes=2), now) == "2m ago"
    assert output.ago(now + dt.timedelta(minutes=2), now) == "in 2m"
    assert output.ago(dt.datetime.now(dt.UTC)) == "0s ago"


def test_a_text_is_shortened_on_one_line() -> None:
    assert output.shortened("a\n b", 5) == "a b"
    assert output.shortened("a very long text", 6) == "a ver…"
    assert output.shortened(None, 5) == ""


def test_nothing_steers_the_terminal() -> None:
    assert output.clean("a\x1b[31m\u202eb\nc").plain == "a�[31m�b�c"


def test_cells(capsys: pytest.CaptureFixture[str]) -> None:
    made = output.table("a", "b", "c", "d", "e", right=["b"])
    output.row(made, None, 7, True, ["x", "y"], Text("t"))
    output.row(made, "", 8, False, (), output.state("failed"))
    output.console().print(made)
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert rows[2:] == [["7", "yes", "x,", "y", "t"], ["8", "no", "failed"]]


def drawn(columns: int, order: str = "WEB-1001") -> list[str]:
    """A list's table at so many columns."""
    made = output.table("id", "kind", "order", "state", "created", "error", wrap=["error"], spare=["created"])
    error = "items[0].sku: SKU " * 4
    output.row(made, 1234567, "order.cancel", order, output.state("failed"), "2026-11-24 19:45:18", error)
    screen = Console(file=io.StringIO(), width=columns, color_system=None)
    screen.print(made)
    assert isinstance(screen.file, io.StringIO)
    return [line.rstrip() for line in screen.file.getvalue().splitlines()]


def test_where_there_is_room_a_table_has_all_its_columns() -> None:
    head, _, first, *_ = drawn(90)
    assert head.split() == ["id", "kind", "order", "state", "created", "error"]
    assert first.startswith("1234567   order.cancel   WEB-1001   failed   2026-11-24 19:45:18   items[0].sku:")


def test_on_a_narrow_terminal_a_table_leaves_spare_columns_out_and_says_so() -> None:
    lines = drawn(70)
    assert lines[0].split() == ["id", "kind", "order", "state", "error"]
    assert lines[2].startswith("1234567   order.cancel   WEB-1001   failed   items[0].sku:")
    assert lines[-1] == "no room for: created (a wider window or --json shows them)"


@pytest.mark.parametrize("columns", [60, 45])
def test_no_id_is_cut_off_at_half_the_usual_width(columns: int) -> None:
    number = "WEB-2026-11-24-" + "7" * 40
    lines = drawn(columns, number)
    assert max(map(len, lines)) <= columns
    assert lines[0].split()[:3] == ["id", "kind", "order"]
    begins = [lines[0].index(head) for head in ("id", "kind", "order", "state", "error")]
    body = lines[2:-2]
    cells = ["".join(line[begin:end].strip() for line in body) for begin, end in itertools.pairwise(begins)]
    assert cells == ["1234567", "order.cancel", number, "failed"]


def test_a_duration_is_told_as_an_option_takes_it() -> None:
    told = [output.duration(seconds) for seconds in (7_776_000, 43_200, 5_400, 45, 0)]
    assert told == ["90d", "12h", "90m", "45s", "0s"]


def test_on_a_terminal_the_width_is_the_terminals(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    assert output.console().width == output.UNLIMITED
    monkeypatch.setenv("COLUMNS", "70")
    assert output.console().width == 70


# Options


def test_who_changes_something(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: "shop")
    monkeypatch.setenv("SUDO_USER", "an")
    assert options.operator_name() == "an@shop"
    monkeypatch.delenv("SUDO_USER")
    monkeypatch.setattr("getpass.getuser", lambda: "bo")
    assert options.operator_name() == "bo@shop"

    def nameless() -> str:
        raise KeyError("no such uid")

    monkeypatch.setattr("getpass.getuser", nameless)
    assert options.operator_name() == f"uid {os.getuid()}@shop"


def test_examples() -> None:
    assert options.examples("status") == "\b\nExample:\n  omisync status"
    assert options.examples("a", "b") == "\b\nExamples:\n  omisync a\n  omisync b"


def test_a_reader_that_has_seen_enough_is_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    from omisync.cli import app, main  # noqa: PLC0415 - as a command line loads it

    class Closed(io.StringIO):
        def fileno(self) -> int:
            return spare

        def flush(self) -> None:
            raise BrokenPipeError

    def run(*_: Any, **__: Any) -> int:
        return 0

    spare = os.open(os.devnull, os.O_WRONLY)
    try:
        monkeypatch.setattr(app, "app", run)
        monkeypatch.setattr(sys, "stdout", Closed())
        assert main(["status"]) == 0
    finally:
        os.close(spare)


def test_another_exit_is_handed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    from omisync.cli import app, main  # noqa: PLC0415 - as a command line loads it

    def leave(*_: Any, **__: Any) -> int:
        raise SystemExit(7)

    monkeypatch.setattr(app, "app", leave)
    with pytest.raises(SystemExit):
        main(["status"])


def test_a_group_of_one_error_is_that_error() -> None:
    async def work() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(asyncio.sleep(0))
            raise StoreUnavailable("away")

    with pytest.raises(BaseExceptionGroup) as caught:
        asyncio.run(work())
    assert failure(caught.value) == (3, "away")
