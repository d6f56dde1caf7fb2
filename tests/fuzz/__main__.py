"""`python -m tests.fuzz`: bodies by the hundred thousand, to the listener on a real database and to the client."""

import argparse
import asyncio
import contextlib
import random
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Final

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from omisync.demo.postgres import EmbeddedPostgres
from omisync.store import Database, Inbox
from omisync.store.inbox import Delivery
from omisync.store.migrations import migrate
from tests.fuzz.account import ACCOUNT
from tests.fuzz.answers import Reader, reading
from tests.fuzz.listener import Client, Keeps, Running, listening, request
from tests.fuzz.mutations import mutations
from tests.fuzz.shapes import ANSWER, BODY, STATUS

MUTATIONS: Final = 125
"""Bodies made of each that hypothesis draws."""
DRAWN: Final = 4
"""Drawn at once, each sent over a connection of its own."""
READINGS: Final = 4
"""Calls of the client's that read an answer, of all that there are."""
ANSWERED: Final = frozenset({200, 400, 413, 503})
"""What a push with the right secret may be answered; 503 is counted, for on a sound database there is none."""


@dataclass
class Counts:
    """What became of the bodies."""

    statuses: Counter[int] = field(default_factory=Counter)
    forged: Counter[int] = field(default_factory=Counter)
    answers: int = 0
    taken: int = 0


@dataclass
class _Stored:
    """An inbox on a real Postgres."""

    inbox: Inbox
    kept: int = 0

    async def add(self, delivery: Delivery) -> bool:
        new = await self.inbox.add(delivery)
        self.kept += 1
        return new


def on_postgres(dsn: str) -> Callable[[], Any]:
    """An inbox in this database."""

    @contextlib.asynccontextmanager
    async def opened() -> AsyncIterator[Keeps]:
        database = Database(dsn)
        try:
            yield _Stored(Inbox(database))
        finally:
            await database.close()

    return opened


def pushes(running: Running, bodies: int, number: int, counts: Counts) -> None:
    """Send so many to the listener; one in ten with a forged header.

    Raises:
        AssertionError: A status that must not be, a forgery that was taken, or an error in the log.
    """
    examples = max(1, bodies // (MUTATIONS * DRAWN))
    clients = [Client(running.port) for _ in range(DRAWN)]

    @seed(number)
    @_quickly(examples)
    @given(drawn=st.lists(BODY, min_size=DRAWN, max_size=DRAWN), chance=st.integers(0, 2**32))
    def one(drawn: Sequence[bytes], chance: int) -> None:
        dice = random.Random(chance)  # noqa: S311 - the same again for a seed
        with ThreadPoolExecutor(DRAWN) as pool:
            many = [list(mutations(body, MUTATIONS, dice)) for body in drawn]
            forged = [dice.random() < 0.1 for _ in drawn]
            header = bytes(dice.choice(b"sS0f. =") for _ in range(dice.choice((0, 2, 64))))
            headers = [b"x" + header if each else b"s" for each in forged]
            asked = [
                pool.submit(client.ask, [request(body, head) for body in bodies])
                for client, bodies, head in zip(clients, many, headers, strict=True)
            ]
            for each, answers in zip(forged, asked, strict=True):
                (counts.forged if each else counts.statuses).update(answers.result())
        assert set(counts.statuses) <= ANSWERED, counts.statuses
        assert not counts.forged[200], "a forgery was taken"
        assert running.inbox.kept == counts.statuses[200], "kept and answered 200 differ"
        assert running.errors == [], running.errors

    try:
        one()
    finally:
        for client in clients:
            client.close()


def answers(bodies: int, number: int, counts: Counts) -> None:
    """Have so many read by every call of the client's.

    Raises:
        Exception: Whatever is none of its own errors.
    """
    reader = Reader(ACCOUNT)

    @seed(number)
    @_quickly(max(1, bodies // MUTATIONS))
    @given(drawn=ANSWER, status=STATUS, chance=st.integers(0, 2**32))
    def one(drawn: bytes, status: int, chance: int) -> None:
        dice = random.Random(chance)  # noqa: S311 - the same again for a seed
        many = [(status, body) for body in mutations(drawn, MUTATIONS, dice)]
        names = dice.sample(sorted(reader.calls), k=READINGS)
        counts.taken += reading(reader, many, names)
        counts.answers += len(many)

    one()


def _quickly(examples: int) -> settings:
    return settings(
        max_examples=examples,
        deadline=None,
        database=None,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )


def main() -> int:
    """Run it; 0 if no body did any harm."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--bodies", type=int, default=200_000, help="half of them pushes, half of them answers")
    parser.add_argument("--seed", type=int, default=None)
    given_ = parser.parse_args()
    number = random.SystemRandom().randrange(1_000_000) if given_.seed is None else given_.seed
    counts, began = Counts(), time.monotonic()
    _say(f"again with: python -m tests.fuzz --bodies {given_.bodies} --seed {number}")
    with EmbeddedPostgres(durable=False) as server:
        asyncio.run(migrate(server.dsn()))
        with listening(on_postgres(server.dsn())) as running:
            pushes(running, given_.bodies // 2, number, counts)
    _say(f"{counts.statuses.total()} pushes: {dict(sorted(counts.statuses.items()))}")
    _say(f"{counts.forged.total()} forged ones: {dict(sorted(counts.forged.items()))}")
    answers(given_.bodies - counts.statuses.total() - counts.forged.total(), number, counts)
    _say(f"{counts.answers} answers, each to {READINGS} calls; {counts.taken} readings were taken")
    total, took = counts.statuses.total() + counts.forged.total() + counts.answers, time.monotonic() - began
    _say(f"{total} bodies in {took:.0f} s: no 5xx but {counts.statuses[503]} times 503, no forgery was taken")
    return 0


def _say(words: str) -> None:
    print(words, flush=True)  # noqa: T201 - its output


if __name__ == "__main__":
    sys.exit(main())
