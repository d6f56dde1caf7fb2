"""A sender with nothing on: omisync's own claims and endings, the aiohttp client in between, and nothing else.

No budget, no checks, no limits of time, no retries, no log, no figures: the most that anything on this client and this
database can do on the machine.
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

    async def send(claim: Claim) -> bool:
        number = await caller.add(claim.payload or "{}")
        return await outbox.finish(dataclasses.replace(ending(claim), omisell_order_number=number))

    hands: set[asyncio.Task[bool]] = set()
    while True:
        if len(hands) < in_flight:
            claims = await outbox.claim("order.add", in_flight - len(hands))
            if not claims and not hands:
                break
            hands |= {asyncio.create_task(send(claim)) for claim in claims}
        _, hands = await asyncio.wait(hands, return_when=asyncio.FIRST_COMPLETED)
    await caller.close()
    await database.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
