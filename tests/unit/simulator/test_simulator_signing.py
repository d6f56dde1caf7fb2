"""The Authorization header of pushes: values computed with OpenSSL."""

from omisync.simulator.signing import authorization

URL = "https://shop.example/webhooks/omisell"
BODY = b'{"event": "order.shipped"}'


def test_each_form() -> None:
    assert authorization("none", "s3cret", URL, BODY) is None
    assert authorization("token", "s3cret", URL, BODY) == "s3cret"
    assert (
        authorization("hmac-body", "s3cret", URL, BODY)
        == "a4449eadb60bf3179bc8039ab935125e2bdbae33b14f3989008d724c863e2fdb"
    )
    assert (
        authorization("hmac-url-body", "s3cret", URL, BODY)
        == "95099078fc2577fb668b4975ccf4922808bba33f2118814fc991d7bd9be72beb"
    )
