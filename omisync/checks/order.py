"""Holds an Add Order body against what is known: its address, its contact data, its SKUs. Changes nothing by itself."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeGuard

from omisync.checks.addresses import LEVELS, Address, Gazetteer, Resolution
from omisync.checks.contact import fault_of_email, fault_of_zip
from omisync.checks.findings import Change, Finding
from omisync.checks.phones import read_phone

RECEIVER: Final = "receiver"
MOST_NAMED: Final = 10  # SKUs named in a reason
_SYSTEM: Final = "Omisell's address system"


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


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of Omisell's side; None where a list was never read, so that nothing is held against it.

    Attributes:
        country: of the account, two letters.
        shops: ids, each with its platform.
        pickups: ids.
        skus: of the catalogue and the products together.
        mends_addresses: another spelling of a place is no fault: it is sent in Omisell's own.
    """

    country: str
    gazetteer: Gazetteer | None = None
    shops: Mapping[int, str] | None = None
    pickups: Collection[int] | None = None
    skus: Collection[str] | None = None
    mends_addresses: bool = False


def judge(body: Mapping[str, object], facts: Facts) -> list[Finding]:
    """Everything that Omisell would refuse, or is likely to, as far as the facts tell; changes nothing."""
    found = [*_judge_ids(body, facts), *judge_contact(body, facts.country).findings]
    if facts.gazetteer is not None and not goes_abroad(body, facts.country):
        verdict = judge_address(body, facts.gazetteer)
        found += verdict.findings if facts.mends_addresses else all_findings(verdict)
    if facts.skus is not None:
        found += unknown_skus([sku for sku in skus_of(body) if sku not in facts.skus])
    return found


def _judge_ids(body: Mapping[str, object], facts: Facts) -> list[Finding]:
    """Shop and warehouse [guide 4.2]: those that are left out are put in from the configuration."""
    found: list[Finding] = []
    shop, pickup = body.get("shop_id"), body.get("pickup_id")
    if facts.shops is not None and _is_id(shop):
        if shop not in facts.shops:
            found.append(Finding("shop_id", "is no shop of the account; `omisync shops` lists them"))
        elif facts.shops[shop] not in {"", "custom"}:
            found.append(Finding("shop_id", "is not a custom store, which alone takes orders; see `omisync shops`"))
    if facts.pickups is not None and _is_id(pickup) and pickup not in facts.pickups:
        found.append(Finding("pickup_id", "is no warehouse of the account; `omisync pickups` lists them"))
    return found


def all_findings(verdict: Verdict) -> list[Finding]:
    """The findings, and as findings what would be changed."""
    return [*verdict.findings, *(Finding(each.field, f"Omisell writes it {each.sent!r}") for each in verdict.changes)]


def unknown_skus(skus: Sequence[str]) -> list[Finding]:
    """One finding for all SKUs that Omisell does not know; none for none."""
    return [Finding("items", f"not in Omisell's catalogue: {named(skus)}")] if skus else []


def named(skus: Sequence[str]) -> str:
    """SKUs for a sentence."""
    more = f" and {len(skus) - MOST_NAMED} more" if len(skus) > MOST_NAMED else ""
    return "SKU " + ", ".join(skus[:MOST_NAMED]) + more


def goes_abroad(body: Mapping[str, object], country: str) -> bool:
    """Whether the receiver is in another country than Omisell's places are."""
    named_country = _receiver(body).get("country")
    if not isinstance(named_country, str) or len(named_country.strip()) != 2:
        return False
    return named_country.strip().upper() != country.upper()


def _is_id(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)


def _receiver(body: Mapping[str, object]) -> Mapping[str, object]:
    receiver = body.get(RECEIVER)
    return receiver if isinstance(receiver, Mapping) else {}


def _text(value: object) -> str:
    return str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""
