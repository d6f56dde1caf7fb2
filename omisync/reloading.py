"""What a SIGHUP puts in force without a restart: the secrets of both listeners, the API key, the certificate."""

import time
from collections.abc import Callable

from structlog.typing import FilteringBoundLogger

from omisync.config import OmisellSettings, Settings
from omisync.omisell import Authorizer
from omisync.service_manager import notify
from omisync.web import Access, Replaceable
from omisync.web.tls import certificate_of, renew


def authorizer_of(settings: Settings) -> Authorizer:
    """Judges pushes by the configured secrets."""
    webhook = settings.webhook
    return Authorizer(
        webhook.authorization, [secret.get_secret_value() for secret in webhook.secret], webhook.callback_url
    )


def admin_token_of(settings: Settings) -> str | None:
    """The admin page's token in clear; None where there is none."""
    token = settings.admin.token
    return None if token is None else token.get_secret_value()


class Reloaded:
    """The parts that follow the configuration while the daemon runs.

    Args:
        settings: as they are at the start.
        read: reads the configuration again, and sets the log's level; None where that cannot be done.
        log: hears how it went.

    Raises:
        TlsError: the certificate cannot be used.
    """

    def __init__(self, settings: Settings, read: Callable[[], Settings] | None, log: FilteringBoundLogger) -> None:
        self._read = read
        self._log = log
        self.authorizer = Replaceable(authorizer_of(settings))
        self.access = Access(admin_token_of(settings))
        self.certificate = certificate_of(settings.webhook)
        self.replace_key: Callable[[OmisellSettings], None] = lambda _: None
        """Takes another API key; the client's own, once there is one."""

    def read_again(self) -> None:
        """Puts in force what the configuration says now; a bad one changes nothing."""
        if self._read is None:
            return
        notify("RELOADING=1", f"MONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")
        try:
            settings = self._read()
        except Exception as error:  # noqa: BLE001 - a bad file must not end a running daemon: it keeps what it has
            self._log.error("the configuration was not read again; the old one stays", error=str(error))
        else:
            self.authorizer.replace(authorizer_of(settings))
            self.access.replace(admin_token_of(settings))
            self.replace_key(settings.omisell)
            renew(self.certificate, settings.webhook, self._log)
            self._log.info("configuration read again: log level and secrets")
        notify("READY=1")
