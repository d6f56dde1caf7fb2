"""omisync: the daemon between a self-built shop on Postgres and Omisell."""

from importlib.metadata import version

__version__ = version("omisync")
