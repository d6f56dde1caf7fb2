"""An Omisell to run at home."""

from omisync.simulator.account import Account, AccountConfig, Pickup, Product, Shop
from omisync.simulator.clock import Clock, ManualClock, SystemClock
from omisync.simulator.config import (
    BucketConfig,
    LifeConfig,
    ListConfig,
    OrderConfig,
    PathConfig,
    PushConfig,
    SimulatorConfig,
    TokenConfig,
)
from omisync.simulator.faults import BadFaultError, Fault, Faults
from omisync.simulator.ledger import Ledger
from omisync.simulator.life import NoNextStatusError
from omisync.simulator.locations import Locations, Place
from omisync.simulator.orders import Order, OrderBook, State, UnknownOrderError
from omisync.simulator.pushes import Push, Pushes
from omisync.simulator.serve import serve
from omisync.simulator.server import Simulator

__all__ = [
    "Account",
    "AccountConfig",
    "BadFaultError",
    "BucketConfig",
    "Clock",
    "Fault",
    "Faults",
    "Ledger",
    "LifeConfig",
    "ListConfig",
    "Locations",
    "ManualClock",
    "NoNextStatusError",
    "Order",
    "OrderBook",
    "OrderConfig",
    "PathConfig",
    "Pickup",
    "Place",
    "Product",
    "Push",
    "PushConfig",
    "Pushes",
    "Shop",
    "Simulator",
    "SimulatorConfig",
    "State",
    "SystemClock",
    "TokenConfig",
    "UnknownOrderError",
    "serve",
]
