"""The page at `/`."""

from typing import TYPE_CHECKING

from aiohttp import web

if TYPE_CHECKING:
    from omisync.simulator.server import Simulator


class Page:
    """The page."""

    def __init__(self, simulator: "Simulator") -> None:
        self._simulator = simulator

    def add_to(self, application: web.Application) -> None:
        """Register it."""
