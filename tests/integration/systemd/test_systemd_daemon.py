"""The daemon as systemd runs it, without a systemd: its notifications, its inherited sockets, restarts under load."""

import asyncio
import contextlib
import json
import os
import shutil
import signal
import socket
import ssl
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import aiohttp
import asyncpg
import pytest
import trustme

from tests.system.manager import SECONDS, Manager, managed, open_socket

SECRET = "the secret of the hook"
LOOK_EVERY = 0.05


def push(number: int) -> bytes:
    """A push of its own."""
    data = {"order_number": f"WEB-{number}", "omisell_order_number": f"ODVN{number:010d}", "status_id": 460}
    return json.dumps({"event": "order.ready_to_ship", "request_id": f"r-{number}", "data": data}).encode()


@pytest.fixture
def config(tmp_path: Path, dsn: str) -> Path:
    """Omisell is out of reach, which keeps no daemon from coming up."""
    file = tmp_path / "config.toml"
    file.write_text(f"""
[database]
dsn = "{dsn}"
[omisell]
base_url = "http://127.0.0.1:9"
api_key = "key"
api_secret = "secret"
seller_id = 77
country = "VN"
shop_id = 21001
[webhook]
listen = "127.0.0.1:0"
secret = "{SECRET}"
authorization = "token"
[admin]
listen = "127.0.0.1:0"
""")
    return file


def change(config: Path, old: str, new: str) -> None:
    """Writes the configuration anew."""
    config.write_text(config.read_text().replace(old, new))


@pytest.fixture
async def manager(tmp_path: Path, config: Path) -> AsyncIterator[Manager]:
    async with managed(tmp_path, config) as made:
        yield made


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    """A connection for each request, as from a proxy without keep-alive."""
    connector = aiohttp.TCPConnector(force_close=True)
    timeout = aiohttp.ClientTimeout(total=SECONDS)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as made:
        yield made


async def send(session: aiohttp.ClientSession, port: int, number: int) -> int:
    """The status that a push is answered with."""
    url = f"http://127.0.0.1:{port}/webhooks/omisell"
    async with session.post(url, data=push(number), headers={"Authorization": SECRET}) as answer:
        return answer.status


async def stored(dsn: str) -> set[str]:
    """The order numbers of the pushes in the inbox."""
    connection = await asyncpg.connect(dsn, timeout=SECONDS, command_timeout=SECONDS)
    try:
        return {row["order_number"] for row in await connection.fetch("SELECT order_number FROM omisync.inbox")}
    finally:
        await connection.close(timeout=SECONDS)


@pytest.fixture
def listening() -> Iterator[socket.socket]:
    """A socket as omisync.socket opens it."""
    with open_socket() as made:
        yield made


async def test_it_says_ready_feeds_the_watchdog_tells_its_depth_and_says_that_it_stops(manager: Manager) -> None:
    service = await manager.starts(WATCHDOG_USEC="1000000")
    await service.tells("READY=1")
    await service.tells("WATCHDOG=1")
    await service.tells("WATCHDOG=1")
    await service.tells("STATUS=0 to send, 0 failed, 0 to fetch")
    service.process.send_signal(signal.SIGTERM)
    await service.tells("STOPPING=1")
    assert await service.stops() == 0


async def test_a_reload_is_told_from_its_begin_to_its_end(manager: Manager) -> None:
    service = await manager.starts()
    await service.tells("READY=1")
    service.process.send_signal(signal.SIGHUP)
    await service.tells("RELOADING=1")
    await service.tells("MONOTONIC_USEC=")
    await service.tells("READY=1")
    assert await service.stops() == 0


async def test_without_the_database_it_says_what_it_waits_for_and_not_that_it_is_ready(
    manager: Manager,
) -> None:
    service = await manager.starts(OMISYNC_DATABASE__DSN="postgresql://127.0.0.1:9/shop")
    await service.tells("STATUS=waiting for the database")
    assert not any(line == "READY=1" for line in manager._heard)
    assert await service.stops() == 0


async def test_a_push_that_came_before_the_daemon_is_answered_when_it_is_there(
    manager: Manager, session: aiohttp.ClientSession, listening: socket.socket, dsn: str
) -> None:
    port = listening.getsockname()[1]
    early = asyncio.create_task(send(session, port, 1))
    await manager.starts(passed=listening)
    async with asyncio.timeout(SECONDS):
        assert await early == 200
    assert await stored(dsn) == {"WEB-1"}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=["stopped", "killed"])
async def test_restarts_under_load_refuse_no_push_and_lose_none_that_was_answered(
    manager: Manager,
    session: aiohttp.ClientSession,
    listening: socket.socket,
    dsn: str,
    number: signal.Signals,
) -> None:
    port = listening.getsockname()[1]
    answered: dict[str, int] = {}
    broken: list[str] = []
    enough = asyncio.Event()

    async def load() -> None:
        count = 0
        while not enough.is_set():
            count += 1
            sent = asyncio.create_task(one(count))
            running.add(sent)
            sent.add_done_callback(running.discard)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(enough.wait(), 0.02)

    async def one(count: int) -> None:
        try:
            answered[f"WEB-{count}"] = await send(session, port, count)
        except aiohttp.ClientConnectorError as error:
            answered[f"WEB-{count}"] = 0
            pytest.fail(f"a connection was refused: {error}")
        except aiohttp.ClientError as error:
            broken.append(repr(error))  # cut off by a SIGKILL: Omisell sends such a push again

    running: set[asyncio.Task[None]] = set()
    service = await manager.starts(passed=listening)
    await service.tells("READY=1")
    loading = asyncio.create_task(load())
    for _ in range(3):
        goal = len(answered) + 20
        await until(lambda: len(answered) >= goal)  # noqa: B023 - awaited before it changes
        assert await service.stops(number) == (0 if number is signal.SIGTERM else -signal.SIGKILL)
        service = await manager.starts(passed=listening)
        await service.tells("READY=1")
    enough.set()
    await loading
    async with asyncio.timeout(SECONDS):
        await asyncio.gather(*running)
    assert set(answered.values()) == {200}
    assert await stored(dsn) >= set(answered)
    if number is signal.SIGTERM:
        assert broken == []
    assert await service.stops() == 0


async def until(done: Callable[[], bool]) -> None:
    """Waits for what other tasks bring about."""
    async with asyncio.timeout(SECONDS):
        while not done():  # noqa: ASYNC110 - counted by tasks that know nothing of who waits
            await asyncio.sleep(LOOK_EVERY)


async def test_systemds_own_socket_activation_starts_it_on_a_unix_socket(
    manager: Manager, tmp_path: Path, dsn: str
) -> None:
    activate = shutil.which("systemd-socket-activate")
    if activate is None:
        pytest.skip("there is no systemd-socket-activate (Debian: systemd)")
    path = tmp_path / "north.sock"
    await manager.starts(
        activate, f"--listen={path}", "--fdname=webhook", f"--setenv=NOTIFY_SOCKET={tmp_path / 'notify'}"
    )
    await until(path.exists)
    connector = aiohttp.UnixConnector(str(path))
    async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=SECONDS)) as session:
        url = "http://localhost/webhooks/omisell"
        async with session.post(url, data=push(1), headers={"Authorization": SECRET}) as answer:
            assert answer.status == 200
    assert await stored(dsn) == {"WEB-1"}


async def test_the_check_before_a_start_passes_while_systemd_holds_the_port_and_another_replica_lives(
    manager: Manager, config: Path, listening: socket.socket, tmp_path: Path
) -> None:
    other = await manager.starts()
    await other.tells("STATUS=0 to send")  # it has given a sign of life
    port = listening.getsockname()[1]
    check = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "omisync", "check", "--offline", "--config", str(config)),
        cwd=tmp_path,
        env={**os.environ, "OMISYNC_WEBHOOK__LISTEN": f"127.0.0.1:{port}"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(SECONDS):
        said, _ = await check.communicate()
    assert check.returncode == 0, said.decode()


async def test_on_the_socket_of_systemd_a_reload_shows_the_renewed_certificate(
    manager: Manager, config: Path, tmp_path: Path
) -> None:
    authority = trustme.CA()

    def renewed() -> bytes:
        made = authority.issue_cert("shop.example")
        made.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
        made.private_key_pem.write_to_path(tmp_path / "key.pem")
        return ssl.PEM_cert_to_DER_cert(made.cert_chain_pems[0].bytes().decode())

    first = renewed()
    change(config, "[admin]", 'tls_cert = "cert.pem"\ntls_key = "key.pem"\n[admin]')
    context = ssl.create_default_context()
    authority.configure_trust(context)
    with socket.socket(socket.AF_INET6) as passed:
        passed.bind(("::1", 0))
        passed.listen()
        service = await manager.starts(passed=passed, CREDENTIALS_DIRECTORY=str(tmp_path))
        await service.tells("READY=1")

        async def shown() -> tuple[bytes, asyncio.StreamWriter]:
            async with asyncio.timeout(SECONDS):
                _, writer = await asyncio.open_connection(
                    "::1", passed.getsockname()[1], ssl=context, server_hostname="shop.example"
                )
            return writer.get_extra_info("ssl_object").getpeercert(binary_form=True), writer

        certificate, old = await shown()
        assert certificate == first
        second = renewed()
        service.process.send_signal(signal.SIGHUP)
        await service.tells("RELOADING=1")
        await service.tells("READY=1")
        certificate, new = await shown()
        assert certificate == second
        for writer in (old, new):
            assert not writer.is_closing()
            writer.close()
            await writer.wait_closed()
        assert await service.stops() == 0
