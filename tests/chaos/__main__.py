"""`python -m tests.chaos`: a night of chaos from the command line."""

import asyncio
import json
import sys

from omisync.demo.errors import DemoError
from tests.chaos.night import run
from tests.chaos.options import Options, parse
from tests.chaos.tables import markdown


def main() -> int:
    """Run it; 0 if the verdict holds, 1 if not or a part failed."""
    options: Options = parse(sys.argv[1:])
    try:
        report = asyncio.run(run(options, lambda words: print(words, flush=True)))  # noqa: T201 - its output
    except DemoError as error:
        print(f"chaos: {error}\nreplay with: {options.replay}", file=sys.stderr)  # noqa: T201 - its output
        return 1
    for path in options.reports:
        told = markdown(report) if path.suffix == ".md" else json.dumps(report.as_json(), indent=1, ensure_ascii=False)
        path.write_text(told + "\n")
    print(report.render(), flush=True)  # noqa: T201 - its output
    return 0 if report.holds else 1


if __name__ == "__main__":
    sys.exit(main())
