"""Webhooks: made on each event, sent with the guide's retries, logged."""

import asyncio
import itertools
import json
import random
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

import aiohttp

from omisync.simulator.clock import Cancellable, Clock
from omisync.simulator.config import Live
from omisync.simulator.detail import items_of, push_data
from omisync.simulator.envelope import Json
from omisync.simulator.faults import Faults
from omisync.simulator.ledger import Ledger
from omisync.simulator.orders import Order, State
from omisync.simulator.signing import authorization
from omisync.simulator.statuses import RETURNED, shipment_name_of, shipment_of

PushState = Literal["waiting", "delivered", "dropped", "given_up", "unregistered"]


@dataclass(frozen=True, slots=True)
class Try:
    """One attempt to deliver: when (Unix seconds), and the status or the error."""

    at: float
    status: int | None
    error: str | None


@dataclass(slots=True, eq=False)
class Push:
    """One push: the same request_id and body at every try."""

    request_id: str
    event: str
    order_number: str
    omisell_order_number: str
    status_id: int
    body: bytes = field(repr=False)
    created_at: float
    state: PushState = "waiting"
    tries: list[Try] = field(default_factory=list)
    next_try_at: float | None = None

    def as_json(self, *, body: bool = True) -> Json:
        """For /control/pushes; without `body`, which is most of it, where many are asked for."""
        seen: Json = {
            "request_id": self.request_id,
            "event": self.event,
            "order_number": self.order_number,
            "omisell_order_number": self.omisell_order_number,
            "status_id": self.status_id,
            "state": self.state,
            "created_at": self.created_at,
            "next_try_at": self.next_try_at,
            "tries": [{"at": each.at, "status": each.status, "error": each.error} for each in self.tries],
        }
        return {**seen, "body": json.loads(self.body)} if body else seen


class Pushes:
    """Sends pushes and keeps their log.

    Args:
        live: The configuration.
        clock: Time.
        chance: Where request ids come from.
        faults: What goes wrong with pushes.
        ledger: Counts them.
        changed: Called after each change of the log.
    """

    def __init__(
        self,
        live: Live,
        clock: Clock,
        chance: random.Random,
        faults: Faults,
        ledger: Ledger,
        changed: Callable[[], None],
    ) -> None:
        self._live = live
        self._clock = clock
        self._chance = chance
        self._faults = faults
        self._ledger = ledger
        self._changed = changed
        self._log: dict[str, Push] = {}
        self._settled: deque[str] = deque()
        self._queue: deque[Push] = deque()
        self._held: dict[str, tuple[Push, Cancellable]] = {}
        self._timers: dict[int, Cancellable] = {}
        self._timer_seq = 0
        self._running: set[asyncio.Task[None]] = set()
        self._session: aiohttp.ClientSession | None = None

    def __iter__(self) -> Iterator[Push]:
        """The log, oldest first."""
        return iter(list(self._log.values()))

    def __len__(self) -> int:
        return len(self._log)

    @property
    def waiting(self) -> int:
        """How many are not settled yet."""
        return sum(push.state == "waiting" for push in self._log.values())

    def newest(self, limit: int) -> list[Push]:
        """The last so many, newest first."""
        return list(itertools.islice(reversed(self._log.values()), limit))

    def of(self, number: str) -> list[Push]:
        """The pushes of one order, by either number."""
        return [push for push in self if number in {push.order_number, push.omisell_order_number}]

    async def start(self) -> None:
        """Begin to send; what was left waiting by a stop goes out now."""
        self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
        for push in self:
            if push.state == "waiting":
                self._enqueue(push)

    async def stop(self) -> None:
        """Cut off what is under way and call off what is arranged."""
        self._call_off()
        running = list(self._running)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        if self._session is not None:
            await self._session.close()
            self._session = None

    def clear(self) -> None:
        """Forget all pushes."""
        self._call_off()
        for task in list(self._running):
            task.cancel()
        self._log.clear()
        self._settled.clear()

    def announce(self, order: Order, state: State, event: str | None) -> None:
        """An order has changed: push what the switched on categories push for it."""
        categories = self._live.config.push.categories
        if event is not None and "order" in categories:
            self.push_order(order, state, event)
        if "shipment" in categories and state.parcels and _shipment_changed(order):
            self._make(order, state, "shipment.updated", _shipment_data(order, state, self._live.config.language))
        if "return" in categories and state.status_id == RETURNED:
            received = event == "order.return_receive"
            self._make(order, state, "return.updated", _return_data(order, state, self._live.config.language, received))

    def push_order(self, order: Order, state: State, event: str) -> Push:
        """Make a push about an order, with a request_id of its own."""
        return self._make(order, state, event, push_data(order, state, self._live.config.language))

    def resend(self, request_id: str) -> Push:
        """Send a push of the log once more: same request_id, same body.

        Raises:
            LookupError: It is not in the log.
        """
        push = self._log.get(request_id)
        if push is None:
            raise LookupError(f"no push {request_id!r} in the log")
        if push.state != "waiting" and push.request_id in self._settled:
            self._settled.remove(push.request_id)
        push.state = "waiting"
        push.tries = []
        self._enqueue(push)
        return push

    def _make(self, order: Order, state: State, event: str, data: Json) -> Push:
        now = self._clock.time()
        request_id = f"{self._chance.getrandbits(128):032x}"
        body = {
            "data": data,
            "event": event,
            "shop_id": order.shop.shop_id,
            "seller_id": self._live.config.account.seller_id,
            "platform": order.shop.platform,
            "timestamp": int(now),
            "request_id": request_id,
        }
        push = Push(
            request_id=request_id,
            event=event,
            order_number=order.order_number,
            omisell_order_number=order.omisell_order_number,
            status_id=state.status_id,
            body=json.dumps(body, ensure_ascii=False).encode(),
            created_at=now,
        )
        self._log[request_id] = push
        self._ledger.pushes["announced"] += 1
        self._first(push)
        return push

    def _first(self, push: Push) -> None:
        """Send it for the first time, or do to it what the faults want."""
        if self._live.config.push.callback_url is None:
            self._settle(push, "unregistered")
        elif self._faults.strikes("push_drop", push.event):
            self._settle(push, "dropped")
        elif fault := self._faults.strikes("push_delay", push.event):
            self._later(self._faults.seconds(fault), push)
        elif (
            fault := self._faults.strikes("push_reorder", push.event)
        ) and push.omisell_order_number not in self._held:
            self._hold(push, self._faults.seconds(fault))
        else:
            self._enqueue(push)
            if self._faults.strikes("push_duplicate", push.event):
                self._enqueue(push)
            self._release(push.omisell_order_number)

    def _hold(self, push: Push, seconds: float) -> None:
        number = push.omisell_order_number
        if self._session is None:
            return  # the start sends what waits
        self._held[number] = (push, self._clock.call_later(seconds, lambda: self._release(number)))

    def _release(self, number: str) -> None:
        held = self._held.pop(number, None)
        if held is not None:
            held[1].cancel()
            self._enqueue(held[0])

    def _enqueue(self, push: Push) -> None:
        if self._session is None:
            return  # the start sends what waits
        push.next_try_at = None
        self._queue.append(push)
        self._pump()

    def _later(self, seconds: float, push: Push) -> None:
        if self._session is None:
            return  # the start sends what waits
        self._timer_seq += 1
        seq = self._timer_seq

        def due() -> None:
            del self._timers[seq]
            self._enqueue(push)

        push.next_try_at = self._clock.time() + seconds
        self._timers[seq] = self._clock.call_later(seconds, due)

    def _pump(self) -> None:
        if self._session is None:
            return
        while self._queue and len(self._running) < self._live.config.push.concurrency:
            task = asyncio.get_running_loop().create_task(self._try(self._queue.popleft(), self._session))
            self._running.add(task)
            task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        if not task.cancelled():
            task.result()
        self._pump()

    async def _try(self, push: Push, session: aiohttp.ClientSession) -> None:
        config = self._live.config.push
        if config.callback_url is None:
            self._settle(push, "unregistered")
            return
        self._ledger.pushes["sent"] += 1
        self._changed()
        status, error = None, None
        try:
            async with session.post(
                config.callback_url,
                data=push.body,
                headers=self._headers(push),
                timeout=aiohttp.ClientTimeout(total=config.timeout),
                allow_redirects=False,
            ) as response:
                await response.content.read(65536)
                status = response.status
        except TimeoutError:
            error = f"no answer within {config.timeout:g} s"
        except (aiohttp.ClientError, OSError, ValueError) as failure:
            error = type(failure).__name__
        push.tries.append(Try(self._clock.time(), status, error))
        if status == 200:
            self._ledger.pushes["delivered"] += 1
            self._settle(push, "delivered")
        else:
            self._ledger.pushes["failed"] += 1
            self._failed(push)

    def _headers(self, push: Push) -> dict[str, str]:
        config = self._live.config
        url = config.push.registered_url or config.push.callback_url or ""
        headers = {
            "Content-Type": "application/json",
            "Seller-ID": str(config.account.seller_id),
            "Country": config.account.country,
        }
        value = authorization(config.push.authorization, config.push.secret, url, push.body)
        if self._faults.strikes("push_wrong_signature", push.event):
            value = f"{self._chance.getrandbits(256):064x}"
        return headers if value is None else {**headers, "Authorization": value}

    def _failed(self, push: Push) -> None:
        retries = self._live.config.push.retries
        made = len(push.tries) - 1
        if push.state == "delivered":
            self._changed()  # the other copy of a duplicate got through
        elif made < len(retries):
            self._later(retries[made] * self._live.config.clock_factor, push)
            self._changed()
        else:
            self._settle(push, "given_up")

    def _settle(self, push: Push, state: PushState) -> None:
        if push.state == "waiting":
            self._settled.append(push.request_id)
        push.state = state
        push.next_try_at = None
        if state != "delivered":
            self._ledger.pushes[state] += 1
        while len(self._settled) > self._live.config.push.log_size:
            self._log.pop(self._settled.popleft(), None)
        self._changed()

    def _call_off(self) -> None:
        for timer in self._timers.values():
            timer.cancel()
        for _, timer in self._held.values():
            timer.cancel()
        self._timers.clear()
        self._held.clear()
        self._queue.clear()


def _shipment_changed(order: Order) -> bool:
    before: Mapping[int, int] = {place: shipment_of(state.status_id) for place, state in enumerate(order.history)}
    last = len(before) - 1
    return last == 0 or not order.history[last - 1].parcels or before[last] != before[last - 1]


def _shipment_data(order: Order, state: State, language: str) -> Json:
    """PROPOSED, but that omisell_order_number is there and status_id the shipment's [code: node]."""
    status = shipment_of(state.status_id)
    return {
        **push_data(order, state, language),
        "status_id": str(status),
        "status_name": shipment_name_of(status, language),
        "courier_tracking_number": state.parcels[0].tracking_number,
    }


def _return_data(order: Order, state: State, language: str, received: bool) -> Json:
    """PROPOSED: no document says what is in it, so a receiver can only keep what it does not know."""
    return {
        **push_data(order, state, language),
        "return_number": f"RET{order.seq:06d}",
        "is_received": received,
        "items": [{"sku": item.get("sku"), "quantity": item.get("quantity")} for item in items_of(order.body)],
    }
