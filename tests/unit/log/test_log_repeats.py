"""Failures that repeat are told at first, then summed up with everything they concern; nothing else is touched."""

import io
import json
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from omisync import log
from omisync.repeats import KINDS, Repeats


class Clock:
    """Monotonic seconds that a test moves."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


class Told:
    """A logger behind the processor, and what came through it."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.repeats = Repeats(self.clock)
        self.lines: list[dict[str, Any]] = []

    def keep(self, _: object, level: str, event: Any) -> Any:
        self.lines.append({**event, "level": level})
        raise structlog.DropEvent

    def minute_is_over(self) -> None:
        self.clock.now += 60.0
        self.repeats.tell()

    @property
    def events(self) -> list[str]:
        return [line["event"] for line in self.lines]


@pytest.fixture
def told() -> Iterator[Told]:
    made = Told()
    structlog.configure(
        processors=[made.repeats, made.keep],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(0),
    )
    yield made
    structlog.reset_defaults()


def test_the_first_lines_are_told_and_a_thousand_more_are_one(told: Told) -> None:
    logger = structlog.get_logger("sender")
    for number in range(1003):
        logger.warning("leases could not be renewed", error=f"gone for the {number}th time")
    assert told.events == ["leases could not be renewed"] * 3
    told.minute_is_over()
    assert told.lines[3:] == [
        {
            "event": "1000 more like this in the last minute: leases could not be renewed",
            "more": 1000,
            "like": "leases could not be renewed",
            "error": "gone for the 1002th time",
            "level": "warning",
        }
    ]
    logger.warning("leases could not be renewed", error="again")
    assert told.events[-1] == "leases could not be renewed"  # a new minute begins with the line itself


def test_every_order_is_told_or_named(told: Told) -> None:
    logger = structlog.get_logger("sender")
    numbers = [f"WEB-{number}" for number in range(1000)]
    for number in numbers:
        logger.error("order.add failed", order_number=number, outbox_id=1)
    assert len(told.lines) < 40
    told.minute_is_over()
    named = [
        name
        for line in told.lines
        for name in (line["order_number"] if isinstance(line["order_number"], list) else [line["order_number"]])
    ]
    assert named == numbers
    assert all(len(line["order_number"]) <= 100 for line in told.lines if "more" in line)
    assert sum(line.get("more", 1) for line in told.lines) == 1000


def test_each_client_that_is_turned_away_is_named_though_one_floods(told: Told) -> None:
    logger = structlog.get_logger("webhook")
    for number in range(500):
        logger.warning("push turned away", client="203.0.113.7")
        if number % 10 == 0:
            logger.warning("push turned away", client=f"198.51.100.{number // 10}")
    told.minute_is_over()
    named = {
        name
        for line in told.lines
        for name in (line["client"] if isinstance(line["client"], list) else [line["client"]])
    }
    assert named == {"203.0.113.7", *(f"198.51.100.{number}" for number in range(50))}


def test_what_went_well_and_what_was_asked_for_is_never_gathered(told: Told) -> None:
    logger = structlog.get_logger("sender")
    for _ in range(100):
        logger.info("order.add added", order_number="WEB-1")
        logger.debug("http", error="nonsense")
    assert len(told.lines) == 200


def test_a_retry_is_gathered_as_a_warning_is(told: Told) -> None:
    logger = structlog.get_logger("sender")
    for _ in range(10):
        logger.info("put off", order_number="WEB-1", reason="the database is away")
    told.repeats.tell(everything=True)
    assert told.events == ["put off"] * 3 + ["7 more like this in the last minute: put off"]
    assert told.lines[-1]["order_number"] == ["WEB-1"]
    assert told.lines[-1]["level"] == "info"


def test_different_loggers_jobs_and_levels_are_not_mixed(told: Told) -> None:
    for name in ("sender", "refresher"):
        for job in ("sweep", "token"):
            for _ in range(3):
                structlog.get_logger(name).warning("failed", job=job)
                structlog.get_logger(name).error("failed", job=job)
    assert len(told.lines) == 24


def test_the_next_line_after_its_minute_tells_what_was_gathered_before(told: Told) -> None:
    logger = structlog.get_logger("sender")
    for _ in range(5):
        logger.warning("failed")
    told.clock.now += 61.0
    logger.warning("failed")
    assert told.events == ["failed"] * 3 + ["2 more like this in the last minute: failed", "failed"]


def test_memory_is_bounded_and_what_is_forgotten_is_told(told: Told) -> None:
    for number in range(KINDS + 50):
        for _ in range(4):
            structlog.get_logger("x").warning(f"failed {number}")
    assert len(told.repeats._kinds) == KINDS
    assert told.events.count("1 more like this in the last minute: failed 0") == 1


def test_a_new_set_up_keeps_what_was_gathered() -> None:
    streams = [io.StringIO(), io.StringIO()]
    try:
        log.configure("json", "info", streams[0], sums_up=True)
        for _ in range(5):
            structlog.get_logger("sender").warning("failed", order_number="WEB-1")
        log.configure("json", "debug", streams[1], sums_up=True)
        log.tell_repeats(everything=True)
    finally:
        structlog.reset_defaults()
    told = [[json.loads(line) for line in stream.getvalue().splitlines()] for stream in streams]
    assert [len(lines) for lines in told] == [3, 1]
    assert (told[1][0]["more"], told[1][0]["order_number"]) == (2, ["WEB-1"])
