"""An Omisell to run at home: for a merchant's own development, for the demo, for tests.

It is written from the public documents alone and shares no code with the daemon, so that a mistake of one is
not hidden by the same mistake in the other. All state is in memory; stopping it forgets everything. What the
documents leave open is an option, and what was made up is marked PROPOSED where it is defined.

**On the command line**: `omisync simulate`, then open the URL it prints. The page shows the credentials to put
into `config.toml` (`omisell.base_url`, `api_key`, `api_secret`, `seller_id`, `shop_id`, `pickup_id`). Enter the
webhook's URL and secret there under *Account*, as one would in Omisell's Console. Then send an order, push it on
with its buttons, cancel it, return it, and switch faults on to see how your shop takes them. Anybody who can
reach the port can do all this: keep it on loopback.

**Over HTTP**, beside Omisell's own paths, and free of its rate limit (JSON in, JSON out):

| call | does |
|---|---|
| `GET /control/orders` | every order, its history and detail; `order_number=`, `limit=`, `offset=`, `detail=0` |
| `GET /control/ledger` | what was applied, refused, turned away, pushed; the bucket |
| `GET /control/pushes` | the push log with every try; `order_number=`, `limit=`, `offset=`, `body=0` |
| `POST /control/create` | an order made at Omisell: `{"order": {…}, "status_id": 300, "count": 1}`, all optional |
| `POST /control/advance` | `{"order_number": "WEB-1"}` to the next status, with `"status_id"` to any |
| `POST /control/cancel` | `{"order_number": "WEB-1", "status_id": 703}`: Omisell cancels it, whatever its status |
| `POST /control/event` | `{"order_number": "WEB-1", "event": "order.reconciled"}`: an event without a new status |
| `POST /control/push` | `{"request_id": "…"}` sends one of the log again; `{"order_number", "event"}` makes one |
| `GET, PATCH, DELETE /control/faults` | what goes wrong: `{"error_after": 0.1, "list_lag": {"seconds": 20}}` |
| `GET, PATCH /control/config` | every option of `SimulatorConfig`, as nested JSON |
| `POST /control/revoke-tokens` | all access tokens are void; with `{"refresh": true}` the refresh tokens too |
| `POST /control/reset` | forgets orders, pushes, tokens, counts and faults |

`order_number` is the merchant's number or Omisell's. The kinds of faults and their values: `faults.KINDS`, `Fault`.

**In a test**:

    simulator = Simulator(SimulatorConfig(push=PushConfig(callback_url=url, secret="…")))
    await simulator.start()                       # a free port of loopback; simulator.url
    ...
    await simulator.wait_for(lambda: simulator.ledger.adds_applied["WEB-1"] == 1)
    simulator.advance("WEB-1", 500)               # shipped: pushes order.shipped
    simulator.faults.set("error_after", times=1)  # the next add or cancel is applied, and answered with an error
    assert len(simulator.orders.named("WEB-1")) == 1
    await simulator.stop()

With `clock=ManualClock()` nothing happens by itself until `clock.advance(seconds)`: pushes are retried, tokens
expire, the bucket leaks and orders live by that clock.
"""

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
