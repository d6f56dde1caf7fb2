"""Group commit: what waits together is written together, with no delay added."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from omisync.store.errors import StoreError

T = TypeVar("T")
R = TypeVar("R")


class GroupCommit(Generic[T, R]):
    """Hands whatever was submitted while the last write was under way to one `write` call.

    One bad item spoils no other: if a batch fails for a reason of its data, its items are written one by one.

    Args:
        write: writes a batch and answers with one result an item, in their order.
        most: the largest batch.
        writers: how many batches may be written at a time.
    """

    def __init__(
        self, write: Callable[[Sequence[T]], Awaitable[Sequence[R]]], *, most: int = 500, writers: int = 1
    ) -> None:
        self._write = write
        self._most = most
        self._most_writers = writers
        self._waiting: list[tuple[T, asyncio.Future[R]]] = []
        self._writers: set[asyncio.Task[None]] = set()

    async def submit(self, item: T) -> R:
        """Returns when the item is durable.

        Raises:
            StoreError: it is not (or, after a lost connection, may not be).
        """
        future: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, future))
        if len(self._writers) < self._most_writers:
            self._writers.add(asyncio.create_task(self._drain()))
        return await future

    @property
    def depth(self) -> int:
        """How many items wait for the next write."""
        return len(self._waiting)

    async def _drain(self) -> None:
        try:
            while self._waiting:
                batch, self._waiting = self._waiting[: self._most], self._waiting[self._most :]
                await self._settle(batch)
        finally:
            self._writers -= {asyncio.current_task()}
            if not self._writers:
                for _, future in self._waiting:  # only when the writer itself was cancelled
                    future.cancel()

    async def _settle(self, batch: list[tuple[T, asyncio.Future[R]]]) -> None:
        try:
            results = await self._write([item for item, _ in batch])
        except StoreError as error:
            for _, future in batch:
                _fail(future, error)
        except asyncio.CancelledError:
            for _, future in batch:
                future.cancel()
            raise
        except Exception as error:  # noqa: BLE001 - a fault in the data of one item: it is handed to that item's owner
            await self._settle_singly(batch, error)
        else:
            for (_, future), result in zip(batch, results, strict=True):
                if not future.done():
                    future.set_result(result)

    async def _settle_singly(self, batch: list[tuple[T, asyncio.Future[R]]], error: Exception) -> None:
        if len(batch) == 1:
            _fail(batch[0][1], error)
            return
        for single in batch:
            await self._settle([single])


def _fail(future: "asyncio.Future[R]", error: Exception) -> None:
    if not future.done():
        future.set_exception(error)
