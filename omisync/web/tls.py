"""TLS for a listener without a proxy: the certificate and its key, exchanged while connections are open."""

import ssl
from pathlib import Path
from typing import Any

from structlog.typing import FilteringBoundLogger

from omisync.config import WebhookSettings, place_of
from omisync.web.sockets import ListenError


class TlsError(ListenError):
    """The certificate or its key cannot be used; the message says what, where and what to do."""


class Certificate:
    """A certificate with its key, as both stand in their files.

    Each handshake takes the pair that was read last, so that connections that are open go on with theirs.

    Args:
        cert: PEM, the certificate first, then the chain.
        key: PEM, not encrypted.

    Raises:
        TlsError: the pair cannot be used.
    """

    def __init__(self, cert: Path, key: Path) -> None:
        self._now = load_pair(cert, key)
        self.context = load_pair(cert, key)
        """For listening: it hands every handshake over to the pair of now."""
        self.context.sni_callback = self._hand_over

    def reload(self, cert: Path, key: Path) -> None:
        """Reads the pair again, from these files; the next handshake is made with it.

        Raises:
            TlsError: it cannot be used; the old one goes on.
        """
        self._now = load_pair(cert, key)

    def _hand_over(self, connection: ssl.SSLObject, _: str | None, __: ssl.SSLContext) -> Any:
        connection.context = self._now


def certificate_of(webhook: WebhookSettings) -> Certificate | None:
    """What the configuration names; None for plain http.

    Raises:
        TlsError: it cannot be used.
    """
    pair = pair_of(webhook)
    return None if pair is None else Certificate(*pair)


def pair_of(webhook: WebhookSettings) -> tuple[Path, Path] | None:
    """The files of the certificate and its key."""
    if webhook.tls_cert is None or webhook.tls_key is None:
        return None
    return place_of(webhook.tls_cert), place_of(webhook.tls_key)


def renew(certificate: Certificate | None, webhook: WebhookSettings, log: FilteringBoundLogger) -> None:
    """Reads the pair again for a listener that runs; says so if that cannot be done, and changes nothing then."""
    pair = pair_of(webhook)
    if pair is None or certificate is None:
        if (pair is None) != (certificate is None):
            log.warning("webhook.tls_cert was set or taken away, which wants a restart")
        return
    try:
        certificate.reload(*pair)
    except TlsError as error:
        log.error("the certificate was not read again; the old one goes on", error=str(error))  # noqa: TRY400 - it says all
        return
    log.info("certificate read again", file=str(pair[0]))


def load_pair(cert: Path, key: Path) -> ssl.SSLContext:
    """A server's context with this pair, for TLS 1.2 and later.

    Raises:
        TlsError: it cannot be used.
    """
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.set_alpn_protocols(["http/1.1"])
    for path, name in ((cert, "webhook.tls_cert"), (key, "webhook.tls_key")):
        _require_readable(path, name)
    try:
        context.load_cert_chain(cert, key, password=_no_password)
    except _EncryptedKey:
        raise TlsError(
            f"{key} (webhook.tls_key) is encrypted, and nobody is there to give the password: "
            f"`openssl pkey -in {key} -out key.pem` writes it without"
        ) from None
    except ssl.SSLError as error:
        raise TlsError(_explain(error, cert, key)) from error
    return context


class _EncryptedKey(Exception):
    """The key wants a password."""


def _no_password() -> str:
    raise _EncryptedKey


def _require_readable(path: Path, name: str) -> None:
    try:
        path.read_bytes()
    except OSError as error:
        raise TlsError(
            f"{path} ({name}) cannot be read: {error.strerror or error}. Is the name right, and may the daemon's user "
            "read it? With systemd: LoadCredential="
        ) from error


def _explain(error: ssl.SSLError, cert: Path, key: Path) -> str:
    if error.reason == "KEY_VALUES_MISMATCH":
        return f"{key} (webhook.tls_key) is not the key of {cert} (webhook.tls_cert): name the two of one renewal"
    return (
        f"{cert} and {key} (webhook.tls_cert, webhook.tls_key) are no certificate with its key in PEM: "
        f"{error.reason or 'the files hold something else'}"
    )
