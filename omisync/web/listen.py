"""Serves an application on its address, and stops so that nothing in flight is cut off."""

import asyncio
import os
import socket
from collections.abc import Mapping
from typing import Final

import structlog
from aiohttp import hdrs, web
from structlog.typing import FilteringBoundLogger

from omisync.web.connections import STRAIGHT, Connections, Limits
from omisync.web.sockets import Listen, inherited, open_servers
from omisync.web.tls import Certificate

LAST_WORDS: Final = 0.25
"""Seconds. A request that was sent on an old connection just before the stop may still arrive in this time."""
ACCEPTING: Final = 5
"""Turns of the event loop within which a connection that was accepted before the stop is known."""
STOPPING: Final = web.AppKey("STOPPING", asyncio.Event)
"""Set when the listener begins to close: an answer without an end of its own ends then."""
CUT_OFF_SECONDS: Final = 2.0
"""At most, for writing the last answers and for cancelling what the grace did not suffice for. Only requests that
have outlasted the grace make anybody wait for it; and a quarter of a second can be one turn of the event loop where the
machine is busy, too little for an answer that is ready."""


class Server:
    """A listener at work; made by `serve`."""

    def __init__(self, runner: web.AppRunner, connections: Connections, servers: list[asyncio.Server]) -> None:
        self._runner = runner
        self._connections = connections
        self._servers = servers

    @property
    def port(self) -> int:
        """The TCP port; 0 on a unix socket."""
        for server in self._servers:
            for sock in server.sockets:
                if sock.family in {socket.AF_INET, socket.AF_INET6}:
                    return int(sock.getsockname()[1])
        return 0

    @property
    def connections(self) -> int:
        """How many are open."""
        return len(self._connections)

    async def close(self, grace: float) -> None:
        """Accepts nothing new, finishes what is in flight, then closes every connection.

        Args:
            grace: seconds that requests in flight, and those still to come on new connections, may take; then they
                are cancelled.
        """
        loop = asyncio.get_running_loop()
        end = loop.time() + max(grace, 0.0)
        for server in self._servers:
            for listening in server.sockets:
                loop.remove_reader(listening.fileno())
        self._connections.draining = True
        self._runner.app[STOPPING].set()
        for _ in range(ACCEPTING):
            await asyncio.sleep(0)
        for server in self._servers:
            server.close()  # only now: asyncio drops whom it has accepted and not yet introduced to us
        if self._connections.has_silent:
            await asyncio.sleep(min(LAST_WORDS, max(grace, 0.0)))
        await self._connections.finished(max(end - loop.time(), 0.0))
        self._connections.stop()
        manager = self._runner.server
        if manager is not None:
            manager.pre_shutdown()
            await manager.shutdown(CUT_OFF_SECONDS)
        await self._runner.cleanup()


async def serve(
    app: web.Application,
    listen: Listen,
    *,
    name: str = "webhook",
    limits: Limits | None = None,
    log: FilteringBoundLogger | None = None,
    environ: Mapping[str, str] | None = None,
    tls: Certificate | None = None,
) -> Server:
    """Serves `app` on a socket passed by systemd under `name` if there is one, else on `listen`.

    Args:
        app: not yet started.
        listen: where; port 0 takes any free one (`Server.port` tells which).
        name: `webhook` or `admin`: the section of the configuration, and the passed socket's name.
        limits: what clients may take.
        log: hears of clients that speak no proper HTTP, at debug.
        environ: of the process, unless another is given.
        tls: for https in place of http.

    Raises:
        ListenError: the address cannot be had.
    """
    limits = limits or Limits()
    passed = inherited(name, os.environ if environ is None else environ)
    app.on_response_prepare.append(_say_little)
    app[STOPPING] = asyncio.Event()
    runner = web.AppRunner(app)
    await runner.setup()
    assert runner.server is not None  # noqa: S101 - set up in the line above
    connections = Connections(
        runner.server,
        limits,
        asyncio.get_running_loop(),
        log or structlog.get_logger(),
        None if tls is None else tls.context,
        app.get(STRAIGHT),
    )
    try:
        servers = await open_servers(connections, listen, name, passed)
    except BaseException:
        connections.stop()
        await runner.cleanup()
        raise
    for server in servers:
        for sock in server.sockets:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, limits.receive_buffer)
    return Server(runner, connections, servers)


async def _say_little(_: web.BaseRequest, answer: web.StreamResponse) -> None:
    """Versions of libraries are nobody's business."""
    answer.headers[hdrs.SERVER] = "omisync"
