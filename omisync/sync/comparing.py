"""Our tables against Omisell's, order by order and by name; changes nothing."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from omisync.omisell import CallClass, ListedOrder, NotFound, OrderDetail
from omisync.store import Difference
from omisync.store.comparison import Comparison, HereOrder, ParcelHere
from omisync.sync.ports import OmisellApi

Kind = Literal["missing here", "missing there", "status", "changed", "detail", "parcels", "duplicate"]
AT_ONCE = 500  # orders that are compared in one statement
FRESH = 60.0  # seconds for which an order of ours need not show in the list yet [omisell-api 4.7]

_KINDS: Mapping[str, Kind] = {"missing": "missing here", "stale": "changed", "status": "status", "detail": "detail"}


@dataclass(frozen=True, slots=True)
class Named:
    """A difference of one order.

    Attributes:
        here: what our tables say.
        there: what Omisell says.
        asked: whether somebody is fetching it already.
    """

    kind: Kind
    order_number: str
    omisell_order_number: str
    here: str
    there: str
    asked: bool = False


def named(difference: Difference) -> Named:
    """A difference that the list shows."""
    here = "" if difference.known_status_id is None else str(difference.known_status_id)
    there = "" if difference.status_id is None else str(difference.status_id)
    asked = difference.kind == "asked"
    if asked:
        kind: Kind = "missing here" if not here else "status" if here != there else "changed"
    else:
        kind = _KINDS[difference.kind]
    return Named(kind, difference.order_number, difference.omisell_order_number, here, there, asked)


def duplicates(listed: Mapping[str, ListedOrder]) -> list[Named]:
    """Order numbers under which Omisell has more than one order; the shop's are unique [contract 1]."""
    by_number: dict[str, list[str]] = {}
    for order in listed.values():
        if order.order_number:
            by_number.setdefault(order.order_number, []).append(order.omisell_order_number)
    return [
        Named("duplicate", number, ", ".join(sorted(there)), "", f"{len(there)} orders")
        for number, there in sorted(by_number.items())
        if len(there) > 1
    ]


async def missing_there(
    comparison: Comparison, listed: Mapping[str, ListedOrder], begin: int, shop_id: int
) -> list[Named]:
    """Orders of ours, changed since `begin` (Omisell's clock, Unix seconds), that its list does not show."""
    found: list[Named] = []
    after = ""
    while page := await comparison.changed_since(begin, shop_id, FRESH, after, AT_ONCE):
        after = page[-1].order_number
        found += [
            Named("missing there", one.order_number, one.omisell_order_number, _text(one.status_id), "")
            for one in page
            if one.omisell_order_number not in listed
        ]
    return found


async def parcels_apart(
    omisell: OmisellApi,
    comparison: Comparison,
    listed: Mapping[str, ListedOrder],
    on_order: Callable[[int, int], None],
) -> list[Named]:
    """Parcels that differ: a detail is fetched for each order that we know, for the list has none.

    Args:
        omisell: where the details are.
        comparison: where ours are.
        listed: orders as the list has them.
        on_order: told how many were fetched, and of how many.

    Raises:
        OmisellError, StoreError: it cannot be told.
    """
    numbers = sorted(listed)
    known: list[HereOrder] = []
    for start in range(0, len(numbers), AT_ONCE):
        known += await comparison.with_parcels(numbers[start : start + AT_ONCE])
    found: list[Named] = []
    for place, one in enumerate(known, start=1):
        try:
            detail = await omisell.order_detail(one.omisell_order_number, cls=CallClass.SWEEP)
        except NotFound:
            found.append(Named("missing there", one.order_number, one.omisell_order_number, _text(one.status_id), ""))
        else:
            here, there = _parcels_here(one.parcels), _parcels_there(detail)
            if here != there:
                found.append(Named("parcels", one.order_number, one.omisell_order_number, _words(here), _words(there)))
        on_order(place, len(known))
    return found


Parcels = frozenset[tuple[str, int | None]]
"""Each parcel's tracking number, or its own where it has none yet, and its status."""


def _parcels_here(parcels: Sequence[ParcelHere]) -> Parcels:
    return frozenset((one.tracking or one.package, one.status) for one in parcels)


def _parcels_there(detail: OrderDetail) -> Parcels:
    return frozenset(
        (parcel.courier_tracking_number or parcel.package_number or str(place), parcel.shipment_status)
        for place, parcel in enumerate(detail.parcels, start=1)
    )


def _words(parcels: Parcels) -> str:
    return ", ".join(f"{number} ({_text(status) or 'no status'})" for number, status in sorted(parcels, key=str))


def _text(value: int | None) -> str:
    return "" if value is None else str(value)
