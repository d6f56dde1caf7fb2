"""What checks say of an order: what is wrong with a field, and what was changed in it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """Something wrong with a field.

    Attributes:
        field: its path, such as `receiver.phone`.
        why: what is wrong, in words for the shop's staff; never the value, which may be a buyer's.
    """

    field: str
    why: str

    def __str__(self) -> str:
        return f"{self.field}: {self.why}"


@dataclass(frozen=True, slots=True)
class Change:
    """A field that is sent otherwise than it was given.

    Attributes:
        field: its path, such as `receiver.district_name`.
        given: the value of the payload; "" if there was none.
        sent: what is sent instead.
        private: whether these are the buyer's own, as a phone number is, and so are written down nowhere.
    """

    field: str
    given: str
    sent: str
    private: bool = False
