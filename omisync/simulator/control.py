"""The control endpoints: what a developer or a proof may see and do that Omisell itself would not offer."""

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, TypeAlias, TypeVar
from urllib.parse import urlsplit

from aiohttp import web
from pydantic import TypeAdapter, ValidationError

from omisync.simulator.config import SimulatorConfig
from omisync.simulator.detail import detail
from omisync.simulator.envelope import Json
from omisync.simulator.life import NoNextStatusError
from omisync.simulator.numbers import whole
from omisync.simulator.orders import Order, UnknownOrderError
from omisync.simulator.statuses import name_of

if TYPE_CHECKING:
    from omisync.simulator.server import Simulator

_CONFIG = TypeAdapter(SimulatorConfig)
_FREE = frozenset({"delays", "locations", "faults"})
"""Options that are mappings themselves: replaced whole."""

T = TypeVar("T")
Work: TypeAlias = Callable[[web.Request, Mapping[str, object]], object]


class _BadRequestError(ValueError):
    """What was asked makes no sense."""


class Control:
    """The endpoints under /control/; none of them counts against the bucket.

    Args:
        simulator: What they look at and change.
    """

    def __init__(self, simulator: "Simulator") -> None:
        self._simulator = simulator

    def add_to(self, application: web.Application) -> None:
        """Register all of them."""
        for method, path, work in (
            ("GET", "orders", self._orders),
            ("GET", "ledger", self._ledger),
            ("GET", "pushes", self._pushes),
            ("GET", "faults", self._faults),
            ("PATCH", "faults", self._set_faults),
            ("DELETE", "faults", self._no_faults),
            ("GET", "config", self._config),
            ("PATCH", "config", self._set_config),
            ("POST", "advance", self._advance),
            ("POST", "cancel", self._cancel),
            ("POST", "create", self._create),
            ("POST", "event", self._event),
            ("POST", "push", self._push),
            ("POST", "revoke-tokens", self._revoke_tokens),
            ("POST", "reset", self._reset),
        ):
            application.router.add_route(method, f"/control/{path}", _handler(work))

    def _orders(self, request: web.Request, _: Mapping[str, object]) -> Json:
        """Every order, newest last; `order_number`, `detail=0`, `limit` (the newest so many), `offset` (see _part)."""
        number = request.query.get("order_number")
        orders = self._simulator.orders.named(number) if number else list(self._simulator.orders)
        full = request.query.get("detail") != "0"
        return {"count": len(orders), "orders": [self._order(order, full=full) for order in _part(orders, request)]}

    def _order(self, order: Order, *, full: bool = True) -> Json:
        config = self._simulator.config
        seen: Json = {
            "order_number": order.order_number,
            "omisell_order_number": order.omisell_order_number,
            "shop_id": order.shop.shop_id,
            "source": order.source,
            "status_id": order.status_id,
            "status_name": name_of(order.status_id, config.language),
            "created_time": order.created_time,
            "updated_time": order.state.updated_time,
            "history": [[state.status_id, state.updated_time] for state in order.history],
        }
        if full:
            seen["detail"] = detail(order, order.state, config, self._simulator.account)
        return seen

    def _ledger(self, _request: web.Request, _body: Mapping[str, object]) -> Json:
        simulator = self._simulator
        bucket = simulator.gate.bucket()
        return {
            **simulator.ledger.as_json(),
            "orders": len(simulator.orders),
            "pushes_waiting": simulator.pushes.waiting,
            "bucket": {"used": bucket.used, "size": bucket.size, "leak_per_minute": bucket.leak_per_minute},
        }

    def _pushes(self, request: web.Request, _: Mapping[str, object]) -> Json:
        """The log, newest last; `order_number` (either number), `body=0`, `limit`, `offset`."""
        number = request.query.get("order_number")
        pushes = self._simulator.pushes.of(number) if number else list(self._simulator.pushes)
        body = request.query.get("body") != "0"
        return {"count": len(pushes), "pushes": [push.as_json(body=body) for push in _part(pushes, request)]}

    def _faults(self, _request: web.Request, _body: Mapping[str, object]) -> Json:
        return self._simulator.faults.as_json()

    def _set_faults(self, request: web.Request, body: Mapping[str, object]) -> Json:
        self._simulator.faults.patch(body)
        return self._faults(request, body)

    def _no_faults(self, request: web.Request, body: Mapping[str, object]) -> Json:
        self._simulator.faults.off()
        return self._faults(request, body)

    def _config(self, _request: web.Request, _body: Mapping[str, object]) -> Json:
        return dump(self._simulator.config)

    def _set_config(self, request: web.Request, body: Mapping[str, object]) -> Json:
        self._simulator.configure(merged(self._simulator.config, body))
        return self._config(request, body)

    def _advance(self, _request: web.Request, body: Mapping[str, object]) -> Json:
        """`order_number` (either number); `status_id`, else the next one."""
        number = _number(body)
        self._simulator.advance(number, _status(body))
        return self._order(self._simulator.orders.find(number))

    def _cancel(self, _request: web.Request, body: Mapping[str, object]) -> Json:
        """`order_number`; `status_id`, else 703."""
        number = _number(body)
        self._simulator.cancel(number, _status(body) or 703)
        return self._order(self._simulator.orders.find(number))

    def _create(self, _request: web.Request, body: Mapping[str, object]) -> Json:
        """`order`: fields of Add Order, what is missing is invented; `status_id`; `count`."""
        given = body.get("order") or {}
        if not isinstance(given, Mapping):
            raise _BadRequestError("order must be an object")
        count = min(max(whole(body.get("count")) or 1, 1), 10_000)
        made = [self._simulator.create(given, status_id=_status(body)) for _ in range(count)]
        return self._order(made[0]) if count == 1 else {"count": count}

    def _event(self, _request: web.Request, body: Mapping[str, object]) -> Json:
        """`order_number` and `event`: order.reconciled, order.return_receive."""
        number = _number(body)
        self._simulator.event(number, str(body.get("event") or "order.reconciled"))
        return self._order(self._simulator.orders.find(number))

    def _push(self, _request: web.Request, body: Mapping[str, object]) -> Json:
        """`request_id` sends one of the log again; `order_number` and `event` make a new one."""
        request_id = body.get("request_id")
        if isinstance(request_id, str):
            return self._simulator.pushes.resend(request_id).as_json()
        return self._simulator.push(_number(body), str(body.get("event") or "order.created")).as_json()

    def _revoke_tokens(self, _request: web.Request, body: Mapping[str, object]) -> Json:
        """`refresh`: the refresh tokens too."""
        self._simulator.tokens.revoke_all(refresh=bool(body.get("refresh")))
        return {}

    def _reset(self, _request: web.Request, _body: Mapping[str, object]) -> Json:
        self._simulator.reset()
        return {}


def _part(rows: Sequence[T], request: web.Request) -> Sequence[T]:
    """With `limit` the newest so many; with `offset` too, so many after the oldest `offset`: a page of the whole."""
    limit, offset = whole(request.query.get("limit", "")), whole(request.query.get("offset", ""))
    if offset is not None:
        return rows[max(offset, 0) :][: limit or len(rows)]
    return rows[-limit:] if limit else rows


def dump(config: SimulatorConfig) -> Json:
    """The configuration as JSON, without the long lists of the account."""
    values: Json = asdict(config)
    account = values["account"]
    if isinstance(account, dict):
        for long in ("locations", "products"):
            account.pop(long)
    return values


def merged(config: SimulatorConfig, changes: Mapping[str, object]) -> SimulatorConfig:
    """The configuration with some values changed.

    Raises:
        ValueError: Names the value that is wrong.
    """
    try:
        return _CONFIG.validate_python(_merged(asdict(config), changes, ""))
    except ValidationError as error:
        first = error.errors()[0]
        raise _BadRequestError(f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}") from None


def _merged(values: dict[str, object], changes: Mapping[str, object], where: str) -> dict[str, object]:
    made = dict(values)
    for key, change in changes.items():
        if key not in values:
            raise _BadRequestError(f"{where}{key}: no such option; there are {', '.join(values)}")
        old = values[key]
        if isinstance(old, dict) and isinstance(change, Mapping) and key not in _FREE:
            made[key] = _merged(old, change, f"{where}{key}.")
        else:
            made[key] = change
    return made


def _handler(work: Work) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def handle(request: web.Request) -> web.Response:
        origin = request.headers.get("Origin")
        if origin is not None and urlsplit(origin).netloc != request.host:
            return _json({"error": "another site may not control the simulator"}, 403)
        try:
            raw = await request.read()
            body = json.loads(raw) if raw else {}
            if not isinstance(body, dict):
                raise _BadRequestError("a JSON object is wanted")
            return _json(work(request, body))
        except (UnknownOrderError, NoNextStatusError) as error:
            return _json({"error": str(error)}, 404 if isinstance(error, LookupError) else 409)
        except LookupError as error:
            return _json({"error": str(error)}, 404)
        except ValueError as error:
            return _json({"error": str(error)}, 400)

    return handle


def _json(value: object, status: int = 200) -> web.Response:
    return web.json_response(value, status=status, dumps=lambda each: json.dumps(each, ensure_ascii=False))


def _number(body: Mapping[str, object]) -> str:
    number = body.get("order_number") or body.get("omisell_order_number")
    if not isinstance(number, str):
        raise _BadRequestError("order_number is wanted: the merchant's or Omisell's")
    return number


def _status(body: Mapping[str, object]) -> int | None:
    given = body.get("status_id")
    status_id = whole(given)
    if given is not None and (status_id is None or not 0 < status_id < 10_000):
        raise _BadRequestError("status_id: a whole number is wanted, such as 500")
    return status_id
