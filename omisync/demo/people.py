"""Believable orders of a Vietnamese web shop: people, addresses, goods, payment; all invented."""

import random
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

Payment = Literal["cod", "card"]

_FAMILY: Final = (
    "Nguyễn",
    "Trần",
    "Lê",
    "Phạm",
    "Hoàng",
    "Phan",
    "Vũ",
    "Đặng",
    "Bùi",
    "Đỗ",
    "Hồ",
    "Ngô",
    "Dương",
    "Lý",
)
_MIDDLE: Final = ("Thị", "Văn", "Minh", "Ngọc", "Hữu", "Thanh", "Quốc", "Thu", "Đức", "Kim", "Gia", "Hoài")
_GIVEN: Final = (
    *("An", "Bình", "Châu", "Dũng", "Giang", "Hà", "Hương", "Khánh", "Lan", "Linh", "Long", "Mai", "Nam"),
    *("Nga", "Nhung", "Phúc", "Quân", "Sơn", "Thảo", "Trang", "Tuấn", "Uyên", "Vân", "Yến"),
)
_STREETS: Final = (
    *("Lê Lợi", "Trần Hưng Đạo", "Nguyễn Trãi", "Hai Bà Trưng", "Lý Thường Kiệt", "Phan Đình Phùng"),
    *("Nguyễn Huệ", "Điện Biên Phủ", "Hùng Vương", "Quang Trung", "Võ Thị Sáu", "Hoàng Diệu"),
)
_NOTES: Final = (
    "",
    "",
    "",
    "",
    "Giao giờ hành chính",
    "Gọi trước khi giao",
    "Gói quà giúp em",
    "Để ở bảo vệ tòa nhà",
)
_REASONS: Final = ("Khách đổi ý", "Đặt trùng đơn", "Khách muốn đổi màu", "Sai địa chỉ nhận hàng")

COD_SHARE: Final = 0.65
"""Most parcels in Vietnam are paid at the door."""


@dataclass(frozen=True, slots=True)
class Product:
    """One thing on the shelf; price in VND."""

    sku: str
    name: str
    price: int


@dataclass(frozen=True, slots=True)
class Place:
    """Where a parcel can go, in Omisell's own spelling."""

    province: str
    district: str
    subdistrict: str


@dataclass(frozen=True, slots=True)
class Customer:
    """Who ordered. Never shown: repr hides it all."""

    fullname: str
    phone: str
    email: str
    address: str
    place: Place

    def __repr__(self) -> str:
        return "Customer(…)"


@dataclass(frozen=True, slots=True)
class Line:
    """One line of an order; `price` a piece in VND."""

    product: Product
    quantity: int
    price: int


@dataclass(frozen=True, slots=True)
class Order:
    """An order as the shop has it."""

    order_number: str
    customer: Customer
    lines: tuple[Line, ...]
    payment: Payment
    shipping_fee: int
    note: str

    def payload(self) -> Mapping[str, object]:
        """Omisell's Add Order body [guide; receiver's and items' keys PROPOSED].

        `shop_id`, `pickup_id` and `created_time` are left out: omisync fills them in.
        """
        customer = self.customer
        return {
            "order_number": self.order_number,
            "shipping_fee": self.shipping_fee,
            "order_note": self.note,
            "receiver": {
                "fullname": customer.fullname,
                "phone": customer.phone,
                "email": customer.email,
                "address": customer.address,
                "country": "VN",
                "zip_code": "",
                "province_name": customer.place.province,
                "district_name": customer.place.district,
                "subdistrict_name": customer.place.subdistrict,
            },
            "payment_information": (
                {"payment_type": 1, "payment_status": 100}
                if self.payment == "cod"
                else {"payment_type": 3, "payment_status": 200}
            ),
            "items": [
                {
                    "sku": line.product.sku,
                    "quantity": line.quantity,
                    "original_price": line.product.price,
                    "discounted_price": line.price,
                }
                for line in self.lines
            ],
        }


def orders(seed: int, products: Sequence[Product], places: Sequence[Place]) -> Iterator[Order]:
    """Invent orders without end; the same seed gives the same ones.

    Telephone numbers are from a block of zeros and e-mail addresses from example.com: nobody's.
    """
    source = random.Random(seed)  # noqa: S311 - invented shoppers, no secret
    number = 1000
    while True:
        number += 1
        yield _order(source, f"WEB-{number}", products, places)


def change_of_mind(source: random.Random) -> str:
    """Why a shopper cancels."""
    return source.choice(_REASONS)


def _order(source: random.Random, number: str, products: Sequence[Product], places: Sequence[Place]) -> Order:
    chosen = source.sample(products, k=min(len(products), source.choice((1, 1, 1, 2, 2, 3))))
    lines = tuple(
        Line(
            product,
            source.choice((1, 1, 1, 2, 3)),
            round(product.price * source.choice((1, 1, 0.9, 0.8)) / 1000) * 1000,
        )
        for product in chosen
    )
    return Order(
        order_number=number,
        customer=_customer(source, source.choice(places)),
        lines=lines,
        payment="cod" if source.random() < COD_SHARE else "card",
        shipping_fee=source.choice((0, 16000, 22000, 30000)),
        note=source.choice(_NOTES),
    )


def _customer(source: random.Random, place: Place) -> Customer:
    family, middle, given = source.choice(_FAMILY), source.choice(_MIDDLE), source.choice(_GIVEN)
    return Customer(
        fullname=f"{family} {middle} {given}",
        phone=f"+8490000{source.randrange(10_000):04d}",
        email=f"{_plain(given)}.{_plain(family)}{source.randrange(100):02d}@example.com",
        address=f"{source.randrange(1, 400)} {source.choice(_STREETS)}",
        place=place,
    )


def _plain(word: str) -> str:
    folded = unicodedata.normalize("NFD", word.replace("Đ", "D").replace("đ", "d"))
    return "".join(sign for sign in folded if not unicodedata.combining(sign)).lower()
