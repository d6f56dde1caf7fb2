"""Believable orders, for those made at Omisell itself."""

import random
from typing import Final

from omisync.simulator.account import Account
from omisync.simulator.envelope import Json

_NAMES: Final = ("Nguyễn Thị An", "Trần Văn Bình", "Lê Thu Hà", "Phạm Minh Khôi", "Đặng Ngọc Lan", "Vũ Quốc Nam")
_STREETS: Final = ("Lê Lợi", "Hai Bà Trưng", "Nguyễn Trãi", "Trần Phú", "Quang Trung")


def sample_body(chance: random.Random, account: Account) -> Json:
    """An Add Order body with one to three lines, but no order_number; all people are invented."""
    place = account.locations[chance.randrange(len(account.locations))]
    products = chance.sample(list(account.products.values()), k=min(chance.choice((1, 1, 2, 3)), len(account.products)))
    return {
        "shop_id": next(account.custom_shops()).shop_id,
        "pickup_id": next(iter(account.pickups)),
        "shipping_fee": chance.choice((0, 16_000, 30_000)),
        "receiver": {
            "fullname": chance.choice(_NAMES),
            "phone": f"+8490000{chance.randrange(10_000):04d}",
            "email": "",
            "address": f"{chance.randrange(1, 300)} {chance.choice(_STREETS)}",
            "country": "VN",
            "zip_code": "",
            "province_name": place.province,
            "district_name": place.district,
            "subdistrict_name": place.subdistrict,
        },
        "payment_information": {"payment_type": 1, "payment_status": 100},
        "items": [
            {
                "sku": product.sku,
                "quantity": chance.choice((1, 1, 2)),
                "original_price": product.price,
                "discounted_price": product.price,
            }
            for product in products
        ],
    }
