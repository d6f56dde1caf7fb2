"""The body of Add Order: the fields the guide names, with their types and enums; others pass through [guide 4.2].

What is required is only what omisync itself needs: which fields Omisell requires is UNKNOWN [omisell-api 4.3].
"""

import math
import time
from enum import IntEnum
from typing import Annotated, Any, Final

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

NUMBER_LENGTH: Final = 255
"""Characters an order number may have, as everywhere in omisync."""
MOST_MONEY: Final = 1e12
"""No order is worth more, in any of Omisell's currencies."""
FIRST_TIME: Final = 946_684_800
"""2000-01-01 in Unix seconds: nothing was ordered before."""
FIRST_MILLISECONDS: Final = 100_000_000_000
"""From here on a number of today is milliseconds: as seconds it is the year 5138."""
AHEAD: Final = 86_400
"""Seconds that a shop's clock may be ahead, or its time zone wrong."""


class PaymentType(IntEnum):
    """How the buyer pays [guide 4.2]; there is no 5."""

    COD = 1
    BANK_TRANSFER = 2
    CARD = 3
    CASH = 4
    QR_CODE = 6
    ONLINE_BANKING = 7
    INSTALMENT = 8


class PaymentStatus(IntEnum):
    """How far the payment is: 100, 150 and 200 [guide 4.2], which says there are more; those of [sibling: onflow]."""

    UNPAID = 100
    IN_PROCESS = 110
    AWAITING = 120
    PARTLY_PAID = 150
    PAID = 200
    AWAITING_REFUND = 250
    REFUNDED = 300
    PARTLY_REFUNDED = 310
    CANCELLED = 500
    COLLECTION_CANCELLED = 550
    OVERDUE = 600


def _refuse(why: str) -> PydanticCustomError:
    return PydanticCustomError("refused", "{why}", {"why": why})


def _choice(kind: type[IntEnum]) -> BeforeValidator:
    values = frozenset(one.value for one in kind)
    known = ", ".join(f"{one.value} {one.name.lower().replace('_', ' ')}" for one in kind)

    def chosen(value: Any) -> Any:
        if type(value) is not int or value not in values:
            raise _refuse(f"expected one of {known}")
        return value

    return BeforeValidator(chosen)


def _money(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _refuse("expected a number without quotes")
    if not math.isfinite(value) or not 0 <= value <= MOST_MONEY:
        raise _refuse("expected an amount of 0 or more")
    return value


def _moment(value: Any) -> Any:
    if type(value) is not int:
        raise _refuse("expected Unix seconds, a whole number without quotes")
    if value >= FIRST_MILLISECONDS:
        raise _refuse("expected Unix seconds; this looks like milliseconds: divide it by 1000")
    if value < FIRST_TIME:
        raise _refuse("expected Unix seconds; this is before the year 2000")
    if value > time.time() + AHEAD:
        raise _refuse("is more than a day in the future")
    return value


def _plain(value: Any) -> Any:
    if isinstance(value, str) and any(ord(character) < 32 for character in value):
        raise _refuse("has control characters in it")
    if isinstance(value, str) and value != value.strip():
        raise _refuse("has blanks before or after it")
    return value


Whole = Annotated[int, Field(strict=True, ge=1)]
Text = Annotated[str, Field(strict=True)]
Number = Annotated[str, Field(strict=True, min_length=1, max_length=NUMBER_LENGTH), BeforeValidator(_plain)]
Money = Annotated[float, BeforeValidator(_money), WithJsonSchema({"type": "number", "minimum": 0})]
Moment = Annotated[
    int, BeforeValidator(_moment), WithJsonSchema({"type": "integer", "minimum": FIRST_TIME, "format": "unix-time"})
]


class _Part(BaseModel):
    model_config = ConfigDict(extra="allow", hide_input_in_errors=True, use_attribute_docstrings=True)


class Receiver(_Part):
    """Who gets the order; the names of places must be Omisell's own [guide 4.2]. The keys are PROPOSED."""

    fullname: Text | None = None
    phone: Text | None = None
    email: Text | None = None
    address: Text | None = None
    country: Text | None = None
    zip_code: Text | None = None
    province_name: Text | None = None
    district_name: Text | None = None
    subdistrict_name: Text | None = None


class PaymentInformation(_Part):
    """How it is paid, and how far that is [guide 4.2]."""

    payment_type: Annotated[PaymentType, _choice(PaymentType)] | None = None
    payment_status: Annotated[PaymentStatus, _choice(PaymentStatus)] | None = None


class Item(_Part):
    """One line. The keys besides `sku` are PROPOSED, and so checked only where they are."""

    sku: Number
    """As in Omisell's catalogue."""
    quantity: Whole | None = None
    original_price: Money | None = None
    discounted_price: Money | None = None


class Order(_Part):
    """The body of Add Order."""

    order_number: Number
    """The shop's own code, unique for the shop."""
    shop_id: Whole | None = None
    """The custom store; omisync puts omisell.shop_id where it is left out."""
    pickup_id: Whole | None = None
    """The warehouse; omisync puts omisell.pickup_id where it is left out."""
    shipping_fee: Money | None = None
    receiver: Receiver | None = None
    invoice_information: dict[str, Any] | None = None
    payment_information: PaymentInformation | None = None
    items: Annotated[list[Item], Field(min_length=1)]
    created_time: Moment | None = None
    """When it was placed, in Unix seconds; omisync puts the time of the outbox row where it is left out."""
