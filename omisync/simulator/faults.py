"""What can go wrong on purpose, with which chance, where; changeable while the simulator runs."""

import random
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from fnmatch import fnmatchcase
from typing import Annotated, Final

from pydantic import BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError

from omisync.simulator.ledger import Ledger

WRITES: Final = ("order.add", "order.cancel")
READS: Final = ("*.list", "order.detail", "location.*")


class BadFaultError(ValueError):
    """A fault that does not exist, or with values that make no sense."""


def _span(value: object) -> object:
    return (value, value) if isinstance(value, (int, float)) else value


def _words(value: object) -> object:
    return tuple(word for word in value.replace(",", " ").split() if word) if isinstance(value, str) else value


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One kind of fault, as it is set now. Which fields count depends on the kind."""

    __pydantic_config__ = ConfigDict(extra="forbid")

    rate: Annotated[float, Field(ge=0, le=1)] = 0.0
    """How often, 0 to 1; 0: off."""
    times: Annotated[int, Field(ge=0)] | None = None
    """Strike no more than so often, then be off."""
    endpoints: Annotated[tuple[str, ...], BeforeValidator(_words)] = ("*",)
    """Where: names as `order.add`, with `*`."""
    seconds: Annotated[tuple[float, float], BeforeValidator(_span)] = (0.0, 0.0)
    """How long: at least and at most; in JSON also one number."""
    statuses: tuple[int, ...] = ()
    """HTTP statuses to choose from."""
    values: Annotated[tuple[str, ...], BeforeValidator(_words)] = ()
    """SKUs, order numbers, or modes."""
    per_minute: Annotated[float, Field(ge=0)] = 0.0
    """Calls a minute."""


KINDS: Final[Mapping[str, tuple[Fault, str]]] = {
    "outage": (Fault(statuses=(503,)), "all calls fail: with HTTP 503, or reset where values has refuse"),
    "error_before": (Fault(statuses=(500, 502, 503)), "HTTP error, nothing was applied"),
    "error_after": (Fault(statuses=(500, 502, 503), endpoints=WRITES), "HTTP error, though it was applied"),
    "gateway_page": (Fault(statuses=(502,)), "an HTML page instead of JSON, nothing was applied"),
    "gateway_page_after": (Fault(statuses=(502,), endpoints=WRITES), "an HTML page, though it was applied"),
    "hang_before": (Fault(seconds=(90, 90)), "no answer for so long, then the connection is cut; not applied"),
    "hang_after": (Fault(seconds=(90, 90), endpoints=WRITES), "applied, no answer for so long, then cut"),
    "apply_late": (Fault(seconds=(5, 20), endpoints=WRITES), "applied and answered only after so long"),
    "reset_before": (Fault(), "the connection is reset, nothing was applied"),
    "reset_after": (Fault(endpoints=WRITES), "the connection is reset, though it was applied"),
    "malformed": (
        Fault(values=("truncated", "fields", "text")),
        "a broken answer with status 200 after applying: truncated, fields (left out), text, list, huge",
    ),
    "slow": (Fault(seconds=(1, 10), endpoints=READS), "answers only after so long"),
    "throttle": (Fault(seconds=(1, 5)), "HTTP 429 though the bucket has room; seconds is retry_after"),
    "throttle_in_body": (Fault(seconds=(1, 5)), "HTTP 200 with data.retry_after, nothing was applied"),
    "token_revoked": (Fault(), "the token of the call is void from now on"),
    "list_lag": (Fault(seconds=(5, 30)), "changes show in the list so much later"),
    "detail_lag": (Fault(seconds=(1, 10)), "changes show in the detail so much later"),
    "page_drift": (Fault(), "pages after the first repeat or miss rows"),
    "refuse_sku": (Fault(), "adds with one of these SKUs (values) are refused"),
    "poison_order": (Fault(statuses=(500,)), "calls on one of these order numbers (values) always fail"),
    "stranger": (Fault(), "somebody else spends per_minute calls out of the bucket"),
    "push_drop": (Fault(), "the push is never sent"),
    "push_duplicate": (Fault(), "the push is sent twice"),
    "push_delay": (Fault(seconds=(1, 30)), "the push is sent so much later"),
    "push_reorder": (Fault(seconds=(5, 5)), "the push waits for the order's next one, at most so long"),
    "push_wrong_signature": (Fault(), "the try carries an Authorization that is wrong"),
}
"""Each kind with its values when switched on without any, and what it does."""

_PARTS: Final = TypeAdapter(Fault)


class Faults:
    """The faults of this moment.

    Args:
        chance: Decides when one strikes.
        ledger: Counts the strikes.
    """

    def __init__(self, chance: random.Random, ledger: Ledger) -> None:
        self._chance = chance
        self._ledger = ledger
        self._set: dict[str, Fault] = {}
        self.before_change: Callable[[], None] = lambda: None
        """Called before any is switched on, changed or off."""

    @property
    def any(self) -> bool:
        """Whether any is on: nothing to look for otherwise."""
        return bool(self._set)

    def set(self, kind: str, rate: float | None = None, **parts: object) -> None:
        """Switch one on, or change it; `rate` 1 unless given or on already. See `Fault` for the parts.

        Raises:
            BadFaultError: Names what is wrong.
        """
        self.patch({kind: parts if rate is None else {"rate": rate, **parts}})

    def off(self, *kinds: str) -> None:
        """Switch some off; all if none is named."""
        self.before_change()
        for kind in kinds or tuple(self._set):
            self._set.pop(kind, None)

    def patch(self, changes: Mapping[str, object]) -> None:
        """Change several at once, all or none.

        A value is a rate, true or false, null (off), a list of values, or an object of `Fault`'s fields. For
        `stranger` a number is per_minute.

        Raises:
            BadFaultError: Names what is wrong.
        """
        made = {kind: self._made(kind, value) for kind, value in changes.items()}
        self.before_change()
        for kind, fault in made.items():
            if fault is None or fault.rate == 0 or fault.times == 0:
                self._set.pop(kind, None)
            else:
                self._set[kind] = fault

    def get(self, kind: str) -> Fault | None:
        """One that is on."""
        return self._set.get(kind)

    def strikes(self, kind: str, endpoint: str = "", *, value: str | None = None) -> Fault | None:
        """Throw the dice for one: the fault if it strikes here and now.

        Args:
            kind: Which.
            endpoint: Where.
            value: Only if its `values` name this one.
        """
        fault = self._set.get(kind)
        if fault is None or (value is not None and value not in fault.values):
            return None
        if endpoint and not any(fnmatchcase(endpoint, pattern) for pattern in fault.endpoints):
            return None
        if fault.rate < 1 and self._chance.random() >= fault.rate:
            return None
        if fault.times is not None:
            left = fault.times - 1
            if left:
                self._set[kind] = replace(fault, times=left)
            else:
                del self._set[kind]
        self._ledger.faults[kind] += 1
        return fault

    def seconds(self, fault: Fault) -> float:
        """How long this time."""
        return self._chance.uniform(*fault.seconds)

    def status(self, fault: Fault) -> int:
        """Which HTTP status this time."""
        return self._chance.choice(fault.statuses)

    def stranger(self) -> float:
        """Calls a minute that somebody else spends."""
        fault = self._set.get("stranger")
        return fault.per_minute if fault else 0.0

    def as_json(self) -> dict[str, object]:
        """All kinds with their values, those that are off with what they would be."""
        return {kind: asdict(self._set.get(kind, default)) for kind, (default, _) in KINDS.items()}

    def _made(self, kind: str, value: object) -> Fault | None:
        if kind not in KINDS:
            raise BadFaultError(f"no fault {kind!r}; there are {', '.join(KINDS)}")
        if value is None or value is False:
            return None
        now = self._set.get(kind) or replace(KINDS[kind][0], rate=1.0)
        if value is True:
            return replace(now, rate=1.0)
        if isinstance(value, (int, float)):
            value = {"per_minute": value, "rate": min(value, 1)} if kind == "stranger" else {"rate": value}
        elif isinstance(value, (list, tuple)):
            value = {"values": value}
        if not isinstance(value, Mapping):
            raise BadFaultError(f"{kind}: a number, true, false, null, a list or an object is wanted")
        try:
            return _PARTS.validate_python({**asdict(now), **value})
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in (kind, *first["loc"]))
            raise BadFaultError(f"{where}: {first['msg']}") from None
