"""The states of an outbox row and its legal moves: written here, refused otherwise by the trigger `outbox_moves`.

    (shop) ──▶ pending ──claim──▶ sending ──┬─▶ done       added │ adopted │ cancelled │ already_cancelled │ annulled
                 ▲  │              │  ▲     ├─▶ failed     refused for good, or attempts used up and known absent
                 │  │   lease run out │     └─▶ pending    to be tried again: retryable, uncertain, throttled, released
                 │  │              └──┘     (claimed anew by whoever lives: as uncertain)
                 │  ├──▶ discarded          the operator gives it up
                 │  └──▶ done               annulled: a cancel came before anything was at Omisell
                 │                          adopted: a push or a sweep brought the order
                 └─retry── failed ──▶ discarded, done (annulled, adopted), as from pending

`done` and `discarded` are ends. Whether a copy may be at Omisell is a second, independent fact (`maybe_sent_at`): set
by every claim, cleared only by knowledge (a refusal, a list without it after the settling time, a request that never
left), and handed on to whatever takes a discarded row's place.
"""

import enum
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final


class State(enum.StrEnum):
    """Where a row stands."""

    PENDING = "pending"
    SENDING = "sending"
    DONE = "done"
    FAILED = "failed"
    DISCARDED = "discarded"


class Move(enum.StrEnum):
    """What moves a row."""

    CLAIM = "claim"  # a sender, under a fresh lease
    TAKE_OVER = "take_over"  # a sender, when the lease of another has run out
    FINISH = "finish"  # whoever holds the lease
    ANNUL = "annul"  # a later cancel
    ADOPT = "adopt"  # a push or a sweep
    RETRY = "retry"  # the operator
    DISCARD = "discard"  # the operator


MOVES: Final[Mapping[Move, frozenset[tuple[State, State]]]] = MappingProxyType(
    {
        Move.CLAIM: frozenset({(State.PENDING, State.SENDING)}),
        Move.TAKE_OVER: frozenset({(State.SENDING, State.SENDING)}),
        Move.FINISH: frozenset({(State.SENDING, end) for end in (State.DONE, State.FAILED, State.PENDING)}),
        Move.ANNUL: frozenset({(State.PENDING, State.DONE), (State.FAILED, State.DONE)}),
        Move.ADOPT: frozenset({(State.PENDING, State.DONE), (State.FAILED, State.DONE)}),
        Move.RETRY: frozenset({(State.FAILED, State.PENDING)}),
        Move.DISCARD: frozenset({(State.PENDING, State.DISCARDED), (State.FAILED, State.DISCARDED)}),
    }
)

ENDS: Final = frozenset({State.DONE, State.DISCARDED})


def is_legal(before: State, after: State) -> bool:
    """Whether anything moves a row so; staying where it is counts as no move."""
    return any((before, after) in pairs for pairs in MOVES.values())
