"""An Omisell that answers at once, or after a fixed time: a process of its own, and as cheap as Python can be.

It keeps no orders: every add is accepted, every list is empty. It counts the adds and knows when the first and the
last of them came, and on request (`--record`) when each came, on the monotonic clock that all processes share.

    python tests/bench/stub.py --port 9000 [--delay 0.05] [--limit 1000000] [--record]
"""

import argparse
import asyncio
import json
import math
import re
import signal
import time
from typing import Final, cast

LENGTH: Final = re.compile(rb"\r\nContent-Length: *(\d+)", re.IGNORECASE)
ORDER_NUMBER: Final = re.compile(rb'"order_number": *"([^"]+)"')
YEAR_SECONDS: Final = 365 * 86400
NOTHING: Final = b'{"count":0,"next":null,"previous":null,"results":[]}'
SKUS: Final = tuple(f"SHIRT-COTTON-{size}-{number:03}" for number, size in enumerate(("S", "M", "L", "XL", "2XL"), 1))
"""Of the orders that are sent here: a check of SKUs finds them all."""


class Stub:
    """What it was asked, and what it answers."""

    def __init__(self, delay: float, limit: int, *, record: bool) -> None:
        self.delay = delay
        self._limit = limit
        self._level = 0.0
        self._level_at = time.monotonic()
        self._record = record
        self._date = (0, b"")
        self.reset()

    def reset(self) -> None:
        """Forget what came so far."""
        self.adds = 0
        self.first = 0.0
        self.last = 0.0
        self.seen: dict[str, float] = {}

    def answer(self, head: bytes, body: bytes) -> tuple[bytes, float]:
        """The answer, and after how many seconds it is given."""
        method, path, _ = head.split(b" ", 2)
        if path.endswith(b"/order/add"):
            return self._added(body), self.delay
        if path.startswith(b"/bench/"):
            return self._control(path), 0.0
        if b"/auth/token/" in path:
            expires = int(time.time()) + YEAR_SECONDS
            token = {"token": "t", "expired_time": expires, "refresh_token": "r", "refresh_expired_time": expires}
            return self._envelope(json.dumps(token).encode()), 0.0
        return self._envelope(_read(path) if method == b"GET" else b"{}"), self.delay

    def _added(self, body: bytes) -> bytes:
        now = time.monotonic()
        self.adds += 1
        self.first = self.first or now
        self.last = now
        if self._record and (found := ORDER_NUMBER.search(body)):
            self.seen.setdefault(found[1].decode(), now)
        return self._envelope(b'{"omisell_order_number":"OS%d","status_id":200,"status_name":"New"}' % time.time_ns())

    def _control(self, path: bytes) -> bytes:
        if path == b"/bench/reset":
            self.reset()
        elif path == b"/bench/mark":
            self.first = time.monotonic()
        seen = self.seen if path == b"/bench/seen" else None
        told = {"adds": self.adds, "first": self.first, "last": self.last, "seen": seen}
        return _framed(json.dumps(told).encode(), b"")

    def _envelope(self, data: bytes) -> bytes:
        now = int(time.time())
        if now != self._date[0]:
            self._date = (now, time.strftime("Date: %a, %d %b %Y %H:%M:%S GMT\r\n", time.gmtime(now)).encode())
        body = b'{"data":%s,"error":false,"error_code":200,"messages":"","attr_error":null}' % data
        return _framed(body, self._date[1] + self._used())

    def _used(self) -> bytes:
        """The header that tells how full the bucket is: as a bucket that runs empty in a minute."""
        if not self._limit:
            return b""
        now = time.monotonic()
        left = self._level - (now - self._level_at) * self._limit / 60
        self._level, self._level_at = min(max(0.0, left) + 1, float(self._limit)), now
        return b"X-Omisell-Api-Call-Limit: %d/%d\r\n" % (math.ceil(self._level), self._limit)


def _read(path: bytes) -> bytes:
    if b"/catalogue/list" in path and b"page=1&" in path:
        rows = [{"sku": sku, "name": sku, "shop_id": 1, "variants": [{"sku": sku}]} for sku in SKUS]
        return json.dumps({"count": len(rows), "next": None, "results": rows}).encode()
    if b"/list" in path or b"/location/" in path:
        return NOTHING
    return b'{"omisell_order_number":"%s"}' % path.rpartition(b"/")[2].partition(b"?")[0]


def _framed(body: bytes, headers: bytes) -> bytes:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n%s\r\n"
    return head % (len(body), headers) + body


class _Connection(asyncio.Protocol):
    def __init__(self, stub: Stub) -> None:
        self._stub = stub
        self._came = bytearray()
        self._transport: asyncio.WriteTransport | None = None
        self._later = asyncio.get_running_loop().call_later

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.WriteTransport", transport)  # uvloop's is none of asyncio's classes

    def data_received(self, data: bytes) -> None:
        self._came += data
        while (end := self._came.find(b"\r\n\r\n")) >= 0:
            head = bytes(self._came[:end])
            found = LENGTH.search(head)
            whole = end + 4 + (int(found[1]) if found else 0)
            if len(self._came) < whole:
                return
            body = bytes(self._came[end + 4 : whole])
            del self._came[:whole]
            answer, delay = self._stub.answer(head, body)
            if delay:
                self._later(delay, self._write, answer)
            else:
                self._write(answer)

    def _write(self, answer: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(answer)


async def serve(port: int, stub: Stub) -> None:
    """Answer until SIGTERM."""
    loop = asyncio.get_running_loop()
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    server = await loop.create_server(lambda: _Connection(stub), "127.0.0.1", port)
    await stopping.wait()
    server.close()


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--delay", type=float, default=0.0, help="seconds until an answer is given")
    parser.add_argument("--limit", type=int, default=0, help="the bucket that its header tells of; 0: no header")
    parser.add_argument("--record", action="store_true", help="remember when each order came")
    given = parser.parse_args()
    stub = Stub(given.delay, given.limit, record=given.record)
    try:
        import uvloop  # noqa: PLC0415 - comes with a peer; the stub must never be the narrow place

        run = uvloop.run
    except ImportError:
        run = asyncio.run  # type: ignore[assignment] # the same call
    run(serve(given.port, stub))


if __name__ == "__main__":
    main()
