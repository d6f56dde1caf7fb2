"""`omisync run` as a real process: killed while it sends, stopped, reloaded, started too early, two at a time."""

import asyncio
import signal
import time
from pathlib import Path

import pytest

from omisync.demo.postgres import EmbeddedPostgres
from omisync.demo.stage import in_thread
from tests.chaos.stage import faketime
from tests.chaos.world import World, until, world
from tests.conftest import administer, with_database

TAKE_OVER_SECONDS = 15.0
"""Another replica leads within so long of the leader's death [contract 6.7]."""
LEADERS = "SELECT count(*) FROM omisync.leases WHERE name = 'leader' AND until > now()"


async def leads(made: World, url: str) -> bool:
    async with made.session.get(f"{url}/metrics") as answer:
        return "omisync_leader 1.0" in await answer.text()


async def test_an_order_is_at_omisell_once_though_the_daemon_is_killed_while_it_sends(made: World) -> None:
    made.simulator.faults.set("hang_after", times=1, endpoints=["order.add"], seconds=60)
    daemon = made.replica(changes={"omisell": {"timeout": "30s"}})
    await made.start(daemon, pushed_to=True)
    await made.place("A-1")
    await until(lambda: len(made.simulator.orders) == 1)
    await daemon.daemon.kill()
    assert await made.sql.fetchval("SELECT state FROM omisync.outbox") == "sending"
    await made.start(daemon)
    await made.known("A-1", 200)
    await made.at_rest()
    verdict = await made.verdict()
    assert verdict.findings == ()
    assert made.simulator.ledger.calls["order.add"] == 1


async def test_sigterm_lets_the_call_in_flight_end_gives_leases_back_and_exits_with_0(made: World) -> None:
    made.simulator.faults.set("apply_late", times=1, endpoints=["order.add"], seconds=1)
    daemon = made.replica(changes={"omisell": {"timeout": "30s"}, "outbox": {"concurrency": 1}})
    await made.start(daemon, pushed_to=True)
    await made.place("A-1")
    await until(lambda: made.simulator.ledger.calls["order.add"] == 1)
    await made.place("A-2")
    assert await daemon.daemon.stop() == 0
    states = await made.sql.fetch("SELECT order_number, state, lease_token FROM omisync.outbox ORDER BY id")
    assert [tuple(row) for row in states] == [("A-1", "done", None), ("A-2", "pending", None)]
    assert await made.sql.fetchval("SELECT count(*) FROM omisync.refreshes WHERE lease_token IS NOT NULL") == 0
    assert await made.sql.fetchval(LEADERS) == 0
    assert daemon.said("stopped")


async def test_sigterm_cuts_off_what_outlasts_the_grace_and_takes_it_for_uncertain(made: World) -> None:
    made.simulator.faults.set("hang_after", times=1, endpoints=["order.add"], seconds=60)
    daemon = made.replica(changes={"omisell": {"timeout": "50s"}, "daemon": {"grace": "1s"}})
    await made.start(daemon, pushed_to=True)
    await made.place("A-1")
    await until(lambda: len(made.simulator.orders) == 1)
    assert await daemon.daemon.stop() == 0
    row = await made.sql.fetchrow("SELECT state, attempts, maybe_sent_at IS NOT NULL AS maybe FROM omisync.outbox")
    assert tuple(row) == ("pending", 0, True)
    await made.start(daemon)
    await made.known("A-1", 200)
    assert made.simulator.ledger.calls["order.add"] == 1


async def test_sighup_reads_log_level_and_secrets_again(made: World) -> None:
    daemon = made.replica()
    await made.start(daemon, pushed_to=True)
    text = daemon.config.read_text()
    assert made.simulator.config.push.secret in text
    daemon.config.write_text(
        text.replace(made.simulator.config.push.secret, "another secret").replace('level = "info"', 'level = "debug"')
    )
    daemon.signal(signal.SIGHUP)
    await until(lambda: daemon.said("configuration read again"))
    await made.place("A-1")
    await until(lambda: daemon.said("push turned away"))
    daemon.config.write_text(daemon.config.read_text().replace("another secret", made.simulator.config.push.secret))
    daemon.signal(signal.SIGHUP)
    await until(lambda: daemon.count("configuration read again: log level and secrets") == 2)
    await until(lambda: made.simulator.ledger.pushes["delivered"] >= 1)


async def test_the_log_tells_each_orders_story_by_its_number_alone(made: World) -> None:
    made.simulator.faults.set("error_after", times=1, endpoints=["order.add"])
    daemon = made.replica()
    await made.start(daemon, pushed_to=True)
    for number in ("A-1", "A-10"):
        await made.place(number)
        await made.known(number, 200)
    await made.at_rest()
    stories = {
        number: [line["event"] for line in daemon.log if line.get("order_number") == number]
        for number in ("A-1", "A-10")
    }
    assert stories["A-1"][0] == "the call failed; it will be tried again"
    # whichever looks first finds it at Omisell: the add that looks again, or the fetch that its push asked for
    assert {"order.add adopted", "order adopted"} & set(stories["A-1"])
    assert stories["A-10"][0] == "order.add added"
    # and no line speaks of an order without its number
    assert [line for line in daemon.log if "A-1" in str(line) and "order_number" not in line] == []
    assert {line["level"] for line in daemon.log} == {"info"}  # a retry is no error


async def test_a_bad_configuration_at_sighup_changes_nothing(made: World) -> None:
    daemon = made.replica()
    await made.start(daemon, pushed_to=True)
    daemon.config.write_text("[nonsense]\n")
    daemon.signal(signal.SIGHUP)
    await until(lambda: daemon.said("the configuration was not read again"))
    await made.place("A-1")
    await made.known("A-1", 200)


async def test_started_while_the_database_is_away_it_waits_says_so_and_goes_on(tmp_path: Path) -> None:
    server = EmbeddedPostgres(durable=False)
    try:
        await in_thread(server.start)
        from omisync.store.migrations import migrate  # noqa: PLC0415 - only here

        await administer(server.dsn(), "CREATE DATABASE shop")
        await migrate(server.dsn("shop"))
        async with world(server.dsn("shop"), tmp_path) as made:
            await in_thread(server.stop)
            daemon = made.replica()
            made.push_to(daemon)
            await daemon.daemon.start()
            await until(lambda: daemon.said("waiting for the database"))
            async with made.session.get(f"{daemon.admin_url}/readyz") as answer:
                assert answer.status == 503
            await in_thread(server.start)
            await until(lambda: daemon.said("ready"))
            assert daemon.daemon.pid is not None
    finally:
        await in_thread(server.close)


async def test_it_goes_on_though_the_database_goes_away_again_while_it_starts(made: World) -> None:
    daemon = made.replica(planted=["loses_the_database_at_once"])
    await made.start(daemon, pushed_to=True)
    await until(lambda: leads(made, daemon.admin_url))
    await made.place("A-1")
    await made.known("A-1", 200)


async def test_a_missing_schema_is_one_clear_error_and_a_database_that_is_not_there_too(
    made: World, empty_dsn: str
) -> None:
    for dsn, words in ((empty_dsn, "omisync migrate"), (with_database(made.dsn, "nowhere"), "nowhere")):
        daemon = made.replica(dsn=dsn)
        await daemon.daemon.start()
        process = daemon.daemon._process
        assert process is not None
        async with asyncio.timeout(30):
            assert await process.wait() in (1, 2, 3)
        said = daemon.daemon.log.read_text()
        assert words in said
        assert "Traceback" not in said


async def test_another_replica_leads_within_15_s_of_the_leaders_death(made: World) -> None:
    first, second = made.replica(), made.replica()
    await made.start(first)
    await until(lambda: leads(made, first.admin_url))
    await made.start(second)
    assert not await leads(made, second.admin_url)
    await first.daemon.kill()
    died = time.monotonic()
    await until(lambda: leads(made, second.admin_url))
    assert time.monotonic() - died <= TAKE_OVER_SECONDS + 3  # and a look over HTTP on a busy machine
    assert await made.sql.fetchval(LEADERS) == 1


async def test_a_leader_that_stops_in_order_gives_the_lead_back_at_once(made: World) -> None:
    daemon = made.replica()
    await made.start(daemon)
    await until(lambda: leads(made, daemon.admin_url))
    assert await daemon.daemon.stop() == 0
    assert await made.sql.fetchval("SELECT count(*) FROM omisync.replicas") == 0


async def test_replicas_share_the_work_and_send_nothing_twice(made: World) -> None:
    replicas = [made.replica(changes={"outbox": {"concurrency": 2}}) for _ in range(2)]
    await made.start(replicas[0], pushed_to=True)
    await made.start(replicas[1])
    made.simulator.faults.set("apply_late", endpoints=["order.add"], seconds=0.2)
    for number in range(40):
        await made.place(f"A-{number}")
    await made.at_rest()
    assert (await made.verdict()).findings == ()
    assert all(replica.count("order.add added") > 0 for replica in replicas)


@pytest.mark.skipif(faketime() is None, reason="libfaketime is not installed: apt-get install libfaketime")
@pytest.mark.parametrize("offset", [-3600, 3600])
async def test_sweeps_go_on_and_leases_hold_though_the_clock_is_set_an_hour_off(made: World, offset: int) -> None:
    library, clock = faketime(), made.folder / "clock"
    clock.write_text("+0\n")
    daemon = made.replica(
        extra={
            "LD_PRELOAD": str(library),
            "FAKETIME_TIMESTAMP_FILE": str(clock),
            "FAKETIME_NO_CACHE": "1",
            "DONT_FAKE_MONOTONIC": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        },
        changes={"reconcile": {"interval": "1s"}},
    )
    await made.start(daemon, pushed_to=True)
    await made.place("A-1")
    await made.known("A-1", 200)
    await until(lambda: daemon.said("sweep done"))
    clock.write_text(f"{offset}\n" if offset < 0 else f"+{offset}\n")
    made.simulator.faults.set("push_drop")
    made.simulator.advance("A-1", 600)
    await made.known("A-1", 600)
    await made.place("A-2")
    await made.known("A-2", 200)
    assert (await made.verdict()).orders.holds
