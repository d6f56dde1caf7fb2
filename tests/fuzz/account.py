"""The account whose answers are read."""

from omisync.config import OmisellSettings

ACCOUNT = OmisellSettings.model_validate(
    {
        "base_url": "http://127.0.0.1:1",
        "api_key": "k",
        "api_secret": "s",
        "seller_id": 77,
        "country": "VN",
        "shop_id": 1,
    }
)
