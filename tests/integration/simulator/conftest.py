"""A running simulator, somebody who calls it, and somebody who receives its pushes."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from omisync.simulator import (
    BucketConfig,
    Clock,
    ListConfig,
    Simulator,
    SimulatorConfig,
)

QUICK: Mapping[str, Any] = {"lists": ListConfig(lag=(0, 0)), "bucket": BucketConfig(size=10_000)}

BODY: Mapping[str, Any] = {
    "order_number": "WEB-1",
    "shop_id": 21001,
    "pickup_id": 167,
    "created_time": 1_790_000_000,
    "receiver": {"fullname": "Nguyễn Thị An", "province_name": "Hà Nội"},
    "payment_information": {"payment_type": 1, "payment_status": 100},
    "items": [{"sku": "TEE-M", "quantity": 1, "original_price": 120000, "discounted_price": 110000}],
}


@dataclass
class Reply:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    raw: bytes
    body: Any

    @property
    def data(self) -> Any:
        return self.body["data"]


@dataclass
class Caller:
    """Calls the API as a merchant's program does."""

    session: aiohttp.ClientSession
    base: str
    token: str = ""

    async def __call__(self, method: str, path: str, *, json: Any = None, **options: Any) -> Reply:
        headers = {"Authorization": f"Omi {self.token}"} if self.token else {}
        headers |= options.pop("headers", {})
        timeout = aiohttp.ClientTimeout(total=options.pop("seconds", 5))
        async with self.session.request(
            method, self.base + path, json=json, headers=headers, timeout=timeout, **options
        ) as answer:
            raw = await answer.read()
            body = await answer.json() if answer.content_type == "application/json" and raw[:1] in b"{[" else None
            return Reply(answer.status, dict(answer.headers), raw, body)

    async def login(self) -> "Caller":
        body = {"api_key": "k_demo", "api_secret": "s_demo"}
        reply = await self("POST", "/api/v2/auth/token/get/", json=body)
        self.token = reply.data["token"]
        return self

    async def add(self, **changes: Any) -> Reply:
        return await self("POST", "/api/v2/public/order/add", json={**BODY, **changes})

    async def list(self, **query: Any) -> Reply:
        return await self("GET", "/api/v2/public/order/list", params=query)

    async def detail(self, number: str) -> Reply:
        return await self("GET", f"/api/v2/public/order/{number}")

    async def cancel(self, number: str, **options: Any) -> Reply:
        return await self("PATCH", f"/api/v2/public/order/{number}/cancel", **options)


@dataclass
class Receiver:
    """Takes pushes, and answers what the test wants."""

    url: str = ""
    status: int = 200
    hang: asyncio.Event | None = None
    got: list[tuple[Mapping[str, str], bytes]] = field(default_factory=list)
    bodies: list[Any] = field(default_factory=list)
    came: asyncio.Queue[None] = field(default_factory=asyncio.Queue)
    under_way: int = 0
    at_most: int = 0

    async def take(self, request: web.Request) -> web.Response:
        self.under_way += 1
        self.at_most = max(self.at_most, self.under_way)
        self.came.put_nowait(None)
        try:
            self.got.append((dict(request.headers), await request.read()))
            self.bodies.append(await request.json())
            if self.hang is not None:
                await self.hang.wait()
            return web.Response(status=self.status, headers={"Location": "/elsewhere"})
        finally:
            self.under_way -= 1

    @property
    def events(self) -> list[str]:
        return [body["event"] for body in self.bodies]


Start = Callable[..., Awaitable[tuple[Simulator, Caller]]]


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    """Starts simulators with the options given, lags and limits out of the way, and logs a caller in."""
    async with AsyncExitStack() as stack:
        session = await stack.enter_async_context(aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)))

        async def run(clock: Clock | None = None, **options: Any) -> tuple[Simulator, Caller]:
            simulator = Simulator(SimulatorConfig(**{"seed": 5, **QUICK, **options}), clock=clock)
            await simulator.start()
            stack.push_async_callback(simulator.stop)
            return simulator, await Caller(session, simulator.url).login()

        yield run


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    """A receiver of pushes on loopback."""
    made = Receiver()
    application = web.Application()
    application.router.add_post("/hook", made.take)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
    yield made
    await runner.cleanup()
