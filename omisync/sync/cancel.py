"""Cancels one order at Omisell; where the answer does not tell, the order's own status does."""

import json

from omisync.checks.refusals import explained
from omisync.omisell import CallClass, NotFound, OrderDetail, Refused, can_cancel, is_cancelled
from omisync.store import Claim, Ending, Reached
from omisync.sync.flight import Held
from omisync.sync.lookup import Lookup
from omisync.sync.ports import OmisellApi
from omisync.sync.rules import FIRST_LOOK, SendingRules

CANCELLATION_REQUESTED = 370  # under way at Omisell [guide]
LOOK_BACK = 86_400.0  # seconds: how far back to look for an order whose number at Omisell is not known


class Canceller:
    """Decides how a cancel's claim ends. Throttling and trouble with the token are the caller's."""

    def __init__(self, omisell: OmisellApi, lookup: Lookup, rules: SendingRules) -> None:
        self._omisell = omisell
        self._lookup = lookup
        self._rules = rules

    async def work(self, claim: Claim, held: Held) -> Ending:
        """Sends, or reads the order's status, and says how the claim ends.

        Raises:
            OmisellError: Throttled, Unavailable, AuthenticationFailed: for the caller to judge.
            LeaseLost: the row may be somebody else's by now.
            Incomplete: the list moved too much to find the order.
            StoreError: the token is not to be had while the database is away.
        """
        number = claim.omisell_order_number
        if number is None:
            found = await self._lookup.find(claim.order_number, max(claim.sent_age, LOOK_BACK))
            if not found:
                return self._not_there(claim)
            number = found[0].omisell_order_number
        if claim.uncertain and _under_way(await self._omisell.order_detail(number, cls=CallClass.CANCEL)):
            return self._done(claim, "cancelled", number)
        try:
            await self._omisell.cancel_order(number, _reason(claim), on_send=held.about_to_send)
        except Refused as refusal:
            return await self._refused(claim, number, refusal)
        return self._done(claim, "cancelled", number)

    def _not_there(self, claim: Claim) -> Ending:
        """Its add was given up: if a copy of it reached Omisell all the same, it is listed when the wait is over."""
        left = self._rules.unsettled_for(claim, self._lookup.lag)
        begins = claim.settling_for is None
        if begins or left > 0:
            delay = min(FIRST_LOOK, self._rules.settle) if begins else max(left, FIRST_LOOK / 5)
            why = "its add was given up; waiting whether the order comes to light at Omisell"
            return Ending(claim, "pending", error=why, delay=delay, reached=Reached.MAYBE, settling=begins)
        return Ending(claim, "done", "annulled", reached=Reached.NO, event="annulled", event_data=_data(claim))

    async def _refused(self, claim: Claim, number: str, refusal: Refused) -> Ending:
        """A refusal is final only if the order's status says so [omisell-api 4.4]; a detail may be late."""
        status: int | None = None
        try:
            detail = await self._omisell.order_detail(number, cls=CallClass.CANCEL)
        except NotFound:
            pass
        else:
            if _under_way(detail):
                return self._done(claim, "cancelled" if claim.uncertain else "already_cancelled", number)
            status = detail.status_id
        given_up = claim.attempts + 1 >= self._rules.max_attempts
        if given_up or (status is not None and not can_cancel(status)):
            return self._failed(claim, number, explained(refusal.words()), status)
        delay = self._rules.backoff.delay(claim.attempts)
        return Ending(claim, "pending", error=refusal.words(), spent=1, delay=delay, reached=Reached.NO)

    def _done(self, claim: Claim, outcome: str, number: str) -> Ending:
        if outcome == "already_cancelled":
            return Ending(claim, "done", "already_cancelled", spent=1)
        return Ending(
            claim,
            "done",
            "cancelled",
            spent=1,
            event="cancel_requested",
            event_data=_data(claim),
            omisell_order_number=number,
        )

    def _failed(self, claim: Claim, number: str, why: str, status_id: int | None) -> Ending:
        return Ending(
            claim,
            "failed",
            error=why,
            spent=1,
            reached=Reached.NO,
            event="cancel_refused",
            event_data=_data(claim, why),
            omisell_order_number=number,
            status_id=status_id,
        )

    def after_failure(self, claim: Claim, why: str, *, maybe_applied: bool, outage: bool) -> Ending:
        """How the claim ends when the call failed in a way that time can mend; a cancel may be sent again."""
        spent = 0 if outage else 1
        reached = Reached.MAYBE if maybe_applied or claim.uncertain else Reached.NO
        if claim.attempts + spent >= self._rules.max_attempts:
            return Ending(
                claim, "failed", error=why, spent=spent, reached=reached, event="failed", event_data=_data(claim, why)
            )
        # in an outage nobody is tried anyway: everything keeps its place, and flows again oldest first
        delay = self._rules.backoff.delay(claim.attempts) if spent else None
        return Ending(claim, "pending", error=why, spent=spent, delay=delay, reached=reached)


def _under_way(detail: OrderDetail) -> bool:
    status = detail.status_id
    return status is not None and (status == CANCELLATION_REQUESTED or is_cancelled(status))


def _reason(claim: Claim) -> str | None:
    payload = json.loads(claim.payload) if claim.payload else None
    reason = payload.get("reason") if isinstance(payload, dict) else None
    return reason if isinstance(reason, str) else None


def _data(claim: Claim, why: str | None = None) -> str:
    data: dict[str, object] = {"outbox_id": claim.id}
    if why is not None:
        data["why"] = why
    return json.dumps(data, ensure_ascii=False)
