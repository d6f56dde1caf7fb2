"""The outbox in any order of events against a model Omisell with the worst manners: at most once, nothing lost.

The store, the adder, the canceller and the sender's judgement are the real ones, on a real Postgres. Omisell, and time,
are the model's; time passes by moving the database's own timestamps back. After every event all rows are held against
what is at Omisell. That this would notice is shown by faults planted on purpose: each is caught, by these very runs and
by a short story of its own.
"""

import asyncio
import random
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from omisync.store import Claim, Ending
from omisync.sync.add import Adder
from omisync.sync.flight import Held
from omisync.sync.rules import SendingRules
from tests.integration.sync.outbox_machine import OutboxMachine
from tests.integration.sync.outbox_model import Ground

EXAMPLES = 70  # each of the planted faults is met in two of them at least
Fault = Callable[[Ground, pytest.MonkeyPatch], None]
Story = Callable[[OutboxMachine], None]


@pytest.fixture
def ground(dsn: str) -> Iterator[Ground]:
    with asyncio.Runner() as runner:
        made = Ground(runner, dsn)
        try:
            yield made
        finally:
            made.close()


def test_in_any_order_of_events_an_order_is_there_at_most_once_and_none_is_lost(ground: Ground) -> None:
    for seed in range(EXAMPLES):
        OutboxMachine(ground).live(random.Random(seed))  # noqa: S311 - a test's


# Faults planted on purpose, each with a story that brings it to light


def without(ground: Ground, monkeypatch: pytest.MonkeyPatch, query: str, *parts: str, becomes: str = "true") -> None:
    """The named statement with these parts of its condition always true, or always false."""
    sound = ground.database.queries[query]
    text = sound.text
    for part in parts:
        assert part in text, f"{query} has changed: this fault fits no more"
        text = text.replace(part, becomes)
    monkeypatch.setitem(ground.database.queries._queries, query, replace(sound, text=text))


def no_look_before_sending_again(_: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    async def work(adder: Adder, claim: Claim, held: Held) -> Ending:
        return await adder._send(claim, held)

    monkeypatch.setattr(Adder, "work", work)


def no_settling_wait(_: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SendingRules, "unsettled_for", lambda *_: 0.0)


def no_fence_at_sending(_: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Held, "about_to_send", lambda held: setattr(held, "sent", True))


def no_fence_at_the_end(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    without(ground, monkeypatch, "outbox.finish", "o.lease_token = r.lease_token")


def a_cancel_does_not_wait(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    without(ground, monkeypatch, "outbox.claim", "e.id < o.id", becomes="false")


def what_may_be_there_is_annulled(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    without(ground, monkeypatch, "outbox.overtaken", "a.maybe_sent_at IS NULL")
    without(ground, monkeypatch, "outbox.annul", "a.maybe_sent_at IS NULL", "o.maybe_sent_at IS NULL")


def a_waiting_cancel_is_not_seen(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    without(ground, monkeypatch, "outbox.claim", "o.kind <> 'order.add' OR o.maybe_sent_at IS NOT NULL")


def an_answer_is_lost(machine: OutboxMachine) -> None:
    machine.attempt("order.add", "lost_after")
    machine.pass_time(6.0)
    machine.attempt("order.add", "none")


def an_order_comes_late(machine: OutboxMachine) -> None:
    machine.attempt("order.add", "late")
    machine.others_carry_on()


def a_sender_sleeps_before_it_sends(machine: OutboxMachine) -> None:
    (worker,) = machine.claim("order.add")
    machine.others_carry_on()
    machine.work(worker, "none")


def a_sender_sleeps_before_it_writes_that_nothing_was_sent(machine: OutboxMachine) -> None:
    (worker,) = machine.stall("order.add", "unsent")
    machine.others_carry_on_until_one_has_sent("lost_after")
    machine.finish(worker)
    machine.pass_time(6.0)
    machine.attempt("order.add", "none")


def an_order_is_cancelled_while_it_is_sent(machine: OutboxMachine) -> None:
    machine.claim("order.add")
    machine.cancel()
    machine.attempt("order.cancel", "none")


def an_order_is_cancelled_when_its_answer_is_lost(machine: OutboxMachine) -> None:
    machine.attempt("order.add", "lost_after")
    machine.cancel()
    machine.annul()


def an_order_is_cancelled_before_it_is_sent(machine: OutboxMachine) -> None:
    machine.cancel()
    machine.attempt("order.add", "none")


@pytest.mark.parametrize(
    ("fault", "story"),
    [
        (no_look_before_sending_again, an_answer_is_lost),
        (no_settling_wait, an_order_comes_late),
        (no_fence_at_sending, a_sender_sleeps_before_it_sends),
        (no_fence_at_the_end, a_sender_sleeps_before_it_writes_that_nothing_was_sent),
        (a_cancel_does_not_wait, an_order_is_cancelled_while_it_is_sent),
        (what_may_be_there_is_annulled, an_order_is_cancelled_when_its_answer_is_lost),
        (a_waiting_cancel_is_not_seen, an_order_is_cancelled_before_it_is_sent),
    ],
    ids=lambda each: each.__name__,
)
def test_a_fault_planted_on_purpose_is_caught(
    ground: Ground, monkeypatch: pytest.MonkeyPatch, fault: Fault, story: Story
) -> None:
    play(ground, story)
    fault(ground, monkeypatch)
    with pytest.raises(AssertionError):
        play(ground, story)


def play(ground: Ground, story: Story) -> None:
    """The story alone, and what must hold after it."""
    machine = OutboxMachine(ground)
    story(machine)
    machine.all_rows_are_as_at_omisell()
