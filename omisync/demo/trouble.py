"""A bad night on purpose: the daemon is killed, Postgres is restarted, while Omisell misbehaves."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final, Literal

Kind = Literal["kill", "restart", "crash"]

KILL_EVERY_SECONDS: Final = 20.0
DATABASE_EVERY_SECONDS: Final = 60.0
DOWN_SECONDS: Final = 0.5
"""How long a killed daemon stays down: as a service manager would have it."""


@dataclass(frozen=True, slots=True)
class Blow:
    """One thing that goes wrong, `at` seconds after the beginning.

    `kill` is SIGKILL to the daemon, `restart` an orderly restart of Postgres, `crash` an immediate one.
    """

    at: float
    kind: Kind


def plan(seconds: float) -> tuple[Blow, ...]:
    """What goes wrong during so many seconds: at least two kills and one restart, evenly spread."""
    kills = max(2, round(seconds / KILL_EVERY_SECONDS))
    restarts = max(1, round(seconds / DATABASE_EVERY_SECONDS))
    blows = [Blow(seconds * (number + 0.4) / kills, "kill") for number in range(kills)]
    blows += [
        Blow(seconds * (number + 0.6) / restarts, "crash" if number % 2 else "restart") for number in range(restarts)
    ]
    return tuple(sorted(blows, key=lambda blow: blow.at))


async def strike(
    blows: tuple[Blow, ...],
    hands: Mapping[Kind, Callable[[], Awaitable[str]]],
    happened: Callable[[str], None],
    *,
    clock: Callable[[], float],
) -> None:
    """Let it go wrong, in time.

    Args:
        blows: What and when, in order.
        hands: Does each kind of it and says in words what was done.
        happened: Told those words.
        clock: Seconds that only go forward.
    """
    begun = clock()
    for blow in blows:
        await asyncio.sleep(begun + blow.at - clock())
        happened(await hands[blow.kind]())
