"""One breaker for all: while Omisell as a whole is away, one probe at a time, and nothing else is tried."""

import asyncio

import structlog

from omisync.omisell import OmisellError, Refused, Throttled
from omisync.store import StoreError
from omisync.sync.ports import OmisellApi

FIRST_PROBE = 1.0  # seconds between probes, doubling
LAST_PROBE = 15.0


class Breaker:
    """Tells a failing order from a failing Omisell, by asking Omisell something harmless."""

    def __init__(self, omisell: OmisellApi) -> None:
        self._omisell = omisell
        self._closed = asyncio.Event()
        self._closed.set()
        self._opened = asyncio.Event()
        self._asking: asyncio.Task[bool] | None = None
        self._log = structlog.get_logger("breaker")
        self.reason: str | None = None

    @property
    def is_open(self) -> bool:
        """Whether Omisell is held to be away."""
        return not self._closed.is_set()

    async def passable(self) -> None:
        """Waits until Omisell answers."""
        await self._closed.wait()

    async def suspect(self) -> bool:
        """After a failure: True if Omisell as a whole is away (the failure spends no attempt), False if it answers.

        True as well when it could not be asked, because the database, and with it the token, is away.
        """
        if self.is_open:
            return True
        if self._asking is None:
            self._asking = asyncio.create_task(self._answers())
            self._asking.add_done_callback(self._asked)
        return not await asyncio.shield(self._asking)

    async def run(self) -> None:
        """Probes while the breaker is open, until cancelled."""
        while True:
            await self._opened.wait()
            wait = FIRST_PROBE
            while not await self._answers():
                await asyncio.sleep(wait)
                wait = min(LAST_PROBE, wait * 2)

    def _asked(self, _: "asyncio.Task[bool]") -> None:
        self._asking = None

    async def _answers(self) -> bool:
        try:
            await self._omisell.ping()
        except (Refused, Throttled):
            pass  # an answer all the same
        except StoreError as error:
            self._log.info("whether Omisell answers cannot be told without the database", error=str(error))
            return False
        except OmisellError as error:
            if not self.is_open:
                self._log.warning("Omisell is away; nothing is sent until it answers", error=str(error))
            self.reason = str(error)
            self._closed.clear()
            self._opened.set()
            return False
        if self.is_open:
            self._log.info("Omisell answers again")
        self.reason = None
        self._opened.clear()
        self._closed.set()
        return True
