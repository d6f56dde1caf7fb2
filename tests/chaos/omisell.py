"""Omisell's simulator as a process of its own: `omisync simulate`, asked over its control endpoints."""

import asyncio
import contextlib
import json
import signal
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import aiohttp

from omisync.demo.errors import DemoError
from omisync.demo.guarded import Guarded
from omisync.demo.processes import command, environment, tail
from omisync.demo.remote import Omisell, simulator_config
from omisync.simulator import SimulatorConfig
from tests.chaos.options import Options

START_SECONDS: Final = 30.0
LOG_SIZE: Final = 1_000_000
"""Pushes kept for the verdict: all of them."""


@dataclass(frozen=True, slots=True)
class Delivered:
    """A push that was answered 200."""

    request_id: str
    order_number: str
    status_id: int


class OmisellProcess(Omisell):
    """The simulator, and what a proof asks of it besides."""

    async def orders(self) -> int:
        """How many orders it has."""
        answer = await self.control("GET", "orders", params={"detail": "0", "limit": "1"})
        return int(answer["count"])

    async def delivered(self) -> Sequence[Delivered]:
        """Every push that was answered 200."""
        return [
            Delivered(push["request_id"], push["order_number"], push["status_id"])
            async for push in self.paged("pushes", body="0")
            if any(each["status"] == 200 for each in push["tries"])
        ]

    async def ledger(self) -> Mapping[str, object]:
        """All its counts."""
        answer: Mapping[str, object] = await self.control("GET", "ledger")
        return answer

    async def faults(self, changes: Mapping[str, object]) -> None:
        """Change what goes wrong."""
        await self.control("PATCH", "faults", json=changes)

    async def configure(self, changes: Mapping[str, object]) -> None:
        """Change options."""
        await self.control("PATCH", "config", json=changes)


def _options(callback_url: str, asked: Options) -> str:
    """The demo's simulator with a wider limit and a long memory, as `omisync simulate --options` reads it."""
    config = simulator_config(callback_url, asked.seed)
    push, life = config.push, config.life
    life_by_itself = f"return_rate = {life.return_rate}, cancel_rate = {life.cancel_rate}, skip_rate = {life.skip_rate}"
    pushing = f"callback_url = {json.dumps(callback_url)}, secret = {json.dumps(push.secret)}, log_size = {LOG_SIZE}"
    lines = (
        f"seed = {asked.seed}",
        f"clock_factor = {config.clock_factor}",
        f"bucket = {{ size = {asked.bucket}, leak_per_minute = {asked.calls_a_minute} }}",
        f"lists = {{ lag = {json.dumps(list(config.lists.lag))} }}",
        f'orders = {{ duplicates = "{config.orders.duplicates}", cancel_pending = 300 }}',
        f"life = {{ automatic = true, {life_by_itself} }}",
        f'push = {{ {pushing}, authorization = "{push.authorization}", concurrency = 16 }}',
    )
    return "\n".join(lines)


@contextlib.asynccontextmanager
async def running(
    session: aiohttp.ClientSession, guarded: Guarded, folder: Path, *, callback_url: str, asked: Options
) -> AsyncIterator[OmisellProcess]:
    """Start it, and stop it in the end.

    Raises:
        DemoError: It did not start; with what it said.
    """
    options, log = folder / "simulator.toml", folder / "simulator.log"
    options.write_text(_options(callback_url, asked))
    with log.open("ab") as errors:
        process = await asyncio.create_subprocess_exec(
            *command("simulate", "--options", str(options), "--port", "0", "--json"),
            cwd=folder,
            env=environment(),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=errors,
            start_new_session=True,
        )
    guarded.process(process.pid, signal.SIGKILL)
    try:
        assert process.stdout is not None
        async with asyncio.timeout(START_SECONDS):
            line = await process.stdout.readline()
        if not line:
            raise DemoError(f"the simulator did not start:\n{tail(log)}")
        config: SimulatorConfig = simulator_config(callback_url, asked.seed)
        yield OmisellProcess(json.loads(line)["url"], config, session)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        guarded.forget(process.pid)
