"""The page at `/`."""

import re
from typing import Any

import pytest

from omisync.simulator import PushConfig

Start = Any
Receiver = Any


async def test_it_shows_orders_with_what_can_be_done_to_them(start: Start) -> None:
    sim, call = await start()
    assert "No order yet" in (await call("GET", "/")).raw.decode()
    for number, status_id in (("NEW", None), ("SENT", 500), ("DONE", 900), ("BACK", 800), ("OFF", 700)):
        sim.create({"order_number": number}, status_id=status_id)
    page = (await call("GET", "/")).raw.decode()
    rows = {
        match[1]: set(re.findall(r"<button[^>]*>\s*([^<]+?)\s*</button>", match[2]))
        for match in re.finditer(r"<tr>\s*<td>(NEW|SENT|DONE|BACK|OFF)</td>(.*?)</tr>", page, re.DOTALL)
    }
    assert rows == {
        "NEW": {"&rarr; 250", "Cancel"},
        "SENT": {"&rarr; 600", "Return"},
        "DONE": {"Return", "order.reconciled"},
        "BACK": {"order.return_receive"},
        "OFF": set(),
    }
    assert "k_demo" in page
    assert "5 orders" in page
    assert re.findall(r'name="categories"[^>]* value="(\w+)"( checked)?', page) == [
        ("order", " checked"),
        ("shipment", ""),
        ("return", ""),
    ]


async def test_doubles_stand_out_and_orders_are_found(start: Start) -> None:
    sim, call = await start()
    sim.create({"order_number": "TWICE"})
    sim.create({"order_number": "TWICE"})
    sim.create({"order_number": "OTHER"})
    page = (await call("GET", "/?number=twi")).raw.decode().partition('<section id="pushes"')[0]
    assert page.count(">double</strong>") == 2
    assert "OTHER" not in page


@pytest.mark.parametrize(("query", "first", "last"), [("", 120, 71), ("?page=3", 20, 1), ("?page=x", 120, 71)])
async def test_many_orders_are_paged_newest_first(start: Start, query: str, first: int, last: int) -> None:
    sim, call = await start()
    for number in range(1, 121):
        sim.create({"order_number": f"N{number:03d}"})
    page = (await call("GET", f"/{query}")).raw.decode()
    shown = re.findall(r"<tr>\s*<td>N(\d+)", page)
    assert (int(shown[0]), int(shown[-1])) == (first, last)
    assert (">older<" in page) is (query != "?page=3")
    assert (">newer<" in page) is (query == "?page=3")


async def test_nothing_out_of_an_order_becomes_markup(start: Start) -> None:
    evil = '"><script>alert(1)</script>'
    sim, call = await start(push=PushConfig(callback_url=None, secret=evil))
    sim.create({"order_number": evil})
    for query in ("/", "/?number=%22%3E%3Cscript%3Ealert(1)"):
        reply = await call("GET", query)
        assert b"<script>alert" not in reply.raw
        assert b"&lt;script&gt;alert(1)" in reply.raw
        policy = reply.headers["Content-Security-Policy"]
        assert "script-src 'self'" in policy
        assert "unsafe-inline" not in policy


async def test_pushes_and_faults_are_shown(start: Start, receiver: Receiver) -> None:
    clock_options = {"push": PushConfig(callback_url=receiver.url)}
    sim, call = await start(**clock_options)
    receiver.status = 500
    sim.create({"order_number": "A"})
    await sim.wait_for(lambda: sim.ledger.pushes["failed"] == 1)
    sim.faults.patch({"slow": {"seconds": [2, 3]}, "stranger": 15})
    page = (await call("GET", "/")).raw.decode()
    assert "faults on: slow, stranger" in page
    assert 'value="2 3"' in page
    assert 'value="15"' in page
    assert re.search(r"waiting</span> next \d\d:\d\d:\d\d", page)


async def test_its_script_and_style_are_served(start: Start) -> None:
    _, call = await start()
    page = (await call("GET", "/")).raw.decode()
    for path in re.findall(r'(?:src|href)="(/static/[^"]+)"', page):
        assert (await call("GET", path)).status == 200
    assert "<script>" not in page
    assert "onclick" not in page
