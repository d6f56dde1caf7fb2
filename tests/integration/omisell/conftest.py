"""Omisell played by the test, answer by answer, and a client that speaks to it over real HTTP."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import pytest

from omisync.config import OmisellSettings
from omisync.omisell import Budget, OmisellClient, StoredToken, TokenStore, connect
from omisync.remote import OwnToken

TOKEN = StoredToken("t.aaa", 4_000_000_000, "r.bbb", 4_000_000_000, 0.0)

Answer = bytes | Callable[[asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Scripted:
    """A server that gives the answers it was told to give, one a connection, and keeps what it was asked."""

    answers: list[Answer] = field(default_factory=list)
    asked: list[tuple[str, str, dict[str, str], bytes]] = field(default_factory=list)
    url: str = ""

    def will(self, *answers: Answer) -> None:
        self.answers += answers

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            first, *lines = head.split("\r\n")
            method, path, _ = first.split(" ")
            headers = dict(line.split(": ", 1) for line in lines if line)
            body = await reader.readexactly(int(headers.get("Content-Length", "0")))
            self.asked.append((method, path, headers, body))
            answer = self.answers.pop(0)
            if isinstance(answer, bytes):
                writer.write(answer)
                await writer.drain()
            else:
                await answer(writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


@dataclass
class Observed:
    """What was told of each exchange."""

    seen: list[tuple[str, str]] = field(default_factory=list)

    def request(self, endpoint: str, status: str, seconds: float) -> None:
        assert seconds >= 0
        self.seen.append((endpoint, status))


@dataclass
class Desk:
    """The script, a client of it, and what the client told."""

    server: Scripted
    client: OmisellClient
    budget: Budget
    observed: Observed


Connect = Callable[..., OmisellClient]


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    """As the daemon's."""
    async with aiohttp.ClientSession(auto_decompress=True) as made:
        yield made


@pytest.fixture
def client_of(session: aiohttp.ClientSession) -> Connect:
    """Makes a client for a URL."""

    def make(
        url: str, *, tokens: TokenStore | None = None, budget: Budget | None = None, observer: Any = None, **more: Any
    ) -> OmisellClient:
        settings = OmisellSettings.model_validate(
            {"base_url": url, "api_key": "k_demo", "api_secret": "s_demo", "seller_id": "77", "country": "VN"}
            | {"shop_id": 21001, "timeout": 5.0}
            | more
        )
        return connect(
            settings,
            session=session,
            token_store=tokens or OwnToken(),
            budget=budget or Budget(1000, 60_000),
            observer=observer or Observed(),
        )

    return make


@pytest.fixture
async def desk(client_of: Connect) -> AsyncIterator[Desk]:
    """A scripted Omisell, and a client with a good token."""
    async with AsyncExitStack() as stack:
        script = Scripted()
        server = await asyncio.start_server(script.serve, "127.0.0.1", 0)
        stack.callback(server.close)
        script.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        tokens = OwnToken()
        await tokens.save(TOKEN)
        budget, observed = Budget(1000, 60_000), Observed()
        yield Desk(
            script,
            client_of(script.url, tokens=tokens, budget=budget, observer=observed, timeout=1.0),
            budget,
            observed,
        )
