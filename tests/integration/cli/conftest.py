"""The command line in this process, on a real database and the simulator; and what it leaves behind put back."""

import asyncio
import json
import logging
import tomllib
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import asyncpg
import pytest
import structlog

from omisync import log
from omisync.cli import main

if TYPE_CHECKING:
    from omisync.simulator import Simulator

SECONDS = 60
"""For one command: they take milliseconds, but two cores may be shared."""


@dataclass(frozen=True)
class Ran:
    """What a command did."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Standard output as JSON."""
        return json.loads(self.out)

    @property
    def lines(self) -> list[str]:
        """Standard output, each line with single blanks, so that the width of columns does not matter."""
        return [" ".join(line.split()) for line in self.out.splitlines() if line.strip()]


class Cli:
    """Runs `omisync --config FILE …` in this process."""

    def __init__(self, folder: Path, capture: pytest.CaptureFixture[str], given: dict[str, dict[str, object]]) -> None:
        self.config = folder / "config.toml"
        self.given = given
        self._capture = capture
        self.change({})

    def change(self, changes: Mapping[str, Mapping[str, object]]) -> None:
        """Puts keys over the configuration, by section; None removes one."""
        for section, keys in changes.items():
            self.given.setdefault(section, {}).update(keys)
        lines: list[str] = []
        for section, keys in self.given.items():
            lines.append(f"[{section}]")
            # JSON's texts, numbers and lists are TOML's too
            lines += [f"{key} = {json.dumps(value)}" for key, value in keys.items() if value is not None]
        self.config.write_text("\n".join(lines), "utf-8")
        assert tomllib.loads(self.config.read_text("utf-8"))

    async def __call__(self, *arguments: str) -> Ran:
        """Runs one command to its end."""
        self._capture.readouterr()
        code = await asyncio.wait_for(asyncio.to_thread(main, ["--config", str(self.config), *arguments]), SECONDS)
        taken = self._capture.readouterr()
        return Ran(code, taken.out, taken.err)


@pytest.fixture(autouse=True)
def logs_put_back() -> Iterator[None]:
    """A command sets the logs up for its process, which here is the tests'."""
    root = logging.getLogger()
    before = (root.handlers[:], root.level, {name: logging.getLogger(name).level for name in log.NOISY})
    yield
    structlog.reset_defaults()
    logging.captureWarnings(capture=False)
    root.handlers, level, noisy = before
    root.setLevel(level)
    for name, own in noisy.items():
        logging.getLogger(name).setLevel(own)


@pytest.fixture(autouse=True)
def no_surroundings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither this machine's configuration nor its terminal plays a part."""
    for name in ("OMISYNC_CONFIG", "COLUMNS", "SUDO_USER", "NOTIFY_SOCKET", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def free_ports() -> tuple[int, int]:
    """Two ports of loopback that nobody has at this moment."""
    from omisync.demo.postgres import free_port  # noqa: PLC0415 - only for the tests that ask for it

    return free_port(), free_port()


@pytest.fixture
def cli(
    dsn: str,
    simulator: "Simulator",
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    free_ports: tuple[int, int],
) -> Cli:
    """The command line on a fresh database with our schema, and the simulator."""
    return Cli(
        tmp_path,
        capsys,
        {
            "database": {"dsn": dsn},
            "omisell": {
                "base_url": simulator.url,
                "api_key": "k_demo",
                "api_secret": "s_demo",
                "seller_id": 77,
                "country": "VN",
                "shop_id": 21001,
                "pickup_id": 167,
                "timeout": "5s",
            },
            "webhook": {
                "listen": f"127.0.0.1:{free_ports[0]}",
                "secret": "push-secret",
                "callback_url": "https://shop.example/webhooks/omisell",
            },
            "admin": {"listen": f"127.0.0.1:{free_ports[1]}"},
        },
    )


@pytest.fixture
async def sql(dsn: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection of the test's own."""
    connection = await asyncpg.connect(dsn)
    try:
        yield connection
    finally:
        await connection.close()


@pytest.fixture
def nobody_there(dsn: str, free_ports: tuple[int, int]) -> str:
    """A database's URL at which nobody listens."""
    parts = urlsplit(dsn)
    return f"postgresql://shop:pass-word@127.0.0.1:{free_ports[0]}{parts.path}"
