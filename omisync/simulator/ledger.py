"""What really happened at the simulator: the counts that proofs compare with."""

from collections import Counter
from dataclasses import dataclass, field, fields


@dataclass(slots=True)
class Ledger:
    """Counts since the start or the last reset."""

    calls: Counter[str] = field(default_factory=Counter)
    """By endpoint, turned away ones included."""
    answers: Counter[str] = field(default_factory=Counter)
    """By endpoint and HTTP status, as `order.add 200`; `order.add reset` where none was sent."""
    throttled: int = 0
    """Calls turned away by the bucket."""
    adds_applied: Counter[str] = field(default_factory=Counter)
    """By order_number."""
    adds_refused: Counter[str] = field(default_factory=Counter)
    adds_repeated: Counter[str] = field(default_factory=Counter)
    """Adds answered with the order that was there, in mode return_existing; by order_number."""
    cancels_applied: Counter[str] = field(default_factory=Counter)
    cancels_repeated: Counter[str] = field(default_factory=Counter)
    cancels_refused: Counter[str] = field(default_factory=Counter)
    created_here: Counter[str] = field(default_factory=Counter)
    """Orders made at Omisell itself, by order_number."""
    faults: Counter[str] = field(default_factory=Counter)
    """How often each kind of fault struck."""
    pushes: Counter[str] = field(default_factory=Counter)
    """`announced`, `sent` (tries), `delivered`, `failed` (tries), `dropped`, `given_up`, `unregistered`."""

    def clear(self) -> None:
        """Begin anew."""
        fresh = Ledger()
        for part in fields(self):
            setattr(self, part.name, getattr(fresh, part.name))

    def as_json(self) -> dict[str, object]:
        """For /control/ledger."""
        return {
            part.name: dict(value) if isinstance(value := getattr(self, part.name), Counter) else value
            for part in fields(self)
        }
