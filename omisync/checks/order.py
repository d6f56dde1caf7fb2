"""Holds an Add Order body against what is known: its address, its contact data, its SKUs. Changes nothing by itself."""

from collections.abc import Mapping
from dataclasses import dataclass

from omisync.checks.addresses import LEVELS, Address, Gazetteer, Resolution
from omisync.checks.contact import fault_of_email, fault_of_zip
from omisync.checks.findings import Change, Finding
from omisync.checks.phones import read_phone

RECEIVER = "receiver"
_SYSTEM = "Omisell's address system"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is to be said of a part of an order.

    Attributes:
        changes: what would make it right.
        findings: what is wrong and cannot be made right without asking.
    """

    changes: tuple[Change, ...] = ()
    findings: tuple[Finding, ...] = ()


def judge_address(body: Mapping[str, object], gazetteer: Gazetteer) -> Verdict:
    """The receiver's province, district and subdistrict against Omisell's names [guide 4.2].

    A receiver that names no province at all is not judged: whether Omisell wants one is UNKNOWN [omisell-api 4.3].
    """
    given = {level: _text(_receiver(body).get(f"{level}_name")) for level in LEVELS}
    if not any(name.strip() for name in given.values()):
        return Verdict()
    result = gazetteer.resolve(Address(given["province"], given["district"], given["subdistrict"]))
    if result.address is None:
        return Verdict(findings=(Finding(f"{RECEIVER}.{result.level}_name", _why(result)),))
    sent = {level: getattr(result.address, level) for level in LEVELS}
    return Verdict(
        tuple(
            Change(f"{RECEIVER}.{level}_name", given[level], sent[level])
            for level in LEVELS
            if given[level] != sent[level]
        )
    )


def _why(result: Resolution) -> str:
    candidates = "; ".join(map(str, result.candidates))
    if result.reason == "ambiguous":
        return f"fits more than one place of {_SYSTEM}: {candidates}. Put the names of the right one into the order"
    if candidates:
        return f"is not in {_SYSTEM}; near it are: {candidates}. Put the names of the right one into the order"
    return f"is not in {_SYSTEM}, nor is anything like it; `omisync locations` lists what is"


def judge_contact(body: Mapping[str, object], country: str) -> Verdict:
    """The receiver's phone number, e-mail address and zip code; what is left out or empty is not judged.

    Args:
        body: of Add Order.
        country: two letters: Omisell's, for numbers without a country's code.
    """
    receiver = _receiver(body)
    changes: list[Change] = []
    findings: list[Finding] = []
    if phone := _text(receiver.get("phone")):
        read = read_phone(phone, country)
        if read.why is not None:
            findings.append(Finding(f"{RECEIVER}.phone", read.why))
        elif read.number is not None and read.number != phone:
            changes.append(Change(f"{RECEIVER}.phone", phone, read.number, private=True))
    if (email := _text(receiver.get("email"))) and (why := fault_of_email(email)):
        findings.append(Finding(f"{RECEIVER}.email", why))
    if (code := _text(receiver.get("zip_code"))) and (why := fault_of_zip(code, country)):
        findings.append(Finding(f"{RECEIVER}.zip_code", why))
    return Verdict(tuple(changes), tuple(findings))


def skus_of(body: Mapping[str, object]) -> list[str]:
    """The SKUs of the items, each once; what is no SKU is left to the order's model."""
    items = body.get("items")
    rows = items if isinstance(items, list) else []
    skus = (row.get("sku") for row in rows if isinstance(row, Mapping))
    return list(dict.fromkeys(sku for sku in skus if isinstance(sku, str) and sku))


def _receiver(body: Mapping[str, object]) -> Mapping[str, object]:
    receiver = body.get(RECEIVER)
    return receiver if isinstance(receiver, Mapping) else {}


def _text(value: object) -> str:
    return str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""
