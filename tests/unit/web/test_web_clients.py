"""Whom a push comes from: X-Forwarded-For from the right, believed only from trusted proxies; who is let in."""

from ipaddress import ip_network
from typing import Any, Literal

import pytest
from aiohttp.test_utils import make_mocked_request
from multidict import CIMultiDict

from omisync.config import Network
from omisync.web import Clients

LOOPBACK = ip_network("127.0.0.0/8")
LAN = ip_network("10.0.0.0/24")
LAN6 = ip_network("fd00::/8")


def request(peer: str, *forwarded: str) -> Any:
    headers = CIMultiDict([("X-Forwarded-For", line) for line in forwarded])
    return make_mocked_request("POST", "/", headers).clone(remote=peer)


@pytest.mark.parametrize(
    ("trusted", "peer", "forwarded", "client"),
    [
        ((), "203.0.113.7", (), "203.0.113.7"),
        ((), "127.0.0.1", ("203.0.113.7",), "127.0.0.1"),  # nobody is trusted
        ((LOOPBACK,), "198.51.100.9", ("203.0.113.7",), "198.51.100.9"),  # not this one
        ((LOOPBACK,), "127.0.0.1", ("203.0.113.7",), "203.0.113.7"),
        ((LOOPBACK,), "127.0.0.1", (), "127.0.0.1"),  # from this machine itself
        # what the client wrote itself stands to the left of what the proxy saw
        ((LOOPBACK,), "127.0.0.1", ("192.0.2.1, 203.0.113.7",), "203.0.113.7"),
        ((LOOPBACK,), "127.0.0.1", ("127.0.0.1, 192.0.2.1, 203.0.113.7",), "203.0.113.7"),
        ((LOOPBACK, LAN), "127.0.0.1", ("192.0.2.1, 203.0.113.7, 10.0.0.5",), "203.0.113.7"),
        ((LOOPBACK, LAN), "127.0.0.1", ("192.0.2.1", "203.0.113.7 ,10.0.0.5"), "203.0.113.7"),  # two lines are one
        ((LOOPBACK, LAN), "127.0.0.1", ("10.0.0.6, 10.0.0.5",), "10.0.0.6"),  # proxies all the way
        ((LOOPBACK,), "127.0.0.1", ("203.0.113.7:4711",), "203.0.113.7"),
        ((LOOPBACK,), "127.0.0.1", ("[2001:db8::7]:4711",), "2001:db8::7"),
        ((LOOPBACK,), "127.0.0.1", ("2001:db8::7",), "2001:db8::7"),
        ((LAN6,), "fd00::1", ("2001:db8::7",), "2001:db8::7"),
        ((LOOPBACK,), "::ffff:127.0.0.1", ("203.0.113.7",), "203.0.113.7"),  # a socket for both families
        ((), "::ffff:203.0.113.7", (), "203.0.113.7"),
        ((LOOPBACK,), "127.0.0.1", ("203.0.113.7, unknown",), "unknown"),
        ((LOOPBACK,), "127.0.0.1", ("203.0.113.7,",), "unknown"),
        ((LOOPBACK,), "", ("203.0.113.7",), "unknown"),  # a unix socket is no loopback
        (("unix",), "", ("203.0.113.7",), "203.0.113.7"),
        (("unix",), "", (), "unknown"),
        (("unix",), "127.0.0.1", ("203.0.113.7",), "127.0.0.1"),
    ],
)
def test_the_client_is_whom_the_last_trusted_proxy_saw(
    trusted: tuple[Network | Literal["unix"], ...], peer: str, forwarded: tuple[str, ...], client: str
) -> None:
    assert Clients(trusted).name(request(peer, *forwarded)) == client


@pytest.mark.parametrize(
    ("peer", "forwarded", "is_let_in"),
    [
        ("203.0.113.7", (), True),
        ("198.51.100.7", (), False),
        ("2001:db8::7", (), True),
        ("2001:db9::7", (), False),
        ("198.51.100.7", ("203.0.113.7",), False),  # who is not trusted names nobody
        ("127.0.0.1", ("203.0.113.7",), True),
        ("127.0.0.1", ("203.0.113.7, 198.51.100.7",), False),
        ("127.0.0.1", (), False),
        ("", ("203.0.113.7",), False),  # whose address is not known
        ("127.0.0.1", ("nonsense",), False),
    ],
)
def test_only_who_is_allowed_is_let_in(peer: str, forwarded: tuple[str, ...], is_let_in: bool) -> None:
    clients = Clients((LOOPBACK,), (ip_network("203.0.113.0/24"), ip_network("2001:db8::/32")))
    assert clients.is_choosy
    assert clients.admits(request(peer, *forwarded)) is is_let_in


def test_without_a_list_everybody_is_let_in() -> None:
    assert not Clients((LOOPBACK,)).is_choosy
    assert Clients((LOOPBACK,)).admits(request("", "nonsense"))


def test_a_header_as_long_as_a_line_may_be_is_read_in_no_time() -> None:
    assert Clients((LOOPBACK,)).name(request("127.0.0.1", "127.0.0.1," * 800 + "203.0.113.7")) == "203.0.113.7"
