"""The token: renewed in time, by one at a time, with the key as the last resort."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest

from omisync.omisell import AuthenticationFailed, OmisellError, Refused, StoredToken, Throttled, Tokens, Unavailable

NOW = 1_790_000_000.0


def token(
    name: str, *, ends: float | None = 86_400, obtained: float = 0, refresh: str | None = "r", rends: float | None = 9e5
) -> StoredToken:
    return StoredToken(
        name,
        None if ends is None else int(NOW + ends),
        refresh,
        None if rends is None else int(NOW + rends),
        NOW + obtained,
    )


@dataclass
class Store:
    kept: StoredToken | None = None
    on_enter: StoredToken | None = None
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def load(self) -> StoredToken | None:
        return self.kept

    async def save(self, token: StoredToken) -> None:
        self.kept = token

    @contextlib.asynccontextmanager
    async def exclusive(self) -> AsyncIterator[None]:
        async with self.lock:
            if self.on_enter is not None:
                self.kept = self.on_enter
            yield


@dataclass
class Desk:
    got: list[StoredToken | OmisellError] = field(default_factory=list)
    refreshed: list[StoredToken | OmisellError] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)

    async def get(self) -> StoredToken:
        self.calls.append("get")
        return await self._give(self.got)

    async def refresh(self, refresh_token: str) -> StoredToken:
        self.calls.append(f"refresh {refresh_token}")
        return await self._give(self.refreshed)

    async def _give(self, answers: list[StoredToken | OmisellError]) -> StoredToken:
        await asyncio.sleep(0)
        answer = answers.pop(0)
        if isinstance(answer, OmisellError):
            raise answer
        return answer


def tokens(store: Store, desk: Desk, at: float = 0) -> Tokens:
    return Tokens(store, desk, lambda: NOW + at)


async def test_without_any_the_key_is_exchanged_once_for_all_who_wait() -> None:
    store, desk = Store(), Desk(got=[token("t1")])
    held = tokens(store, desk)
    assert held.expires_in() is None
    assert await asyncio.gather(*(held.current() for _ in range(20))) == ["t1"] * 20
    assert desk.calls == ["get"]
    assert store.kept is not None
    assert held.expires_in() == 86_400.0


async def test_one_that_is_kept_is_used() -> None:
    desk = Desk()
    assert await tokens(Store(token("t1")), desk).current() == "t1"
    assert desk.calls == []


async def test_two_minutes_before_its_end_it_is_refreshed() -> None:
    desk = Desk(refreshed=[token("t2", ends=9e4)])
    assert await tokens(Store(token("t1")), desk, at=86_400 - 121).current() == "t1"
    assert await tokens(Store(token("t1")), desk, at=86_400 - 119).current() == "t2"
    assert desk.calls == ["refresh r"]


@pytest.mark.parametrize("fault", [Refused(status=400), Refused(status=404), AuthenticationFailed("no")])
async def test_a_refresh_that_is_refused_falls_back_to_the_key(fault: OmisellError) -> None:
    desk = Desk(got=[token("t2")], refreshed=[fault])
    assert await tokens(Store(token("t1", ends=0)), desk).current() == "t2"
    assert desk.calls == ["refresh r", "get"]


@pytest.mark.parametrize("old", [token("t1", ends=0, rends=0), token("t1", ends=0, refresh=None)])
async def test_an_ended_or_missing_refresh_token_is_not_tried(old: StoredToken) -> None:
    desk = Desk(got=[token("t2")])
    assert await tokens(Store(old), desk).current() == "t2"
    assert desk.calls == ["get"]


async def test_a_refresh_token_without_an_end_is_tried() -> None:
    desk = Desk(refreshed=[token("t2")])
    assert await tokens(Store(token("t1", ends=0, rends=None)), desk).current() == "t2"


@pytest.mark.parametrize(
    "fault", [Unavailable("time-out", maybe_applied=False, endpoint="token.refresh"), Throttled(5.0)]
)
async def test_an_outage_is_no_refusal_and_the_key_stays_where_it_is(fault: OmisellError) -> None:
    desk = Desk(refreshed=[fault])
    with pytest.raises(type(fault)):
        await tokens(Store(token("t1", ends=0)), desk).current()
    assert desk.calls == ["refresh r"]


@pytest.mark.parametrize("status", [400, 401, 403])
async def test_a_refused_key_says_what_to_check(status: int) -> None:
    with pytest.raises(AuthenticationFailed, match=r"omisell\.api_key and omisell\.api_secret") as caught:
        await tokens(Store(), Desk(got=[Refused(status=status, endpoint="token.get")])).current()
    assert (caught.value.status, caught.value.endpoint) == (status, "token.get")


async def test_without_an_end_it_is_taken_to_live_half_an_hour() -> None:
    desk = Desk(refreshed=[token("t2")])
    old = token("t1", ends=None)
    assert await tokens(Store(old), desk, at=1800 - 121).current() == "t1"
    assert await tokens(Store(old), desk, at=1800 - 119).current() == "t2"


async def test_one_that_was_rejected_is_renewed_once_however_many_met_it() -> None:
    desk = Desk(refreshed=[token("t2")])
    held = tokens(Store(token("t1")), desk)
    await held.current()
    assert await asyncio.gather(*(held.renew("t1") for _ in range(20))) == ["t2"] * 20
    assert await held.renew("t1") == "t2"
    assert desk.calls == ["refresh r"]


async def test_one_that_another_replica_has_renewed_is_taken_from_the_store() -> None:
    store, desk = Store(token("t1")), Desk()
    held = tokens(store, desk)
    await held.current()
    store.kept = token("t2")
    assert await held.renew("t1") == "t2"
    store.on_enter = token("t3")  # renewed by another while we waited for the lease
    assert await held.renew("t2") == "t3"
    assert desk.calls == []


async def test_it_is_refreshed_when_due_and_not_before() -> None:
    store, desk = Store(token("t1")), Desk(refreshed=[token("t2", ends=2e5)])
    assert not await tokens(store, desk).refresh_if_due(3600)
    assert await tokens(store, desk, at=86_400 - 3_599).refresh_if_due(3600)
    assert store.kept == token("t2", ends=2e5)
    assert await tokens(Store(), Desk(got=[token("t1")])).refresh_if_due(3600)


async def test_a_short_lived_one_is_refreshed_at_half_its_life() -> None:
    desk = Desk(refreshed=[token("t2", obtained=700, ends=2e4)])
    held = tokens(Store(token("t1", ends=1200)), desk, at=599)
    assert not await held.refresh_if_due(3600)
    assert await tokens(Store(token("t1", ends=1200)), desk, at=601).refresh_if_due(3600)


async def test_one_without_an_end_is_refreshed_every_quarter_of_an_hour_and_not_at_every_look() -> None:
    assert not await tokens(Store(token("t1", ends=None)), Desk(), at=899).refresh_if_due(3600)
    desk = Desk(refreshed=[token("t2", obtained=901, ends=None)])
    store = Store(token("t1", ends=None))
    assert await tokens(store, desk, at=901).refresh_if_due(3600)
    assert not await tokens(store, desk, at=961).refresh_if_due(3600)
    assert desk.calls == ["refresh r"]


def test_a_token_is_not_in_its_repr() -> None:
    assert "secret" not in repr(StoredToken("secret-1", 1, "secret-2", 1, 1.0))


async def test_one_in_hand_is_not_asked_for_again() -> None:
    store, desk = Store(token("t1")), Desk()
    held = tokens(store, desk)
    assert await held.current() == "t1"
    store.kept = None
    assert await held.current() == "t1"
    assert not await held.refresh_if_due(3600)
    assert desk.calls == []
