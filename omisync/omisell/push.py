"""The body of a push, checked and reduced to what identifies the change.

A push says "this order changed", never what to: its data is only good for finding the order, for telling a
repeat, and for knowing which `updated_time` to expect of the detail [guide 5.2, 5.3].
"""

import hashlib
from dataclasses import dataclass
from typing import Annotated, Final, Literal, TypeAlias

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictStr, ValidationError

from omisync.omisell.models import BIGINT_MAX, NUMBER_LENGTH, integer, moment, number, text
from omisync.omisell.strict_json import loads

ORDER_EVENTS: Final = frozenset(
    {
        "order.created",
        "order.ready_to_ship",
        "order.shipped",
        "order.completed",
        "order.returned",
        "order.cancelled",
        "order.reconciled",
        "order.return_receive",
    }
)
"""The events whose data is documented [guide 5.2]; only their data can be refused."""

MAX_EVENT: Final = 100
"""Characters of an event's name that are kept."""

Category: TypeAlias = Literal["order", "shipment", "return", "other"]

_CATEGORIES: Final[dict[str, Category]] = {"order": "order", "shipment": "shipment", "return": "return"}


class BadPush(Exception):
    """A push that is not JSON as documented, to be answered 400 with this text.

    Attributes:
        field: path of the field at fault, such as `data.status_id`; `body` for the whole.
        why: what is wrong with it; quotes nothing of the body.
    """

    def __init__(self, field: str, why: str) -> None:
        self.field = field
        self.why = why
        super().__init__(f"{field}: {why}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Push:
    """One delivery.

    Attributes:
        event: Omisell's name of the event; "" when there was none.
        request_id: Omisell's id of the delivery, the same on every retry; a hash of it when it is overlong.
        status_id: the order's status, or the shipment's if `category` is `shipment` [omisell-api 6.2].
        updated_time: Unix seconds, UTC.
        category: by the event's prefix.
        handled: whether this names an order to refresh; else it is only kept and shown.
    """

    event: str
    request_id: str | None
    order_number: str | None
    omisell_order_number: str | None
    status_id: int | None
    updated_time: int | None
    shop_id: int | None
    seller_id: int | None
    category: Category
    handled: bool


def parse_push(body: bytes) -> Push:
    """Read the raw body of a push.

    An event nobody knows, and one that names no order, is not an error: `handled` is False.

    Raises:
        BadPush: not a JSON object, or the `data` of an event in `ORDER_EVENTS` breaks its documented types.
    """
    try:
        payload = loads(body)
    except ValueError as error:
        raise BadPush("body", str(error)) from None
    if not isinstance(payload, dict):
        raise BadPush("body", "must be a JSON object")
    event = (_string(payload.get("event")) or _string(payload.get("event_type")) or "")[:MAX_EVENT]
    data = payload.get("data")
    named = data if isinstance(data, dict) else {}
    if event in ORDER_EVENTS:
        status_id, updated_time = _checked(data)
    else:
        status_id, updated_time = integer(named.get("status_id")), integer(named.get("updated_time"))
    category = _CATEGORIES.get(event.partition(".")[0], "other") if "." in event else "other"
    order_number, omisell_order_number = number(named.get("order_number")), number(named.get("omisell_order_number"))
    return Push(
        event=event,
        request_id=_identity(payload.get("request_id")),
        order_number=order_number,
        omisell_order_number=omisell_order_number,
        status_id=status_id,
        updated_time=moment(updated_time),
        shop_id=integer(payload.get("shop_id")),
        seller_id=integer(payload.get("seller_id")),
        category=category,
        handled=category != "other" and (order_number or omisell_order_number) is not None,
    )


def _string(value: object) -> str | None:
    return value.strip() if isinstance(value, str) else None


def _identity(value: object) -> str | None:
    found = text(value)
    if found is None or len(found) <= NUMBER_LENGTH:
        return found
    return "sha256:" + hashlib.sha256(found.encode()).hexdigest()


def _whole(value: object) -> int | None:
    """A whole number, 0 or more, however written; null and the empty string are "missing" [omisell-api 9.10]."""
    if value is None or value == "":
        return None
    found = integer(value)
    if found is None or found < 0:
        raise ValueError("must be a whole number, as a number or as a string")
    return found


_OrderNumber: TypeAlias = Annotated[StrictStr, Field(max_length=NUMBER_LENGTH)]
_Whole: TypeAlias = Annotated[int | None, BeforeValidator(_whole)]


class _OrderData(BaseModel):
    """`data` of an order event, with the types of the guide's sample; every field may be missing or null."""

    model_config = ConfigDict(extra="ignore", hide_input_in_errors=True)

    order_number: _OrderNumber | None = None
    omisell_order_number: _OrderNumber | None = None
    status_id: _Whole = None
    status_name: StrictStr | None = None
    is_fulfilled: bool | Literal[""] | None = None
    updated_time: _Whole = None
    created_time: _Whole = None


_TEXTS: Final = ("order_number", "omisell_order_number", "status_name")
_WHOLES: Final = ("status_id", "updated_time", "created_time")
DIGITS: Final = 18
"""As many always fit a bigint."""


def _checked(data: object) -> tuple[int | None, int | None]:
    """`status_id` and `updated_time` of an order event's `data`.

    Raises:
        BadPush: names the first field that is not as documented.
    """
    if data is None:
        return None, None  # names no order: kept as unhandled
    if isinstance(data, dict) and (plain := _as_documented(data)) is not None:
        return plain
    try:
        checked = _OrderData.model_validate(data)
    except ValidationError as error:
        fault = error.errors(include_url=False, include_context=False, include_input=False)[0]
        path = ".".join(["data", *(str(part) for part in fault["loc"][:1])])
        why = "must be an object" if fault["type"] == "model_type" else fault["msg"]
        raise BadPush(path, why.removeprefix("Value error, ")) from None
    return checked.status_id, checked.updated_time


def _as_documented(data: dict[str, object]) -> tuple[int | None, int | None] | None:
    """The same without the model, at a third of its cost, where all is plainly as documented; else None.

    As in the guide's sample, a whole number may be a number or a string of digits [guide 5.2].
    """
    for name in _TEXTS:
        word = data.get(name)
        if word is not None and (type(word) is not str or len(word) > NUMBER_LENGTH):
            return None
    wholes: dict[str, int | None] = {}
    for name in _WHOLES:
        whole = data.get(name)
        if type(whole) is str and len(whole) <= DIGITS and whole.isascii() and whole.isdigit():
            whole = int(whole)
        if whole is None or (type(whole) is int and 0 <= whole <= BIGINT_MAX):
            wholes[name] = whole
        else:
            return None
    fulfilled = data.get("is_fulfilled")
    return (wholes["status_id"], wholes["updated_time"]) if fulfilled is None or type(fulfilled) is bool else None
