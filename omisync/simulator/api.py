"""Omisell's endpoints: what each call does and answers, without any HTTP."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from random import Random
from typing import Final, TypeAlias
from urllib.parse import urlencode

from omisync.simulator.account import Account, Product
from omisync.simulator.checks import check
from omisync.simulator.config import Live
from omisync.simulator.detail import detail, items_of, row
from omisync.simulator.envelope import Answer, Json, refusal
from omisync.simulator.faults import Faults
from omisync.simulator.ledger import Ledger
from omisync.simulator.life import CannotCancelError, Life
from omisync.simulator.locations import Location
from omisync.simulator.numbers import amount, whole
from omisync.simulator.orders import Order, OrderBook, Window
from omisync.simulator.statuses import is_cancelled, name_of
from omisync.simulator.tokens import TokenDesk


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call, taken apart."""

    endpoint: str
    url: str = ""
    """Scheme, host and path, for the links of lists."""
    query: Mapping[str, str]
    number: str = ""
    """Omisell's order number out of the path."""
    body: object = None
    """The JSON of the body."""

    @property
    def fields(self) -> Mapping[str, object]:
        """The body if it is an object, else nothing."""
        return self.body if isinstance(self.body, Mapping) else {}


Handler: TypeAlias = Callable[[Call], Answer]

_EXISTS: Final = {"en": "Order number {} already exists.", "vi": "Mã đơn hàng {} đã tồn tại."}


class Api:
    """All endpoints of the account.

    Args:
        live: The configuration.
        account: Shops, pickups, catalogue, locations.
        tokens: The tokens.
        book: The orders.
        life: Makes and cancels them.
        ledger: Where adds and cancels are counted.
        faults: Those about the content of answers.
        chance: How far pages drift.
    """

    def __init__(
        self,
        live: Live,
        account: Account,
        tokens: TokenDesk,
        book: OrderBook,
        life: Life,
        ledger: Ledger,
        faults: Faults,
        chance: Random,
    ) -> None:
        self._live = live
        self._account = account
        self._tokens = tokens
        self._book = book
        self._life = life
        self._ledger = ledger
        self._faults = faults
        self._chance = chance

    def token_get(self, call: Call) -> Answer:
        """Key and secret for a pair of tokens [doc-400887]."""
        account = self._live.config.account
        given = (call.fields.get("api_key"), call.fields.get("api_secret"))
        if given != (account.api_key, account.api_secret):
            return refusal(self._live.config.tokens.wrong_credentials_status, "Invalid api_key or api_secret.")
        return self._token(self._tokens.issue())

    def token_refresh(self, call: Call) -> Answer:
        """A refresh token for a new pair; either name of the body's key [omisell-api 2.2]."""
        data = self._tokens.refresh(call.fields.get("refresh") or call.fields.get("refresh_token"))
        if data is None:
            status = self._live.config.tokens.wrong_credentials_status
            return refusal(status, "Refresh token is invalid or expired.")
        return self._token(data)

    def _token(self, data: Json) -> Answer:
        return Answer(data=data, status=self._live.config.tokens.success_status, error_code=201, traced=False)

    def order_list(self, call: Call) -> Answer:
        """Headers of orders by window of change [omisell-api 4.1]; unknown parameters are ignored."""
        config = self._live.config
        query = call.query
        numbers: dict[str, int | None] = {}
        for wanted in ("shop_id", "updated_from", "updated_to", "external_created_from", "external_created_to"):
            text = query.get(wanted, "")
            numbers[wanted] = whole(text)
            if text and numbers[wanted] is None:
                return refusal(400, f"{wanted}: a whole number is wanted.", {wanted: ["A valid integer is required."]})
        window = Window(
            shop_id=numbers["shop_id"],
            updated_from=numbers["updated_from"],
            updated_to=numbers["updated_to"],
            created_from=numbers["external_created_from"],
            created_to=numbers["external_created_to"],
            statuses=frozenset(
                status for part in query.get("status", "").split(",") if (status := whole(part.strip())) is not None
            ),
            order_number=query.get("order_number") if config.lists.lookup_filter else None,
            half_open=config.lists.half_open,
            descending=config.lists.sort == "-updated_time",
        )

        def cut(offset: int, limit: int) -> tuple[int, list[Json]]:
            if offset and self._faults.strikes("page_drift", call.endpoint):
                offset = max(offset + self._chance.choice((-3, -2, -1, 1, 2, 3)), 0)
            count, found = self._book.page(window, offset, limit)
            return count, [row(order, state, config) for order, state in found]

        return self._page(call, cut)

    def order_detail(self, call: Call) -> Answer:
        """Everything about one order, by Omisell's number only [api-5183983]."""
        order = self._book.by_omisell(call.number)
        state = self._book.seen(order) if order else None
        if order is None or state is None:
            return refusal(404, "Order not found.")
        return Answer(data=detail(order, state, self._live.config, self._account))

    def order_add(self, call: Call) -> Answer:
        """A new order [guide]."""
        config = self._live.config
        body = call.body
        if not isinstance(body, Mapping):
            return self._refused("The body must be a JSON object.", None)
        number = body.get("order_number")
        known = isinstance(number, str) and self._book.named(number, whole(body.get("shop_id")))
        if known and config.orders.duplicates == "return_existing":
            self._ledger.adds_repeated[str(number)] += 1
            return self._added(known[0])
        faults = check(body, self._account, config.orders)
        if known and config.orders.duplicates == "reject" and "order_number" not in faults:
            faults["order_number"] = [_EXISTS[config.language].format(number)]
        for item in items_of(body):
            sku = str(item.get("sku"))
            if self._faults.strikes("refuse_sku", call.endpoint, value=sku):
                faults.setdefault("items", []).append(f"SKU {sku} cannot be ordered.")
        if faults:
            self._ledger.adds_refused[str(number)] += 1
            return self._refused("; ".join(why for field in faults.values() for why in field), faults)
        order = self._life.create(body, source="api")
        self._ledger.adds_applied[order.order_number] += 1
        return self._added(order)

    def _added(self, order: Order) -> Answer:
        data = detail(order, order.state, self._live.config, self._account)
        return Answer(data=[data] if self._live.config.orders.answer_as_list else data)

    def order_cancel(self, call: Call) -> Answer:
        """Cancel an order [guide]; a repeat on a cancelled one answers as the first. PROPOSED."""
        order = self._book.by_omisell(call.number)
        if order is None:
            return refusal(404, "Order not found.")
        if is_cancelled(order.status_id):
            self._ledger.cancels_repeated[order.order_number] += 1
        else:
            try:
                self._life.cancel(order)
            except CannotCancelError:
                self._ledger.cancels_refused[order.order_number] += 1
                name = name_of(order.status_id, self._live.config.language)
                return self._refused(f"Order cannot be cancelled in status {name}.", None)
            self._ledger.cancels_applied[order.order_number] += 1
        state = order.state
        return Answer(
            data={
                "order_number": order.order_number,
                "omisell_order_number": order.omisell_order_number,
                "status_id": state.status_id,
                "status_name": name_of(state.status_id, self._live.config.language),
                "updated_time": state.updated_time,
            }
        )

    def _refused(self, messages: str, attr_error: Mapping[str, list[str]] | None) -> Answer:
        return refusal(self._live.config.orders.refused_status, messages, attr_error, code=400)

    def shop_list(self, call: Call) -> Answer:
        """The account's shops [api-5380269]; `is_active=1` leaves out those that are not."""
        shops = self._account.shops.values()
        rows: list[Json] = [
            {
                "shop_id": shop.shop_id,
                "shop_name": shop.shop_name,
                "platform": shop.platform,
                "platform_name": shop.platform_name,
                "is_active": shop.is_active,
            }
            for shop in shops
            if shop.is_active or call.query.get("is_active") != "1"
        ]
        return self._rows(call, rows)

    def pickup_list(self, call: Call) -> Answer:
        """The account's warehouses [api-5188376]."""
        return self._rows(call, [asdict(pickup) for pickup in self._account.pickups.values()])

    def catalogue_list(self, call: Call) -> Answer:
        """What each shop offers [api-5741887]."""
        rows: list[Json] = [
            {
                "catalogue_id": 500_000 + shop_position * 10_000 + position,
                "sku": product.sku,
                "name": product.name,
                "price": product.price,
                "price_sale": product.price,
                "images": [],
                "platform": shop.platform,
                "shop_id": shop.shop_id,
                "shop_name": shop.shop_name,
                "external_id": product.sku,
                "status": 1,
                "status_name": "Active",
                "external_stock": 100,
                "variants": [],
            }
            for shop_position, shop in enumerate(self._account.shops.values())
            for position, product in enumerate(self._account.products.values(), 1)
        ]
        return self._rows(call, rows)

    def product_list(self, call: Call) -> Answer:
        """The products, tied to no shop [api-6492412]; fields PROPOSED."""
        rows: list[Json] = [
            {"id": position, **asdict(product)} for position, product in enumerate(self._account.products.values(), 1)
        ]
        return self._rows(call, rows)

    def product_add(self, call: Call) -> Answer:
        """A new product. All of it PROPOSED [api-10762725 unseen]."""
        sku, name = call.fields.get("sku"), call.fields.get("name")
        if not isinstance(sku, str) or not sku or not isinstance(name, str) or not name:
            return self._refused("sku and name are required.", {"sku": ["sku and name are required."]})
        if sku in self._account.products:
            return self._refused(f"SKU {sku} already exists.", {"sku": [f"SKU {sku} already exists."]})
        product = Product(sku, name, int(amount(call.fields.get("price"))), int(amount(call.fields.get("weight"))))
        self._account.products[sku] = product
        return Answer(data={"id": len(self._account.products), **asdict(product)})

    def provinces(self, call: Call) -> Answer:
        """All provinces. PROPOSED [omisell-api 5]."""
        return self._locations(call, self._account.locations.provinces, "")

    def districts(self, call: Call) -> Answer:
        """Districts, of one province if `province_id` is given. PROPOSED."""
        return self._locations(call, self._account.locations.districts, "province_id")

    def subdistricts(self, call: Call) -> Answer:
        """Subdistricts, of one district by `district_id`, or of a province that has no districts. PROPOSED."""
        key = "district_id" if "district_id" in call.query else "province_id"
        return self._locations(call, self._account.locations.subdistricts, key)

    def _locations(self, call: Call, found: list[Location], key: str) -> Answer:
        parent = whole(call.query.get(key, ""))
        return self._rows(call, [asdict(each) for each in found if parent is None or each.parent_id == parent])

    def _rows(self, call: Call, rows: list[Json]) -> Answer:
        return self._page(call, lambda offset, limit: (len(rows), rows[offset : offset + limit]))

    def _page(self, call: Call, cut: Callable[[int, int], tuple[int, list[Json]]]) -> Answer:
        """A page object [omisell-api 1.2]."""
        lists = self._live.config.lists
        page = whole(call.query.get("page", "1"))
        size = whole(call.query.get("page_size", str(lists.default_page_size)))
        if page is None or page < 1 or size is None or size < 1:
            return refusal(400, "page and page_size must be whole numbers from 1 on.")
        size = min(size, lists.max_page_size)
        offset = (page - 1) * size
        count, results = cut(offset, size)
        if offset and offset >= count and lists.beyond_end == "404":
            return refusal(404, "Invalid page.")

        def link(to: int) -> str:
            return f"{call.url}?{urlencode({**call.query, 'page': to})}"

        return Answer(
            data={
                "count": count,
                "next": link(page + 1) if offset + size < count else None,
                "previous": link(page - 1) if page > 1 else None,
                "results": results,
            }
        )
