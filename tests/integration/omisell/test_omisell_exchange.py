"""How a token is had: exchanged for the key, with a key that may change, or not at all."""

import json
from typing import Any

import pytest

from omisync.config import OmisellSettings
from omisync.omisell import StoredToken
from omisync.remote import OwnToken

DETAIL = b'{"data": {"omisell_order_number": "OD1", "order_number": "WEB-1", "status_id": 300}, "error": false}'
FRESH = b'{"data": {"token": "t.new", "expired_time": 4000000000}, "error": false, "error_code": 201}'


def http(body: bytes) -> bytes:
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\nConnection: close"
    return head.encode() + b"\r\n\r\n" + body


@pytest.mark.parametrize("scheme", ["Account", "Partner"])
async def test_a_static_key_is_sent_as_it_is_and_never_exchanged(desk: Any, client_of: Any, scheme: str) -> None:
    client = client_of(desk.server.url, auth_scheme=scheme)
    desk.server.will(http(DETAIL), http(DETAIL))
    await client.order_detail("OD1")
    await client.order_detail("OD1")
    assert [path for _, path, _, _ in desk.server.asked] == ["/api/v2/public/order/OD1"] * 2
    assert {headers["Authorization"] for _, _, headers, _ in desk.server.asked} == {f"{scheme} k_demo"}


async def test_a_key_replaced_while_running_is_used_at_the_next_exchange(desk: Any, client_of: Any) -> None:
    tokens = OwnToken()
    await tokens.save(StoredToken("t.old", 1, None, None, 0.0))  # at its end
    client = client_of(desk.server.url, tokens=tokens)
    client.replace_key(
        OmisellSettings.model_validate(
            {"base_url": desk.server.url, "api_key": "k_new", "api_secret": "s_new", "seller_id": 77}
            | {"country": "VN", "shop_id": 21001}
        )
    )
    desk.server.will(http(FRESH), http(DETAIL))
    await client.order_detail("OD1")
    assert json.loads(desk.server.asked[0][3]) == {"api_key": "k_new", "api_secret": "s_new"}
    assert desk.server.asked[1][2]["Authorization"] == "Omi t.new"
