"""How many orders a day a limit carries, as the code reckons it: the README's table."""

from typing import Final

from omisync.omisell import capacity

LIMITS: Final = (60, 100, 240)
PUSHES: Final = (2, 4, 6)


def capacity_markdown() -> str:
    """A Markdown table: a row a limit, a column for each number of pushes that one order causes."""
    head = "| calls a minute |" + "".join(f" {pushes} pushes an order |" for pushes in PUSHES)
    lines = [head, "|---|" + "---|" * len(PUSHES)]
    for limit in LIMITS:
        cells = (capacity(limit, pushes) for pushes in PUSHES)
        lines.append(f"| {limit} |" + "".join(f" {cell.orders:,} ({cell.orders_by_the_guide:,}) |" for cell in cells))
    return "\n".join(lines)
