"""Serving until a signal ends it, as a process."""

import asyncio
import signal
import sys

import pytest

from omisync.simulator import Simulator, SimulatorConfig, serve

PROGRAM = """
import asyncio
from omisync.simulator import SimulatorConfig, serve
asyncio.run(serve(SimulatorConfig(), port=0, started=lambda simulator: print(simulator.url, flush=True)))
print("stopped", flush=True)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_stops_it_cleanly(number: signal.Signals) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PROGRAM, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        url = (await asyncio.wait_for(process.stdout.readline(), 20)).decode().strip()
        assert url.startswith("http://127.0.0.1:")
        process.send_signal(number)
        assert await asyncio.wait_for(process.stdout.readline(), 10) == b"stopped\n"
        assert await asyncio.wait_for(process.wait(), 10) == 0
        assert await process.stderr.read() == b""
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def test_serving_ends_with_everything_stopped_and_the_old_handlers_back() -> None:
    before = signal.getsignal(signal.SIGTERM)
    seen: list[Simulator] = []

    def started(simulator: Simulator) -> None:
        seen.append(simulator)
        signal.raise_signal(signal.SIGTERM)

    await asyncio.wait_for(serve(SimulatorConfig(), port=0, started=started), 5)
    with pytest.raises(RuntimeError, match="not started"):
        _ = seen[0].url
    assert signal.getsignal(signal.SIGTERM) == before


async def test_a_port_in_use_is_an_error() -> None:
    first = Simulator()
    await first.start()
    try:
        with pytest.raises(OSError, match="address already in use"):
            await serve(SimulatorConfig(), port=first.port)
    finally:
        await first.stop()
