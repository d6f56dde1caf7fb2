"""The page at `/`: orders with their buttons, pushes, the account, the faults."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final, get_args

import jinja2
from aiohttp import web

from omisync.simulator.config import PushCategory, PushForm
from omisync.simulator.envelope import Json
from omisync.simulator.faults import KINDS
from omisync.simulator.numbers import whole
from omisync.simulator.orders import Order
from omisync.simulator.pushes import Push
from omisync.simulator.statuses import (
    COMPLETED,
    RETURNED,
    SHIPPED,
    can_cancel,
    following,
    is_cancelled,
    is_final,
    name_of,
)

if TYPE_CHECKING:
    from omisync.simulator.server import Simulator

HERE: Final = Path(__file__).parent
ROWS: Final = 50

_HEADERS: Final = {
    # Nothing inline runs, so that a name or a note in an order can never become a script.
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; "
    "img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
_MOODS: Final = {"delivered": "good", "given_up": "bad", "dropped": "bad", "waiting": "busy", "unregistered": ""}


class Page:
    """Renders the page on the server; its buttons call the control endpoints.

    Args:
        simulator: What it shows.
    """

    def __init__(self, simulator: "Simulator") -> None:
        self._simulator = simulator
        environment = jinja2.Environment(
            loader=jinja2.FileSystemLoader(HERE / "templates"),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._template = environment.get_template("page.html")

    def add_to(self, application: web.Application) -> None:
        """Register the page and its static files."""
        application.router.add_get("/", self._show)
        application.router.add_static("/static/", HERE / "static")

    async def _show(self, request: web.Request) -> web.Response:
        simulator = self._simulator
        number = request.query.get("number", "").strip()
        page = max(whole(request.query.get("page", "1")) or 1, 1)
        orders = simulator.orders.matching(number) if number else list(simulator.orders)
        start = len(orders) - page * ROWS
        shown = orders[max(start, 0) : max(start + ROWS, 0)][::-1]
        active = [kind for kind in KINDS if simulator.faults.get(kind)]
        html = self._template.render(
            url=f"{request.scheme}://{request.host}",
            config=simulator.config,
            shops=simulator.account.shops.values(),
            pickups=simulator.account.pickups.values(),
            bucket=simulator.gate.bucket(),
            ledger=simulator.ledger,
            count=len(simulator.orders),
            waiting=simulator.pushes.waiting,
            number=number,
            page=page,
            more=start > 0,
            orders=[self._order(order) for order in shown],
            pushes=[_push(push) for push in simulator.pushes.newest(ROWS)],
            active=active,
            forms=get_args(PushForm),
            categories=get_args(PushCategory),
            faults=[(kind, simulator.faults.get(kind) or default, about) for kind, (default, about) in KINDS.items()],
        )
        return web.Response(text=html, content_type="text/html", headers=_HEADERS)

    def _order(self, order: Order) -> Json:
        status_id = order.status_id
        changed = datetime.fromtimestamp(order.state.updated_time, UTC)
        happens = {COMPLETED: "order.reconciled", RETURNED: "order.return_receive"}
        return {
            "order_number": order.order_number,
            "double": len(self._simulator.orders.named(order.order_number, order.shop.shop_id)) > 1,
            "omisell_order_number": order.omisell_order_number,
            "status_id": status_id,
            "status_name": name_of(status_id, self._simulator.config.language),
            "mood": "bad" if is_cancelled(status_id) else "good" if is_final(status_id) else "busy",
            "tracking": [parcel.tracking_number for parcel in order.state.parcels if parcel.tracking_number],
            "changed": f"{changed:%Y-%m-%d %H:%M:%S}",
            "changed_iso": changed.isoformat(),
            "next": following(status_id),
            "can_cancel": can_cancel(status_id),
            "can_return": status_id in {SHIPPED, 600, COMPLETED},
            "event": happens.get(status_id),
        }


def _push(push: Push) -> Json:
    return {
        "event": push.event,
        "order_number": push.order_number,
        "request_id": push.request_id,
        "made": _clock(push.created_at),
        "state": push.state,
        "mood": _MOODS[push.state],
        "due": None if push.next_try_at is None else _clock(push.next_try_at),
        "tries": [each.status or each.error for each in push.tries],
    }


def _clock(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%H:%M:%S}"
