"""Who a push comes from: the peer, or, behind a trusted proxy, whom that proxy names; and whether they may push."""

import ipaddress
from collections.abc import Collection, Sequence
from typing import Final, Literal

from aiohttp import hdrs, web

from omisync.config import Network

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
UNKNOWN: Final = "unknown"
"""Stands in the log for an address that nobody trusted has told."""


class Clients:
    """Tells a client's address, and whether it is let in.

    `X-Forwarded-For` is read from the right: each proxy adds at the end whom it was called by, so that what a client
    wrote itself is to the left of what the trusted ones have added, and is never reached.

    Args:
        trusted: proxies that are believed, by network; "unix" for whoever may open the unix socket.
        allowed: who may push; nobody in particular if it is empty.
    """

    def __init__(self, trusted: Collection[Network | Literal["unix"]] = (), allowed: Collection[Network] = ()) -> None:
        self._trusted = tuple(network for network in trusted if network != "unix")
        self._trusts_unix = "unix" in trusted
        self._allowed = tuple(allowed)

    @property
    def is_choosy(self) -> bool:
        """Whether not everybody is let in."""
        return bool(self._allowed)

    def address(self, request: web.BaseRequest) -> Address | None:
        """The client's address; None where it is not known, or a trusted proxy names something else."""
        peer = _peer(request)
        if not (self._trusts_unix if peer is None else _is_in(peer, self._trusted)):
            return peer
        return self._forwarded(peer, request.headers.getall(hdrs.X_FORWARDED_FOR, ()))

    def name(self, request: web.BaseRequest) -> str:
        """The client's address, for a log."""
        return str(self.address(request) or UNKNOWN)

    def admits(self, request: web.BaseRequest) -> bool:
        """Whether who sent the request may push."""
        if not self._allowed:
            return True
        address = self.address(request)
        return address is not None and _is_in(address, self._allowed)

    def _forwarded(self, peer: Address | None, lines: Sequence[str]) -> Address | None:
        rest = ",".join(lines)
        address = peer
        while rest:
            rest, _, last = rest.rpartition(",")
            address = _parsed(last)
            if address is None or not _is_in(address, self._trusted):
                break
        return address


def is_forwarded(request: web.BaseRequest) -> bool:
    """Whether a proxy, or somebody who plays one, has named a client."""
    return hdrs.X_FORWARDED_FOR in request.headers


def _peer(request: web.BaseRequest) -> Address | None:
    return _parsed(request.remote or "")


def _parsed(text: str) -> Address | None:
    """An address as proxies write it: some put the port behind it, and brackets around one of IPv6."""
    bare = text.strip()
    if bare.startswith("["):
        bare = bare[1:].partition("]")[0]
    elif bare.count(":") == 1:
        bare = bare.partition(":")[0]
    try:
        address = ipaddress.ip_address(bare)
    except ValueError:
        return None
    # an IPv6 socket sees a caller of IPv4 as ::ffff:203.0.113.7
    return getattr(address, "ipv4_mapped", None) or address


def _is_in(address: Address, networks: Sequence[Network]) -> bool:
    return any(address in network for network in networks)
