"""The webhook listener over HTTP: every answer of the contract."""

import asyncio
import gzip
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from omisync.omisell.authorization import Authorizer, sign
from omisync.repeats import Repeats
from omisync.store.errors import StoreError, StoreUnavailable
from omisync.web import Replaceable

SECRET = "kho-bí-mật-1"
URL = "https://shop.example/hook"

GUIDE_SAMPLE = b"""{
"data": {
"updated_time": 1719638400,
"order_number": "ORD-2024-0001",
"omisell_order_number": "OMI-XXXXX",
"status_id": "500",
"status_name": "Shipped",
"is_fulfilled": true,
"created_time": "1719638000"
},
"event": "order.shipped",
"shop_id": 12345,
"seller_id": 99999,
"platform": "custom",
"timestamp": 1719638401,
"request_id": "xxxx"
}"""

Start = Callable[..., Awaitable[Any]]


def changed(**data: object) -> bytes:
    push = json.loads(GUIDE_SAMPLE)
    push["data"].update(data)
    return json.dumps(push).encode()


async def test_the_guides_sample_is_stored_byte_for_byte_and_answered_200(listener: Start) -> None:
    web = await listener()
    status, text, headers = await web.post(GUIDE_SAMPLE)
    assert (status, text) == (200, '{"ok": true}')
    assert headers["Content-Type"] == "application/json"
    assert headers["Date"].endswith(" GMT")
    assert "Server" not in headers
    (kept,) = web.inbox.deliveries
    assert kept.body == GUIDE_SAMPLE
    assert (kept.event, kept.category, kept.handled) == ("order.shipped", "order", True)
    assert (kept.request_id, kept.order_number, kept.omisell_order_number) == ("xxxx", "ORD-2024-0001", "OMI-XXXXX")
    assert (kept.status_id, kept.updated_time, kept.shop_id) == (500, 1719638400, 12345)
    assert kept.authorization == "token"


async def test_a_repeat_is_200_and_says_so(listener: Start) -> None:
    web = await listener()
    await web.post(GUIDE_SAMPLE)
    status, text, _ = await web.post(GUIDE_SAMPLE)
    assert (status, text) == (200, '{"ok": true, "repeat": true}')
    assert len(web.inbox.deliveries) == 1


@pytest.mark.parametrize("form", ["token", "hmac-url-body", "hmac-body"])
async def test_each_authorization_form_is_known_and_kept(listener: Start, form: str) -> None:
    web = await listener()
    status, _, _ = await web.post(GUIDE_SAMPLE, sign(form, SECRET, GUIDE_SAMPLE, URL))
    assert status == 200
    assert web.inbox.deliveries[0].authorization == form


async def test_with_authorization_none_no_header_is_asked_for(listener: Start) -> None:
    web = await listener(authorizer=Authorizer("none", []))
    status, _, _ = await web.post(GUIDE_SAMPLE, None)
    assert status == 200
    assert web.inbox.deliveries[0].authorization == "none"


@pytest.mark.parametrize("header", [None, "", "wrong", "Bearer wrong", "\udcff\udcfe", "a" * 4000])
async def test_without_proof_it_is_401_and_nothing_is_stored(
    listener: Start, header: str | None, connect: Start
) -> None:
    web = await listener()
    raw = await connect(web.server)
    line = b"" if header is None else b"Authorization: " + header.encode("utf-8", "surrogateescape") + b"\r\n"
    await raw.send(
        b"POST /webhooks/omisell HTTP/1.1\r\nHost: x\r\n" + line + b"Content-Length: %d\r\n\r\n" % len(GUIDE_SAMPLE)
    )
    await raw.send(GUIDE_SAMPLE)
    head = await raw.head()
    assert head.startswith("HTTP/1.1 401 Unauthorized\r\n")
    assert await raw.body(head) == b'{"ok": false, "error": "the Authorization header is missing or wrong"}'
    assert web.inbox.deliveries == []


async def test_a_signature_of_another_body_is_401(listener: Start) -> None:
    web = await listener()
    forged = sign("hmac-url-body", SECRET, GUIDE_SAMPLE, URL)
    status, _, _ = await web.post(changed(status_id="900"), forged)
    assert status == 401
    assert web.inbox.deliveries == []


async def test_secrets_can_be_exchanged_while_it_runs(listener: Start) -> None:
    authorizer = Replaceable(Authorizer("token", ["old"]))
    web = await listener(authorizer=authorizer)
    assert (await web.post(GUIDE_SAMPLE, "old"))[0] == 200
    authorizer.replace(Authorizer("token", ["new"]))
    assert (await web.post(GUIDE_SAMPLE, "old"))[0] == 401
    assert (await web.post(GUIDE_SAMPLE, "new"))[0] == 200


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b"", "body"),
        (b"not json", "body"),
        (b"[]", "body"),
        (b'"text"', "body"),
        (b"null", "body"),
        (b"\xff\xfe{}", "body"),
        (b'{"a": NaN}', "body"),
        (b'{"a": ' + b"9" * 5000 + b"}", "body"),
        (b"[" * 100_000, "body"),
        (b'{"a":' * 20_000 + b"1" + b"}" * 20_000, "body"),
        (changed(status_id="shipped"), "data.status_id"),
        (changed(status_id=[500]), "data.status_id"),
        (changed(updated_time="yesterday"), "data.updated_time"),
        (changed(order_number=17), "data.order_number"),
        (json.dumps({"event": "order.shipped", "data": "x"}).encode(), "data"),
    ],
)
async def test_what_is_no_push_is_400_and_the_field_is_named(listener: Start, body: bytes, field: str) -> None:
    web = await listener()
    status, text, _ = await web.post(body)
    answer = json.loads(text)
    assert (status, answer["ok"], answer["field"]) == (400, False, field)
    assert answer["error"].startswith(field + ": ")
    assert "Traceback" not in text
    assert web.inbox.deliveries == []
    assert (await web.post(GUIDE_SAMPLE))[0] == 200


@pytest.mark.parametrize(
    "body",
    [
        changed(order_number="A\0B", omisell_order_number="OMI\0X"),
        changed(status_id=2**70),
        changed(status_name="\ud800"),
        GUIDE_SAMPLE.replace(b'"seller_id": 99999', b'"seller_id": 1e400'),
        b'{"event": "order.shipped", "event": "order.completed", "data": {"order_number": "1"}}',
    ],
)
async def test_what_is_odd_is_answered_within_the_contract(listener: Start, body: bytes) -> None:
    web = await listener()
    status, _, _ = await web.post(body)
    assert status in {200, 400}
    for kept in web.inbox.deliveries:
        assert "\0" not in (kept.order_number or "") + (kept.omisell_order_number or "")
        assert kept.status_id is None or kept.status_id < 2**63


@pytest.mark.parametrize(
    "body",
    [
        b"{}",
        b'{"event": "order.invented", "data": {"omisell_order_number": "OMI-1"}}',
        b'{"event": "invoice.created", "data": {"omisell_order_number": "OMI-1"}}',
        b'{"event": "order.shipped", "data": {}}',
    ],
)
async def test_an_unknown_event_or_one_without_an_order_is_kept_and_200(listener: Start, body: bytes) -> None:
    web = await listener()
    assert (await web.post(body))[0] == 200
    assert web.inbox.deliveries[0].body == body


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "", "nonsense"])
async def test_the_content_type_does_not_matter(listener: Start, content_type: str) -> None:
    web = await listener()
    assert (await web.post(GUIDE_SAMPLE, headers={"Content-Type": content_type}))[0] == 200


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"])
async def test_other_methods_are_405(listener: Start, method: str) -> None:
    web = await listener()
    async with web.session.request(method, web.url + "/webhooks/omisell") as answer:
        assert answer.status == 405
        assert answer.headers["Allow"] == "POST"


@pytest.mark.parametrize("path", ["/", "/webhooks", "/webhooks/omisell/", "/webhooks/omisell/x", "/metrics", "/%00"])
async def test_other_paths_are_404(listener: Start, path: str) -> None:
    web = await listener()
    async with web.session.post(web.url + path, data=GUIDE_SAMPLE, headers={"Authorization": "x"}) as answer:
        assert answer.status == 404
    assert web.inbox.deliveries == []


async def test_a_body_of_exactly_the_limit_is_read_and_one_more_is_413(listener: Start) -> None:
    web = await listener(max_body=len(GUIDE_SAMPLE))
    assert (await web.post(GUIDE_SAMPLE))[0] == 200
    status, text, _ = await web.post(GUIDE_SAMPLE + b" ")
    assert (status, text) == (413, '{"ok": false, "error": "the body is too large"}')


async def test_too_large_is_413_before_the_body_has_come(listener: Start, connect: Start) -> None:
    web = await listener(max_body=1000)
    raw = await connect(web.server)
    await raw.send(b"POST /webhooks/omisell HTTP/1.1\r\nHost: x\r\nContent-Length: 1001\r\n\r\n")
    head = await raw.head()
    assert head.startswith("HTTP/1.1 413 ")
    assert "Connection: close" in head


async def test_a_chunked_body_is_read_and_too_large_a_one_is_413(listener: Start, connect: Start) -> None:
    web = await listener(max_body=1000)

    async def pieces(of: bytes) -> Any:
        for start in range(0, len(of), 100):
            yield of[start : start + 100]

    assert (await web.post(pieces(GUIDE_SAMPLE)))[0] == 200
    raw = await connect(web.server)
    await raw.send(
        b"POST /webhooks/omisell HTTP/1.1\r\nHost: x\r\nAuthorization: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"100\r\n" + b" " * 256 + b"\r\n"
    )
    await raw.send((b"100\r\n" + b" " * 256 + b"\r\n") * 4)
    assert (await raw.head()).startswith("HTTP/1.1 413 ")


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd", "GZIP", "identity, gzip", "x"])
async def test_a_compressed_body_is_400_and_never_inflated(listener: Start, encoding: str) -> None:
    web = await listener()
    bomb = gzip.compress(b"0" * 10_000_000)
    status, text, _ = await web.post(bomb, headers={"Content-Encoding": encoding})
    assert status == 400
    assert text == '{"ok": false, "error": "Content-Encoding: send the body as it is, not compressed"}'
    assert web.inbox.deliveries == []


async def test_identity_is_no_compression(listener: Start) -> None:
    web = await listener()
    assert (await web.post(GUIDE_SAMPLE, headers={"Content-Encoding": "identity"}))[0] == 200


@pytest.mark.parametrize(
    "trouble",
    [
        StoreUnavailable("the database at db1 cannot be reached"),
        StoreError("something else"),
        TimeoutError(),
        ConnectionResetError("lost"),
        RuntimeError("a fault of ours with 0912345678 in it"),
        asyncio.CancelledError(),
    ],
)
async def test_what_is_not_stored_is_503_with_retry_after(listener: Start, trouble: BaseException, logged: Any) -> None:
    web = await listener()
    web.inbox.trouble = trouble
    status, text, headers = await web.post(GUIDE_SAMPLE)
    assert (status, headers["Retry-After"]) == (503, "5")
    assert text == '{"ok": false, "error": "cannot be stored just now, send it again later"}'
    assert "0912345678" not in str(logged.entries)
    web.inbox.trouble = None
    assert (await web.post(GUIDE_SAMPLE))[0] == 200


async def test_a_fault_of_ours_is_logged_with_its_place(listener: Start, logged: Any) -> None:
    web = await listener()
    web.inbox.trouble = RuntimeError("secret")
    await web.post(GUIDE_SAMPLE)
    (entry,) = [entry for entry in logged.entries if entry["level"] == "error"]
    assert entry["error"] == "builtins.RuntimeError"
    assert "add" in entry["where"]


async def test_two_hundred_is_said_only_after_it_is_stored(listener: Start) -> None:
    web = await listener()
    web.inbox.gate.clear()
    answering = asyncio.create_task(web.post(GUIDE_SAMPLE))
    await asyncio.wait_for(web.inbox.entered.acquire(), 5)
    assert not answering.done()
    web.inbox.gate.set()
    assert (await asyncio.wait_for(answering, 5))[0] == 200


async def test_each_form_is_logged_once_with_the_advice_to_pin_it(listener: Start, logged: Any) -> None:
    web = await listener()
    for form in ("token", "token", "hmac-body"):
        await web.post(GUIDE_SAMPLE, sign(form, SECRET, GUIDE_SAMPLE, URL))
    told = [(entry["form"], entry["advice"]) for entry in logged.entries if entry["level"] == "info"]
    assert told == [
        ("token", 'set webhook.authorization = "token"'),
        ("hmac-body", 'set webhook.authorization = "hmac-body"'),
    ]


async def test_a_pinned_form_needs_no_advice(listener: Start, logged: Any) -> None:
    web = await listener(authorizer=Authorizer("token", [SECRET]), pinned=True)
    await web.post(GUIDE_SAMPLE)
    assert [entry for entry in logged.entries if entry["level"] == "info"] == [
        {"event": "first push in this authorization form", "form": "token", "level": "info"}
    ]


async def test_many_forged_pushes_make_few_lines_in_the_log_that_name_the_client_and_no_secret(
    listener: Start, logged: Any
) -> None:
    logged.before = [Repeats()]  # as the daemon's log has it
    web = await listener()
    for _ in range(20):
        await web.post(GUIDE_SAMPLE, "guessed-secret")
    assert [(entry["level"], entry["client"]) for entry in logged.entries] == [("warning", "127.0.0.1")] * 3
    assert "guessed-secret" not in str(logged.entries)
    assert SECRET not in str(logged.entries)


async def test_every_push_is_counted_by_event_and_outcome(listener: Start) -> None:
    web = await listener(max_body=1000)
    await web.post(GUIDE_SAMPLE)
    await web.post(GUIDE_SAMPLE)
    await web.post(b'{"event": "made.up"}')
    await web.post(GUIDE_SAMPLE, "wrong")
    await web.post(b"[]")
    await web.post(b" " * 1001)
    await web.post(b"", headers={"Content-Encoding": "gzip"})
    web.inbox.trouble = StoreUnavailable("away")
    await web.post(changed(updated_time=1))
    counted = [line for line in web.metrics.render().decode().split("\n") if line.startswith("omisync_webhooks_total")]
    assert sorted(counted) == [
        'omisync_webhooks_total{event="none",outcome="encoded"} 1.0',
        'omisync_webhooks_total{event="none",outcome="invalid"} 1.0',
        'omisync_webhooks_total{event="none",outcome="too_large"} 1.0',
        'omisync_webhooks_total{event="none",outcome="unauthorized"} 1.0',
        'omisync_webhooks_total{event="order.shipped",outcome="repeat"} 1.0',
        'omisync_webhooks_total{event="order.shipped",outcome="stored"} 1.0',
        'omisync_webhooks_total{event="order.shipped",outcome="unavailable"} 1.0',
        'omisync_webhooks_total{event="other",outcome="unhandled"} 1.0',
    ]
    assert "omisync_webhook_seconds_count 8.0" in web.metrics.render().decode()


def test_a_path_with_braces_is_refused() -> None:
    from omisync.web import webhook_app  # noqa: PLC0415 - the one test that makes its own

    with pytest.raises(ValueError, match="without braces"):
        webhook_app(path="/{x}", max_body=1, authorizer=None, inbox=None, metrics=None, log=None)  # type: ignore[arg-type]
