"""The snippets of docs/tls-and-proxies.md, run by a real Caddy and a real nginx before a real listener."""

import asyncio
import json
import os
import re
import shutil
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from ipaddress import ip_network
from pathlib import Path

import aiohttp
import pytest
import structlog
from structlog.typing import EventDict

from omisync.config import Listen
from omisync.demo.postgres import free_port
from omisync.omisell import Authorizer, sign
from omisync.store import Delivery
from omisync.web import Clients, Metrics, serve, webhook_app

PAGE = Path(__file__).parents[3] / "docs" / "tls-and-proxies.md"
SECONDS = 20.0
SECRET = "the secret of the hook"
URL = "https://shop.example/webhooks/omisell"
LARGEST = 256 * 1024

NGINX = """
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


CADDY = """
{{
    admin off
    auto_https off
}}
{snippet}
"""


@dataclass
class Inbox:
    """Keeps pushes in memory."""

    kept: list[Delivery] = field(default_factory=list)

    async def add(self, delivery: Delivery) -> bool:
        self.kept.append(delivery)
        return True


def snippet(first_words: str) -> str:
    """The one block of the page that begins so."""
    (found,) = re.findall(rf"^```\n({first_words}.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    return str(found)


def nginx(folder: Path, port: int, upstream: str) -> list[str]:
    text = NGINX.format(
        user="user root;" if os.geteuid() == 0 else "",  # a worker of another user could not reach this folder
        folder=folder,
        port=port,
        snippet=snippet("location ").replace("127.0.0.1:8080", upstream),
    )
    (folder / "nginx.conf").write_text(text)
    return ["-p", str(folder), "-c", str(folder / "nginx.conf")]


def caddy(folder: Path, port: int, upstream: str) -> list[str]:
    text = CADDY.format(
        snippet=snippet("shop.example ")
        .replace("shop.example {", f"http://127.0.0.1:{port} {{")
        .replace("127.0.0.1:8080", upstream)
    )
    (folder / "Caddyfile").write_text(text)
    return ["run", "--config", str(folder / "Caddyfile"), "--adapter", "caddyfile"]


PROGRAMS: dict[str, tuple[str, Callable[[Path, int, str], list[str]]]] = {
    "nginx": ("nginx-light", nginx),
    "caddy": ("caddy", caddy),
}


@dataclass
class Proxied:
    """A listener behind a proxy."""

    url: str
    inbox: Inbox
    logged: list[EventDict]


@pytest.fixture(params=PROGRAMS)
async def proxied(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Proxied]:
    package, written = PROGRAMS[request.param]
    program = shutil.which(request.param, path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        pytest.skip(f"there is no {request.param} (Debian: {package})")
    inbox = Inbox()
    logged: list[EventDict] = []

    def keep(_: object, __: str, event: EventDict) -> EventDict:
        logged.append(dict(event))
        raise structlog.DropEvent

    app = webhook_app(
        path="/webhooks/omisell",
        max_body=LARGEST,
        authorizer=Authorizer("hmac-url-body", [SECRET], URL),
        inbox=inbox,
        metrics=Metrics(),
        log=structlog.wrap_logger(None, processors=[keep], wrapper_class=structlog.make_filtering_bound_logger(0)),
        clients=Clients([ip_network("127.0.0.0/8")], [ip_network("127.0.0.1"), ip_network("203.0.113.0/24")]),
    )
    server = await serve(app, Listen("127.0.0.1", 0))
    port = free_port()
    home = {"HOME": str(tmp_path), "XDG_DATA_HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path)}
    process = await asyncio.create_subprocess_exec(
        program,
        *written(tmp_path, port, f"127.0.0.1:{server.port}"),
        env={**os.environ, **home},
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with asyncio.timeout(SECONDS):
            while not await accepts(port):
                assert process.returncode is None
                await asyncio.sleep(0.05)
        yield Proxied(f"http://127.0.0.1:{port}/webhooks/omisell", inbox, logged)
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


async def send(proxied: Proxied, body: bytes, secret: str = SECRET, **more: str) -> int:
    headers = {"Authorization": sign("hmac-url-body", secret, body, URL), **more}
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


async def test_the_client_is_whom_the_proxy_saw_and_not_whom_it_says_to_be(proxied: Proxied) -> None:
    assert await send(proxied, b"{}", "another secret", **{"X-Forwarded-For": "203.0.113.7"}) == 401
    (entry,) = proxied.logged
    assert entry["client"] == "127.0.0.1"
