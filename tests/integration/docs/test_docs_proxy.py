"""The nginx snippet of docs/operating.md, run by a real nginx before a real listener."""

import asyncio
import json
import os
import re
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import pytest
import structlog

from omisync.config import Listen
from omisync.demo.postgres import free_port
from omisync.omisell import Authorizer, sign
from omisync.store import Delivery
from omisync.web import Metrics, serve, webhook_app

PAGE = Path(__file__).parents[3] / "docs" / "operating.md"
SECONDS = 20.0
SECRET = "the secret of the hook"
URL = "https://shop.example/webhooks/omisell"
LARGEST = 256 * 1024

CONFIGURATION = """
daemon off;
{user}
pid {folder}/nginx.pid;
error_log stderr warn;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port};
{snippet}
    }}
}}
"""


@dataclass
class Inbox:
    """Keeps pushes in memory."""

    kept: list[Delivery] = field(default_factory=list)

    async def add(self, delivery: Delivery) -> bool:
        self.kept.append(delivery)
        return True


def snippet() -> str:
    """The block for nginx."""
    (found,) = re.findall(r"^```\n(location .*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    return str(found)


@dataclass
class Proxied:
    """A listener behind nginx."""

    url: str
    inbox: Inbox


@pytest.fixture
async def proxied(tmp_path: Path) -> AsyncIterator[Proxied]:
    nginx = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    if nginx is None:
        pytest.skip("there is no nginx (Debian: nginx-light)")
    inbox = Inbox()
    app = webhook_app(
        path="/webhooks/omisell",
        max_body=LARGEST,
        authorizer=Authorizer("hmac-url-body", [SECRET], URL),
        inbox=inbox,
        metrics=Metrics(),
        log=structlog.get_logger("webhook"),
    )
    server = await serve(app, Listen("127.0.0.1", 0))
    port = free_port()
    text = CONFIGURATION.format(
        user="user root;" if os.geteuid() == 0 else "",  # a worker of another user could not reach this folder
        folder=tmp_path,
        port=port,
        snippet=snippet().replace("127.0.0.1:8080", f"127.0.0.1:{server.port}"),
    )
    (tmp_path / "nginx.conf").write_text(text)
    process = await asyncio.create_subprocess_exec(nginx, "-p", str(tmp_path), "-c", str(tmp_path / "nginx.conf"))
    try:
        async with asyncio.timeout(SECONDS):
            while not await accepts(port):
                assert process.returncode is None
                await asyncio.sleep(0.05)
        yield Proxied(f"http://127.0.0.1:{port}/webhooks/omisell", inbox)
    finally:
        process.terminate()
        await process.wait()
        await server.close(1)


async def accepts(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    await writer.wait_closed()
    return True


async def send(proxied: Proxied, body: bytes) -> int:
    headers = {"Authorization": sign("hmac-url-body", SECRET, body, URL)}
    timeout = aiohttp.ClientTimeout(total=SECONDS)
    async with (
        aiohttp.ClientSession(timeout=timeout) as session,
        session.post(proxied.url, data=body, headers=headers) as answer,
    ):
        return answer.status


async def test_a_signed_push_passes_byte_for_byte(proxied: Proxied) -> None:
    body = '{"event" : "order.shipped",\n\t"data": {"order_number": "WEB-1001", "note": "Hà Nội\\u0301"} }'.encode()
    assert await send(proxied, body) == 200
    assert [delivery.body for delivery in proxied.inbox.kept] == [body]


async def test_a_push_of_the_largest_size_passes_and_one_larger_is_413(proxied: Proxied) -> None:
    empty = json.dumps({"event": "order.shipped", "data": {"order_number": "WEB-1001"}, "filler": ""}).encode()
    body = empty.replace(b'"filler": ""', b'"filler": "' + b"x" * (LARGEST - len(empty)) + b'"')
    assert len(body) == LARGEST
    assert await send(proxied, body) == 200
    assert await send(proxied, body + b" ") == 413
