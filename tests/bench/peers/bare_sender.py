"""A sender with nothing on: omisync's own claims and endings, the aiohttp client in between, and nothing else.

Claims are made ahead, endings are written behind: no call waits for either. No budget, no checks, no limits of time, no
retries, no log, no figures: the most that anything on this client and this database can do on the machine.
"""

import asyncio
import dataclasses
import sys

from omisync.store import Claim, Database, Hooks, Outbox
from tests.bench.peers.caller import Caller
from tests.bench.peers.database_alone import ending


async def main(dsn: str, url: str, in_flight: int) -> None:
    """Claim, send and finish every row."""
    database = Database(dsn)
    outbox = Outbox(database, Hooks(database, None, 5.0))
    caller = Caller(url, in_flight)
    claimed: asyncio.Queue[Claim | None] = asyncio.Queue(in_flight)
    endings: set[asyncio.Future[bool]] = set()

    async def claim() -> None:
        while claims := await outbox.claim("order.add", in_flight):
            for one in claims:
                await claimed.put(one)
        for _ in range(in_flight):
            await claimed.put(None)

    async def send() -> None:
        while (one := await claimed.get()) is not None:
            number = await caller.add(one.payload or "{}")
            done = dataclasses.replace(ending(one), omisell_order_number=number)
            written = asyncio.ensure_future(outbox.finish(done))
            endings.add(written)
            written.add_done_callback(endings.discard)

    await asyncio.gather(claim(), *(send() for _ in range(in_flight)))
    await asyncio.gather(*endings)
    await caller.close()
    await database.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
