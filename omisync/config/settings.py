"""Settings: every section and key of the configuration, with its default and its own rules."""

from __future__ import annotations

import datetime
import warnings
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    StrictBool,
    ValidationInfo,
    field_validator,
)

from omisync.config.values import (
    BaseUrl,
    CallbackUrl,
    Clock,
    Count,
    Country,
    Dsn,
    Duration,
    FileName,
    FunctionName,
    Hours,
    Identity,
    Listen,
    ListenAddress,
    Networks,
    OffPeak,
    OrderPath,
    Part,
    Proxies,
    Rate,
    ReceiverUrl,
    SchemaName,
    SellerId,
    Share,
    Size,
    UrlPath,
    Word,
    refuse,
)

DAY = 86400.0
"""Seconds."""

Authorization = Literal["auto", "token", "hmac-url-body", "hmac-body", "none"]


class Section(BaseModel):
    """What all sections share: nothing unknown, nothing changed after loading, no value in an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, validate_default=False)


def _secret(value: Any) -> SecretStr:
    if isinstance(value, SecretStr):
        return value
    if isinstance(value, str):
        if any(ord(character) < 32 for character in value):
            raise refuse("a secret is one line without control characters")
        return SecretStr(value)
    raise refuse("expected a text in quotes")


def _secrets(value: Any) -> tuple[SecretStr, ...]:
    items = value if isinstance(value, list | tuple) else [value]
    found = tuple(_secret(item) for item in items)
    if not all(item.get_secret_value().strip() for item in found):
        raise refuse("has an empty entry: remove it")
    return found


Secret = Annotated[SecretStr, BeforeValidator(_secret)]
Secrets = Annotated[tuple[SecretStr, ...], BeforeValidator(_secrets)]

with warnings.catch_warnings():
    # The contract calls the key `schema`; what it shadows is a classmethod that pydantic deprecated in 2.0.
    warnings.filterwarnings("ignore", message='Field name "schema"', category=UserWarning)

    class DatabaseSettings(Section):
        """The merchant's Postgres."""

        dsn: Dsn
        schema: SchemaName = "omisync"  # type: ignore[assignment] # see above
        pool_size: Count = 8


class OmisellPaths(Section):
    """Omisell's paths, for an account where one differs [guide], [code: x], PROPOSED for the locations."""

    token_get: UrlPath = "/api/v2/auth/token/get/"  # noqa: S105 (a path)
    token_refresh: UrlPath = "/api/v2/auth/token/refresh/"  # noqa: S105 (a path)
    order_add: UrlPath = "/api/v2/public/order/add"
    order_list: UrlPath = "/api/v2/public/order/list"
    order_detail: OrderPath = "/api/v2/public/order/{omisell_order_number}"
    order_cancel: OrderPath = "/api/v2/public/order/{omisell_order_number}/cancel"
    shop_list: UrlPath = "/api/v2/public/shop/list"
    pickup_list: UrlPath = "/api/v2/public/pickup/list"
    catalogue_list: UrlPath = "/api/v2/public/catalogue/list"
    product_list: UrlPath = "/api/v2/public/product/list"
    product_add: UrlPath = "/api/v2/public/product/add"
    provinces: UrlPath = "/api/v2/public/location/provinces"
    districts: UrlPath = "/api/v2/public/location/districts"
    subdistricts: UrlPath = "/api/v2/public/location/subdistricts"


class OmisellShares(Section):
    """The least part of the budget for each class of calls while it waits; tokens and cancels go first anyway."""

    add: Share = 0.1
    refresh: Share = 0.1
    sweep: Share = Field(default=0.02, validate_default=True)

    @field_validator("sweep")
    @classmethod
    def _something_is_left(cls, value: float, info: ValidationInfo) -> float:
        if value + info.data.get("add", 0.0) + info.data.get("refresh", 0.0) >= 1:
            raise refuse("makes the shares 1 or more together: leave a part of the budget for tokens and cancels")
        return value


class OmisellSettings(Section):
    """One Omisell account and one custom store in it."""

    base_url: BaseUrl = "https://api.omisell.com"
    api_key: Secret
    api_secret: Secret
    seller_id: SellerId
    country: Country
    shop_id: Identity
    pickup_id: Identity | None = None
    timeout: Duration = 60.0
    bucket_size: Count = 100
    leak_per_minute: Rate = 100
    auth_scheme: Word = "Omi"
    refresh_key: Word = "refresh"
    lookup_filter: Word | None = None
    page_size: Count = 100
    cancel_reason_key: Word = "cancel_reason"
    paths: OmisellPaths = OmisellPaths()
    shares: OmisellShares = OmisellShares()

    def url(self, path: str) -> str:
        """The whole address of one of `paths`."""
        return self.base_url.rstrip("/") + path


class ChecksSettings(Section):
    """What is looked at before an order is sent.

    By default faults are reported and nothing is changed or kept back: what Omisell's lists hold, and how strictly it
    goes by them, was never seen [omisell-api 5]. A check that is wrong must not stop an order that Omisell would take.
    """

    addresses: Literal["fix", "report", "off"] = "report"
    phones: Literal["fix", "report", "off"] = "report"
    skus: Literal["hold", "report", "off"] = "report"
    create_products: StrictBool = False
    product_function: FunctionName | None = Field(default=None, validate_default=True)
    refresh: Duration = 3600.0
    refresh_locations: Duration = 7 * 86400.0

    @field_validator("product_function")
    @classmethod
    def _products_come_from_somewhere(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is None and info.data.get("create_products"):
            raise refuse(
                "is missing: checks.create_products = true takes the product from a SQL function of yours, "
                'such as "shop.omisell_product"'
            )
        return value


class WebhookSettings(Section):
    """The listener that Omisell pushes to."""

    listen: ListenAddress = Listen("127.0.0.1", 8080)
    path: UrlPath = "/webhooks/omisell"
    authorization: Authorization = "auto"
    secret: Secrets = Field(default=(), validate_default=True)
    callback_url: CallbackUrl | None = Field(default=None, validate_default=True)
    max_body: Size = 256 * 1024
    tls_cert: FileName | None = None
    tls_key: FileName | None = Field(default=None, validate_default=True)
    trusted_proxies: Proxies = ()
    allow: Networks = ()

    @field_validator("secret")
    @classmethod
    def _secret_is_there(cls, value: tuple[SecretStr, ...], info: ValidationInfo) -> tuple[SecretStr, ...]:
        if not value and info.data.get("authorization", "none") != "none":
            raise refuse(
                "is missing: put in the secret that Omisell's webhook settings hold "
                '(or set webhook.authorization = "none" if pushes carry none)'
            )
        return value

    @field_validator("callback_url")
    @classmethod
    def _signed_url_is_known(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is None and info.data.get("authorization") == "hmac-url-body":
            raise refuse(
                'is missing: webhook.authorization = "hmac-url-body" signs the public URL, '
                'so write it down, such as "https://shop.example/webhooks/omisell"'
            )
        return value

    @field_validator("tls_key")
    @classmethod
    def _certificate_and_key_come_together(cls, value: str | None, info: ValidationInfo) -> str | None:
        if "tls_cert" not in info.data:
            return value  # which was refused itself
        certificate = info.data["tls_cert"]
        if value is None and certificate is not None:
            raise refuse("is missing: webhook.tls_cert is set, so name the file of its private key as well")
        if value is not None and certificate is None:
            raise refuse("is set without webhook.tls_cert: name the file of the certificate with its chain as well")
        return value


class OutboxSettings(Section):
    """How rows are sent."""

    concurrency: Count = 16
    poll_interval: Duration = 0.1
    notify: StrictBool = False
    max_attempts: Count = 12
    backoff_base: Duration = 2.0
    backoff_cap: Duration = 600.0
    settle: Duration = 30.0
    retention: Duration = 90 * 86400.0

    @field_validator("backoff_cap")
    @classmethod
    def _cap_is_above_base(cls, value: float, info: ValidationInfo) -> float:
        if value < info.data.get("backoff_base", value):
            raise refuse("is shorter than outbox.backoff_base: make it at least as long")
        return value


class ReconcileSettings(Section):
    """The sweeps; `full_at` is in the machine's local time."""

    interval: Duration = 600.0
    overlap: Duration = 600.0
    full_at: Clock = datetime.time(3, 30)


class PrivacySettings(Section):
    """How long buyers' data stays after an order's end: half a year covers returns, claims and a quarter's accounts."""

    keep: Duration = 180 * 86400.0


class RetentionSettings(Section):
    """How long what is finished with stays, but for the outbox (`outbox.retention`), and when it is removed."""

    hours: OffPeak = Hours(datetime.time(1), datetime.time(6))
    pushes: Duration = 30 * 86400.0
    events: Duration | None = None

    @field_validator("pushes", "events")
    @classmethod
    def _a_day_stays(cls, value: float | None) -> float | None:
        if value is not None and value < DAY:
            raise refuse(
                'is too short: a push may be repeated for hours, and the admin page shows a day; at least "1d"'
            )
        return value


class HooksSettings(Section):
    """The merchant's own SQL function."""

    on_change: FunctionName | None = None
    timeout: Duration = 5.0


class AdminSettings(Section):
    """Status page, health and metrics."""

    listen: ListenAddress = Listen("127.0.0.1", 8081)
    token: Secret | None = Field(default=None, validate_default=True)

    @field_validator("token")
    @classmethod
    def _open_page_is_guarded(cls, value: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        listen = info.data.get("listen")
        if value is None and listen is not None and not listen.is_loopback:
            raise refuse(
                "is missing: admin.listen can be reached from other machines, so set a token "
                '(or listen on "127.0.0.1:8081")'
            )
        return value


class DaemonSettings(Section):
    """The process itself."""

    grace: Duration = 25.0


class LogSettings(Section):
    """What is logged, and how."""

    format: Literal["auto", "console", "json"] = "auto"
    level: Literal["debug", "info", "warning", "error"] = "info"


class TracesSettings(Section):
    """OpenTelemetry, for who has it; needs the extra `otel`."""

    endpoint: ReceiverUrl | None = None
    sample: Part = 1.0


class Settings(Section):
    """The whole configuration, checked. Made by `load_settings`; its repr shows no secret."""

    database: DatabaseSettings
    omisell: OmisellSettings
    webhook: WebhookSettings
    outbox: OutboxSettings = OutboxSettings()
    checks: ChecksSettings = ChecksSettings()
    reconcile: ReconcileSettings = ReconcileSettings()
    privacy: PrivacySettings = PrivacySettings()
    retention: RetentionSettings = RetentionSettings()
    hooks: HooksSettings = HooksSettings()
    admin: AdminSettings = AdminSettings()
    daemon: DaemonSettings = DaemonSettings()
    log: LogSettings = LogSettings()
    traces: TracesSettings = TracesSettings()
