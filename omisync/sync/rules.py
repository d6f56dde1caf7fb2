"""What the configuration says of sending, and how long "not listed" is not believed."""

from collections.abc import Mapping
from dataclasses import dataclass

from omisync.config import Settings
from omisync.store import Claim
from omisync.sync.backoff import Backoff

FIRST_LOOK = 5.0  # seconds after an uncertain add; the deciding look comes when the settling time is over
LAG_MARGIN = 2.0  # times the greatest lag seen lately: a lag is seen only as far as a reading happened to show it


@dataclass(frozen=True, slots=True)
class SendingRules:
    """What the configuration says of sending; times in seconds.

    Attributes:
        settle: the least time before "not listed" is believed.
        defaults: put into payloads that lack them: `shop_id`, `pickup_id`.
    """

    max_attempts: int
    settle: float
    backoff: Backoff
    shop_id: int
    defaults: Mapping[str, object]

    def unsettled_for(self, claim: Claim, lag: float) -> float:
        """Seconds until "not listed" may be believed of this claim's order; 0 or less when it may be.

        Args:
            claim: when its wait began, and the greatest lag that any replica has seen lately.
            lag: the lag that the reading in hand shows.
        """
        wanted = max(self.settle, LAG_MARGIN * max(claim.list_lag, lag))
        return wanted - (claim.settling_for or 0.0)


def rules_of(settings: Settings) -> SendingRules:
    """What the whole configuration says of it."""
    defaults: dict[str, object] = {"shop_id": settings.omisell.shop_id}
    if settings.omisell.pickup_id is not None:
        defaults["pickup_id"] = settings.omisell.pickup_id
    outbox = settings.outbox
    return SendingRules(
        max_attempts=outbox.max_attempts,
        settle=outbox.settle,
        backoff=Backoff(outbox.backoff_base, outbox.backoff_cap),
        shop_id=settings.omisell.shop_id,
        defaults=defaults,
    )
