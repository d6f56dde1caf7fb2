"""Lines in the journal have their level and their order as fields, by which a real journalctl finds them."""

import json
import logging
import os
import shutil
import socket
import struct
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from omisync import journal, log
from omisync.journal import JournalHandler, is_journal

SECONDS = 20.0


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    root = logging.getLogger()
    before = (root.handlers[:], root.level, {name: logging.getLogger(name).level for name in log.NOISY})
    yield
    structlog.reset_defaults()
    logging.captureWarnings(capture=False)
    for handler in root.handlers:
        if isinstance(handler, JournalHandler):
            handler.close()
            handler._otherwise.stream.close()  # type: ignore[attr-defined] # a StreamHandler
    root.handlers, level, noisy = before
    root.setLevel(level)
    for name, own in noisy.items():
        logging.getLogger(name).setLevel(own)


class Journal:
    """Takes datagrams as the journal does."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.channel = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.channel.bind(str(path))
        self.channel.settimeout(5)

    def entry(self) -> dict[str, list[str]]:
        """The fields of the next datagram."""
        raw = self.channel.recv(1 << 20)
        fields: dict[str, list[str]] = {}
        while raw:
            name, _, rest = raw.partition(b"\n")
            if b"=" in name:
                key, _, value = name.partition(b"=")
                raw = rest
            else:
                key = name
                (length,) = struct.unpack("<Q", rest[:8])
                value, raw = rest[8 : 8 + length], rest[8 + length + 1 :]
            fields.setdefault(key.decode(), []).append(value.decode())
        return fields


@pytest.fixture
def there(tmp_path: Path) -> Iterator[Journal]:
    made = Journal(tmp_path / "socket")
    yield made
    made.channel.close()


def configure(monkeypatch: pytest.MonkeyPatch, address: Path, file: Path, **options: Any) -> None:
    """Logs to a file that is said to be the journal."""
    stream = file.open("w+")
    status = os.fstat(stream.fileno())
    monkeypatch.setenv("JOURNAL_STREAM", f"{status.st_dev}:{status.st_ino}")
    monkeypatch.setattr(JournalHandler.__init__, "__defaults__", (address,))
    log.configure("auto", "info", stream, **options)


def test_a_line_has_its_level_and_its_order_as_fields(
    there: Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(monkeypatch, there.path, tmp_path / "stderr")
    logger = structlog.get_logger("sender").bind(order_number="WEB-1", outbox_id=7)
    logger.error("order.add failed", omisell_order_number="ODVN1", secret="hidden")
    entry = there.entry()
    message = json.loads(entry.pop("MESSAGE")[0])
    assert (message["event"], message["order_number"], message["secret"]) == ("order.add failed", "WEB-1", "***")
    assert entry == {
        "PRIORITY": ["3"],
        "SYSLOG_IDENTIFIER": ["omisync"],
        "ORDER_NUMBER": ["WEB-1"],
        "OMISELL_ORDER_NUMBER": ["ODVN1"],
        "OUTBOX_ID": ["7"],
        "LOGGER": ["sender"],
    }
    assert (tmp_path / "stderr").read_text() == ""


def test_a_summary_is_found_by_each_order_that_it_stands_for(
    there: Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(monkeypatch, there.path, tmp_path / "stderr", sums_up=True)
    for number in range(23):
        structlog.get_logger("sender").error("order.add failed", order_number=f"WEB-{number}")
        if number < 20:
            assert there.entry()["ORDER_NUMBER"] == [f"WEB-{number}"]
    log.tell_repeats(everything=True)
    assert there.entry()["ORDER_NUMBER"] == ["WEB-20", "WEB-21", "WEB-22"]


def test_a_value_of_several_lines_cannot_forge_a_field(
    there: Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(monkeypatch, there.path, tmp_path / "stderr")
    structlog.get_logger("sender").info("put off", order_number="WEB-1\nPRIORITY=0")
    entry = there.entry()
    assert entry["ORDER_NUMBER"] == ["WEB-1\nPRIORITY=0"]
    assert entry["PRIORITY"] == ["6"]


def test_without_the_journals_socket_lines_go_the_ordinary_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    configure(monkeypatch, tmp_path / "nobody", tmp_path / "stderr")
    structlog.get_logger("sender").info("ready")
    assert json.loads((tmp_path / "stderr").read_text())["event"] == "ready"


def test_only_the_journals_own_stream_is_taken_for_it(tmp_path: Path) -> None:
    with (tmp_path / "stderr").open("w") as stream:
        status = os.fstat(stream.fileno())
        assert is_journal(stream, {"JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino}"})
        assert not is_journal(stream, {"JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino + 1}"})
        assert not is_journal(stream, {"JOURNAL_STREAM": "nonsense"})
        assert not is_journal(stream, {})


@pytest.fixture
def real() -> Iterator[tuple[str, Path]]:
    """A journal of its own: its name and its socket."""
    program = Path("/usr/lib/systemd/systemd-journald")
    if not program.exists() or shutil.which("journalctl") is None or os.geteuid() != 0:
        pytest.skip("there is no systemd-journald, or it may not be started (Debian: systemd; as root)")
    name = f"omisync-{os.getpid()}"
    address = Path(f"/run/systemd/journal.{name}/socket")
    process = subprocess.Popen([program, name], stderr=subprocess.DEVNULL)  # noqa: S603 - our own words
    try:
        until(address.exists)
        yield name, address
    finally:
        process.terminate()
        process.wait(SECONDS)
        machine = Path("/etc/machine-id").read_text().strip()
        for folder in (
            address.parent,
            Path(f"/run/log/journal/{machine}.{name}"),
            Path(f"/var/log/journal/{machine}.{name}"),
        ):
            shutil.rmtree(folder, ignore_errors=True)


def until(holds: Any) -> None:
    end = time.monotonic() + SECONDS
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.05)


def journalctl(name: str, *filters: str) -> list[str]:
    """The events that a real journalctl finds."""
    program = ["journalctl", f"--namespace={name}", "--output=cat", *filters]
    found = subprocess.run(program, capture_output=True, timeout=SECONDS, check=False)  # noqa: S603 - our own words
    return [json.loads(line)["event"] for line in found.stdout.splitlines() if line.startswith(b"{")]


def test_a_real_journalctl_tells_one_orders_story_by_one_filter(
    real: tuple[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, address = real
    configure(monkeypatch, address, tmp_path / "stderr")
    logger = structlog.get_logger("sender")
    for number in ("WEB-1", "WEB-10"):
        logger.info("order.add added", order_number=number)
        logger.warning("the lease had gone", order_number=number)
    until(lambda: len(journalctl(name)) == 4)
    assert journalctl(name, "ORDER_NUMBER=WEB-1") == ["order.add added", "the lease had gone"]
    assert journalctl(name, "--priority=warning", "ORDER_NUMBER=WEB-10") == ["the lease had gone"]
    assert journal.IDENTIFIER == "omisync"
