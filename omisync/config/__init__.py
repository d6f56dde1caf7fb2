"""The configuration: read from TOML, the environment and secret files, and checked as a whole."""

from omisync.config.errors import ConfigError
from omisync.config.keys import variable_name
from omisync.config.load import find_config, load_settings, place_of
from omisync.config.settings import (
    AdminSettings,
    ChecksSettings,
    DaemonSettings,
    DatabaseSettings,
    HooksSettings,
    LogSettings,
    OmisellPaths,
    OmisellSettings,
    OutboxSettings,
    ReconcileSettings,
    Settings,
    TracesSettings,
    WebhookSettings,
)
from omisync.config.values import Listen, Network, is_loopback, parse_duration, parse_size

__all__ = [
    "AdminSettings",
    "ChecksSettings",
    "ConfigError",
    "DaemonSettings",
    "DatabaseSettings",
    "HooksSettings",
    "Listen",
    "LogSettings",
    "Network",
    "OmisellPaths",
    "OmisellSettings",
    "OutboxSettings",
    "ReconcileSettings",
    "Settings",
    "TracesSettings",
    "WebhookSettings",
    "find_config",
    "is_loopback",
    "load_settings",
    "parse_duration",
    "parse_size",
    "place_of",
    "variable_name",
]
