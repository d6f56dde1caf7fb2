"""Omisell: does it answer, does it know us, are its clock, the shop and the warehouse what we think they are."""

from collections.abc import Sequence

from omisync.checkup.verdict import Check, State, Tell, clock
from omisync.config import OmisellSettings
from omisync.omisell import AuthenticationFailed, OmisellClient, OmisellError, Pickup, Refused, Shop
from omisync.store import StoreError

CUSTOM = "custom"
"""The platform of the shops that take Add Order [guide 3]; as it is written in the list is UNKNOWN."""
SHOWN = 5
"""Ids that are named where the configured one is not among them."""
TOKEN_SOON = 600.0
"""Seconds before a token's end at which the daemon should long have renewed it."""
NAMES = ("omisell", "token", "omisell clock", "shop_id", "pickup_id")


async def examine_omisell(settings: OmisellSettings, client: OmisellClient, tell: Tell, *, shared: bool) -> bool:
    """Looks at the account: the shop list, and the pickup list where a pickup id is configured.

    Args:
        settings: the configuration.
        client: with the token that all replicas share, or with one of its own.
        tell: hears of each check.
        shared: whether the token is kept in the database.

    Returns:
        Whether Omisell answered.
    """
    try:
        shops = await client.shops()
    except (OmisellError, StoreError) as error:
        tell(_without(error, settings))
        for name in NAMES[1:]:
            tell(Check(name, State.SKIPPED, "needs an answer of Omisell"))
        return False
    tell(Check("omisell", State.OK, f"{settings.base_url} answers, and accepts the credentials"))
    tell(_token(client.tokens.expires_in(), shared=shared))
    tell(_clock(client.clock_skew))
    tell(_shop(settings.shop_id, shops))
    tell(await _pickup(settings, client))
    return True


def _without(error: OmisellError | StoreError, settings: OmisellSettings) -> Check:
    name = NAMES[0]
    match error:
        case AuthenticationFailed():
            advice = "compare omisell.api_key, api_secret and auth_scheme with Omisell's API integration page"
            return Check(name, State.FAILED, str(error), advice)
        case Refused():
            advice = f"check omisell.paths.shop_list ({settings.paths.shop_list}), seller_id and country"
            return Check(name, State.FAILED, str(error), advice)
        case StoreError():
            return Check(name, State.UNREACHABLE, f"no token: {error}")
        case _:
            advice = f"check omisell.base_url ({settings.base_url}), the network and its proxy; try again"
            return Check(name, State.UNREACHABLE, str(error), advice)


def _token(seconds: float | None, *, shared: bool) -> Check:
    whose = "the one that all replicas share" if shared else "one of this command's own: the database keeps none"
    if seconds is None:
        return Check("token", State.OK, f"good ({whose}); Omisell names no end")
    hours = f"{seconds / 3600:.1f} h" if seconds >= 3600 else f"{max(seconds, 0) / 60:.0f} min"
    if seconds < TOKEN_SOON:
        advice = "is the daemon running? it renews the token long before"
        return Check("token", State.WARNING, f"good for only {hours} ({whose})", advice)
    return Check("token", State.OK, f"good for {hours} ({whose})")


def _clock(ahead: float | None) -> Check:
    if ahead is None:
        return Check("omisell clock", State.SKIPPED, "Omisell's answer carries no time")
    return clock("omisell clock", "Omisell", ahead)


def _shop(wanted: int, shops: Sequence[Shop]) -> Check:
    name = "shop_id"
    found = next((shop for shop in shops if shop.shop_id == wanted), None)
    if found is None:
        custom = [shop for shop in shops if shop.platform.lower() == CUSTOM] or shops
        says = f"the account has no shop {wanted}; {_ids([(shop.shop_id, shop.name) for shop in custom])}"
        return Check(name, State.FAILED, says, "set omisell.shop_id to one that `omisync shops` lists")
    said = f"{wanted} is {found.name or 'a shop without a name'}"
    if found.platform and found.platform.lower() != CUSTOM:
        advice = "set omisell.shop_id to the custom store: `omisync shops`"
        return Check(
            name, State.WARNING, f"{said}, of platform {found.platform}: only a custom one takes orders", advice
        )
    return Check(name, State.OK, said)


async def _pickup(settings: OmisellSettings, client: OmisellClient) -> Check:
    name = "pickup_id"
    wanted = settings.pickup_id
    if wanted is None:
        return Check(
            name, State.SKIPPED, "none is configured: every order has to name its own", "`omisync pickups` lists them"
        )
    try:
        pickups = await client.pickups()
    except Refused as error:
        advice = f"check omisell.paths.pickup_list ({settings.paths.pickup_list})"
        return Check(name, State.FAILED, str(error), advice)
    except (OmisellError, StoreError) as error:
        return Check(name, State.UNREACHABLE, str(error), "try again")
    return _judged(wanted, pickups)


def _judged(wanted: int, pickups: Sequence[Pickup]) -> Check:
    found = next((pickup for pickup in pickups if pickup.id == wanted), None)
    if found is not None:
        return Check("pickup_id", State.OK, f"{wanted} is {found.name or 'a warehouse without a name'}")
    says = f"the account has no warehouse {wanted}; {_ids([(pickup.id, pickup.name) for pickup in pickups])}"
    return Check("pickup_id", State.FAILED, says, "set omisell.pickup_id to one that `omisync pickups` lists")


def _ids(named: Sequence[tuple[int, str]]) -> str:
    shown = ", ".join(f"{number} ({name})" if name else str(number) for number, name in named[:SHOWN])
    return f"it has {shown}{' and more' if len(named) > SHOWN else ''}" if shown else "it has none"
