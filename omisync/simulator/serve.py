"""Serving from the command line until a signal ends it."""

import asyncio
import signal
from collections.abc import Callable

from omisync.simulator.config import SimulatorConfig
from omisync.simulator.server import Simulator


async def serve(
    config: SimulatorConfig,
    host: str = "127.0.0.1",
    port: int = 8090,
    *,
    started: Callable[[Simulator], None] = lambda _: None,
) -> None:
    """Run a simulator until SIGINT or SIGTERM, then stop it cleanly.

    Args:
        config: Its options.
        host: The address to listen on.
        port: 0 takes a free one.
        started: Called once it listens, e.g. to print its URL.

    Raises:
        OSError: The address cannot be listened on.
    """
    simulator = Simulator(config)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    try:
        await simulator.start(host, port)
        started(simulator)
        await stop.wait()
    finally:
        await simulator.stop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
