"""Puts the checks together as the configuration wants them."""

from omisync.config import ChecksSettings
from omisync.omisell import OmisellClient
from omisync.store import Database
from omisync.store.mirrors import MirrorName, Mirrors, ProductSource
from omisync.sync.prepare import Checker, CheckRules
from omisync.sync.products import ProductMaker


def checker(settings: ChecksSettings, country: str, omisell: OmisellClient, database: Database) -> Checker:
    """What orders go through before they are sent.

    Args:
        settings: the section [checks].
        country: of the account, two letters.
        omisell: where missing products are made known, if that is wanted.
        database: where the copies of the lists are, and the merchant's function.
    """
    mirrors = Mirrors(database)
    products = None
    if settings.create_products and settings.product_function is not None:
        products = ProductMaker(omisell, ProductSource(database, settings.product_function), mirrors)
    return Checker(mirrors, CheckRules(settings.addresses, settings.phones, settings.skus, country), products)


def wanted_lists(settings: ChecksSettings) -> dict[MirrorName, float]:
    """The lists that the checks need, and the small ones that people look at; seconds until each is due again."""
    wanted: dict[MirrorName, float] = {"shops": settings.refresh, "pickups": settings.refresh}
    if settings.skus != "off":
        wanted |= {"catalogue": settings.refresh, "products": settings.refresh}
    if settings.addresses != "off":
        wanted["locations"] = settings.refresh_locations
    return wanted
