"""The copies of Omisell's lists: how old they are, and what is not checked because the account offers none."""

from collections.abc import Sequence

from omisync.checkup.verdict import Check, State
from omisync.config import ChecksSettings, OmisellPaths
from omisync.store.mirrors import MirrorAge, MirrorName
from omisync.sync.checking import wanted_lists
from omisync.sync.standing import off_without

NAME = "lists"
LATE = 3.0
"""Times the interval after which a list that was not read again is called old."""
PATHS: dict[MirrorName, str] = {
    "shops": "shop_list",
    "pickups": "pickup_list",
    "catalogue": "catalogue_list",
    "products": "product_list",
    "locations": "provinces",
}
"""The key of [omisell.paths] under which each is looked for."""


def examine_lists(checks: ChecksSettings, paths: OmisellPaths, ages: Sequence[MirrorAge]) -> list[Check]:
    """Judges the copies: one line for those that are there, one for each that is not as it should be."""
    wanted = wanted_lists(checks)
    known = {age.name: age for age in ages}
    without = off_without(ages)
    found: list[Check] = []
    good: list[str] = []
    for name, every in wanted.items():
        age = known.get(name)
        if age is not None and not age.offered:
            key = PATHS[name]
            says = f"{name}: the account offers no list at {getattr(paths, key)}; {without[name]}"
            found.append(Check(NAME, State.WARNING, says, f"set omisell.paths.{key} if Omisell names another path"))
        elif age is not None and age.error is not None:
            found.append(Check(NAME, State.WARNING, f"{name}: not read: {age.error}", "the daemon tries again"))
        elif age is not None and age.age is not None and age.age > LATE * every:
            says = f"{name}: last read {_span(age.age)} ago, though it is due every {_span(every)}"
            found.append(Check(NAME, State.WARNING, says, "is the daemon running? `omisync status` says so"))
        elif age is not None and age.age is not None:
            good.append(f"{name} ({age.row_count:,}, read {_span(age.age)} ago)")
    if good:
        found.insert(0, Check(NAME, State.OK, ", ".join(good)))
    return found or [Check(NAME, State.SKIPPED, "none was read yet: the daemon does that soon after its start")]


def _span(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.0f} h"
