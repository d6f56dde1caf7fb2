"""`omisync validate`: files, standard input, the outbox, and the schema."""

import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from omisync.cli import main

GOOD = '{"order_number": "WEB-1", "items": [{"sku": "TEE-M", "quantity": 1}]}\n'
BAD = '{"order_number": 7, "items": [{"sku": "TEE-M", "quantity": 0}]}\n'


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "orders.jsonl"


def test_good_orders(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text("".join(GOOD.replace("WEB-1", f"WEB-{place}") for place in range(1500)), "utf-8")
    assert main(["validate", str(file)]) == 0
    assert capsys.readouterr() == ("1,500 orders, no faults\n", "")
    file.write_text(GOOD, "utf-8")
    assert main(["validate", str(file), "--json"]) == 0
    assert capsys.readouterr() == ("[]\n", "")


def test_each_fault_is_a_line(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text(GOOD + BAD + "{\n", "utf-8")
    assert main(["validate", str(file)]) == 1
    out, err = capsys.readouterr()
    assert out.splitlines() == [
        f"{file}:2: order_number: expected a text in quotes",
        f"{file}:2: items.0.quantity: expected at least 1",
        f"{file}:3: order: not JSON: Expecting property name enclosed in double quotes (character 2)",
    ]
    assert err == "omisync: 3 faults in 2 of 3 orders\n"


def test_an_order_number_that_came_before_is_named_with_its_line(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = GOOD.replace("WEB-1", "web-1")
    file.write_text(GOOD + other + "\n" + GOOD + GOOD, "utf-8")
    assert main(["validate", str(file)]) == 1
    out, err = capsys.readouterr()
    assert out.splitlines() == [
        f"{file}:4: order_number: is the same as in line 1; an order number is used once in a shop",
        f"{file}:5: order_number: is the same as in line 1; an order number is used once in a shop",
    ]
    assert err == "omisync: 2 faults in 2 of 4 orders\n"


def test_beyond_what_is_remembered_it_says_so(
    file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("omisync.add_order.repeats.MOST", 2)
    lines = [GOOD.replace("WEB-1", number) for number in ("A", "B", "C", "C", "A")]
    file.write_text("".join(lines), "utf-8")
    assert main(["validate", str(file)]) == 1
    out, err = capsys.readouterr()
    assert out.splitlines() == [
        f"{file}:5: order_number: is the same as in line 1; an order number is used once in a shop"
    ]
    assert "among more than 2 orders" in err


def test_faults_as_json(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text(BAD, "utf-8")
    assert main(["validate", str(file), "--json"]) == 1
    out, err = capsys.readouterr()
    assert json.loads(out) == [
        {"file": str(file), "line": 1, "field": "order_number", "error": "expected a text in quotes"},
        {"file": str(file), "line": 1, "field": "items.0.quantity", "error": "expected at least 1"},
    ]
    assert err == "omisync: 2 faults in 1 of 1 order\n"


def test_a_file_that_is_not_utf_8_is_no_crash(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_bytes(b'\xff\xfe{"order_number": 1}\n')
    assert main(["validate", str(file)]) == 1
    assert "1 fault in 1 of 1 order" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["missing.jsonl", "."])
def test_a_file_that_is_not_there_is_2(tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validate", str(tmp_path / name)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"omisync: {tmp_path / name}: cannot be read: ")


def test_standard_input(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(BAD.encode())))
    assert main(["validate", "-"]) == 1
    assert capsys.readouterr().out.startswith("-:1: order_number: expected a text in quotes\n")


def test_the_schema(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validate", "--schema"]) == 0
    assert json.loads(capsys.readouterr().out)["required"] == ["order_number", "items"]


@pytest.mark.parametrize("arguments", [[], ["x.json", "--pending"], ["--pending", "--schema"]])
def test_one_thing_at_a_time(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validate", *arguments]) == 2
    assert capsys.readouterr().err.startswith("omisync: say what to check: ")


async def test_what_waits_in_the_outbox(cli: Any, sql: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("omisync.store.checkup.PAGE", 2)
    for place in range(5):
        payload = {"order_number": f"WEB-{place}", "items": [{"sku": "TEE-M", "quantity": place}]}
        await sql.execute("SELECT omisync.add_order($1)", json.dumps(payload))
    ran = await cli("validate", "--pending")
    assert ran.code == 1
    first = await sql.fetchval("SELECT min(id) FROM omisync.outbox")
    assert ran.out == f"outbox:{first}: items.0.quantity: expected at least 1\n"
    assert ran.err == "omisync: 1 fault in 1 of 5 orders\n"
