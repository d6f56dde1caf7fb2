"""A sweep's windows are of Omisell's time, from the first one on: Omisell is heard before its clock is read."""

import datetime as dt
from typing import Any

import pytest

from omisync.omisell import OmisellError, OrderPage, Refused, Throttled, Unavailable
from omisync.sync.sweeper import AHEAD, FIRST_WINDOW, Sweeper

OMISELLS = 1_790_000_000
AHEAD_HERE = 7200  # seconds that this machine's clock is ahead


class Omisell:
    """Its clock is known from its first answer on, refusals included."""

    def __init__(self, pinged: OmisellError | None = None) -> None:
        self.pinged = pinged
        self.pings = 0
        self.windows: list[tuple[int, int]] = []
        self._heard = False

    async def ping(self) -> None:
        self.pings += 1
        if self.pinged is None:
            self._heard = True
            return
        self._heard = not isinstance(self.pinged, Unavailable)
        raise self.pinged

    async def order_page(self, *, updated_from: int, updated_to: int, **_: Any) -> OrderPage:
        self._heard = True
        self.windows.append((updated_from, updated_to))
        return OrderPage()

    def server_time(self) -> float:
        return OMISELLS if self._heard else OMISELLS + AHEAD_HERE


class Diary:
    """The store's part: an empty one."""

    def __init__(self) -> None:
        self.cursors: list[int] = []

    async def cursor(self) -> int | None:
        return self.cursors[-1] if self.cursors else None

    async def begin(self, kind: str, begin: int, now: int) -> tuple[int, dt.datetime]:
        self.cursors.append(now)
        return 1, dt.datetime.now(dt.UTC)

    async def end(self, entry: int, **_: Any) -> None:
        return

    async def pushes_silent_since(self) -> None:
        return


def sweeper(omisell: Omisell, diary: Diary) -> Sweeper:
    parts: tuple[Any, ...] = (omisell, None, diary, None)
    return Sweeper(*parts, shop_id=21001, overlap=600)


@pytest.mark.parametrize("pinged", [None, Refused("No right to see shops."), Throttled(1.0)])
async def test_the_first_window_of_all_is_by_omisells_clock(pinged: OmisellError | None) -> None:
    omisell, diary = Omisell(pinged), Diary()
    await sweeper(omisell, diary).incremental()
    assert omisell.windows == [(OMISELLS - FIRST_WINDOW - 600, OMISELLS + AHEAD)]
    assert diary.cursors == [OMISELLS]


async def test_it_is_asked_once() -> None:
    omisell = Omisell()
    sweeping = sweeper(omisell, Diary())
    await sweeping.incremental()
    await sweeping.manual(3600)
    assert omisell.pings == 1
    assert omisell.windows[1] == (OMISELLS - 3600, OMISELLS + AHEAD)


async def test_while_omisell_is_away_no_cursor_is_set_by_another_clock() -> None:
    omisell, diary = Omisell(Unavailable("time-out", maybe_applied=False)), Diary()
    sweeping = sweeper(omisell, diary)
    with pytest.raises(Unavailable):
        await sweeping.incremental()
    assert (diary.cursors, omisell.windows) == ([], [])
    omisell.pinged = None
    await sweeping.incremental()
    assert diary.cursors == [OMISELLS]
