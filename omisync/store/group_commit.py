"""Group commit: what waits together is written together, with no delay added."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Generic, NamedTuple, TypeVar

from omisync.store.errors import StoreError, StoreUnavailable

T = TypeVar("T")
R = TypeVar("R")

PARTS: Final = 8
"""A limit of time is counted in so many parts. A process that was itself held up (a busy machine, a crowd of
connections) has lost one part and not all of them, and sees an answer that is there before it gives anything up."""


class _Waiting(NamedTuple, Generic[T, R]):
    """What was submitted; `since` counts the parts of time, as do all times here."""

    item: T
    future: "asyncio.Future[R]"
    since: int


class _Write(NamedTuple, Generic[T, R]):
    """A batch under way."""

    batch: Sequence[_Waiting[T, R]]
    since: int


class GroupCommit(Generic[T, R]):
    """Hands whatever was submitted while the last write was under way to one `write` call.

    One bad item spoils no other: if a batch fails for a reason of its data, its items are written one by one.

    As long as batches are written, whatever waits is waited for: a backlog is worked off and not refused. Only while no
    write has come back for `seconds` are those given up that have waited as long, at most twice `seconds` after they
    came; what of it was not handed to `write` yet is forgotten.

    Args:
        write: writes a batch and answers with one result an item, in their order.
        most: the largest batch.
        writers: how many batches may be written at a time.
        seconds: that one write may take, to an eighth; None for as long as it likes.
    """

    def __init__(
        self,
        write: Callable[[Sequence[T]], Awaitable[Sequence[R]]],
        *,
        most: int = 500,
        writers: int = 1,
        seconds: float | None = None,
    ) -> None:
        self._write = write
        self._most = most
        self._most_writers = writers
        self._seconds = seconds
        self._waiting: list[_Waiting[T, R]] = []
        self._writers: dict[asyncio.Task[None], _Write[T, R] | None] = {}
        self._parts = 0
        self._timer: asyncio.TimerHandle | None = None

    def submit(self, item: T) -> "asyncio.Future[R]":
        """The result, once the item is durable. A future, so that who must not be cut off needs no task of its own.

        Raises, when it is awaited:
            StoreError: it is not (or, after a lost connection or a write that took too long, may not be).
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[R] = loop.create_future()
        self._waiting.append(_Waiting(item, future, self._parts))
        if len(self._writers) < self._most_writers:
            self._writers[loop.create_task(self._drain())] = None
        self._count_on()
        return future

    @property
    def depth(self) -> int:
        """How many items wait for the next write."""
        return len(self._waiting)

    async def _drain(self) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - a coroutine of the loop runs in one
        try:
            while self._waiting:
                batch, self._waiting = self._waiting[: self._most], self._waiting[self._most :]
                await self._settle(batch, task)
        finally:
            del self._writers[task]
            if not self._writers:
                for waiting in self._waiting:  # only when the writer itself was cancelled
                    waiting.future.cancel()

    async def _settle(self, batch: Sequence[_Waiting[T, R]], task: "asyncio.Task[None]") -> None:
        self._writers[task] = _Write(batch, self._parts)
        try:
            results = await self._write([waiting.item for waiting in batch])
        except StoreError as error:
            for waiting in batch:
                _fail(waiting.future, error)
        except asyncio.CancelledError:
            for waiting in batch:
                waiting.future.cancel()
            raise
        except Exception as error:  # noqa: BLE001 - a fault in the data of one item: it is handed to that item's owner
            await self._settle_singly(batch, task, error)
        else:
            for waiting, result in zip(batch, results, strict=True):
                if not waiting.future.done():
                    waiting.future.set_result(result)

    async def _settle_singly(
        self, batch: Sequence[_Waiting[T, R]], task: "asyncio.Task[None]", error: Exception
    ) -> None:
        if len(batch) == 1:
            _fail(batch[0].future, error)
            return
        for single in batch:
            await self._settle([single], task)

    def _count_on(self) -> None:
        if self._seconds is not None and self._timer is None and self._writers:
            self._timer = asyncio.get_running_loop().call_later(self._seconds / PARTS, self._look)

    def _look(self) -> None:
        self._timer = None
        self._parts += 1
        writes = self._writers.values()
        late = [write for write in writes if write is not None and self._is_late(write.since)]
        given_up = [waiting for write in late for waiting in write.batch]
        if len(late) == len(writes):
            given_up += [waiting for waiting in self._waiting if self._is_late(waiting.since)]
            self._waiting = [waiting for waiting in self._waiting if not self._is_late(waiting.since)]
        for waiting in given_up:
            _fail(waiting.future, StoreUnavailable(f"the database did not answer within {self._seconds:g} s"))
        self._count_on()

    def _is_late(self, since: int) -> bool:
        return self._parts - since > PARTS


def _fail(future: "asyncio.Future[R]", error: Exception) -> None:
    if not future.done():
        future.set_exception(error)
