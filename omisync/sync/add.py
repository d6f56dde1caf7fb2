"""Adds one order at Omisell so that it is there once: looks before it sends again, adopts what it finds."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from omisync.omisell import ListedOrder, OmisellError, Refused, Unavailable, is_final
from omisync.store import Claim, Ending, Reached
from omisync.sync.backoff import Backoff
from omisync.sync.flight import Held
from omisync.sync.listing import Incomplete
from omisync.sync.lookup import Lookup
from omisync.sync.ports import OmisellApi

FIRST_LOOK = 5.0  # seconds after an uncertain add; the deciding look comes when the settling time is over


@dataclass(frozen=True, slots=True)
class SendingRules:
    """What the configuration says of sending; times in seconds.

    Attributes:
        defaults: put into payloads that lack them: `shop_id`, `pickup_id`.
    """

    max_attempts: int
    settle: float
    backoff: Backoff
    shop_id: int
    defaults: Mapping[str, object]


class Adder:
    """Decides how an add's claim ends. Throttling and trouble with the token are the caller's."""

    def __init__(self, omisell: OmisellApi, lookup: Lookup, rules: SendingRules) -> None:
        self._omisell = omisell
        self._lookup = lookup
        self._rules = rules

    async def work(self, claim: Claim, held: Held) -> Ending:
        """Sends, or looks, and says how the claim ends.

        Raises:
            OmisellError: Throttled, Unavailable, AuthenticationFailed: for the caller to judge.
            LeaseLost: the row may be somebody else's by now.
        """
        if claim.omisell_order_number is not None:
            return self._adopted(claim, claim.omisell_order_number, claim.status_id, None, None)
        if claim.uncertain:
            return await self._look(claim)
        return await self._send(claim, held)

    async def _send(self, claim: Claim, held: Held) -> Ending:
        try:
            added = await self._omisell.add_order(self._body(claim), on_send=held.about_to_send)
        except Refused as refusal:
            return await self._refused(claim, refusal)
        final = is_final(added.status_id) if added.status_id is not None else None
        return Ending(
            claim,
            "done",
            "added",
            event="added",
            event_data=json.dumps({"outbox_id": claim.id}),
            omisell_order_number=added.omisell_order_number,
            status_id=added.status_id,
            status_name=added.status_name,
            is_final=final,
            updated_time=added.updated_time,
            shop_id=self._rules.shop_id,
            spent=1,
        )

    async def _refused(self, claim: Claim, refusal: Refused) -> Ending:
        if refusal.may_be_duplicate or claim.attempts > 0:
            found = await self._lookup.find(claim.order_number, claim.sent_age)
            if found:
                return self._found(claim, found)
            if refusal.may_be_duplicate and claim.attempts == 0:
                # it may be there and not be listed yet: once more when it must be
                return Ending(
                    claim, "pending", error=refusal.words(), spent=1, delay=self._rules.settle, reached=Reached.NO
                )
        return self._failed(claim, refusal.words())

    async def _look(self, claim: Claim) -> Ending:
        try:
            found = await self._lookup.find(claim.order_number, claim.sent_age)
        except Incomplete as error:
            return self._wait(claim, FIRST_LOOK, str(error))
        if found:
            return self._found(claim, found)
        if claim.settles_in is None or claim.settles_in > 0:
            return self._wait(claim, min(FIRST_LOOK, self._rules.settle), None)
        if claim.attempts >= self._rules.max_attempts:
            return self._failed(claim, f"given up after {claim.attempts} attempts; it is not at Omisell")
        delay = self._rules.backoff.delay(claim.attempts) if claim.attempts else 0.0
        return Ending(
            claim, "pending", error="not found at Omisell; it will be sent again", delay=delay, reached=Reached.NO
        )

    def _wait(self, claim: Claim, first: float, why: str | None) -> Ending:
        """Looks again when the settling time is over; it begins now if it has not begun."""
        why = why or "the outcome of an attempt is not known; looking for the order at Omisell before sending again"
        if claim.settles_in is None:
            return Ending(claim, "pending", error=why, delay=first, reached=Reached.MAYBE, settle=self._rules.settle)
        return Ending(claim, "pending", error=why, delay=max(claim.settles_in, first / 5), reached=Reached.MAYBE)

    def _found(self, claim: Claim, found: list[ListedOrder]) -> Ending:
        kept = found[0]
        others = [order.omisell_order_number for order in found[1:]]
        return self._adopted(claim, kept.omisell_order_number, kept.status_id, kept, others)

    def _adopted(
        self, claim: Claim, number: str, status_id: int | None, listed: ListedOrder | None, others: list[str] | None
    ) -> Ending:
        data: dict[str, object] = {"outbox_id": claim.id}
        if others:
            data["also_at_omisell"] = others
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

    def _body(self, claim: Claim) -> str:
        body = json.loads(claim.payload or "{}")
        for name, value in self._rules.defaults.items():
            if body.get(name) is None:
                body[name] = value
        if body.get("created_time") is None:
            body["created_time"] = claim.created_time
        return json.dumps(body, ensure_ascii=False)

    def after_failure(self, claim: Claim, error: OmisellError, *, outage: bool) -> Ending:
        """How the claim ends when the call failed in a way that time can mend."""
        spent = 0 if outage else 1
        maybe = claim.uncertain or (isinstance(error, Unavailable) and error.maybe_applied)
        if maybe:
            # also with the attempts used up: a row ends `failed` only when it is known not to be there
            first = min(FIRST_LOOK, self._rules.settle)
            settle = None if claim.uncertain and claim.settles_in is not None else self._rules.settle
            return Ending(
                claim, "pending", error=str(error), spent=spent, delay=first, reached=Reached.MAYBE, settle=settle
            )
        if claim.attempts + spent >= self._rules.max_attempts:
            return self._failed(claim, str(error))
        delay = self._rules.backoff.delay(claim.attempts)
        return Ending(claim, "pending", error=str(error), spent=spent, delay=delay, reached=Reached.NO)


def _why(claim: Claim, why: str) -> str:
    return json.dumps({"outbox_id": claim.id, "why": why}, ensure_ascii=False)
