"""The call that every contender but omisync makes: Add Order over aiohttp, its answer read and understood."""

import asyncio
import json

import aiohttp

PATH = "/api/v2/public/order/add"
HEADERS = {"Content-Type": "application/json", "Seller-ID": "1", "Country": "VN", "Authorization": "Omi t"}
SECONDS = 60.0


class Caller:
    """Calls the stub, at most so many at a time."""

    def __init__(self, url: str, in_flight: int) -> None:
        self._url = url + PATH
        self._places = asyncio.Semaphore(in_flight)
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0), timeout=aiohttp.ClientTimeout(total=SECONDS)
        )

    async def add(self, body: bytes | str) -> str:
        """Omisell's number of the order added."""
        async with self._places, self._session.post(self._url, data=body, headers=HEADERS) as answer:
            told = json.loads(await answer.read())
            if answer.status != 200 or told["error"]:
                raise RuntimeError(f"HTTP {answer.status}")
            return str(told["data"]["omisell_order_number"])

    async def mark(self) -> None:
        """Tells the stub that the work begins now."""
        async with self._session.get(self._url.removesuffix(PATH) + "/bench/mark") as answer:
            await answer.read()

    async def close(self) -> None:
        """No more calls."""
        await self._session.close()
