"""The simulated account: credentials, shops, pickups, catalogue."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from omisync.simulator.locations import BUILT_IN, Locations, Nested


@dataclass(frozen=True, slots=True)
class Shop:
    """A sales channel. Only those of platform `custom` take Add Order."""

    shop_id: int
    shop_name: str
    platform: str = "custom"
    platform_name: str = "Custom"
    is_active: bool = True


@dataclass(frozen=True, slots=True)
class Pickup:
    """A warehouse."""

    id: int
    pickup_name: str
    address: str = ""


@dataclass(frozen=True, slots=True)
class Product:
    """Something that can be ordered; price in VND, weight in grams."""

    sku: str
    name: str
    price: int
    weight: int = 200


SHOPS: Final = (
    Shop(21001, "Cửa hàng Web"),
    Shop(21002, "Cửa hàng App"),
    Shop(21650, "Cửa hàng trên Shopee", "shopee", "Shopee"),
)

PICKUPS: Final = (
    Pickup(167, "Kho Hà Nội", "Số 1 phố Mẫu, Quận Cầu Giấy, Hà Nội"),
    Pickup(168, "Kho Sài Gòn", "Số 2 phố Mẫu, Quận 3, Hồ Chí Minh"),
)

PRODUCTS: Final = (
    Product("TEE-M", "Áo thun trơn, cỡ M", 120_000),
    Product("TEE-L", "Áo thun trơn, cỡ L", 120_000),
    Product("AO-DAI-DO-M", "Áo dài lụa đỏ, cỡ M", 890_000, 450),
    Product("AO-DAI-XANH-L", "Áo dài lụa xanh, cỡ L", 890_000, 480),
    Product("NON-LA-01", "Nón lá Huế", 85_000, 150),
    Product("CF-ROBUSTA-500", "Cà phê Robusta Buôn Ma Thuột 500 g", 135_000, 520),
    Product("CF-ARABICA-500", "Cà phê Arabica Cầu Đất 500 g", 210_000, 520),
    Product("CF-PHIN-NHOM", "Phin nhôm pha cà phê", 45_000, 180),
    Product("TRA-SEN-100", "Trà sen Tây Hồ 100 g", 320_000, 130),
    Product("TRA-OLONG-200", "Trà ô long Lâm Đồng 200 g", 165_000, 230),
    Product("NM-PQ-40N", "Nước mắm Phú Quốc 40 độ đạm, 500 ml", 98_000, 900),
    Product("MAT-ONG-U-MINH", "Mật ong rừng U Minh 500 ml", 275_000, 750),
    Product("HAT-DIEU-BP-500", "Hạt điều rang muối Bình Phước 500 g", 189_000, 520),
    Product("BANH-PIA-ST", "Bánh pía Sóc Trăng, hộp 4 cái", 72_000, 620),
    Product("GOM-BT-CHEN-06", "Bộ 6 chén gốm Bát Tràng", 240_000, 1800),
    Product("GOM-BT-BINH-01", "Bình hoa gốm Bát Tràng", 420_000, 2100),
    Product("KHAN-LUA-VP", "Khăn lụa Vạn Phúc", 350_000, 120),
    Product("TUI-COI-KS", "Túi cói Kim Sơn", 155_000, 400),
    Product("DEP-TONG-41", "Dép tông nam, số 41", 69_000, 350),
    Product("SON-LI-DO-02", "Son lì màu đỏ gạch", 179_000, 60),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountConfig:
    """What the account has at the start. Credentials do not show in repr."""

    seller_id: int = 77
    country: str = "VN"
    api_key: str = field(default="k_demo", repr=False)
    api_secret: str = field(default="s_demo", repr=False)
    account_key: str | None = field(default=None, repr=False)
    """For scheme `Account` [doc-400887]; None: not offered."""
    partner_key: str | None = field(default=None, repr=False)
    """For scheme `Partner`, which wants Seller-ID and Country besides; None: not offered."""
    shops: tuple[Shop, ...] = SHOPS
    pickups: tuple[Pickup, ...] = PICKUPS
    products: tuple[Product, ...] = PRODUCTS
    locations: Nested = field(default_factory=lambda: BUILT_IN, repr=False)


class Account:
    """The account as it stands: products can be added.

    Args:
        config: What it begins with.
    """

    def __init__(self, config: AccountConfig) -> None:
        self.courier_names = ("Giao Hàng Mẫu", "Demo Express")
        self.reset(config)

    def reset(self, config: AccountConfig) -> None:
        """Begin anew."""
        self.shops = {shop.shop_id: shop for shop in config.shops}
        self.pickups = {pickup.id: pickup for pickup in config.pickups}
        self.products = {product.sku: product for product in config.products}
        self.locations = Locations(config.locations)

    def custom_shops(self) -> Iterator[Shop]:
        """Those that take Add Order."""
        return (shop for shop in self.shops.values() if shop.platform == "custom")
