"""The one public address of the webhook: a reverse proxy in front of the replicas, as a merchant would have it."""

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Sequence
from typing import Final

CONNECT_SECONDS: Final = 1.0
CHUNK: Final = 1 << 16


@contextlib.asynccontextmanager
async def door(port: int, backends: Sequence[int]) -> AsyncIterator[None]:
    """Forward connections to the replicas in turn, past those that do not listen just now.

    Args:
        port: Of 127.0.0.1, to listen on.
        backends: The replicas' ports.
    """
    turn = itertools.count()
    open_ones: set[asyncio.Task[None]] = set()

    async def connect() -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        first = next(turn)
        for number in range(len(backends)):
            with contextlib.suppress(OSError, TimeoutError):
                backend = backends[(first + number) % len(backends)]
                async with asyncio.timeout(CONNECT_SECONDS):
                    return await asyncio.open_connection("127.0.0.1", backend)
        return None

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        open_ones.add(task)
        try:
            await hand_on(reader, writer)
        except* (OSError, asyncio.CancelledError):
            pass  # cut off; or the door is closed, of which asyncio's streams would make an error
        finally:
            open_ones.discard(task)
            writer.close()

    async def hand_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        behind = await connect()
        if behind is None:
            writer.transport.abort()
            return
        async with asyncio.TaskGroup() as group:
            group.create_task(_pour(reader, behind[1]))
            group.create_task(_pour(behind[0], writer))

    server = await asyncio.start_server(serve, "127.0.0.1", port)
    try:
        yield
    finally:
        server.close()
        for task in tuple(open_ones):
            task.cancel()
        await asyncio.gather(*open_ones, return_exceptions=True)


async def _pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Hand on what comes; the end of one side is the end of both."""
    try:
        while data := await reader.read(CHUNK):
            writer.write(data)
            await writer.drain()
    finally:
        writer.close()
