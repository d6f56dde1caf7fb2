"""What comes from outside, as hypothesis draws it: pushes and answers nearly right, JSON of any kind, any bytes."""

import json
from typing import Final

from hypothesis import strategies as st

from omisync.omisell.push import ORDER_EVENTS

NUMBERS: Final = st.one_of(
    st.integers(), st.integers(0, 2**32), st.floats(), st.integers(0, 1000).map(str), st.sampled_from([10**400, -1, 0])
)
LEAVES: Final = st.one_of(
    st.none(), st.booleans(), NUMBERS, st.text(max_size=30), st.sampled_from(["", "\0", "\ud800", "9" * 400])
)
JSON: Final = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
TIME: Final = st.integers(1_700_000_000, 1_800_000_000)


def _near(right: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    """Mostly what it should be, for a document that is wrong everywhere is turned away at its first field."""
    return st.one_of(right, right, right, LEAVES, JSON)


def _object(**fields: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    """An object with any of its fields, each nearly right, and one that nobody knows."""
    return st.fixed_dictionaries({}, optional={**{name: _near(field) for name, field in fields.items()}, "new": JSON})


WORDS: Final = st.text(max_size=20)
DATA: Final = _object(
    order_number=st.sampled_from(["A-1", "A-2"]),
    omisell_order_number=st.sampled_from(["ODVN-1", "ODVN-2"]),
    status_id=st.sampled_from([200, 500, 900, "700"]),
    status_name=WORDS,
    is_fulfilled=st.booleans(),
    updated_time=TIME,
    created_time=TIME,
)
PUSH: Final = st.fixed_dictionaries(
    {"event": st.sampled_from(sorted(ORDER_EVENTS)) | st.text(max_size=20) | JSON},
    optional={
        "data": DATA | JSON,
        "request_id": LEAVES,
        "shop_id": LEAVES,
        "seller_id": LEAVES,
        "timestamp": LEAVES,
        "event_type": LEAVES,
    },
)


def _bytes(value: object) -> bytes:
    return json.dumps(value).encode()


BODY: Final = st.one_of(
    PUSH.map(_bytes),
    JSON.map(lambda value: json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")),
    st.binary(max_size=300),
    st.tuples(PUSH, st.integers(0, 200)).map(lambda cut: _bytes(cut[0])[: cut[1]]),
)
"""Of a push."""

PARCEL: Final = _object(
    package_number=WORDS,
    courier_name=WORDS,
    courier_tracking_number=WORDS,
    shipment_status=st.integers(0, 20),
    pickup_id=st.integers(1, 9),
    catalogue_items=st.lists(_object(sku=WORDS, quantity=st.integers(1, 9)), max_size=3),
)
ORDER: Final = _object(
    order_number=st.just("A-1"),
    omisell_order_number=st.just("ODVN-1"),
    shop_id=st.integers(1, 99),
    status_id=st.sampled_from([200, 500, 900, "700"]),
    status_name=WORDS,
    created_time=TIME,
    updated_time=TIME,
    rts_time=TIME,
    shipped_time=TIME,
    completed_time=TIME,
    parcels=st.lists(PARCEL, max_size=3),
)
ROW: Final = st.one_of(
    ORDER,
    _object(id=st.integers(1, 99), shop_id=st.integers(1, 99), shop_name=WORDS, name=WORDS, platform=WORDS),
    _object(sku=WORDS, name=WORDS, shop_id=st.integers(1, 99), variants=st.lists(_object(sku=WORDS), max_size=3)),
    _object(id=st.integers(1, 99), name=WORDS, province_name=WORDS, district_name=WORDS, parent_id=st.integers(1, 9)),
)
PAGE: Final = _object(
    count=st.integers(0, 999), next=st.none() | WORDS, previous=st.none() | WORDS, results=st.lists(ROW, max_size=4)
)
TOKEN: Final = _object(token=WORDS, expired_time=TIME, refresh_token=WORDS, refresh_expired_time=TIME)
THROTTLED: Final = _object(retry_after=st.integers(0, 90) | st.integers(0, 90).map(str))
ENVELOPE: Final = st.fixed_dictionaries(
    {"data": st.one_of(ORDER, PAGE, TOKEN, THROTTLED, st.lists(ORDER, max_size=2), JSON)},
    optional={
        "error": _near(st.booleans()),
        "error_code": _near(st.sampled_from([0, 200, 201, 400, 409])),
        "messages": _near(WORDS),
        "attr_error": _near(_object(order_number=st.lists(WORDS, max_size=2), items=WORDS)),
        "request_id": _near(WORDS),
    },
)
ANSWER: Final = st.one_of(
    ENVELOPE.map(_bytes),
    ENVELOPE.map(_bytes),
    JSON.map(lambda value: json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")),
    st.binary(max_size=300),
    st.sampled_from([b"", b"<html>502 Bad Gateway</html>", b"null", b"[]", b"{}"]),
)
"""Of Omisell, to any call."""
STATUS: Final = st.sampled_from([200, 200, 200, 201, 302, 400, 401, 403, 404, 408, 409, 422, 429, 500, 502, 503])
