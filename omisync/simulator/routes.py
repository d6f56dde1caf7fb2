"""Which path leads to which endpoint."""

from collections.abc import Awaitable, Callable

from aiohttp import web

from omisync.simulator.api import Api
from omisync.simulator.config import Live
from omisync.simulator.envelope import Answer, refusal
from omisync.simulator.gate import Gate

PUBLIC = "/api/v2/public"


class Routes:
    """Omisell's paths: those for tokens end in a slash, the others do not [omisell-api 1].

    Args:
        live: The configuration.
        api: The endpoints.
        gate: What stands before each.
    """

    def __init__(self, live: Live, api: Api, gate: Gate) -> None:
        self._live = live
        self._api = api
        self._gate = gate

    def add_to(self, application: web.Application) -> None:
        """Register all of them."""
        api, gate, paths, router = self._api, self._gate, self._live.config.paths, application.router
        for version in ("v1", "v2"):
            get = gate.guard("token.get", api.token_get, open_door=True)
            refresh = gate.guard("token.refresh", api.token_refresh, open_door=True)
            router.add_post(f"/api/{version}/auth/token/get/", get)
            router.add_post(f"/api/{version}/auth/token/refresh/", refresh)
        for path, endpoint, handler in (
            (f"{PUBLIC}/order/list", "order.list", api.order_list),
            (f"{PUBLIC}/shop/list", "shop.list", api.shop_list),
            (f"{PUBLIC}/pickup/list", "pickup.list", api.pickup_list),
            (f"{PUBLIC}/catalogue/list", "catalogue.list", api.catalogue_list),
            (f"{PUBLIC}/product/list", "product.list", api.product_list),
            (paths.provinces, "location.provinces", api.provinces),
            (paths.districts, "location.districts", api.districts),
            (paths.subdistricts, "location.subdistricts", api.subdistricts),
        ):
            router.add_get(path, gate.guard(endpoint, handler), allow_head=False)
        router.add_post(f"{PUBLIC}/order/add", gate.guard("order.add", api.order_add))
        router.add_post(paths.product_add, gate.guard("product.add", api.product_add))
        router.add_get(PUBLIC + "/order/{number}", gate.guard("order.detail", api.order_detail), allow_head=False)
        router.add_patch(PUBLIC + "/order/{number}/cancel", gate.guard("order.cancel", api.order_cancel))
        router.add_route("*", "/api/{rest:.*}", self._unknown())

    def _unknown(self) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        """Any other path or method, in the envelope too."""

        def nothing(_: object) -> Answer:
            return refusal(404, "Not found.")

        return self._gate.guard("unknown", nothing, open_door=True)
