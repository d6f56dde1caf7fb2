"""The two listeners: pushes from Omisell, and the operator's page with health and metrics."""

from omisync.web.access import Access
from omisync.web.admin import admin_app
from omisync.web.clients import Clients
from omisync.web.connections import Limits
from omisync.web.listen import Server, serve
from omisync.web.metrics import Metrics
from omisync.web.sockets import ListenError
from omisync.web.tls import Certificate, TlsError
from omisync.web.webhook import Replaceable, webhook_app

__all__ = [
    "Access",
    "Certificate",
    "Clients",
    "Limits",
    "ListenError",
    "Metrics",
    "Replaceable",
    "Server",
    "TlsError",
    "admin_app",
    "serve",
    "webhook_app",
]
