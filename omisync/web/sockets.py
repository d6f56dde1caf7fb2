"""Where a listener's sockets come from: from systemd, or opened here."""

import asyncio
import errno
import os
import socket
from collections.abc import Callable, Mapping
from typing import Final, Protocol

FIRST_INHERITED: Final = 3
"""The number of the first descriptor that systemd passes (sd_listen_fds(3))."""
BACKLOG: Final = 4096
"""Connections that wait in the kernel until they are accepted: a minute of restart at fifty pushes a second. As many as
Linux grants by itself (net.core.somaxconn)."""
ACCEPTED_AT_ONCE: Final = 8
"""Connections accepted in one turn of the event loop. After a restart the queue is worked off in such bites: taken in
one gulp, the first to be read would wait for all the others, longer than a push is given to be stored."""
UNNAMED: Final = "webhook"
"""Whose a lone inherited socket is, if its name says nothing to us."""
NAMES: Final = ("webhook", "admin")


class Listen(Protocol):
    """Where to listen; the shape of the configuration's value."""

    @property
    def host(self) -> str:
        """A name or an address."""
        ...

    @property
    def port(self) -> int:
        """0 for any free one."""
        ...


class ListenError(Exception):
    """A listener cannot be opened; the message says what, where and what to do."""


def inherited(
    name: str, environ: Mapping[str, str], *, pid: int | None = None, first: int = FIRST_INHERITED
) -> list[socket.socket]:
    """The listening sockets that systemd has passed under `name`, closed in what we execute.

    Each is a duplicate: closing it leaves the passed one listening, so that connections wait there for a successor.

    Args:
        name: `webhook` or `admin`, as in the socket unit's `FileDescriptorName=`.
        environ: where LISTEN_PID, LISTEN_FDS and LISTEN_FDNAMES are.
        pid: of this process.
        first: the first passed descriptor.

    Raises:
        ListenError: what was passed is not a listening stream socket.
    """
    if environ.get("LISTEN_PID") != str(os.getpid() if pid is None else pid):
        return []
    count = _count(environ.get("LISTEN_FDS", ""))
    names = environ.get("LISTEN_FDNAMES", "").split(":")
    names += [""] * (count - len(names))
    descriptors = range(first, first + count)
    for descriptor in descriptors:
        os.set_inheritable(descriptor, False)
    if count == 1 and names[0] not in NAMES:
        names = [UNNAMED]
    return [_adopt(fd, name) for fd, its in zip(descriptors, names, strict=False) if its == name]


def _count(text: str) -> int:
    try:
        return max(int(text), 0)
    except ValueError:
        return 0


def _adopt(descriptor: int, name: str) -> socket.socket:
    try:
        passed = socket.socket(fileno=os.dup(descriptor))
    except OSError as error:
        raise ListenError(
            f"the socket that systemd should pass for {name} (descriptor {descriptor}) is not one: "
            f"{os.strerror(error.errno or 0)}. Look at the [Socket] section of the socket unit"
        ) from error
    listens = passed.type == socket.SOCK_STREAM and passed.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    if not listens:
        passed.close()
        raise ListenError(
            f"the socket that systemd passes for {name} does not listen for streams: "
            "use ListenStream= and Accept=no in the socket unit"
        )
    passed.setblocking(False)
    return passed


async def open_servers(
    protocol: Callable[[], asyncio.Protocol], listen: Listen, name: str, passed: list[socket.socket]
) -> list[asyncio.Server]:
    """Servers on the passed sockets, or on every address of `listen` when there are none.

    Raises:
        ListenError: the address cannot be had.
    """
    loop = asyncio.get_running_loop()
    if passed:
        return [_queueing(await loop.create_server(protocol, sock=sock, backlog=ACCEPTED_AT_ONCE)) for sock in passed]
    try:
        return [
            _queueing(
                await loop.create_server(
                    protocol, listen.host, listen.port, reuse_address=True, backlog=ACCEPTED_AT_ONCE
                )
            )
        ]
    except OSError as error:
        raise ListenError(_explain(error, listen, name)) from error


def _queueing(server: asyncio.Server) -> asyncio.Server:
    """The server, with the kernel's queue as long as agreed: asyncio has one number for it and for its own bites."""
    for listening in server.sockets:
        with socket.socket(fileno=os.dup(listening.fileno())) as same:
            same.listen(BACKLOG)
    return server


def _explain(error: OSError, listen: Listen, name: str) -> str:
    host = f"[{listen.host}]" if ":" in listen.host else listen.host
    what = f"cannot listen on {host}:{listen.port} ({name}.listen)"
    if isinstance(error, socket.gaierror):
        return f"{what}: the name {listen.host} has no address. Use an address, such as 127.0.0.1 or 0.0.0.0"
    if error.errno == errno.EADDRINUSE:
        return (
            f"{what}: the port is taken. See who has it with `ss -ltnp 'sport = :{listen.port}'`, "
            f"stop that, or set {name}.listen to another port"
        )
    if error.errno == errno.EACCES:
        return (
            f"{what}: not allowed. Ports below 1024 are reserved: use a higher one, let systemd open it "
            "(omisync.socket), or put a proxy in front"
        )
    if error.errno == errno.EADDRNOTAVAIL:
        return (
            f"{what}: this machine has no such address. `ip addr` shows which it has; "
            "0.0.0.0 stands for every one of them"
        )
    return f"{what}: {os.strerror(error.errno or 0)}"
