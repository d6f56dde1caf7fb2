"""`python -m tests.chaos`: a night of chaos; with `throughput`: each fault by itself; with `flood`: of pushes."""

import asyncio
import dataclasses
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from omisync.demo.errors import DemoError
from tests.chaos import flood, tables, throughput
from tests.chaos.night import run
from tests.chaos.options import parse


def _say(words: str) -> None:
    print(words, flush=True)  # noqa: T201 - its output


def _report(paths: Sequence[Path], everything: Mapping[str, object], markdown: str) -> None:
    for path in paths:
        text = markdown if path.suffix == ".md" else json.dumps(everything, indent=1, ensure_ascii=False)
        path.write_text(text + "\n")


def _night(arguments: Sequence[str]) -> bool:
    options = parse(arguments)
    try:
        report = asyncio.run(run(options, _say))
    except DemoError as error:
        raise DemoError(f"{error}\nreplay with: {options.replay}") from error
    _report(options.reports, report.as_json(), tables.markdown(report))
    _say(report.render())
    return report.holds


def _throughput(arguments: Sequence[str]) -> bool:
    options, phases, window = throughput.parse(arguments)
    measured = asyncio.run(throughput.measure(options, phases, window, _say))
    _report(options.reports, throughput.as_json(*measured), throughput.markdown(*measured))
    _say(throughput.markdown(*measured))
    _, proof, _ = measured
    return not any(number for fault, number in proof.items() if fault != "placed")


def _flood(arguments: Sequence[str]) -> bool:
    options = flood.parse(arguments)
    measured = asyncio.run(flood.measure(options, _say))
    _report(options.reports, dataclasses.asdict(measured), flood.markdown(measured))
    _say(flood.markdown(measured))
    return measured.holds


COMMANDS: Final[Mapping[str, Callable[[Sequence[str]], bool]]] = {"throughput": _throughput, "flood": _flood}


def main() -> int:
    """Run it; 0 if what it proves holds, 1 if not or a part failed."""
    arguments = sys.argv[1:]
    try:
        command = COMMANDS.get(arguments[0]) if arguments else None
        holds = _night(arguments) if command is None else command(arguments[1:])
    except DemoError as error:
        print(f"chaos: {error}", file=sys.stderr)  # noqa: T201 - its output
        return 1
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
