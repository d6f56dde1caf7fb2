"""A window that cannot be read as a whole is read in parts, each of which is kept."""

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest

from omisync.omisell import OrderPage, Unavailable
from omisync.sync.sweeper import AHEAD, Sweeper

NOW = 1_790_000_000
OVERLAP = 600


class Omisell:
    """Cuts off windows that are too wide for it."""

    def __init__(self, fails: Callable[[int], bool]) -> None:
        self.fails = fails
        self.now = NOW
        self.windows: list[tuple[int, int]] = []

    async def ping(self) -> None:
        return

    async def order_page(self, *, updated_from: int, updated_to: int, **_: Any) -> OrderPage:
        self.windows.append((updated_from, updated_to))
        if self.fails(updated_to - updated_from):
            raise Unavailable("time-out", maybe_applied=False)
        return OrderPage()

    def server_time(self) -> float:
        return self.now


class Diary:
    """The cursor stands where the last part ended that was read."""

    def __init__(self, cursor: int) -> None:
        self.at = cursor
        self.open = cursor

    async def cursor(self) -> int:
        return self.at

    async def begin(self, kind: str, begin: int, now: int) -> tuple[int, dt.datetime]:
        self.open = now
        return 1, dt.datetime.now(dt.UTC)

    async def end(self, entry: int, *, error: str | None = None, **_: Any) -> None:
        if error is None:
            self.at = self.open

    async def pushes_silent_since(self) -> None:
        return


def sweeper(omisell: Omisell, diary: Diary) -> Sweeper:
    parts: tuple[Any, ...] = (omisell, None, diary, None)
    return Sweeper(*parts, shop_id=21001, overlap=OVERLAP)


async def test_a_window_that_fails_is_halved_until_its_first_part_can_be_read_and_the_parts_grow_again() -> None:
    omisell, diary = Omisell(lambda seconds: seconds > 1000), Diary(NOW - 3000)
    sweeping = sweeper(omisell, diary)
    for _ in range(2):
        with pytest.raises(Unavailable):
            await sweeping.incremental()
    assert omisell.windows == [(NOW - 3600, NOW + AHEAD), (NOW - 3600, NOW - 1800)]
    assert diary.at == NOW - 3000
    with pytest.raises(Unavailable):
        await sweeping.incremental()
    # the part that could be read is kept: the next sweep begins behind it
    assert omisell.windows[2:] == [(NOW - 3600, NOW - 2700), (NOW - 2701, NOW - 901)]
    assert diary.at == NOW - 2700
    omisell.fails = lambda _: False
    await sweeping.incremental()
    assert omisell.windows[4:] == [(NOW - 3300, NOW - 2400), (NOW - 2401, NOW - 601), (NOW - 602, NOW + AHEAD)]
    assert diary.at == NOW


async def test_after_a_window_was_read_to_its_end_the_next_is_read_as_a_whole() -> None:
    omisell, diary = Omisell(lambda _: True), Diary(NOW - 3000)
    sweeping = sweeper(omisell, diary)
    with pytest.raises(Unavailable):
        await sweeping.incremental()
    omisell.fails = lambda _: False
    await sweeping.incremental()
    omisell.windows.clear()
    omisell.now = NOW + 7200
    await sweeping.incremental()
    assert omisell.windows == [(NOW - OVERLAP, NOW + 7200 + AHEAD)]


async def test_a_part_is_never_less_than_a_minute() -> None:
    omisell, diary = Omisell(lambda _: True), Diary(NOW)
    sweeping = sweeper(omisell, diary)
    for _ in range(8):
        with pytest.raises(Unavailable):
            await sweeping.incremental()
    assert omisell.windows[-1] == (NOW - 600, NOW - 540)
