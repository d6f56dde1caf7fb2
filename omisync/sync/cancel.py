"""Cancels one order at Omisell; where the answer does not tell, the order's own status does."""

import json

from omisync.omisell import CallClass, NotFound, OmisellError, OrderDetail, Refused, can_cancel, is_cancelled
from omisync.store import Claim, Ending, Reached
from omisync.sync.add import SendingRules
from omisync.sync.flight import Held
from omisync.sync.lookup import Lookup
from omisync.sync.ports import OmisellApi

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
        """
        number = claim.omisell_order_number
        if number is None:
            found = await self._lookup.find(claim.order_number, max(claim.sent_age, LOOK_BACK))
            if not found:
                return Ending(claim, "done", "annulled", reached=Reached.NO, event="annulled", event_data=_data(claim))
            number = found[0].omisell_order_number
        if claim.uncertain and _under_way(await self._omisell.order_detail(number, cls=CallClass.CANCEL)):
            return self._done(claim, "cancelled", number)
        try:
            await self._omisell.cancel_order(number, _reason(claim), on_send=held.about_to_send)
        except Refused as refusal:
            return await self._refused(claim, number, refusal)
        return self._done(claim, "cancelled", number)

    async def _refused(self, claim: Claim, number: str, refusal: Refused) -> Ending:
        try:
            detail = await self._omisell.order_detail(number, cls=CallClass.CANCEL)
        except NotFound:
            return self._failed(claim, number, refusal.words(), None)
        if _under_way(detail):
            return self._done(claim, "cancelled" if claim.uncertain else "already_cancelled", number)
        given_up = claim.attempts + 1 >= self._rules.max_attempts
        if given_up or (detail.status_id is not None and not can_cancel(detail.status_id)):
            return self._failed(claim, number, refusal.words(), detail.status_id)
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

    def after_failure(self, claim: Claim, error: OmisellError, *, outage: bool) -> Ending:
        """How the claim ends when the call failed in a way that time can mend; a cancel may be sent again."""
        spent = 0 if outage else 1
        if claim.attempts + spent >= self._rules.max_attempts:
            return Ending(
                claim, "failed", error=str(error), spent=spent, event="failed", event_data=_data(claim, str(error))
            )
        delay = self._rules.backoff.delay(claim.attempts)
        return Ending(claim, "pending", error=str(error), spent=spent, delay=delay, reached=Reached.MAYBE)


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
