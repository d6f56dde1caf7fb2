"""Starts omisync with a bug planted in it: `python -m tests.chaos.broken BUGS run --config …`.

The suite's own proof: what is patched here, and nowhere in the product, must be caught. `BUGS` is a list with commas
of the names below; aids are not bugs, but hold a sound daemon still at the moment that a scenario is about.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import omisync.store.orders as store_orders
import omisync.store.outbox as store_outbox
import omisync.store.sql as store_sql
from omisync.store.inbox import Inbox


class Planted(Exception):
    """The product has changed so that a bug cannot be planted any more: the patch here has to follow it."""


def _in_sql(*changes: tuple[str, str]) -> None:
    """Change the daemon's statements as they are read."""
    sound, missing = store_sql.in_schema, {old for old, _ in changes}

    def changed(text: str, schema: str) -> str:
        for old, new in changes:
            if old in text:
                missing.discard(old)
                text = text.replace(old, new)
        return sound(text, schema)

    read = store_sql.Queries.__init__

    def read_all(queries: store_sql.Queries, schema: str) -> None:
        read(queries, schema)
        if missing:
            raise Planted(f"no longer in sql/: {missing}")

    store_sql.in_schema = changed
    store_sql.Queries.__init__ = read_all  # type: ignore[method-assign,assignment] # that is the plan


def answers_before_commit() -> None:
    """A push is answered 200 while it is still being stored."""
    sound, storing = Inbox.add, set()

    async def add(inbox: Inbox, delivery: Any) -> bool:
        task = asyncio.create_task(sound(inbox, delivery))
        storing.add(task)
        return True

    Inbox.add = add  # type: ignore[method-assign,assignment] # that is the plan


def drops_inbox_rows() -> None:
    """Pushes of one status are taken for repeats."""
    _in_sql(("body)\nON CONFLICT (dedup_key)", "body)\nWHERE r.status_id <> 500\nON CONFLICT (dedup_key)"))


def no_fence_at_the_end() -> None:
    """Whoever has had a row may end it, whoever has it now."""
    _in_sql(("WHERE o.id = r.id AND o.lease_token = r.lease_token", "WHERE o.id = r.id"))


def no_fence_before_sending() -> None:
    """A request goes out without a look at how old its lease is."""
    from omisync.sync.flight import Held  # noqa: PLC0415 - after the leases were shortened

    def about_to_send(held: Held) -> None:
        held.sent = True

    Held.about_to_send = about_to_send  # type: ignore[method-assign,assignment] # that is the plan


def sends_again_without_looking() -> None:
    """An add whose outcome is not known is simply sent again."""
    from omisync.sync.add import Adder  # noqa: PLC0415 - after the leases were shortened

    async def look(adder: Adder, claim: Any) -> Any:
        return await adder._send(claim, _Free())  # type: ignore[arg-type] # stands in for Held

    Adder._look = look  # type: ignore[method-assign,assignment] # that is the plan


class _Free:
    """Holds nothing."""

    sent = False

    def about_to_send(self) -> None:
        """Never minds."""


def takes_a_dead_workers_row_for_a_new_one() -> None:
    """A row left behind by a killed daemon is claimed as if it had never been sent."""
    _in_sql(("c.was_sent_at IS NOT NULL AS uncertain", "c.was_sent_at IS NOT NULL AND NOT c.expired AS uncertain"))


def cancels_before_adding() -> None:
    """A cancel is claimed though its add is still on its way."""
    earlier = "AND e.id < o.id AND e.state IN ('pending', 'sending')"
    then = " OFFSET 0)\n      AND (o.kind <> 'order.add'"
    _in_sql((earlier + then, f"{earlier} AND o.kind <> 'order.cancel'{then}"))


def refreshes_by_arrival() -> None:
    """The detail that comes last is applied, however old it is and whoever fetched it."""
    fetches = "FROM omisync.refreshes AS f JOIN r USING (omisell_order_number)"
    fence = f"{fetches}\n    WHERE f.lease_token = r.lease_token\n    ORDER BY f.omisell_order_number FOR UPDATE OF f"
    _in_sql(
        (f"SELECT f.omisell_order_number, f.generation {fence}", "SELECT r.omisell_order_number, r.generation FROM r"),
        ("AND (old.detail_updated_at IS NULL OR", "AND (true OR"),
        ("AND (old.synced_at IS NULL OR", "AND (true OR"),
        (
            "            old.omisell_updated_at IS NULL\n            OR (r.updated_time",
            "            true OR (r.updated_time",
        ),
    )


def short_leases() -> None:
    """An aid: leases of 3 s, so that a scenario need not wait for 15."""
    for module in (store_outbox, store_orders):
        vars(module)["LEASE_SECONDS"] = 3.0
    from omisync.sync import flight  # noqa: PLC0415 - it takes over what stands in store.outbox

    flight.RENEW_EVERY, flight.LEASE_MARGIN = 1.0, 0.5
    from omisync.sync import refresher, sender  # noqa: PLC0415 - they take over what stands in flight

    assert vars(sender)["RENEW_EVERY"] == vars(refresher)["RENEW_EVERY"] == 1.0


def no_timetable() -> None:
    """An aid: no sweep comes by and mends what a scenario looks for."""
    from omisync.schedule import Schedule  # noqa: PLC0415 - after the leases were shortened

    Schedule.start = lambda _: None  # type: ignore[method-assign,assignment] # that is the plan


def loses_the_database_at_once() -> None:
    """An aid: the database is there when the daemon starts, and away when it looks for the first time who leads."""
    from omisync.store import Leases, StoreUnavailable  # noqa: PLC0415 - after the leases were shortened

    sound, away = Leases.lead, [True]

    async def lead(leases: Leases) -> bool:
        if away:
            away.clear()
            raise StoreUnavailable("the database cannot be used now: remaining connection slots are reserved")
        return await sound(leases)

    Leases.lead = lead  # type: ignore[method-assign,assignment] # that is the plan


def _stop_once() -> Callable[[], None]:
    waiting = [True]

    def stop() -> None:
        if waiting:
            waiting.clear()
            os.kill(os.getpid(), signal.SIGSTOP)

    return stop


def stops_before_sending() -> None:
    """An aid: the process stands still (as in a long pause of its machine) just before its first add goes out."""
    from omisync.sync.flight import Held  # noqa: PLC0415 - after the leases were shortened

    stop, goes_on = _stop_once(), Held.about_to_send

    def about_to_send(held: Held) -> None:
        stop()
        goes_on(held)

    Held.about_to_send = about_to_send  # type: ignore[method-assign,assignment] # that is the plan


def stops_before_the_end() -> None:
    """An aid: the process stands still just before it writes its first ending down."""
    stop, goes_on = _stop_once(), store_outbox.Outbox.finish

    async def finish(outbox: store_outbox.Outbox, ending: Any) -> bool:
        stop()
        return await goes_on(outbox, ending)

    store_outbox.Outbox.finish = finish  # type: ignore[method-assign,assignment] # that is the plan


def stops_before_applying() -> None:
    """An aid: the process stands still between the fetch of its first detail and its application."""
    stop, goes_on = _stop_once(), store_orders.Orders.apply

    async def apply(orders: store_orders.Orders, snapshot: Any) -> Any:
        stop()
        return await goes_on(orders, snapshot)

    store_orders.Orders.apply = apply  # type: ignore[method-assign,assignment] # that is the plan


BUGS: Final[Mapping[str, Callable[[], None]]] = {
    each.__name__: each
    for each in (
        answers_before_commit,
        drops_inbox_rows,
        no_fence_at_the_end,
        no_fence_before_sending,
        sends_again_without_looking,
        takes_a_dead_workers_row_for_a_new_one,
        cancels_before_adding,
        refreshes_by_arrival,
    )
}
AIDS: Final[Mapping[str, Callable[[], None]]] = {
    each.__name__: each
    for each in (
        short_leases,
        no_timetable,
        loses_the_database_at_once,
        stops_before_sending,
        stops_before_the_end,
        stops_before_applying,
    )
}


def main(arguments: Sequence[str]) -> None:
    """Plant them in the order given, and hand on to omisync."""
    for name in filter(None, arguments[0].split(",")):
        {**BUGS, **AIDS}[name]()
    from omisync.cli import main as omisync  # noqa: PLC0415 - after the planting

    sys.argv = ["omisync", *arguments[1:]]
    sys.exit(omisync())


if __name__ == "__main__":
    main(sys.argv[1:])
