"""Logs: one event a line, masked, for the journal and for people, the libraries' too."""

import io
import json
import logging
import warnings
from collections.abc import Callable, Iterator
from typing import Any, Literal

import pytest
import structlog

from omisync import log


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    root = logging.getLogger()
    before = (root.handlers[:], root.level, {name: logging.getLogger(name).level for name in log.NOISY})
    yield
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()
    logging.captureWarnings(capture=False)
    root.handlers, level, noisy = before
    root.setLevel(level)
    for name, own in noisy.items():
        logging.getLogger(name).setLevel(own)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def lines() -> Callable[..., list[dict[str, Any]]]:
    """Configures JSON, does something, and reads what was logged."""

    def logged(work: Callable[[Any], object], level: str = "info") -> list[dict[str, Any]]:
        stream = io.StringIO()
        log.configure("json", level, stream)
        work(structlog.get_logger("test"))
        return [json.loads(line) for line in stream.getvalue().splitlines()]

    return logged


Lines = Callable[..., list[dict[str, Any]]]


def test_an_event_is_a_line_with_its_keys(lines: Lines) -> None:
    [line] = lines(lambda logger: logger.info("order added", order_number="WEB-1", outbox_id=7, attempt=1))
    assert list(line)[:3] == ["timestamp", "level", "event"]
    assert line.pop("timestamp").endswith("Z")
    assert line == {"level": "info", "event": "order added", "order_number": "WEB-1", "outbox_id": 7, "attempt": 1}


def test_below_the_level_nothing_is_logged(lines: Lines) -> None:
    def both(logger: Any) -> None:
        logger.info("no")
        logger.warning("yes")
        logging.getLogger("library").info("no")

    assert [line["event"] for line in lines(both, "warning")] == ["yes"]


def test_personal_data_and_secrets_are_masked_however_deep(lines: Lines) -> None:
    [line] = lines(
        lambda logger: logger.info(
            "x",
            phone="+84900000000",
            Email="a@b.c",
            token=None,
            detail={"receiver": {"fullname": "A"}, "parcels": [{"address": "1 Demo St", "pickup_id": 167}]},
            numbers=("W1", "W2"),
        )
    )
    del line["timestamp"]
    assert line == {
        "level": "info",
        "event": "x",
        "phone": "***",
        "Email": "***",
        "token": None,
        "detail": {"receiver": "***", "parcels": [{"address": "***", "pickup_id": 167}]},
        "numbers": ["W1", "W2"],
    }


def test_what_is_nested_too_deep_is_masked_whole(lines: Lines) -> None:
    value: Any = {"phone": "1"}
    for _ in range(2000):
        value = {"a": value}
    [line] = lines(lambda logger: logger.info("x", value=value))
    assert json.dumps(line["value"]) == '{"a": {"a": {"a": {"a": {"a": "***"}}}}}'


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("at postgresql://omisync:hunter2@db:5432/shop", "at postgresql://***@db:5432/shop"),
        ("https://user@host/", "https://***@host/"),
        ("https://host/a@b", "https://host/a@b"),
        ("Authorization: Omi abcdef.123 rejected", "Authorization: Omi *** rejected"),
        ("Omisell is away", "Omisell is away"),
    ],
)
def test_credentials_inside_a_text_are_masked(lines: Lines, text: str, masked: str) -> None:
    [line] = lines(lambda logger: logger.info(text, why=text))
    assert (line["event"], line["why"]) == (masked, masked)


def _fail(dsn: str, token: str) -> None:
    raise ValueError(f"cannot connect to {dsn} ({len(token)})")


@pytest.mark.parametrize("format_", ["json", "console"])
def test_a_traceback_shows_no_local_variables_and_no_password(format_: Literal["json", "console"]) -> None:
    stream = io.StringIO()
    log.configure(format_, "info", stream)
    try:
        _fail("postgresql://u:hunter2@h/d", "".join(["local", "-", "token"]))
    except ValueError:
        structlog.get_logger().exception("it failed")
    shown = stream.getvalue()
    assert "ValueError: cannot connect to postgresql://***@h/d (11)" in shown
    assert "in _fail" in shown
    assert "local-token" not in shown
    assert "hunter2@h/d (" not in shown


def test_the_libraries_logs_come_along(lines: Lines) -> None:
    def library(_: Any) -> None:
        logging.getLogger("asyncpg").warning("lost %s", "db1", extra={"attempt": 2})
        logging.getLogger("aiohttp.access").info("GET /")

    [line] = lines(library)
    del line["timestamp"]
    assert line == {"level": "warning", "event": "lost db1", "attempt": 2, "logger": "asyncpg"}


def test_noisy_libraries_speak_at_debug(lines: Lines) -> None:
    [line] = lines(lambda _: logging.getLogger("apscheduler.executors").info("ran"), "debug")
    assert line["event"] == "ran"


def test_warnings_are_logged(lines: Lines) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")

        def warn(_: Any) -> None:
            logging.captureWarnings(capture=True)
            warnings.warn("old name", DeprecationWarning, stacklevel=1)

        [line] = lines(warn)
        logging.captureWarnings(capture=False)
    assert "DeprecationWarning: old name" in line["event"]
    assert line["logger"] == "py.warnings"


def test_bound_context_is_on_every_line(lines: Lines) -> None:
    def bound(logger: Any) -> None:
        with structlog.contextvars.bound_contextvars(request_id="r1"):
            logger.bind(outbox_id=1).info("x")
        logger.info("y")

    first, second = lines(bound)
    assert (first["request_id"], first["outbox_id"]) == ("r1", 1)
    assert "request_id" not in second


def test_what_is_no_json_is_logged_as_text(lines: Lines) -> None:
    [line] = lines(lambda logger: logger.info("x", error=ValueError("why"), name_of={"đơn hàng"}))
    assert (line["error"], line["name_of"]) == ("why", ["đơn hàng"])


def test_loggers_made_before_follow_a_new_level_and_stream() -> None:
    first, second = io.StringIO(), io.StringIO()
    log.configure("json", "info", first)
    logger = structlog.get_logger("early").bind(outbox_id=1)
    logger.info("one")
    logger.debug("not yet")
    log.configure("console", "debug", second)
    logger.debug("two")
    assert [json.loads(line)["event"] for line in first.getvalue().splitlines()] == ["one"]
    assert "two" in second.getvalue()


def test_auto_is_readable_on_a_terminal_and_json_elsewhere() -> None:
    terminal, pipe = Terminal(), io.StringIO()
    log.configure("auto", "info", terminal)
    structlog.get_logger().info("order added", order_number="WEB-1")
    assert "\x1b[" in terminal.getvalue()
    assert "order added" in terminal.getvalue()
    log.configure("auto", "info", pipe)
    structlog.get_logger().info("order added")
    assert json.loads(pipe.getvalue())["event"] == "order added"


def test_console_away_from_a_terminal_has_no_colours() -> None:
    stream = io.StringIO()
    log.configure("console", "info", stream)
    structlog.get_logger().info("order added", order_number="WEB-1", phone="1")
    assert "\x1b" not in stream.getvalue()
    assert "order_number=WEB-1 phone=***" in stream.getvalue()


def test_standard_error_is_the_default(capsys: pytest.CaptureFixture[str]) -> None:
    log.configure("json")
    structlog.get_logger().info("x")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert json.loads(captured.err)["event"] == "x"
