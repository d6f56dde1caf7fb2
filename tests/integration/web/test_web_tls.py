"""A listener with a certificate: exchanged while connections are open, and no place is lost to half a handshake."""

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import trustme
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from omisync.config import WebhookSettings
from omisync.omisell.authorization import Authorizer
from omisync.web import Certificate, Clients, Limits, Metrics, Server, TlsError, webhook_app
from omisync.web.tls import certificate_of, renew
from tests.integration.web.conftest import PATH, SECRET, URL, FakeInbox, Logged, until

Start = Callable[..., Awaitable[Server]]

PUSH = b'{"event": "order.shipped", "data": {"order_number": "WEB-1"}}'
HOST = "shop.example"


class Pair:
    """A certificate and its key, in files that can be written anew."""

    def __init__(self, folder: Path) -> None:
        self.authority = trustme.CA()
        self.cert, self.key = folder / "fullchain.pem", folder / "privkey.pem"
        self.write()

    def write(self) -> bytes:
        """A new pair; the certificate as it is shown to a client."""
        made = self.authority.issue_cert(HOST)
        self.cert.write_bytes(b"".join(blob.bytes() for blob in made.cert_chain_pems))
        self.key.write_bytes(made.private_key_pem.bytes())
        return ssl.PEM_cert_to_DER_cert(made.cert_chain_pems[0].bytes().decode())

    def client(self) -> ssl.SSLContext:
        """Whoever knows the authority, and nobody else."""
        context = ssl.create_default_context()
        self.authority.configure_trust(context)
        return context

    def settings(self, **more: Any) -> WebhookSettings:
        return WebhookSettings(secret=("s",), tls_cert=str(self.cert), tls_key=str(self.key), **more)


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    return Pair(tmp_path)


@pytest.fixture
def secure(serving: Start, logged: Logged, pair: Pair) -> Callable[..., Awaitable[tuple[Server, Certificate]]]:
    """Starts a webhook listener with the pair's certificate."""

    async def start(**options: Any) -> tuple[Server, Certificate]:
        app = webhook_app(
            path=PATH,
            max_body=4096,
            authorizer=Authorizer("token", [SECRET], URL),
            inbox=FakeInbox(),
            metrics=Metrics(),
            log=logged.logger(),
        )
        certificate = Certificate(pair.cert, pair.key)
        return await serving(app, tls=certificate, **options), certificate

    return start


class Client:
    """One connection, by TLS."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self.writer = writer

    @classmethod
    async def connected(cls, server: Server, context: ssl.SSLContext) -> "Client":
        async with asyncio.timeout(5):
            return cls(*await asyncio.open_connection("127.0.0.1", server.port, ssl=context, server_hostname=HOST))

    @property
    def certificate(self) -> bytes:
        shown = self.writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        assert isinstance(shown, bytes)
        return shown

    async def push(self) -> int:
        """The status of the answer."""
        self.writer.write(
            b"POST %b HTTP/1.1\r\nHost: x\r\nAuthorization: %b\r\nContent-Length: %d\r\n\r\n%b"
            % (PATH.encode(), SECRET.encode(), len(PUSH), PUSH)
        )
        async with asyncio.timeout(5):
            head = await self._reader.readuntil(b"\r\n\r\n")
            length = next(line for line in head.split(b"\r\n") if line.lower().startswith(b"content-length"))
            await self._reader.readexactly(int(length.split(b":")[1]))
        return int(head.split()[1])

    async def close(self) -> None:
        self.writer.close()
        async with asyncio.timeout(5):
            await self.writer.wait_closed()


async def test_a_push_is_answered_by_tls(secure: Any, pair: Pair) -> None:
    server, _ = await secure()
    client = await Client.connected(server, pair.client())
    assert [await client.push(), await client.push()] == [200, 200]
    assert client.writer.get_extra_info("ssl_object").version() in {"TLSv1.3", "TLSv1.2"}
    await client.close()
    await until(lambda: server.connections == 0)


async def test_a_request_that_comes_with_the_last_words_of_the_handshake_is_heard(secure: Any, pair: Pair) -> None:
    server, _ = await secure()
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = pair.client().wrap_bio(there, back, server_hostname=HOST)
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    writer.write(back.read())
    async with asyncio.timeout(5):
        while True:
            there.write(await reader.read(65536))
            try:
                client.do_handshake()
            except ssl.SSLWantReadError:
                continue
            break
    client.write(b"GET %b HTTP/1.1\r\nHost: x\r\n\r\n" % PATH.encode())
    writer.write(back.read())  # the end of the handshake and the request in one piece
    async with asyncio.timeout(5):
        while True:
            there.write(await reader.read(65536))
            try:
                answer = client.read(65536)
            except ssl.SSLWantReadError:
                continue
            break
    assert answer.startswith(b"HTTP/1.1 405 ")
    writer.close()


async def test_a_renewed_certificate_is_shown_to_new_clients_and_ends_no_open_connection(
    secure: Any, pair: Pair
) -> None:
    server, certificate = await secure()
    before = await Client.connected(server, pair.client())
    assert await before.push() == 200
    renewed = pair.write()
    certificate.reload(pair.cert, pair.key)
    after = await Client.connected(server, pair.client())
    assert after.certificate == renewed != before.certificate
    assert [await before.push(), await after.push()] == [200, 200]
    for client in (before, after):
        await client.close()


async def test_a_bad_new_pair_is_refused_and_the_old_one_goes_on(secure: Any, pair: Pair, logged: Logged) -> None:
    server, certificate = await secure()
    shown = (first := await Client.connected(server, pair.client())).certificate
    await first.close()
    key = pair.key.read_bytes()
    pair.write()
    pair.key.write_bytes(key)  # half of a renewal
    renew(certificate, pair.settings(), logged.logger())
    (entry,) = logged.entries
    assert entry["event"] == "the certificate was not read again; the old one goes on"
    assert entry["level"] == "error"
    assert entry["error"] == (
        f"{pair.key} (webhook.tls_key) is not the key of {pair.cert} (webhook.tls_cert): name the two of one renewal"
    )
    client = await Client.connected(server, pair.client())
    assert client.certificate == shown
    assert await client.push() == 200
    await client.close()


def test_tls_cannot_be_switched_on_or_off_while_it_runs(pair: Pair, logged: Logged) -> None:
    renew(None, pair.settings(), logged.logger())
    renew(Certificate(pair.cert, pair.key), WebhookSettings(secret=("s",)), logged.logger())
    assert logged.events("warning") == ["webhook.tls_cert was set or taken away, which wants a restart"] * 2
    renew(None, WebhookSettings(secret=("s",)), logged.logger())
    assert len(logged.entries) == 2


def encrypted(key: Path) -> None:
    plain = load_pem_private_key(key.read_bytes(), None)
    key.write_bytes(plain.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"hidden")))


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda pair: pair.key.unlink(), "(webhook.tls_key) cannot be read: No such file or directory"),
        (lambda pair: pair.cert.write_text("none"), "are no certificate with its key in PEM"),
        (lambda pair: pair.key.write_bytes(pair.cert.read_bytes()), "are no certificate with its key in PEM"),
        (lambda pair: encrypted(pair.key), "is encrypted, and nobody is there to give the password"),
    ],
)
def test_a_pair_that_cannot_be_used_is_told_with_its_file(pair: Pair, spoil: Any, words: str) -> None:
    spoil(pair)
    with pytest.raises(TlsError) as told:
        certificate_of(pair.settings())
    assert words in str(told.value)


def test_a_relative_name_is_one_of_systemds_credentials(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = WebhookSettings(secret=("s",), tls_cert=pair.cert.name, tls_key=pair.key.name)
    with pytest.raises(TlsError):
        certificate_of(settings)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(pair.cert.parent))
    assert certificate_of(settings) is not None


async def test_plain_http_and_clients_that_go_in_the_middle_leave_no_place_taken(
    secure: Any, connect: Any, logged: Logged
) -> None:
    server, _ = await secure()
    plain = await connect(server)
    await plain.send(b"GET / HTTP/1.1\r\n\r\n")
    await plain.rest()
    gone = await connect(server)
    await gone.send(b"\x16\x03\x01\x02\x00")  # the beginning of a first word
    gone.writer.close()
    await until(lambda: server.connections == 0)
    assert logged.events("debug").count("http") == 2
    assert logged.events("error") == []


async def test_a_handshake_that_does_not_go_on_ends(secure: Any, connect: Any) -> None:
    server, _ = await secure(limits=Limits(head=0.2, check_every=0.05))
    assert await (await connect(server)).rest() == b""
    await until(lambda: server.connections == 0)


async def test_a_handshake_that_does_not_go_on_makes_room_at_once(secure: Any, pair: Pair, connect: Any) -> None:
    server, _ = await secure(limits=Limits(connections=2))
    waiting = [await connect(server), await connect(server)]
    await until(lambda: server.connections == 2)
    client = await Client.connected(server, pair.client())
    assert await client.push() == 200
    assert await waiting[0].rest() == b""
    assert server.connections == 2
    await client.close()


async def test_a_stop_waits_for_a_handshake_and_ends_one_that_hangs(secure: Any, pair: Pair, connect: Any) -> None:
    server, _ = await secure()
    hanging = await connect(server)
    await until(lambda: server.connections == 1)
    async with asyncio.timeout(5):
        await server.close(0.1)
    assert await hanging.rest() == b""
    await until(lambda: server.connections == 0)


async def test_behind_the_unix_socket_of_systemd_the_proxys_word_counts(
    serving: Start, tmp_path: Path, logged: Logged, monkeypatch: pytest.MonkeyPatch
) -> None:
    passed = socket.socket(socket.AF_UNIX)
    passed.bind(path := str(tmp_path / "push.sock"))
    passed.listen()
    passed.setblocking(False)
    monkeypatch.setattr("omisync.web.listen.inherited", lambda *_: [passed])
    metrics = Metrics()
    app = webhook_app(
        path=PATH,
        max_body=4096,
        authorizer=Authorizer("token", [SECRET], URL),
        inbox=FakeInbox(),
        metrics=metrics,
        log=logged.logger(),
        clients=Clients(["unix"], [ip_network("203.0.113.0/24")]),
    )
    await serving(app)
    async with aiohttp.ClientSession(connector=aiohttp.UnixConnector(path)) as session:
        for address, status in (("203.0.113.7", 200), ("198.51.100.7", 403)):
            headers = {"Authorization": SECRET, "X-Forwarded-For": address}
            async with asyncio.timeout(5), session.post(f"http://x{PATH}", data=PUSH, headers=headers) as answer:
                assert answer.status == status
    (entry,) = [entry for entry in logged.entries if entry["level"] == "warning"]
    assert entry["event"] == "push turned away: its address is not in webhook.allow"
    assert (entry["client"], entry["peer"]) == ("198.51.100.7", "unix")
    assert 'outcome="forbidden"} 1.0' in metrics.render().decode()
