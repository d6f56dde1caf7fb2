"""Looks at an order before it is sent: mends what can be mended, says what cannot, keeps back what must wait."""

import asyncio
import time
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Literal, Protocol, TypeAlias

import structlog

from omisync.checks.addresses import Gazetteer
from omisync.checks.findings import Change, Finding
from omisync.checks.names import Location
from omisync.checks.order import (
    RECEIVER,
    Verdict,
    all_findings,
    goes_abroad,
    judge_address,
    judge_contact,
    named,
    skus_of,
    unknown_skus,
)
from omisync.store.mirrors import MirrorAge, MirrorName, PlaceRow

LOOK_AGAIN: Final = 15.0  # seconds between looks at whether a copy was renewed
HOLD_LOOK: Final = 60.0  # seconds until an order that waits for a SKU is looked at again; it costs no call
SKU_LISTS: Final[tuple[MirrorName, ...]] = ("catalogue", "products")
MOST_KNOWN: Final = 20_000  # SKUs remembered as known; beyond that all are asked for anew


@dataclass(frozen=True, slots=True)
class Prepared:
    """What is to be sent.

    Attributes:
        body: of Add Order.
        changes: what was changed in it.
        findings: what is wrong with it all the same.
    """

    body: Mapping[str, object]
    changes: tuple[Change, ...] = ()
    findings: tuple[Finding, ...] = ()

    @property
    def is_noted(self) -> bool:
        """Whether there is anything for the timeline."""
        return bool(self.changes or self.findings)

    def notes(self) -> dict[str, object]:
        """For the order's timeline; without the buyer's own data."""
        changed = [
            {"field": each.field} if each.private else {"field": each.field, "given": each.given, "sent": each.sent}
            for each in self.changes
        ]
        noted = [{"field": each.field, "why": each.why} for each in self.findings]
        return {name: rows for name, rows in (("changed", changed), ("noted", noted)) if rows}


@dataclass(frozen=True, slots=True)
class Hold:
    """The order must wait.

    Attributes:
        why: for people.
        seconds: until it is looked at again.
    """

    why: str
    seconds: float = HOLD_LOOK


@dataclass(frozen=True, slots=True)
class Unfit:
    """The order cannot be sent as it is, and nobody but the shop can say what was meant."""

    why: str


Outcome: TypeAlias = Prepared | Hold | Unfit


class Preparer(Protocol):
    """What an order goes through before it is sent."""

    async def prepare(self, body: dict[str, object]) -> Outcome:
        """Says what to do with the order.

        Raises:
            OmisellError, StoreError: it cannot be told now; surely nothing of the order has gone out.
        """
        ...


class Untouched:
    """Sends everything as it is."""

    async def prepare(self, body: dict[str, object]) -> Outcome:
        """The order as it is."""
        return Prepared(body)


class MirrorView(Protocol):
    """The copies of Omisell's lists, as far as orders are held against them."""

    async def ages(self) -> dict[MirrorName, MirrorAge]:
        """How each copy stands."""
        ...

    async def locations(self) -> list[PlaceRow]:
        """All places."""
        ...

    async def unknown_skus(self, skus: Collection[str]) -> list[str]:
        """Those of the SKUs that no list has."""
        ...


class Products(Protocol):
    """Makes products known at Omisell."""

    async def make(self, sku: str) -> str | None:
        """None when the SKU is known now; else why not."""
        ...


@dataclass(frozen=True, slots=True)
class CheckRules:
    """What the configuration says of checks; `country` is Omisell's, two letters."""

    addresses: Literal["fix", "report", "off"]
    phones: Literal["fix", "report", "off"]
    skus: Literal["hold", "report", "off"]
    country: str


class Checker:
    """Holds orders against the copies of Omisell's lists. A check whose list was never read is off.

    Args:
        mirrors: the copies.
        rules: what to do about what is found.
        products: makes a missing product known; None where that is not wanted.
    """

    def __init__(self, mirrors: MirrorView, rules: CheckRules, products: Products | None = None) -> None:
        self._mirrors = mirrors
        self._rules = rules
        self._products = products
        self._looking = asyncio.Lock()
        self._look_at = 0.0
        self._ages: dict[MirrorName, MirrorAge] = {}
        self._gazetteer: Gazetteer | None = None
        self._gazetteer_of: object = None
        self._known: set[str] = set()
        self._known_of: object = None
        self._log = structlog.get_logger("checks")

    async def prepare(self, body: dict[str, object]) -> Outcome:
        """Says what to do with the order; see `Preparer`."""
        await self._look()
        address = self._address(body)
        if self._rules.addresses == "fix" and address.findings:
            return Unfit("; ".join(map(str, address.findings)))
        contact = self._contact(body)
        skus = await self._missing(body)
        if self._rules.skus == "hold" and skus:
            return Hold(f"waits for what is not in Omisell's catalogue: {named(skus)}; it goes by itself once it is")
        changes: tuple[Change, ...] = ()
        findings = list(contact.findings)
        if self._rules.addresses == "fix":
            changes += address.changes
        else:
            findings = [*all_findings(address), *findings]
        if self._rules.phones == "fix":
            changes += contact.changes
        findings += unknown_skus(skus)
        return Prepared(_with(body, changes), changes, tuple(findings))

    def _address(self, body: dict[str, object]) -> Verdict:
        if self._rules.addresses == "off" or self._gazetteer is None or goes_abroad(body, self._rules.country):
            return Verdict()
        return judge_address(body, self._gazetteer)

    def _contact(self, body: dict[str, object]) -> Verdict:
        return Verdict() if self._rules.phones == "off" else judge_contact(body, self._rules.country)

    async def _missing(self, body: dict[str, object]) -> list[str]:
        """SKUs that Omisell does not know, each with the reason why it could not be made known, if that was tried."""
        if self._rules.skus == "off" or not any(_was_read(self._ages.get(name)) for name in SKU_LISTS):
            return []
        asked = [sku for sku in skus_of(body) if sku not in self._known]
        if not asked:
            return []
        missing = []
        held_against = self._known_of
        unknown = await self._mirrors.unknown_skus(asked)
        if held_against == self._known_of:  # else a renewal was taken up meanwhile
            self._remember(sku for sku in asked if sku not in unknown)
        for sku in unknown:
            why = None if self._products is None else await self._products.make(sku)
            if self._products is None or why is not None:
                missing.append(sku if why is None else f"{sku} ({why})")
        return missing

    def _remember(self, skus: Iterable[str]) -> None:
        """What a list has, it has until it is renewed; what none has is asked for each time."""
        if len(self._known) >= MOST_KNOWN:
            self._known.clear()
        self._known.update(skus)

    async def _look(self) -> None:
        """Takes up a copy that was renewed."""
        if time.monotonic() < self._look_at:
            return
        async with self._looking:
            if time.monotonic() < self._look_at:
                return
            self._ages = await self._mirrors.ages()
            known_of = [None if age is None else age.refreshed_at for age in map(self._ages.get, SKU_LISTS)]
            if known_of != self._known_of:
                self._known.clear()
                self._known_of = known_of
            places = self._ages.get("locations")
            current = places.refreshed_at if places is not None and _was_read(places) else None
            if self._rules.addresses != "off" and current != self._gazetteer_of:
                rows = await self._mirrors.locations() if current is not None else []
                gazetteer = await asyncio.to_thread(gazetteer_of, rows)
                self._gazetteer = None if gazetteer.is_empty else gazetteer
                self._gazetteer_of = current
                self._log.info("addresses are held against Omisell's places", places=len(rows))
            self._look_at = time.monotonic() + LOOK_AGAIN


def _was_read(age: MirrorAge | None) -> bool:
    return age is not None and age.offered and age.refreshed_at is not None


def gazetteer_of(rows: Iterable[PlaceRow]) -> Gazetteer:
    """The copy of Omisell's places, ready to be asked; for a whole country half a second of work."""
    return Gazetteer(
        Location(
            row.level,
            row.id,
            row.name,
            None if row.parent_level is None or row.parent_id is None else (row.parent_level, row.parent_id),
        )
        for row in rows
    )


def _with(body: dict[str, object], changes: Iterable[Change]) -> dict[str, object]:
    """The body with the receiver's fields changed; the order of fields stays."""
    receiver = body.get(RECEIVER)
    changed = {each.field.removeprefix(f"{RECEIVER}."): each.sent for each in changes}
    return body if not changed or not isinstance(receiver, Mapping) else {**body, RECEIVER: {**receiver, **changed}}
