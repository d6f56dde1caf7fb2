"""Turns a fetched detail into what the store applies: text that Postgres can hold, one row a parcel."""

import json

from omisync.omisell import OrderDetail, Parcel, is_final
from omisync.omisell.strict_json import clean
from omisync.store import Fetch, Snapshot

PACKAGE_NUMBER_LENGTH = 200  # characters; it is part of a key, and Omisell's own have a few
_SUSPECT = ("\\u0000", "\\ud")  # as json.dumps writes NUL and surrogates; pairs of them are found, too, and left alone


def snapshot_of(detail: OrderDetail, fetch: Fetch, order_number: str, retry_delay: float | None) -> Snapshot:
    """The order as the detail tells it.

    A detail without a time is taken to be as new as what it was fetched for: nothing better is to be had.

    Raises:
        ValueError: the detail holds what JSON in Postgres cannot (NaN, Infinity).
    """
    parcels = _parcels(detail.parcels)
    tracking = [parcel["courier_tracking_number"] for parcel in parcels if parcel["courier_tracking_number"]]
    return Snapshot(
        fetch=fetch,
        order_number=clean(order_number),
        shop_id=detail.shop_id,
        status_id=detail.status_id,
        status_name=storable(detail.status_name),
        is_final=detail.status_id is not None and is_final(detail.status_id),
        created_time=detail.created_time,
        updated_time=fetch.wanted_time if detail.updated_time is None else detail.updated_time,
        rts_time=detail.rts_time,
        shipped_time=detail.shipped_time,
        completed_time=detail.completed_time,
        tracking_numbers=_json(list(dict.fromkeys(tracking))),
        detail=_json(detail.raw),
        parcels=_json(parcels),
        retry_delay=retry_delay,
    )


def storable(text: str | None) -> str | None:
    """The text as Postgres can hold it."""
    return None if text is None else clean(text)


def _parcels(parcels: tuple[Parcel, ...]) -> list[dict[str, object]]:
    rows: dict[str, dict[str, object]] = {}
    for place, parcel in enumerate(parcels, start=1):
        number = clean(parcel.package_number)[:PACKAGE_NUMBER_LENGTH] or str(place)
        while number in rows:
            number = f"{number}#{place}"  # two parcels under one number: both are kept
        rows[number] = {
            "package_number": number,
            "courier_name": parcel.courier_name or None,
            "courier_tracking_number": parcel.courier_tracking_number or None,
            "shipment_status": parcel.shipment_status,
            "shipment_status_name": parcel.shipment_status_name or None,
            "pickup_id": parcel.pickup_id,
            "items": parcel.items,
            "data": parcel.others,
        }
    return list(rows.values())


def _json(value: object) -> str:
    text = json.dumps(value, ensure_ascii=True, allow_nan=False)
    if any(suspect in text for suspect in _SUSPECT):
        text = json.dumps(_cleaned(value), ensure_ascii=True, allow_nan=False)
    return text


def _cleaned(value: object) -> object:
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, list):
        return [_cleaned(item) for item in value]
    if isinstance(value, dict):
        return {clean(str(key)): _cleaned(item) for key, item in value.items()}
    return value
