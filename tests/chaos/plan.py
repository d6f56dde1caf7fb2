"""The night's schedule: what goes wrong when, all of it from the seed."""

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from tests.chaos.options import Options

Kind = Literal[
    "kill",  # SIGKILL of a daemon, started again after a moment
    "crash_loop",  # the same daemon killed again and again
    "terminate",  # SIGTERM, and started again
    "database_restart",  # in the mode of the blow
    "fail_over",  # the primary dies, the standby takes over
    "backends_killed",  # pg_terminate_backend, several a second
    "connections_exhausted",  # up to 300 idle ones, until the server takes no more
    "idle_transaction",
    "repeatable_readers",
    "burst",  # many orders at once
    "weather",  # what Omisell does wrong from now on
    "duplicates",  # what Omisell does with a number it knows, from now on
    "outage",  # of Omisell as a whole
    "tokens_revoked",
    "late_pushes",  # old pushes sent again, out of order
    "hook",  # raises, dawdles, or deadlocks with the shop
    "clock",  # a daemon's clock is stepped
]

WEATHER: Final[Mapping[str, tuple[float, tuple[float, float] | None]]] = {
    "error_before": (0.05, None),
    "error_after": (0.1, None),
    "gateway_page": (0.02, None),
    "gateway_page_after": (0.04, None),
    "hang_before": (0.02, (2.5, 3.0)),
    "hang_after": (0.05, (2.5, 3.0)),
    "apply_late": (0.04, (0.5, 2.5)),
    "reset_before": (0.05, None),
    "reset_after": (0.1, None),
    "malformed": (0.04, None),
    "slow": (0.1, (0.1, 1.0)),
    "throttle": (0.003, (1.0, 1.0)),
    "throttle_in_body": (0.003, (1.0, 1.0)),
    "token_revoked": (0.01, None),
    "list_lag": (0.4, (0.5, 1.5)),
    "detail_lag": (0.3, (0.5, 1.5)),
    "page_drift": (0.2, None),
    "push_drop": (0.25, None),
    "push_duplicate": (0.25, None),
    "push_delay": (0.3, (1.0, 6.0)),
    "push_reorder": (0.3, (1.0, 2.0)),
    "push_wrong_signature": (0.1, None),
}
"""Omisell's faults: the highest rate, and the seconds of those that last. The time-out of a call is 2 s."""

DUPLICATES: Final = ("create_second", "reject", "return_existing")
RESTARTS: Final = ("immediate", "fast", "kill")
HOOKS: Final = ("raise", "slow", "deadlock")

QUIET_SECONDS: Final = 6.0
"""At the beginning, so that there is a throughput to compare with."""
FAIL_OVER_EVERY: Final = 120.0
"""Seconds: the old primary must have become a standby before the next."""


@dataclass(frozen=True, slots=True)
class Blow:
    """One thing that goes wrong, `at` seconds after the beginning, with what it needs to know."""

    at: float
    kind: Kind
    details: Mapping[str, object] = field(default_factory=dict)


def plan(options: Options) -> tuple[Blow, ...]:
    """The whole schedule; the same options give the same one."""
    dice = random.Random(options.seed)  # noqa: S311 - it must be the same again, and is no secret
    blows = [*_from_the_start(dice), *_daemons(options, dice), *_database(options, dice), *_omisell(options, dice)]
    return tuple(sorted(blows, key=lambda blow: blow.at))


def _from_the_start(dice: random.Random) -> Iterator[Blow]:
    yield Blow(0.0, "duplicates", {"mode": DUPLICATES[0]})
    yield Blow(0.5, "weather", {"faults": {**_weather(dice), "push_drop": 0.15}})  # every night loses pushes


def _times(options: Options, dice: random.Random, a_minute: float, least: int = 1) -> list[float]:
    """Moments for something that comes so often, spread with jitter over the night."""
    room = options.seconds - QUIET_SECONDS
    many = max(least, round(a_minute * room / 60))
    return [QUIET_SECONDS + room * (number + dice.random()) / many for number in range(many)]


def _daemons(options: Options, dice: random.Random) -> Iterator[Blow]:
    loops = max(1, round(options.kills_per_minute * options.seconds / 60 / 12))
    for at in _times(options, dice, 0, loops):
        delays = [round(dice.uniform(0.1, 1.5), 2) for _ in range(4)]
        yield Blow(at, "crash_loop", {"replica": dice.randrange(options.replicas), "delays": delays})
    single = options.kills_per_minute - 4 * loops * 60 / options.seconds
    for at in _times(options, dice, max(single, 0), 2):
        down = round(dice.choice((0.1, 0.5, 2.0)), 2)
        yield Blow(at, "kill", {"replica": dice.randrange(options.replicas), "down": down})
    for at in _times(options, dice, 1.0):
        yield Blow(at, "terminate", {"replica": dice.randrange(options.replicas)})
    for at in _times(options, dice, 1.0):
        offset = dice.choice((3600, -3600, 86_400, 0))
        yield Blow(at, "clock", {"replica": dice.randrange(options.replicas), "offset": offset})


def _database(options: Options, dice: random.Random) -> Iterator[Blow]:
    for number, at in enumerate(_times(options, dice, options.restarts_per_minute)):
        yield Blow(at, "database_restart", {"mode": RESTARTS[number % len(RESTARTS)]})
    if options.failovers:
        many = max(1, int(options.seconds // FAIL_OVER_EVERY))
        for number in range(many):
            yield Blow(
                options.seconds * (number + 0.5) / many, "fail_over", {"mode": dice.choice(("immediate", "kill"))}
            )
    for at in _times(options, dice, 1.0):
        yield Blow(at, "backends_killed", {"seconds": 4.0, "a_second": 5})
    for at in _times(options, dice, 0.5):
        yield Blow(at, "connections_exhausted", {"connections": 300, "seconds": 4.0})
    for at in _times(options, dice, 0.7):
        yield Blow(at, "idle_transaction", {"seconds": 8.0})
    for at in _times(options, dice, 0.7):
        yield Blow(at, "repeatable_readers", {"readers": 4, "seconds": 8.0})
    if options.hooks:
        for number, at in enumerate(_times(options, dice, 1.5, len(HOOKS))):
            yield Blow(at, "hook", {"mode": HOOKS[number % len(HOOKS)], "seconds": 4.0})


def _omisell(options: Options, dice: random.Random) -> Iterator[Blow]:
    for at in _times(options, dice, 6.0, 3):
        yield Blow(at, "weather", {"faults": _weather(dice)})
    for number, at in enumerate(_times(options, dice, 3.0, 3), start=1):
        yield Blow(at, "duplicates", {"mode": DUPLICATES[number % len(DUPLICATES)], "filter": dice.random() < 0.3})
    for at in _times(options, dice, 0.6):
        yield Blow(at, "outage", {"seconds": round(dice.uniform(2, 6), 1), "refuse": dice.random() < 0.5})
    for at in _times(options, dice, 1.0):
        yield Blow(at, "tokens_revoked", {"refresh": dice.random() < 0.5})
    for at in _times(options, dice, 2.0, 2):
        yield Blow(at, "late_pushes", {"many": dice.randrange(10, 60), "seed": dice.randrange(1 << 30)})
    for at in _times(options, dice, 1.0):
        yield Blow(at, "burst", {"orders": max(5, round(options.rate / 10))})


def _weather(dice: random.Random) -> Mapping[str, object]:
    """Some of Omisell's faults, and none of the others."""
    chosen = dice.sample(sorted(WEATHER), k=dice.randrange(5, 14))
    made: dict[str, object] = dict.fromkeys(WEATHER, None)
    for kind in chosen:
        rate, seconds = WEATHER[kind]
        rate = round(rate * dice.uniform(0.3, 1.0), 4)
        made[kind] = rate if seconds is None else {"rate": rate, "seconds": list(seconds)}
    made["stranger"] = dice.choice((None, 600))
    return made
