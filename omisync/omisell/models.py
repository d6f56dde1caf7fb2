"""The parts of Omisell's answers that omisync uses, read tolerantly.

What is missing, null, empty or of an odd type becomes None (a text that is only shown becomes ""); numbers may
be strings [omisell-api 9.2]; fields nobody documented are ignored. Only an order number of Omisell's is never
made up: an answer that lacks it where it must be is a `ValidationError`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Final, Generic, TypeAlias, TypeVar

from pydantic import AliasChoices, BaseModel, BeforeValidator, ConfigDict, Field, field_validator

BIGINT_MAX: Final = 2**63 - 1
"""What a Postgres bigint can hold."""

LATEST: Final = 253_402_300_799
"""The last second of the year 9999: what comes after it is no time in Unix seconds (milliseconds are far beyond), and
neither Postgres nor Python could hold all of it."""

NUMBER_LENGTH: Final = 255
"""Characters an order number may have; Omisell's have about 20. Keeps every index entry small."""


def integer(value: object) -> int | None:
    """A whole number however it is written (7, 7.0, "7", " 7.0 "), else None; also None beyond a bigint."""
    if type(value) is int:  # as nearly all are
        return value if -BIGINT_MAX - 1 <= value <= BIGINT_MAX else None
    if isinstance(value, str):
        value = _number(value)
    if isinstance(value, float):
        value = int(value) if value.is_integer() else None
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if -BIGINT_MAX - 1 <= value <= BIGINT_MAX else None


def moment(value: object) -> int | None:
    """A time in Unix seconds, UTC; None for what cannot be one.

    Omisell writes 0 for "not yet" [guide, omisell-api 4.2].
    """
    seconds = integer(value)
    return seconds if seconds is not None and 0 < seconds <= LATEST else None


def text(value: object) -> str | None:
    """A text without blanks around it; numbers become text; None for an empty one and for anything else."""
    if type(value) is str:  # as nearly all are
        return value.strip() or None
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    return str(value).strip() or None


def number(value: object) -> str | None:
    """An order number; None also for one too long to be one."""
    found = text(value)
    return found if found is not None and len(found) <= NUMBER_LENGTH else None


def _number(digits: str) -> int | float | None:
    digits = digits.strip()
    if len(digits) > 40 or not digits.isascii() or "_" in digits:
        return None
    try:
        return int(digits)
    except ValueError:
        pass
    try:
        return float(digits)
    except ValueError:
        return None


def _rows(value: object) -> list[object]:
    return [row for row in value if isinstance(row, dict)] if isinstance(value, list | tuple) else []


OptionalInt: TypeAlias = Annotated[int | None, BeforeValidator(integer)]
Moment: TypeAlias = Annotated[int | None, BeforeValidator(moment)]
OptionalText: TypeAlias = Annotated[str | None, BeforeValidator(text)]
Label: TypeAlias = Annotated[str, BeforeValidator(lambda value: text(value) or "")]
OptionalNumber: TypeAlias = Annotated[str | None, BeforeValidator(number)]
Number: TypeAlias = Annotated[str, BeforeValidator(number)]
Rows: TypeAlias = Annotated[list[dict[str, object]], BeforeValidator(_rows)]


class _Answer(BaseModel):
    """Part of an answer: immutable, extra fields ignored, its text free of what it holds."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)


class AddedOrder(_Answer):
    """Omisell's answer to an accepted Add Order [guide 4.3]."""

    omisell_order_number: Number
    order_number: OptionalNumber = None
    status_id: OptionalInt = None
    status_name: OptionalText = None
    updated_time: Moment = None


class Parcel(_Answer):
    """One parcel of an order; an order has none before a courier is allocated [api-5183983].

    Attributes:
        package_number: often just "1"; "" when Omisell sent none.
        shipment_status: the shipment's status, another table than the order's [omisell-api 7.2].
        items: Omisell's `catalogue_items`, untouched.
        others: what else Omisell tells of the parcel, untouched.
    """

    package_number: Label = ""
    courier_name: OptionalText = None
    courier_tracking_number: OptionalText = None
    shipment_status: OptionalInt = None
    shipment_status_name: OptionalText = None
    pickup_id: OptionalInt = None
    items: Rows = Field(default=[], validation_alias=AliasChoices("catalogue_items", "items"), repr=False)
    others: dict[str, object] = Field(default={}, repr=False)

    @classmethod
    def from_row(cls, row: Mapping[str, object]) -> "Parcel":
        """Read one row of a detail's `parcels`."""
        items = "catalogue_items" if "catalogue_items" in row else "items"
        read = {*cls.model_fields, items} - ({"items", "others"} - {items})
        return cls.model_validate({**row, "others": {name: row[name] for name in row if name not in read}})


class OrderDetail(_Answer):
    """One order in full [guide 5.4, api-5183983].

    Attributes:
        rts_time: when it was ready to ship, in Unix seconds, UTC; like all times None until then.
        raw: Omisell's `data`, untouched; holds the buyer's data and so is not in the repr.
    """

    omisell_order_number: Number
    order_number: OptionalNumber = None
    shop_id: OptionalInt = None
    status_id: OptionalInt = None
    status_name: OptionalText = None
    created_time: Moment = None
    updated_time: Moment = None
    rts_time: Moment = None
    shipped_time: Moment = None
    completed_time: Moment = None
    parcels: tuple[Parcel, ...] = ()
    raw: dict[str, object] = Field(default={}, repr=False)

    @classmethod
    def from_data(cls, data: Mapping[str, object]) -> "OrderDetail":
        """Read the `data` of a detail answer, keeping it as `raw`.

        Raises:
            pydantic.ValidationError: it names no `omisell_order_number`.
        """
        return cls.model_validate({**data, "raw": dict(data)})

    @field_validator("parcels", mode="before")
    @classmethod
    def _parcels(cls, value: object) -> list[object]:
        rows = value if isinstance(value, list | tuple) else []
        return [
            row if isinstance(row, Parcel) else Parcel.from_row(row) for row in rows if isinstance(row, dict | Parcel)
        ]


class ListedOrder(_Answer):
    """One row of the order list: a header only, lines need the detail [omisell-api 4.1]."""

    omisell_order_number: Number
    order_number: OptionalNumber = None
    status_id: OptionalInt = None
    status_name: OptionalText = None
    created_time: Moment = None
    updated_time: Moment = None
    shop_id: OptionalInt = None


class OrderPage(_Answer):
    """One page of the order list.

    Rows can repeat or be missed while orders change during paging: take `omisell_order_number` as the key
    and read windows that overlap [omisell-api 1.2].

    Attributes:
        count: all matches, not only this page's.
        has_next: whether there is a page to ask for after this one.
        unread: rows of this page that name no order; Omisell counts them, too.
    """

    orders: tuple[ListedOrder, ...] = ()
    count: int = 0
    has_next: bool = False
    unread: int = 0


class Shop(_Answer):
    """One shop of the account [api-5380269, code: frappe]."""

    shop_id: Annotated[int, BeforeValidator(integer)] = Field(validation_alias=AliasChoices("shop_id", "id"))
    name: Label = Field(default="", validation_alias=AliasChoices("shop_name", "name"))
    platform: Label = ""


class Pickup(_Answer):
    """One pickup address or warehouse; its id is a parcel's `pickup_id` [api-5188376, code: node]."""

    id: Annotated[int, BeforeValidator(integer)] = Field(validation_alias=AliasChoices("id", "pickup_id"))
    name: Label = Field(default="", validation_alias=AliasChoices("pickup_name", "name"))


class CatalogueVariant(_Answer):
    """One variant of a listing; its SKU may be empty [api-5741887, code: frappe]."""

    sku: OptionalText = None
    name: Label = ""


class CatalogueEntry(_Answer):
    """One listing of a shop's catalogue [api-5741887, code: frappe]."""

    sku: OptionalText = None
    name: Label = ""
    shop_id: OptionalInt = None
    variants: tuple[CatalogueVariant, ...] = ()

    @field_validator("variants", mode="before")
    @classmethod
    def _variants(cls, value: object) -> list[object]:
        rows = value if isinstance(value, list | tuple) else []
        return [row for row in rows if isinstance(row, dict | CatalogueVariant)]


class Product(_Answer):
    """One product of the account, of no shop [api-6492412]; the fields are PROPOSED."""

    sku: OptionalText = Field(default=None, validation_alias=AliasChoices("sku", "product_sku"))
    name: Label = Field(default="", validation_alias=AliasChoices("name", "product_name"))


class Place(_Answer):
    """One row of the location lists; the fields are PROPOSED [omisell-api 5].

    Attributes:
        parent_id: the id of what it is in, where the row does not say of which level that is.
    """

    id: Annotated[int, BeforeValidator(integer)]
    name: Annotated[str, BeforeValidator(text)]
    parent_id: OptionalInt = None
    province_id: OptionalInt = None
    district_id: OptionalInt = None


RowT = TypeVar("RowT")


@dataclass(frozen=True, slots=True)
class Page(Generic[RowT]):
    """One page of a list.

    Attributes:
        count: all rows of the list, as Omisell counts them.
        has_next: whether there is a page to ask for after this one.
        unread: rows that lack what makes them one.
    """

    rows: tuple[RowT, ...] = ()
    count: int = 0
    has_next: bool = False
    unread: int = 0
