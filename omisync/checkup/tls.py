"""The certificate: is it the key's, how long is it good, would Omisell believe it, who else may read the key."""

import asyncio
import contextlib
import ssl
import time
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from omisync.checkup.verdict import Check, State
from omisync.config import Listen, WebhookSettings
from omisync.web.tls import TlsError, load_pair, pair_of

CERTIFICATE, KEY, CLIENTS = "certificate", "certificate's key", "webhook clients"
TLS: Final = (CERTIFICATE, KEY)
SOON_DAYS: Final = 14
"""A certificate is renewed a month before its end, or at two thirds of a short life; what is left then is a warning."""
DAY: Final = 86400.0
WORLD: Final = 0o007
"""The bits of a file's mode that are for everybody; its group may be there to let the daemon in."""
ANY_TIME: Final = 0x200000
"""OpenSSL's X509_V_FLAG_NO_CHECK_TIME: to look at a certificate that has run out."""
HANDSHAKE_SECONDS: Final = 3.0


async def examine_tls(webhook: WebhookSettings, *, asks: bool) -> list[Check]:
    """Looks at the certificate and its key.

    Args:
        webhook: the configuration.
        asks: whether to look at what the listener serves as well.
    """
    pair = pair_of(webhook)
    if pair is None:
        return [_without(webhook.listen)]
    try:
        context = load_pair(*pair)
    except TlsError as error:
        return [Check(CERTIFICATE, State.FAILED, str(error))]
    served = await _served(webhook.listen) if asks else None
    return [_certificate(context, pair[0], webhook, served), _key(pair[1])]


def _without(listen: Listen) -> Check:
    if listen.is_loopback:
        return Check(CERTIFICATE, State.SKIPPED, "webhook.tls_cert is not set: TLS is a proxy's")
    says = f"{listen} takes plain http from other machines: whoever is on the way can read buyers' data and push"
    return Check(
        CERTIFICATE, State.WARNING, says, "set webhook.tls_cert and tls_key, or listen on loopback for a proxy"
    )


def _certificate(context: ssl.SSLContext, cert: Path, webhook: WebhookSettings, served: bytes | None) -> Check:
    facts, der = _facts(context, cert)
    ends = ssl.cert_time_to_seconds(facts["notAfter"])
    days = (ends - time.time()) / DAY
    until = time.strftime("%Y-%m-%d", time.gmtime(ends))
    host = (urlsplit(webhook.callback_url).hostname if webhook.callback_url else None) or ""
    renew = f"renew {cert}, then `systemctl reload omisync`, or restart it if the file is one of systemd's credentials"
    if days < 0:
        return Check(CERTIFICATE, State.FAILED, f"ended on {until}: nobody believes it", renew)
    if served is not None and served != der:
        says = f"the daemon serves another one than {cert} holds (good until {until})"
        return Check(CERTIFICATE, State.WARNING, says, "`systemctl reload omisync`; restart if systemd hands it over")
    if (why := _doubted(context, host)) is not None:
        says = f"good until {until}, but not to everybody: {why}"
        advice = f"take the file with the whole chain (fullchain.pem), from an authority that all know, for {host}"
        return Check(CERTIFICATE, State.WARNING, says, advice if host else "set webhook.callback_url to compare it")
    if days < SOON_DAYS:
        return Check(CERTIFICATE, State.WARNING, f"ends in {days:.0f} days, on {until}", renew)
    return Check(CERTIFICATE, State.OK, f"good for {host} until {until}, {days:.0f} days")


def _key(key: Path) -> Check:
    mode = key.stat().st_mode & 0o777
    if mode & WORLD:
        return Check(KEY, State.WARNING, f"{key} is open to every user of this machine ({mode:04o})", f"chmod o= {key}")
    return Check(KEY, State.OK, f"belongs to the certificate, and is closed to others ({mode:04o})")


def examine_clients(webhook: WebhookSettings) -> Check:
    """Whether those who may push can be told from the others."""
    trusted = ", ".join(str(proxy) for proxy in webhook.trusted_proxies)
    believed = f"X-Forwarded-For is believed from {trusted}" if trusted else "no proxy is trusted: the peer counts"
    if not webhook.allow:
        return Check(CLIENTS, State.OK, f"everybody may push, with the right signature; {believed}")
    allowed = ", ".join(str(network) for network in webhook.allow)
    if not trusted and webhook.listen.is_loopback and not any(network.is_loopback for network in webhook.allow):
        says = f"only {allowed} may push, but {webhook.listen} is reached through a proxy, whose own address counts"
        return Check(CLIENTS, State.FAILED, says, 'name it: webhook.trusted_proxies = ["127.0.0.1"], or "unix"')
    return Check(CLIENTS, State.OK, f"only {allowed} may push; {believed}")


def _facts(context: ssl.SSLContext, cert: Path) -> tuple[dict[str, Any], bytes]:
    """What the certificate says, and itself: by a handshake with ourselves, for the library reads none otherwise."""
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    client.load_verify_locations(cert)
    client.verify_flags = client.verify_flags | ssl.VERIFY_X509_PARTIAL_CHAIN | ANY_TIME
    connection = _shake_hands(context, client, None)
    return dict(connection.getpeercert() or {}), connection.getpeercert(binary_form=True) or b""


def _doubted(context: ssl.SSLContext, host: str) -> str | None:
    """Why somebody who knows only this machine's authorities would not believe the certificate."""
    client = ssl.create_default_context()
    client.check_hostname = bool(host)
    try:
        _shake_hands(context, client, host or None)
    except ssl.SSLCertVerificationError as error:
        return error.verify_message.rstrip(".")
    return None if host else "which name it should have is not known"


def _shake_hands(server: ssl.SSLContext, client: ssl.SSLContext, host: str | None) -> ssl.SSLObject:
    """A handshake in memory; the client's side of it.

    Raises:
        ssl.SSLCertVerificationError: the client does not believe the server.
    """
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    ours = client.wrap_bio(back, there, server_hostname=host)
    theirs = server.wrap_bio(there, back, server_side=True)
    for _ in range(2):
        for side in (ours, theirs):
            with contextlib.suppress(ssl.SSLWantReadError):
                side.do_handshake()
    return ours


async def _served(listen: Listen) -> bytes | None:
    """The certificate that the listener has now; None if nobody answers with one."""
    anybody = ssl.create_default_context()
    anybody.check_hostname = False
    anybody.verify_mode = ssl.CERT_NONE
    host = listen.reachable
    try:
        async with asyncio.timeout(HANDSHAKE_SECONDS):
            _, writer = await asyncio.open_connection(host, listen.port, ssl=anybody)
    except (OSError, TimeoutError):
        return None
    shown: bytes | None = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    with contextlib.suppress(OSError, TimeoutError):
        async with asyncio.timeout(HANDSHAKE_SECONDS):
            await writer.wait_closed()
    return shown
