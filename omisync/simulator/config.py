"""Every option of the simulator; the defaults are those proposed in omisell-api.md."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from omisync.simulator.account import AccountConfig

DuplicateMode = Literal["reject", "return_existing", "create_second"]
PushForm = Literal["token", "hmac-url-body", "hmac-body", "none"]
PushCategory = Literal["order", "shipment", "return"]


@dataclass(frozen=True, slots=True, kw_only=True)
class BucketConfig:
    """The rate limit [doc-968943; omisell-api 3]."""

    size: float = 100
    """Calls the bucket holds."""
    leak_per_minute: float = 100
    """Calls that leak out of it in a minute. The page also speaks of four a second: 240."""
    scope: Literal["account", "shop"] = "account"
    """One bucket for the account, or one for each shop (calls that name no shop share the account's)."""
    count_tokens: bool = True
    """Whether token calls are counted. PROPOSED."""
    header_on_errors: bool = True
    """Whether error answers, 429 included, carry X-Omisell-Api-Call-Limit. PROPOSED."""
    throttle_status: Literal[429, 200] = 429
    """The HTTP status of a throttled answer; its body is the same [CONFLICT]."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenConfig:
    """Access and refresh tokens [doc-400887; omisell-api 2]."""

    lifetime: float = 86_400
    """Seconds that an access token lives."""
    refresh_lifetime: float = 1_209_600
    """Seconds that its refresh token outlives it: 14 days in the documented sample."""
    omit_expired_time: bool = False
    """Leave expired_time out of the answer, as was suspected in production [code: frappe]."""
    single_use_refresh: bool = False
    """Whether a refresh token is void once it was used."""
    invalidate_previous: bool = False
    """Whether a new access token voids all earlier ones."""
    wrong_credentials_status: Literal[400, 401, 403] = 401
    """What a wrong key or secret, or a void refresh token, is answered with. UNKNOWN; PROPOSED."""
    rejected_status: Literal[401, 403] = 401
    """What a call with a wrong or expired token is answered with."""
    success_status: int = 201
    """The HTTP status of a new token; error_code is 201 in the documented sample."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListConfig:
    """Lists of all kinds, and what is special about the list of orders [omisell-api 1.2, 4.1]."""

    default_page_size: int = 20
    max_page_size: int = 100
    """A larger page_size is cut down to this."""
    beyond_end: Literal["404", "empty"] = "404"
    """What a page beyond the last one is answered with."""
    lag: tuple[float, float] = (0.0, 5.0)
    """Seconds, at least and at most, until a change shows in the list of orders."""
    half_open: bool = False
    """Whether the upper bound of a window is exclusive; inclusive otherwise."""
    lookup_filter: bool = False
    """Whether `order_number` filters the list; ignored otherwise, so everything is returned."""
    sort: Literal["-updated_time", "updated_time"] = "-updated_time"
    """Newest change first, or last. UNKNOWN; PROPOSED."""
    extra_fields: bool = False
    """Whether rows of orders also carry shop_id and platform."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderConfig:
    """Add Order, Get Order Detail and Cancel Order [guide; omisell-api 4]."""

    duplicates: DuplicateMode = "reject"
    """What Add Order does with an order number that the shop has used."""
    check_skus: bool = True
    """Refuse SKUs that are not in the catalogue."""
    check_addresses: bool = True
    """Refuse provinces, districts and subdistricts that are not in the location lists."""
    required: tuple[str, ...] = ("order_number", "shop_id", "items")
    """Fields without which Add Order refuses. UNKNOWN; PROPOSED."""
    answer_as_list: bool = False
    """Put the added order into an array of one instead of an object."""
    refused_status: int = 400
    """The HTTP status of a business refusal; 200 sends the same body, `error: true`, with HTTP 200."""
    cancel_status: int = 700
    """Where a cancelled order goes."""
    cancel_pending: float = 0
    """Seconds (times clock_factor) that a cancelled order spends in 370 before; 0: none."""
    detail_lag: tuple[float, float] = (0.0, 0.0)
    """Seconds, at least and at most, until a change shows in the detail."""
    strict_time: bool = True
    """Whether each change gets a later updated_time than the one before, also within one second."""
    parcel_units: int = 10
    """More pieces than this are split into several parcels."""


def _life() -> Mapping[int, float]:
    return {200: 60, 250: 120, 300: 120, 350: 180, 400: 600, 460: 900, 500: 1200, 600: 1800}


@dataclass(frozen=True, slots=True, kw_only=True)
class LifeConfig:
    """The life of an order by itself."""

    automatic: bool = False
    """Whether orders go on by themselves."""
    delays: Mapping[int, float] = field(default_factory=_life)
    """Seconds (times clock_factor) that an order stays in a status."""
    jitter: float = 0.5
    """Share by which each delay is longer or shorter by chance."""
    return_rate: float = 0.0
    """Share of orders that come back instead of being completed."""
    late_return_rate: float = 0.0
    """Share of completed orders that come back after all, after receive_after."""
    cancel_rate: float = 0.0
    """Share of orders that Omisell's side cancels instead of packing them."""
    skip_rate: float = 0.0
    """Share of steps at which an order jumps over a status that pushes nothing."""
    reconcile_after: float | None = None
    """Seconds (times clock_factor) after completion until order.reconciled; None: never."""
    receive_after: float | None = 600
    """Seconds (times clock_factor) after a return until order.return_receive; None: never."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PushConfig:
    """Webhooks [guide; omisell-api 6]."""

    callback_url: str | None = None
    """Where pushes go; None: nowhere, they are only logged."""
    registered_url: str | None = None
    """The URL that `hmac-url-body` signs, where it is another than callback_url (behind a proxy)."""
    secret: str = field(default="push-secret", repr=False)
    """As typed into the Console."""
    authorization: PushForm = "token"
    categories: tuple[PushCategory, ...] = ("order",)
    """Which types are switched on in the Console. The events of `shipment` and `return` are PROPOSED."""
    timeout: float = 3.0
    """Seconds that a receiver has to answer [sibling: boxme doc-393648]."""
    retries: tuple[float, ...] = (300.0, 600.0, 1200.0, 2400.0, 4800.0)
    """Seconds (times clock_factor) between one try and the next [guide]."""
    concurrency: int = 8
    """Pushes under way at a time."""
    log_size: int = 2000
    """Settled pushes kept for the log."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PathConfig:
    """Paths that the documents do not name; all PROPOSED [omisell-api 5]."""

    provinces: str = "/api/v2/public/location/provinces"
    districts: str = "/api/v2/public/location/districts"
    subdistricts: str = "/api/v2/public/location/subdistricts"
    product_add: str = "/api/v2/public/product/add"


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatorConfig:
    """A whole simulated Omisell."""

    account: AccountConfig = field(default_factory=AccountConfig)
    bucket: BucketConfig = field(default_factory=BucketConfig)
    tokens: TokenConfig = field(default_factory=TokenConfig)
    lists: ListConfig = field(default_factory=ListConfig)
    orders: OrderConfig = field(default_factory=OrderConfig)
    life: LifeConfig = field(default_factory=LifeConfig)
    push: PushConfig = field(default_factory=PushConfig)
    paths: PathConfig = field(default_factory=PathConfig)
    language: Literal["en", "vi"] = "en"
    """Of all `*_name` fields and messages."""
    stringly: bool = False
    """Send the numbers in `data` as strings."""
    compress: bool = False
    """Compress answers for callers that accept it, by gzip or deflate."""
    clock_factor: float = 1.0
    """What push retries, automatic life and pending cancellations are multiplied by: 0.01 makes 5 min 3 s."""
    clock_offset: float = 0.0
    """Seconds that Omisell's clock is ahead of the machine's."""
    seed: int | None = None
    """Of everything that is left to chance; None: another each time."""
    faults: Mapping[str, object] = field(default_factory=dict)
    """Faults switched on from the start, in the form of PATCH /control/faults."""


@dataclass(slots=True)
class Live:
    """The configuration of this moment: `/control/config` may put another in its place."""

    config: SimulatorConfig
