"""The aiohttp client alone: bodies out of memory, no queue, nothing written down. The most that any sender could do."""

import asyncio
import sys

import asyncpg

from tests.bench.peers.caller import Caller


async def main(dsn: str, url: str, in_flight: int) -> None:
    """Send every order once."""
    connection = await asyncpg.connect(dsn)
    bodies = [
        row["body"] for row in await connection.fetch("SELECT payload::text AS body FROM bench.orders ORDER BY n")
    ]
    await connection.close()
    caller = Caller(url, in_flight)
    waiting = iter(bodies)

    async def send() -> None:
        for body in waiting:
            await caller.add(body)

    await asyncio.gather(*(send() for _ in range(in_flight)))
    await caller.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
