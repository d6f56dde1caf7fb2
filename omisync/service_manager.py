"""Speaks systemd's notify protocol: READY, STATUS, WATCHDOG, STOPPING; silent where there is no systemd."""

import os
import socket


def notify(*assignments: str) -> bool:
    """Sends assignments such as `READY=1` to the service manager; False if there is none or it does not listen.

    The socket is a datagram one and sending does not block, so this may be called on the event loop.
    """
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return False
    if address.startswith("@"):
        address = "\0" + address[1:]  # an abstract socket
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK) as channel:
        try:
            channel.sendto("\n".join(assignments).encode(), address)
        except OSError:
            return False
    return True


def watchdog_interval() -> float | None:
    """Seconds between signs of life that systemd asks for (half of `WatchdogSec`), or None."""
    try:
        microseconds = int(os.environ.get("WATCHDOG_USEC", ""))
    except ValueError:
        return None
    pid = os.environ.get("WATCHDOG_PID", "")
    return microseconds / 2e6 if microseconds > 0 and pid in {"", str(os.getpid())} else None
