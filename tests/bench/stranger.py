"""Another program of the merchant's, spending from the same bucket: neither it nor the daemon knows of the other."""

import asyncio
import time

import aiohttp

from tests.bench.rig import Limit, Rig

CALL_SECONDS = 30.0
PATH = "/api/v2/public/shop/list"


class Stranger:
    """Makes calls at a steady pace.

    Args:
        rig: Whose Omisell.
        limit: Of the account.
        share: Of the leak that it spends; 0 makes no call.
    """

    def __init__(self, rig: Rig, limit: Limit, share: float) -> None:
        self.calls = 0
        self.throttled = 0
        self._rig = rig
        self._pace = share * limit.per_minute / 60

    async def spend(self) -> None:
        """Until cancelled."""
        if not self._pace:
            return
        url, account = self._rig.simulator.url, self._rig.simulator.config.account
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=CALL_SECONDS)) as session:
            credentials = {"api_key": account.api_key, "api_secret": account.api_secret}
            async with session.post(f"{url}/api/v2/auth/token/get/", json=credentials) as answer:
                token = (await answer.json())["data"]["token"]
            began = time.monotonic()
            headers = {"Authorization": f"Omi {token}"}
            async with asyncio.TaskGroup() as calls:
                made = 0
                while True:
                    while made < (time.monotonic() - began) * self._pace:
                        calls.create_task(self._call(session, url + PATH, headers))
                        made += 1
                    await asyncio.sleep(1 / self._pace)

    async def _call(self, session: aiohttp.ClientSession, url: str, headers: dict[str, str]) -> None:
        self.calls += 1
        async with session.get(url, headers=headers) as answer:
            said = await answer.json()
        if answer.status == 429 or said.get("error_code") == 429:
            self.throttled += 1
