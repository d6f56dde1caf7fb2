"""Speaks the systemd journal's own protocol, so that a line has its level and its order as fields to filter by."""

import logging
import os
import socket
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, TextIO

SOCKET: Final = Path("/run/systemd/journal/socket")
FIELDS: Final = {
    "order_number": "ORDER_NUMBER",
    "omisell_order_number": "OMISELL_ORDER_NUMBER",
    "outbox_id": "OUTBOX_ID",
    "client": "CLIENT",
    "logger": "LOGGER",
}
"""What of a line is a field of the journal's as well; a list gives the field once for each of its items."""
PRIORITIES: Final = {logging.DEBUG: 7, logging.INFO: 6, logging.WARNING: 4, logging.ERROR: 3, logging.CRITICAL: 2}
PATIENCE: Final = 0.1
"""Seconds to wait for a journal that is busy; the ordinary way would wait for ever."""
IDENTIFIER: Final = "omisync"


def is_journal(stream: TextIO, environ: Mapping[str, str] | None = None) -> bool:
    """Whether what is written to `stream` ends in the journal (systemd.exec(5), JOURNAL_STREAM)."""
    device, colon, inode = (os.environ if environ is None else environ).get("JOURNAL_STREAM", "").partition(":")
    try:
        status = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return bool(colon) and (device, inode) == (str(status.st_dev), str(status.st_ino))


class JournalHandler(logging.Handler):
    """Sends each line with its fields; what the journal does not take so goes the ordinary way.

    Args:
        otherwise: writes the line where it would have gone without the journal's protocol.
        address: the journal's socket.
    """

    def __init__(self, otherwise: logging.Handler, address: Path = SOCKET) -> None:
        super().__init__()
        self._otherwise = otherwise
        self._address = str(address)
        self._channel = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        self._channel.settimeout(PATIENCE)

    def setFormatter(self, fmt: logging.Formatter | None) -> None:  # noqa: N802 - the library's name
        """Both ways say the same."""
        super().setFormatter(fmt)
        self._otherwise.setFormatter(fmt)

    def emit(self, record: logging.LogRecord) -> None:
        """Sends one line."""
        try:
            self._channel.sendto(self._datagram(record), self._address)
        except (OSError, ValueError):
            self._otherwise.emit(record)  # the journal is gone, busy, or the line is too long for a datagram

    def close(self) -> None:
        """Ends the channel."""
        self._channel.close()
        super().close()

    def _datagram(self, record: logging.LogRecord) -> bytes:
        told: Mapping[str, Any] = record.msg if isinstance(record.msg, dict) else {}
        fields = [
            ("MESSAGE", self.format(record)),
            ("PRIORITY", str(PRIORITIES.get(record.levelno, 5))),
            ("SYSLOG_IDENTIFIER", IDENTIFIER),
        ]
        for key, name in FIELDS.items():
            value = record.name if key == "logger" else told.get(key)
            items = value if isinstance(value, list | tuple) else [] if value is None else [value]
            fields += [(name, str(item)) for item in items]
        return b"".join(_field(name, value) for name, value in fields)


def _field(name: str, value: str) -> bytes:
    raw = value.encode("utf-8", "replace")
    if b"\n" in raw:
        return name.encode() + b"\n" + struct.pack("<Q", len(raw)) + raw + b"\n"
    return name.encode() + b"=" + raw + b"\n"
