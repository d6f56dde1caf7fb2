"""Ids and ranges of ids as they are typed: `12 15-20`."""

from __future__ import annotations

import re
from collections.abc import Sequence

from omisync.cli.failures import WrongUsage

MOST = 100_000
"""Ids in one command: a slip such as `1-99999999999` must not fill the memory."""

_PART = re.compile(r"(\d{1,19})(?:-(\d{1,19}))?", re.ASCII)


def parse_ids(parts: Sequence[str]) -> list[int]:
    """The ids that are meant, ascending, each once.

    Args:
        parts: `12`, `15-20`; commas may stand between them too.

    Raises:
        WrongUsage: something else, a range that runs backwards, or too many.
    """
    found: set[int] = set()
    for part in " ".join(parts).replace(",", " ").split():
        match = _PART.fullmatch(part)
        if match is None:
            raise WrongUsage(f"{part}: expected an id or a range of ids, such as 12 or 15-20")
        first, last = int(match[1]), int(match[2] or match[1])
        if last < first:
            raise WrongUsage(f"{part}: the range runs backwards: write {last}-{first}")
        if last > 2**63 - 1 or last - first + len(found) >= MOST:
            raise WrongUsage(f"{part}: more than {MOST} ids in one command: use smaller ranges")
        found.update(range(first, last + 1))
    return sorted(found)


def chosen(parts: Sequence[str], all_failed: bool) -> list[int] | None:
    """The ids of a change, or None when all failed rows are meant.

    Raises:
        WrongUsage: neither ids nor `--all-failed`, or both.
    """
    if bool(parts) == all_failed:
        raise WrongUsage("name the rows by id, such as 12 15-20, or say --all-failed (one of the two)")
    return None if all_failed else parse_ids(parts)
