"""Adds one order at Omisell so that it is there once: looks before it sends again, adopts what it finds."""

import json
import math
from collections.abc import Mapping
from typing import NoReturn

from omisync.checks.refusals import explained
from omisync.omisell import ListedOrder, OmisellError, Refused, is_final
from omisync.store import Claim, Ending, Reached
from omisync.sync.flight import Held
from omisync.sync.listing import Incomplete
from omisync.sync.lookup import Lookup
from omisync.sync.ports import OmisellApi
from omisync.sync.prepare import Hold, Prepared, Preparer, Unfit, Untouched
from omisync.sync.rules import FIRST_LOOK, SendingRules

UNKNOWN_OUTCOME = "the outcome of an attempt is not known; looking for the order at Omisell before sending again"


class Adder:
    """Decides how an add's claim ends. Throttling and trouble with the token are the caller's."""

    def __init__(
        self, omisell: OmisellApi, lookup: Lookup, rules: SendingRules, preparer: Preparer | None = None
    ) -> None:
        self._omisell = omisell
        self._lookup = lookup
        self._rules = rules
        self._preparer = preparer or Untouched()
        self._all_defaults = frozenset({*rules.defaults, "created_time"})

    async def work(self, claim: Claim, held: Held) -> Ending:
        """Sends, or looks, and says how the claim ends.

        Raises:
            OmisellError: Throttled, Unavailable, AuthenticationFailed: for the caller to judge.
            LeaseLost: the row may be somebody else's by now.
            StoreError: the token is not to be had while the database is away.
        """
        if claim.omisell_order_number is not None:
            return self._adopted(claim, claim.omisell_order_number, claim.status_id, None, None)
        if claim.uncertain:
            return await self._look(claim)
        return await self._send(claim, held)

    async def _send(self, claim: Claim, held: Held) -> Ending:
        try:
            body, text = self._body(claim)
        except (ValueError, RecursionError) as error:
            return self._failed(claim, f"the payload cannot be sent: {type(error).__name__}; is a number out of range?")
        prepared = await self._preparer.prepare(body)
        if isinstance(prepared, Unfit):
            return self._failed(claim, prepared.why)
        if isinstance(prepared, Hold):
            return Ending(claim, "pending", error=prepared.why, delay=prepared.seconds, reached=Reached.NO)
        try:
            sent = text if prepared.body is body else _json(prepared.body)
            added = await self._omisell.add_order(sent, on_send=held.about_to_send)
        except Refused as refusal:
            return await self._refused(claim, refusal, prepared)
        final = is_final(added.status_id) if added.status_id is not None else None
        return Ending(
            claim,
            "done",
            "added",
            event="added",
            event_data=_json({"outbox_id": claim.id, **prepared.notes()}) if prepared.is_noted else _only_id(claim),
            omisell_order_number=added.omisell_order_number,
            status_id=added.status_id,
            status_name=added.status_name,
            is_final=final,
            updated_time=added.updated_time,
            shop_id=self._rules.shop_id,
            spent=1,
        )

    async def _refused(self, claim: Claim, refusal: Refused, prepared: Prepared) -> Ending:
        if not refusal.may_be_duplicate and claim.attempts == 0:
            return self._failed(claim, explained(refusal.words(), prepared.findings))
        try:
            found = await self._lookup.find(claim.order_number, claim.sent_age)
        except (OmisellError, Incomplete):
            return self._uncertain(claim, refusal.words(), spent=1)
        if found:
            return self._found(claim, found)
        if refusal.may_be_duplicate and claim.attempts == 0:
            # it may be there and not be listed yet: it is sent again only when that can be told
            return self._uncertain(claim, refusal.words(), spent=1)
        return self._failed(claim, explained(refusal.words(), prepared.findings))

    async def _look(self, claim: Claim) -> Ending:
        try:
            found = await self._lookup.find(claim.order_number, claim.sent_age)
        except Incomplete as error:
            return self._wait(claim, FIRST_LOOK, str(error))
        if found:
            return self._found(claim, found)
        left = self._rules.unsettled_for(claim, self._lookup.lag)
        if left > 0:
            return self._wait(claim, left, UNKNOWN_OUTCOME)
        if claim.attempts >= self._rules.max_attempts:
            return self._failed(claim, f"given up after {claim.attempts} attempts; it is not at Omisell")
        delay = self._rules.backoff.delay(claim.attempts) if claim.attempts else None
        return Ending(
            claim, "pending", error="not found at Omisell; it will be sent again", delay=delay, reached=Reached.NO
        )

    def _wait(self, claim: Claim, left: float, why: str) -> Ending:
        """Looks again when the settling time is over; it begins now if it has not begun."""
        if claim.settling_for is None:
            return self._uncertain(claim, why)
        return Ending(claim, "pending", error=why, delay=max(left, FIRST_LOOK / 5), reached=Reached.MAYBE)

    def _uncertain(self, claim: Claim, why: str, *, spent: int = 0) -> Ending:
        """The settling time begins now; a first look is taken before it is over."""
        first = min(FIRST_LOOK, self._rules.settle)
        return Ending(claim, "pending", error=why, spent=spent, delay=first, reached=Reached.MAYBE, settling=True)

    def _found(self, claim: Claim, found: list[ListedOrder]) -> Ending:
        kept = found[0]
        others = [order.omisell_order_number for order in found[1:]]
        return self._adopted(claim, kept.omisell_order_number, kept.status_id, kept, others)

    def _adopted(
        self, claim: Claim, number: str, status_id: int | None, listed: ListedOrder | None, others: list[str] | None
    ) -> Ending:
        data: dict[str, object] = {"outbox_id": claim.id}
        if others:
            data["also_at_omisell"] = others  # the store puts them before the operator
        return Ending(
            claim,
            "done",
            "adopted",
            event="adopted",
            event_data=json.dumps(data),
            omisell_order_number=number,
            status_id=status_id,
            status_name=listed.status_name if listed is not None else None,
            is_final=is_final(status_id) if status_id is not None else None,
            shop_id=self._rules.shop_id,
        )

    def _failed(self, claim: Claim, why: str) -> Ending:
        return Ending(
            claim, "failed", error=why, spent=1, reached=Reached.NO, event="failed", event_data=_why(claim, why)
        )

    def _body(self, claim: Claim) -> tuple[dict[str, object], str]:
        """What is to be sent, and its JSON: the shop's own text where that can be kept.

        Raises:
            ValueError: JSON cannot hold it. That is the shop's fault, told before any check.
        """
        text = claim.payload or "{}"
        body: dict[str, object] = _decoder.decode(text)
        given = body.keys() & self._all_defaults
        missing = {name: value for name, value in self._rules.defaults.items() if body.get(name) is None}
        if body.get("created_time") is None:
            missing["created_time"] = claim.created_time
        body |= missing
        if not given.isdisjoint(missing) or len(text) <= len("{}"):
            return body, _json(body)
        return body, text if not missing else f"{text[:-1]}, {_json(missing)[1:]}"

    def after_failure(self, claim: Claim, why: str, *, maybe_applied: bool, outage: bool) -> Ending:
        """How the claim ends when the call failed in a way that time can mend."""
        spent = 0 if outage else 1
        if claim.uncertain:
            # it was a look that failed. Also with the attempts used up: a row ends `failed` only when it is known not
            # to be there
            delay = max(FIRST_LOOK, self._rules.backoff.delay(claim.attempts)) if spent else FIRST_LOOK
            begins = claim.settling_for is None
            return Ending(claim, "pending", error=why, spent=spent, delay=delay, reached=Reached.MAYBE, settling=begins)
        if maybe_applied:
            return self._uncertain(claim, why, spent=spent)
        if claim.attempts + spent >= self._rules.max_attempts:
            return self._failed(claim, why)
        # in an outage nobody is tried anyway: everything keeps its place, and flows again oldest first
        delay_or_place = self._rules.backoff.delay(claim.attempts) if spent else None
        return Ending(claim, "pending", error=why, spent=spent, delay=delay_or_place, reached=Reached.NO)


def _json(value: Mapping[str, object]) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError
    return number


def _no_constant(_: str) -> NoReturn:
    raise ValueError


_decoder = json.JSONDecoder(parse_float=_finite, parse_constant=_no_constant)


def _only_id(claim: Claim) -> str:
    return f'{{"outbox_id": {claim.id}}}'


def _why(claim: Claim, why: str) -> str:
    return json.dumps({"outbox_id": claim.id, "why": why}, ensure_ascii=False)
