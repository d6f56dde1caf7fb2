"""What is not checked because the account does not offer the list that it needs, in words."""

from collections.abc import Sequence

from omisync.store.mirrors import MirrorAge, MirrorName

SKU_LISTS: tuple[MirrorName, MirrorName] = ("catalogue", "products")


def off_without(ages: Sequence[MirrorAge]) -> dict[MirrorName, str]:
    """For each list that the account does not offer, what is off without it."""
    missing = {age.name for age in ages if not age.offered}
    words: dict[MirrorName, str] = {
        "shops": "shop ids are not checked",
        "pickups": "pickup ids are not checked",
        "locations": "addresses are not checked",
    }
    for name, other in (SKU_LISTS, SKU_LISTS[::-1]):
        words[name] = "SKUs are not checked" if other in missing else f"SKUs are checked against the {other} alone"
    return {name: words[name] for name in words if name in missing}
