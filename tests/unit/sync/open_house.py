"""What holds a sender up in nothing, and the way to see how far it goes by itself."""

import asyncio


class OpenHouse:
    """Budget, breaker, counters: nothing holds a call up."""

    is_open = False

    def available(self, _: object) -> int:
        return 100

    def brings(self, _: object, __: int) -> None:
        return

    def outbox_done(self, _: str, __: str) -> None:
        return


async def rest() -> None:
    """Until all that can go on has gone on: no part of this waits for anything outside the loop."""
    for _ in range(100):
        await asyncio.sleep(0)
