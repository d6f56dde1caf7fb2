"""Turns a fetched detail into what the store applies: cleaned text, one row a parcel."""

import json

from omisync.omisell import OrderDetail, Parcel, is_final
from omisync.store import Fetch, Snapshot

_NUL = "\\u0000"  # as json.dumps writes it; Postgres's text and jsonb cannot hold it


def snapshot_of(detail: OrderDetail, fetch: Fetch, order_number: str, retry_delay: float | None) -> Snapshot:
    """The order as the detail tells it.

    Raises:
        ValueError: the detail holds what JSON in Postgres cannot (NaN, Infinity).
    """
    parcels = _parcels(detail.parcels)
    tracking = [parcel["courier_tracking_number"] for parcel in parcels if parcel["courier_tracking_number"]]
    return Snapshot(
        fetch=fetch,
        order_number=order_number,
        shop_id=detail.shop_id,
        status_id=detail.status_id,
        status_name=_clean(detail.status_name),
        is_final=detail.status_id is not None and is_final(detail.status_id),
        created_time=detail.created_time,
        updated_time=detail.updated_time,
        rts_time=detail.rts_time,
        shipped_time=detail.shipped_time,
        completed_time=detail.completed_time,
        tracking_numbers=_json(list(dict.fromkeys(tracking))),
        detail=_json(detail.raw),
        parcels=_json(parcels),
        retry_delay=retry_delay,
    )


def _parcels(parcels: tuple[Parcel, ...]) -> list[dict[str, object]]:
    rows: dict[str, dict[str, object]] = {}
    for place, parcel in enumerate(parcels, start=1):
        number = parcel.package_number or str(place)
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
        }
    return list(rows.values())


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=True, allow_nan=False).replace(_NUL, "")


def _clean(text: str | None) -> str | None:
    return None if text is None else text.replace("\x00", "")
