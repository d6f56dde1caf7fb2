"""The database part alone: omisync's own claims and finishes, as many in hand as would be in flight, without a call."""

import asyncio
import sys

from omisync.store import Claim, Database, Ending, Hooks, Outbox
from tests.bench.peers.caller import Caller


async def main(dsn: str, url: str, in_flight: int) -> None:
    """Claim and finish every row."""
    database = Database(dsn)
    outbox = Outbox(database, Hooks(database, None, 5.0))
    caller = Caller(url, 1)
    await outbox.is_due("order.add")
    await caller.mark()
    hands: set[asyncio.Task[bool]] = set()
    while True:
        if len(hands) < in_flight:
            claims = await outbox.claim("order.add", in_flight - len(hands))
            if not claims and not hands:
                break
            hands |= {asyncio.ensure_future(outbox.finish(ending(claim))) for claim in claims}
        _, hands = await asyncio.wait(hands, return_when=asyncio.FIRST_COMPLETED)
    await caller.close()
    await database.close()


def ending(claim: Claim) -> Ending:
    """As after Omisell's answer to an add."""
    return Ending(
        claim,
        "done",
        "added",
        event="added",
        event_data="{}",
        omisell_order_number=f"OS-{claim.id}",
        status_id=200,
        status_name="New",
        is_final=False,
        shop_id=1,
        spent=1,
    )


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
