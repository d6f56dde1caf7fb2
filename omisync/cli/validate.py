"""`omisync validate`: orders held against the model, before anything is sent."""

# ruff: noqa: PLC0415 (what is heavy is imported by the command that needs it, so that --help answers at once)

from __future__ import annotations

import contextlib
import io
import json as json_module
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TextIO

import typer

from omisync.cli import output
from omisync.cli.failures import CommandFailed, WrongUsage
from omisync.cli.options import Common, Config, Debug, Json, examples

if TYPE_CHECKING:
    from collections.abc import Callable

    from omisync.add_order import Fault

    Check = Callable[[object], list[Fault]]

OUTBOX = "outbox"
"""Stands for a file's name where the outbox is checked, and a row's id for the line."""


def add_to(app: typer.Typer) -> None:
    """Puts the command into the tree."""
    app.command(
        epilog=examples("validate orders.jsonl", "validate --pending --lists", "validate --schema > order.schema.json")
    )(validate)


def validate(
    context: typer.Context,
    file: Annotated[str | None, typer.Argument(help="Orders as JSON or JSON Lines; - is standard input.")] = None,
    pending: Annotated[bool, typer.Option("--pending", help="Check what waits in the outbox instead.")] = False,
    lists: Annotated[
        bool,
        typer.Option("--lists", help="Also against Omisell's places, SKUs, shops and warehouses."),
    ] = False,
    schema: Annotated[bool, typer.Option("--schema", help="Print the JSON Schema of an order instead.")] = False,
    config: Config = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Check orders as Add Order takes them: fields, types, payment codes, amounts and times.

    Prints file:line: field.path: why for each fault. Sends nothing, and needs no configuration for a file without
    --lists. Fields that the guide does not name are left to Omisell.
    """
    common = Common.of(context, config, json, debug)
    if (file is not None) + pending + schema != 1:
        raise WrongUsage(
            "say what to check: a FILE (- for standard input), --pending, or --schema for the schema alone"
        )
    if schema:
        from omisync.add_order import Order

        output.print_json(Order.model_json_schema())
        return
    report = _Report(OUTBOX if file is None else file, as_json=common.json)
    check = _check(common) if lists else _against_the_model
    seen = _Seen()
    if file is None:
        _check_outbox(common, report, check, seen)
    else:
        _check_file(file, report, check, seen)
    if seen.beyond:
        from omisync.add_order.repeats import MOST

        print(  # noqa: T201 (a word about the check itself)
            f"omisync: among more than {MOST:,} orders, those after them were held for repeats against the first only",
            file=sys.stderr,
        )
    report.end()


class _Report:
    """Prints faults as they are found, and counts."""

    def __init__(self, file: str, *, as_json: bool) -> None:
        self._file = file
        self._json = as_json
        self._orders = 0
        self._bad = 0
        self._faults = 0

    def tell(self, line: int, faults: Iterable[Fault]) -> None:
        """One order was looked at."""
        before = self._faults
        for fault in faults:
            self._print(line, fault)
            self._faults += 1
        self._orders += 1
        self._bad += self._faults > before

    def _print(self, line: int, fault: Fault) -> None:
        if self._json:
            shown = {"file": self._file, "line": line, "field": fault.field, "error": fault.why}
            print("[" if not self._faults else ",", output.to_json(shown), sep="\n ", end="")  # noqa: T201
        else:
            print(output.clean(f"{self._file}:{line}: {fault.field}: {fault.why}"))  # noqa: T201

    def end(self) -> None:
        """Everything was looked at.

        Raises:
            CommandFailed: there are faults.
        """
        if self._json:
            print("\n]" if self._faults else "[]", flush=True)  # noqa: T201 (standard output is what it is for)
        if self._faults:
            faults = "1 fault" if self._faults == 1 else f"{self._faults:,} faults"
            raise CommandFailed(f"{faults} in {self._bad:,} of {_orders(self._orders)}")
        if not self._json:
            output.say(f"{_orders(self._orders)}, no faults", "green")


def _orders(count: int) -> str:
    return "1 order" if count == 1 else f"{count:,} orders"


def _against_the_model(order: object) -> list[Fault]:
    from omisync.add_order import faults_of

    return faults_of(order)


def _check(common: Common) -> Check:
    """Against the model, and the lists that the daemon has read."""
    settings = common.settings()
    from omisync import mirrored
    from omisync.add_order import Fault, faults_of
    from omisync.checks.order import judge

    facts = common.run(mirrored.facts(settings))

    def check(order: object) -> list[Fault]:
        known = judge(order, facts) if isinstance(order, dict) else []
        return [*faults_of(order), *(Fault(each.field, each.why) for each in known)]

    return check


class _Seen:
    """The order numbers that came before."""

    def __init__(self) -> None:
        from omisync.add_order.repeats import Repeats

        self._repeats = Repeats()

    @property
    def beyond(self) -> bool:
        """Whether there were more than are remembered."""
        return self._repeats.full

    def faults(self, order: object, line: int) -> list[Fault]:
        """The fault of an order whose number stood before."""
        number = order.get("order_number") if isinstance(order, dict) else None
        if not isinstance(number, str) or not number:
            return []
        first = self._repeats.first_line(number, line)
        if first is None:
            return []
        from omisync.add_order import Fault

        return [Fault("order_number", f"is the same as in line {first}; an order number is used once in a shop")]


def _check_file(file: str, report: _Report, check: Check, seen: _Seen) -> None:
    from omisync.add_order import read_orders

    try:
        with _opened(file) as stream:
            for read in read_orders(stream):
                faults = (
                    [read.fault] if read.fault is not None else check(read.order) + seen.faults(read.order, read.line)
                )
                report.tell(read.line, faults)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise WrongUsage(f"{file}: cannot be read: {error.strerror or error}") from error


def _opened(file: str) -> contextlib.AbstractContextManager[TextIO]:
    # what is not UTF-8 is a fault of the orders, not of the program
    if file == "-":
        stream = io.TextIOWrapper(sys.stdin.buffer, encoding="utf-8", errors="replace")
        return contextlib.nullcontext(stream)
    return Path(file).open(encoding="utf-8", errors="replace")


def _check_outbox(common: Common, report: _Report, check: Check, seen: _Seen) -> None:
    settings = common.settings()
    from omisync.remote import open_database
    from omisync.store.checkup import Inspection

    async def work() -> None:
        async with open_database(settings) as database:
            async for row_id, payload in Inspection(database).pending_adds():
                order = json_module.loads(payload)
                report.tell(row_id, check(order) + seen.faults(order, row_id))

    common.run(work())
