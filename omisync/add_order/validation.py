"""What is wrong with an order, field by field, in words for the shop's staff."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from omisync.add_order.model import Order


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault of one order.

    Attributes:
        field: the path of the field, such as `items.0.sku`; `order` for the whole.
        why: what is wrong; never the value, which may be a buyer's.
    """

    field: str
    why: str


WHOLE = "order"

_WORDS: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "missing": lambda _: "is missing",
    "int_type": lambda _: "expected a whole number without quotes",
    "string_type": lambda _: "expected a text in quotes",
    "string_too_short": lambda _: "is empty",
    "string_too_long": lambda context: f"is longer than {context['max_length']} characters",
    "greater_than_equal": lambda context: f"expected at least {context['ge']}",
    "list_type": lambda _: "expected a list",
    "too_short": lambda _: "is empty",
    "dict_type": lambda _: "expected an object",
    "model_type": lambda _: "expected an object",
}


def faults_of(order: object) -> list[Fault]:
    """Everything that is wrong with an order, as parsed from JSON; empty if nothing is."""
    try:
        Order.model_validate(order)
    except ValidationError as error:
        return [
            Fault(
                ".".join(str(part) for part in one["loc"]) or WHOLE,
                _WORDS.get(one["type"], lambda _, said=one["msg"]: said)(one.get("ctx", {})),
            )
            for one in error.errors(include_url=False, include_input=False)
        ]
    return []
