"""`omisync check` on a real database, the simulator and real listeners: each fault found, with what to do."""

import asyncio
import contextlib
import datetime
import re
import socket
import sys
import time
from collections.abc import AsyncIterator
from ipaddress import ip_network
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest
import structlog
import trustme
from aiohttp import web

from omisync.checkup import examine
from omisync.checkup.budget import examine_budget
from omisync.checkup.tls import examine_clients
from omisync.checkup.verdict import State
from omisync.checkup.webhook import examine_signature
from omisync.config import Listen, OmisellSettings, WebhookSettings
from omisync.omisell import Authorizer, OmisellClient
from omisync.store import Database, Delivery, Leases, StoreUnavailable, checkup
from omisync.store.checkup import Inspection
from omisync.web import Certificate, Clients, Metrics, Server, serve, webhook_app

SET_SHOP = "set omisell.shop_id to one that `omisync shops` lists"
SET_PICKUP = "set omisell.pickup_id to one that `omisync pickups` lists"
WITHOUT_URL = "hmac-url-body cannot be recognised without the URL"
RELOAD = "let it read them: `systemctl restart omisync`, or a SIGHUP for plain files"
SECRET = "push-secret"
NAMES = [
    "configuration",
    "database",
    "database clock",
    "schema",
    "omisell",
    "token",
    "omisell clock",
    "shop_id",
    "pickup_id",
    "lists",
    "webhook signature",
    "certificate",
    "webhook clients",
    "webhook listener",
    "admin listener",
    "budget",
]


def found(ran: Any) -> dict[str, tuple[str, str]]:
    """What each check said, with its advice, by the check's name."""
    return {
        one["name"]: (one["state"], f"{one['says']}: {one['advice']}" if one["advice"] else one["says"])
        for one in ran.json["checks"]
    }


def as_user(dsn: str, login: str) -> str:
    """The same database for another user, whose password is `pass-word`."""
    parts = urlsplit(dsn)
    return urlunsplit(parts._replace(netloc=f"{login}:pass-word@{parts.hostname}:{parts.port}"))


async def beat(dsn: str) -> None:
    """As if a daemon were running."""
    database = Database(dsn)
    await Leases(database, "1.0").beat({})
    await database.close()


async def test_all_is_well(cli: Any, simulator: Any) -> None:
    ran = await cli("check", "--json")
    assert ran.code == 0
    assert ran.err == ""
    assert ran.json["ok"] is True
    assert [one["name"] for one in ran.json["checks"]] == NAMES
    states = {one["name"]: one["state"] for one in ran.json["checks"]}
    assert states.pop("certificate") == "skipped"  # a proxy's
    assert states.pop("lists") == "skipped"  # no daemon has read any
    assert set(states.values()) == {"ok"}
    assert dict(simulator.ledger.calls) == {"token.get": 1, "shop.list": 1, "pickup.list": 1}
    said = found(ran)
    assert said["shop_id"][1] == "21001 is Cửa hàng Web"
    assert said["pickup_id"][1] == "167 is Kho Hà Nội"
    assert said["schema"][1].startswith("omisync is up to date (")


async def test_for_people_it_is_a_line_a_check(cli: Any) -> None:
    ran = await cli("check")
    assert ran.code == 0
    assert len(ran.lines) == len(NAMES)
    assert ran.lines[0] == "ok configuration every key is known, and every value usable"
    assert "ok shop_id 21001 is Cửa hàng Web" in ran.lines


async def test_the_shared_token_is_used_and_a_second_check_needs_no_new_one(cli: Any, simulator: Any, sql: Any) -> None:
    assert (await cli("check")).code == 0
    assert await sql.fetchval("SELECT count(*) FROM omisync.tokens") == 1
    ran = await cli("check", "--json")
    assert simulator.ledger.calls["token.get"] == 1
    assert found(ran)["token"] == ("ok", "good for 24.0 h (the one that all replicas share)")


async def test_no_secret_is_printed(cli: Any, dsn: str, sql: Any) -> None:
    cli.change({"webhook": {"secret": ["hook-one", "hook-two"]}})
    told = "".join(
        ran.out + ran.err for ran in [await cli("check"), await cli("check", "--json"), await cli("check", "--offline")]
    )
    token = await sql.fetchval("SELECT token FROM omisync.tokens")
    cli.change({"database": {"dsn": as_user(dsn, "nobody")}})
    wrong = await cli("check")
    assert wrong.code == 3
    told += wrong.out + wrong.err
    for secret in ("pass-word", urlsplit(dsn).password, "k_demo", "s_demo", "hook-one", "hook-two", token):
        assert secret
        assert secret not in told


async def test_offline_asks_nothing_of_omisell(cli: Any, simulator: Any) -> None:
    ran = await cli("check", "--offline", "--json")
    assert ran.code == 0
    assert not simulator.ledger.calls
    said = found(ran)
    assert {said[name] for name in ("omisell", "token", "omisell clock", "shop_id", "pickup_id")} == {
        ("skipped", "--offline asks nothing of Omisell")
    }
    assert said["budget"] == ("ok", "as configured, 100 calls a minute carry 35,925 orders a day with 4 pushes each")


# The database


async def test_a_database_that_is_away_is_3_and_the_rest_is_looked_at(cli: Any, nobody_there: str) -> None:
    cli.change({"database": {"dsn": nobody_there}})
    ran = await cli("check", "--json")
    assert ran.code == 3
    assert ran.err == "omisync: 1 of 15 checks failed: database\n"
    assert ran.json["ok"] is False
    said = found(ran)
    assert said["database"][0] == "unreachable"
    assert "check database.dsn, and that the server runs" in said["database"][1]
    assert said["schema"] == ("skipped", "needs the database")
    assert said["token"][1].endswith("(one of this command's own: the database keeps none)")
    assert said["shop_id"][0] == "ok"


async def test_before_a_start_a_database_that_is_away_is_waited_for(cli: Any, nobody_there: str) -> None:
    cli.change({"database": {"dsn": nobody_there}})
    ran = await cli("check", "--offline", "--json")
    assert ran.code == 0
    state, said = found(ran)["database"]
    assert state == "warning"
    assert said.endswith("; the daemon will wait for it")


@pytest.mark.parametrize("extra", [(), ("--offline",)])
async def test_a_database_that_does_not_exist_is_3(cli: Any, dsn: str, extra: tuple[str, ...]) -> None:
    cli.change({"database": {"dsn": urlunsplit(urlsplit(dsn)._replace(path="/nowhere"))}})
    ran = await cli("check", "--json", *extra)
    assert ran.code == 3
    state, said = found(ran)["database"]
    assert state == "unreachable"
    assert 'database "nowhere" does not exist' in said


async def test_an_empty_database_wants_a_migration(cli: Any, empty_dsn: str) -> None:
    cli.change({"database": {"dsn": empty_dsn}})
    ran = await cli("check", "--json")
    assert ran.code == 1
    assert ran.err == "omisync: 1 of 16 checks failed: schema\n"
    state, said = found(ran)["schema"]
    assert state == "failed"
    assert said.startswith("schema omisync is too old for omisync 0.1.0: it lacks 0001_outbox, ")
    assert "run `omisync migrate`" in said


async def test_a_user_without_rights_is_told_which_role_to_grant(cli: Any, dsn: str, sql: Any) -> None:
    login = "check_" + urlsplit(dsn).path[-6:]
    await sql.execute(f"CREATE ROLE {login} LOGIN PASSWORD 'pass-word'; GRANT USAGE ON SCHEMA omisync TO {login}")
    await sql.execute(f"GRANT SELECT ON omisync.migrations, omisync.orders TO {login}")
    try:
        cli.change({"database": {"dsn": as_user(dsn, login)}})
        ran = await cli("check", "--json")
        assert ran.code == 1
        state, said = found(ran)["schema"]
        assert state == "failed"
        assert said.startswith("omisync: no right to use audit, ")
        assert said.endswith("GRANT omisync_daemon TO the user that database.dsn names")
        await sql.execute(f"REVOKE ALL ON omisync.migrations FROM {login}")
        state, said = found(await cli("check", "--json"))["schema"]
        assert state == "failed"
        assert "permission denied for table migrations" in said
        await sql.execute(f"GRANT omisync_daemon TO {login}")
        assert found(await cli("check", "--json"))["schema"][0] == "ok"
    finally:
        await sql.execute(f"DROP OWNED BY {login}; DROP ROLE {login}")


async def test_a_standby_takes_no_writes(cli: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    async def server(_: Inspection) -> checkup.Server:
        return checkup.Server("16.2 (Debian)", "shop", "omisync", standby=True)

    monkeypatch.setattr(Inspection, "server", server)
    ran = await cli("check", "--json")
    assert ran.code == 1
    state, said = found(ran)["database"]
    assert state == "failed"
    assert said.startswith("PostgreSQL 16.2, database shop, user omisync: a standby")


@pytest.mark.parametrize(
    ("offset", "state", "words"),
    [
        (4.0, "ok", "agrees with this machine's within 5 s"),
        (20.0, "warning", "this machine is 20 s behind the database"),
        (-7200.0, "failed", "this machine is 7200 s ahead of the database"),
    ],
)
async def test_the_database_clock(
    cli: Any, monkeypatch: pytest.MonkeyPatch, offset: float, state: str, words: str
) -> None:
    async def clock(_: Inspection) -> float:
        return time.time() + offset

    monkeypatch.setattr(Inspection, "clock", clock)
    got, said = found(await cli("check", "--offline", "--json"))["database clock"]
    assert got == state
    assert said.startswith(words)


async def test_the_notify_trigger_must_fit_the_setting(cli: Any) -> None:
    cli.change({"outbox": {"notify": True}})
    state, said = found(await cli("check", "--offline", "--json"))["notify"]
    assert (state, said) == ("warning", "outbox.notify is true, but the trigger is not there: run `omisync migrate`")
    assert (await cli("migrate")).code == 0
    assert "notify" not in found(await cli("check", "--offline", "--json"))
    cli.change({"outbox": {"notify": False}})
    state, said = found(await cli("check", "--offline", "--json"))["notify"]
    assert (state, said) == ("warning", "outbox.notify is false, but the trigger is there: run `omisync migrate`")


async def test_the_hook_must_be_there_and_callable(cli: Any, dsn: str, sql: Any) -> None:
    cli.change({"hooks": {"on_change": "shop.changed"}})
    ran = await cli("check", "--offline", "--json")
    assert ran.code == 1
    assert found(ran)["hook"] == (
        "failed",
        "there is no function shop.changed(jsonb): create it, or correct hooks.on_change; until then its calls wait",
    )
    await sql.execute("CREATE SCHEMA shop")
    await sql.execute("CREATE FUNCTION shop.changed(jsonb) RETURNS void LANGUAGE sql AS ''")
    said = found(await cli("check", "--offline", "--json"))["hook"]
    assert said == ("ok", "shop.changed(jsonb) is there and may be called")
    login = "hook_" + urlsplit(dsn).path[-6:]
    await sql.execute(f"CREATE ROLE {login} LOGIN PASSWORD 'pass-word'; GRANT omisync_daemon TO {login}")
    await sql.execute(
        f"REVOKE EXECUTE ON FUNCTION shop.changed(jsonb) FROM PUBLIC; GRANT USAGE ON SCHEMA shop TO {login}"
    )
    try:
        cli.change({"database": {"dsn": as_user(dsn, login)}})
        state, words = found(await cli("check", "--offline", "--json"))["hook"]
        assert state == "failed"
        assert words.startswith("no right to call shop.changed(jsonb): GRANT EXECUTE ON FUNCTION")
    finally:
        await sql.execute(f"DROP OWNED BY {login}; DROP ROLE {login}")


async def test_a_database_that_goes_away_in_between_is_3(cli: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    async def closed_tables(_: Inspection) -> list[str]:
        raise StoreUnavailable("the database cannot be used now: the server is shutting down")

    monkeypatch.setattr(Inspection, "closed_tables", closed_tables)
    ran = await cli("check", "--json")
    assert ran.code == 3
    assert found(ran)["schema"][0] == "unreachable"


# Omisell


async def test_wrong_credentials(cli: Any) -> None:
    cli.change({"omisell": {"api_secret": "wr0ng"}})
    ran = await cli("check", "--json")
    assert ran.code == 1
    assert ran.err == "omisync: 1 of 16 checks failed: omisell\n"
    state, said = found(ran)["omisell"]
    assert state == "failed"
    assert said.startswith("Omisell gives no token: HTTP 401")
    assert found(ran)["shop_id"] == ("skipped", "needs an answer of Omisell")
    assert "wr0ng" not in ran.out


async def test_omisell_away_is_3(cli: Any, simulator: Any) -> None:
    simulator.faults.set("outage")
    ran = await cli("check", "--json")
    assert ran.code == 3
    state, said = found(ran)["omisell"]
    assert state == "unreachable"
    assert said.startswith("Omisell did not answer token.get: HTTP 503, ")
    assert "check omisell.base_url (http://127.0.0.1:" in said


async def test_throttled_is_3(cli: Any, simulator: Any) -> None:
    simulator.faults.set("throttle", endpoints=("shop.list",), seconds=(600, 600))
    ran = await cli("check", "--json")
    assert ran.code == 3
    assert found(ran)["omisell"][1].startswith("Omisell throttled shop.list: again in 601 s")


async def test_a_wrong_path_of_the_shop_list(cli: Any) -> None:
    cli.change({"omisell.paths": {"shop_list": "/api/v2/public/shops"}})
    ran = await cli("check", "--json")
    assert ran.code == 1
    state, said = found(ran)["omisell"]
    assert state == "failed"
    assert "check omisell.paths.shop_list (/api/v2/public/shops)" in said


async def test_a_token_that_cannot_be_kept(cli: Any, sql: Any) -> None:
    await sql.execute(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE insufficient_privilege; END $$;"
        "CREATE TRIGGER refuse BEFORE INSERT ON omisync.tokens FOR EACH ROW EXECUTE FUNCTION refuse()"
    )
    ran = await cli("check", "--json")
    assert ran.code == 3
    assert found(ran)["omisell"][1].startswith("no token: the database refuses")


async def test_a_token_near_its_end(cli: Any, simulator: Any, sql: Any) -> None:
    assert (await cli("check")).code == 0
    await sql.execute("UPDATE omisync.tokens SET expired_time = extract(epoch FROM now()) + 300")
    state, said = found(await cli("check", "--json"))["token"]
    assert state == "warning"
    assert said.startswith("good for only 5 min (the one that all replicas share): is the daemon running?")


@pytest.mark.parametrize(
    ("offset", "state", "words"),
    [
        (-30.0, "warning", "this machine is 30 s ahead of Omisell"),
        (90.0, "failed", "this machine is 90 s behind Omisell"),
    ],
)
async def test_omisells_clock(cli: Any, monkeypatch: pytest.MonkeyPatch, offset: float, state: str, words: str) -> None:
    monkeypatch.setattr(OmisellClient, "clock_skew", -offset)
    got, said = found(await cli("check", "--json"))["omisell clock"]
    assert got == state
    assert said.startswith(words)


async def test_an_answer_without_a_time(cli: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(OmisellClient, "clock_skew", None)
    said = found(await cli("check", "--json"))["omisell clock"]
    assert said == ("skipped", "Omisell's answer carries no time")


async def test_a_shop_that_the_account_has_not(cli: Any) -> None:
    cli.change({"omisell": {"shop_id": 99}})
    ran = await cli("check", "--json")
    assert ran.code == 1
    assert found(ran)["shop_id"] == (
        "failed",
        "the account has no shop 99; it has 21001 (Cửa hàng Web), 21002 (Cửa hàng App): " + SET_SHOP,
    )


async def test_a_shop_that_takes_no_orders(cli: Any) -> None:
    cli.change({"omisell": {"shop_id": 21650}})
    ran = await cli("check", "--json")
    assert ran.code == 0
    state, said = found(ran)["shop_id"]
    assert state == "warning"
    assert said.startswith("21650 is Cửa hàng trên Shopee, of platform shopee: only a custom one takes orders")


async def test_a_pickup_that_the_account_has_not(cli: Any) -> None:
    cli.change({"omisell": {"pickup_id": 5}})
    ran = await cli("check", "--json")
    assert ran.code == 1
    assert found(ran)["pickup_id"] == (
        "failed",
        "the account has no warehouse 5; it has 167 (Kho Hà Nội), 168 (Kho Sài Gòn): " + SET_PICKUP,
    )


async def test_no_pickup_costs_no_call(cli: Any, simulator: Any) -> None:
    cli.change({"omisell": {"pickup_id": None}})
    ran = await cli("check", "--json")
    assert ran.code == 0
    said = "none is configured: every order has to name its own: `omisync pickups` lists them"
    assert found(ran)["pickup_id"] == ("skipped", said)
    assert simulator.ledger.calls["pickup.list"] == 0


async def test_a_wrong_path_of_the_pickup_list(cli: Any) -> None:
    cli.change({"omisell.paths": {"pickup_list": "/api/v2/public/pickups"}})
    ran = await cli("check", "--json")
    assert ran.code == 1
    assert "check omisell.paths.pickup_list (/api/v2/public/pickups)" in found(ran)["pickup_id"][1]


async def test_omisell_going_away_before_the_pickup_list_is_3(cli: Any, simulator: Any) -> None:
    simulator.faults.set("error_before", endpoints=("pickup.list",))
    ran = await cli("check", "--json")
    assert ran.code == 3
    assert found(ran)["pickup_id"][0] == "unreachable"


# Pushes


def webhook(**given: object) -> WebhookSettings:
    return WebhookSettings.model_validate({"secret": "s3cret", **given})


@pytest.mark.parametrize(
    ("given", "state", "says"),
    [
        (
            {"callback_url": "https://shop.example/hook"},
            "ok",
            "a delivery in each form passes (token, hmac-body, hmac-url-body), a forged one does not",
        ),
        ({"authorization": "token"}, "ok", "a delivery in each form passes (token), a forged one does not"),
        (
            {"authorization": "hmac-body", "secret": ["one", "two"]},
            "ok",
            "a delivery in each form passes (hmac-body, 2 secrets), a forged one does not",
        ),
        (
            {"authorization": "hmac-url-body", "callback_url": "https://shop.example/hook"},
            "ok",
            "a delivery in each form passes (hmac-url-body), a forged one does not",
        ),
        (
            {},
            "warning",
            "a delivery in each form passes (token, hmac-body), a forged one does not; " + WITHOUT_URL,
        ),
        (
            {"authorization": "none"},
            "warning",
            "webhook.authorization is none: anyone who reaches the listener can make omisync fetch orders",
        ),
    ],
)
def test_the_signature_of_each_form(given: dict[str, object], state: str, says: str) -> None:
    check = examine_signature(webhook(**given))
    assert (check.state, check.says) == (state, says)


def test_a_signature_that_does_not_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Authorizer, "check", lambda *_: None)
    check = examine_signature(webhook(secret=["one", "two"]))
    assert check.state is State.FAILED
    assert check.says == "a delivery signed by token with secret 1 of 2 was turned away"


def test_a_forged_signature_that_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Authorizer, "check", lambda *_: "token")
    check = examine_signature(webhook())
    assert (check.state, check.says) == (State.FAILED, "a delivery with a wrong token was let in")


class Inbox:
    """Nothing may be stored."""

    async def add(self, delivery: Delivery) -> bool:
        raise AssertionError(delivery.event)


@contextlib.asynccontextmanager
async def listening(
    cli: Any,
    *,
    secret: str = SECRET,
    path: str = "/webhooks/omisell",
    most: int = 4096,
    authorization: str = "auto",
    tls: Certificate | None = None,
    clients: Clients | None = None,
) -> AsyncIterator[Server]:
    """The daemon's listener at the configured address."""
    host, _, port = cli.given["webhook"]["listen"].rpartition(":")
    server = await serve(
        webhook_app(
            path=path,
            max_body=most,
            authorizer=Authorizer(authorization, [secret], "https://shop.example/webhooks/omisell"),
            inbox=Inbox(),
            metrics=Metrics(),
            log=structlog.get_logger(),
            clients=clients,
        ),
        Listen(host, int(port)),
        tls=tls,
    )
    try:
        yield server
    finally:
        await server.close(1)


@pytest.fixture
async def quiet() -> AsyncIterator[None]:
    """The listeners of these tests log nothing."""
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())
    yield
    structlog.reset_defaults()


@pytest.mark.parametrize("authorization", ["auto", "token", "hmac-body", "hmac-url-body", "none"])
async def test_a_listener_that_is_up_is_asked_and_stores_nothing(cli: Any, quiet: None, authorization: str) -> None:
    cli.change({"webhook": {"authorization": authorization}})
    async with listening(cli, authorization=authorization):
        state, said = found(await cli("check", "--json"))["webhook listener"]
    assert state == "ok"
    assert said == f"up at {cli.given['webhook']['listen']}/webhooks/omisell, and accepts our signature"


async def test_a_listener_with_other_secrets(cli: Any, quiet: None) -> None:
    async with listening(cli, secret="an older one"):
        ran = await cli("check", "--json")
    assert ran.code == 1
    state, said = found(ran)["webhook listener"]
    assert state == "failed"
    assert said.endswith(f"but with other secrets than configured: {RELOAD}")


class Pair:
    """A certificate for the configured URL, in the files that the configuration names."""

    def __init__(self, cli: Any, folder: Path, host: str = "shop.example", *, days: float = 90, ago: float = 1) -> None:
        now = datetime.datetime.now(datetime.UTC)
        self.authority = trustme.CA()
        made = self.authority.issue_cert(
            host,
            not_before=now - datetime.timedelta(days=ago),
            not_after=now + datetime.timedelta(days=days, hours=1),
        )
        self.cert, self.key = folder / "fullchain.pem", folder / "privkey.pem"
        self.cert.write_bytes(b"".join(blob.bytes() for blob in made.cert_chain_pems))
        self.key.write_bytes(made.private_key_pem.bytes())
        self.key.chmod(0o600)
        cli.change({"webhook": {"tls_cert": str(self.cert), "tls_key": str(self.key)}})

    def known_to_all(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """As if its authority were one that every machine knows."""
        self.authority.cert_pem.write_to_path(folder / "authorities.pem")
        monkeypatch.setenv("SSL_CERT_FILE", str(folder / "authorities.pem"))


async def test_a_good_certificate_and_its_closed_key(
    cli: Any, quiet: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair = Pair(cli, tmp_path)
    pair.known_to_all(tmp_path, monkeypatch)
    async with listening(cli, tls=Certificate(pair.cert, pair.key)):
        ran = await cli("check", "--json")
    said = found(ran)
    assert ran.code == 0
    assert said["certificate"][0] == "ok"
    assert re.fullmatch(r"good for shop\.example until \d{4}-\d\d-\d\d, 90 days", said["certificate"][1])
    assert said["certificate's key"] == ("ok", "belongs to the certificate, and is closed to others (0600)")
    assert said["webhook listener"][0] == "ok"


@pytest.mark.parametrize(
    ("made", "state", "words"),
    [
        ({"days": 9}, "warning", "ends in 9 days, on "),
        ({"days": -2, "ago": 92}, "failed", ": nobody believes it: renew "),
        (
            {"host": "other.example"},
            "warning",
            "but not to everybody: Hostname mismatch, certificate is not valid for 'shop.example'",
        ),
    ],
)
async def test_a_certificate_that_wants_somebody(
    cli: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, made: dict[str, Any], state: str, words: str
) -> None:
    Pair(cli, tmp_path, **made).known_to_all(tmp_path, monkeypatch)
    ran = await cli("check", "--offline", "--json")
    assert found(ran)["certificate"][0] == state
    assert words in found(ran)["certificate"][1]
    assert ran.code == (1 if state == "failed" else 0)


async def test_a_certificate_of_an_authority_that_nobody_knows_and_a_key_for_all_to_read(
    cli: Any, tmp_path: Path
) -> None:
    pair = Pair(cli, tmp_path)
    await asyncio.to_thread(pair.key.chmod, 0o644)
    said = found(await cli("check", "--offline", "--json"))
    assert said["certificate"][0] == "warning"
    assert (
        "but not to everybody: unable to get local issuer certificate: take the file with the whole chain"
        in (said["certificate"][1])
    )
    assert said["certificate's key"] == (
        "warning",
        f"{pair.key} is open to every user of this machine (0644): chmod o= {pair.key}",
    )


async def test_a_listener_that_has_an_older_certificate_than_the_file(
    cli: Any, quiet: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = Pair(cli, tmp_path)
    async with listening(cli, tls=Certificate(old.cert, old.key)):
        Pair(cli, tmp_path).known_to_all(tmp_path, monkeypatch)
        state, said = found(await cli("check", "--json"))["certificate"]
    assert state == "warning"
    assert said.startswith(f"the daemon serves another one than {old.cert} holds (good until ")
    assert said.endswith(": `systemctl reload omisync`; restart if systemd hands it over")


async def test_a_certificate_that_is_not_there_fails(cli: Any, tmp_path: Path) -> None:
    pair = Pair(cli, tmp_path)
    await asyncio.to_thread(pair.key.unlink)
    ran = await cli("check", "--offline", "--json")
    assert ran.code == 1
    assert found(ran)["certificate"][1].startswith(f"{pair.key} (webhook.tls_key) cannot be read: No such file")


async def test_plain_http_for_other_machines_is_a_warning(cli: Any) -> None:
    cli.change({"webhook": {"listen": "0.0.0.0:0"}})
    state, said = found(await cli("check", "--offline", "--json"))["certificate"]
    assert state == "warning"
    assert said.startswith("0.0.0.0:0 takes plain http from other machines: ")


@pytest.mark.parametrize(
    ("given", "state", "says"),
    [
        ({}, "ok", "everybody may push, with the right signature; no proxy is trusted: the peer counts"),
        (
            {"trusted_proxies": ["127.0.0.1", "unix"], "allow": ["203.0.113.0/24"]},
            "ok",
            "only 203.0.113.0/24 may push; X-Forwarded-For is believed from 127.0.0.1/32, unix",
        ),
        (
            {"allow": ["203.0.113.0/24"]},
            "failed",
            "only 203.0.113.0/24 may push, but 127.0.0.1:8080 is reached through a proxy, whose own address counts",
        ),
        ({"allow": ["127.0.0.0/8"]}, "ok", "only 127.0.0.0/8 may push; no proxy is trusted: the peer counts"),
        (
            {"allow": ["203.0.113.0/24"], "listen": "0.0.0.0:8443"},
            "ok",
            "only 203.0.113.0/24 may push; no proxy is trusted: the peer counts",
        ),
    ],
)
def test_whether_those_who_may_push_can_be_told(given: dict[str, object], state: str, says: str) -> None:
    check = examine_clients(webhook(**given))
    assert (check.state, check.says) == (state, says)


async def test_a_listener_that_keeps_this_machine_out(cli: Any, quiet: None) -> None:
    clients = Clients(["unix"], [ip_network("203.0.113.0/24")])
    async with listening(cli, clients=clients):
        state, said = found(await cli("check", "--json"))["webhook listener"]
    assert state == "ok"
    assert said.endswith("/webhooks/omisell, and keeps this machine out, as webhook.allow says")


async def test_a_listener_with_another_path(cli: Any, quiet: None) -> None:
    async with listening(cli, path="/hook"):
        state, said = found(await cli("check", "--json"))["webhook listener"]
    assert state == "failed"
    assert said.endswith("but not for /webhooks/omisell: restart the daemon: it runs with another webhook.path")


async def test_a_listener_that_answers_oddly(cli: Any, quiet: None) -> None:
    async with listening(cli, most=4):
        state, said = found(await cli("check", "--json"))["webhook listener"]
    assert state == "warning"
    assert "answers 413 instead of taking a delivery" in said


@pytest.mark.parametrize("answer", ["hello", '["ok"]', '{"ok": "yes"}'])
async def test_a_stranger_at_the_address_sees_no_secret(cli: Any, answer: str) -> None:
    seen: list[tuple[str, str | None]] = []

    async def greet(request: web.Request) -> web.Response:
        seen.append((request.method, request.headers.get("Authorization")))
        return web.Response(text=answer)

    app = web.Application()
    app.router.add_route("*", "/{rest:.*}", greet)
    runner = web.AppRunner(app)
    await runner.setup()
    for section in ("webhook", "admin"):
        port = int(cli.given[section]["listen"].rpartition(":")[2])
        await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        ran = await cli("check", "--json")
    finally:
        await runner.cleanup()
    assert ran.code == 1
    for name in ("webhook listener", "admin listener"):
        state, said = found(ran)[name]
        assert state == "failed"
        assert "the port is taken" in said
    assert seen == [("GET", None), ("GET", None)]


async def test_a_port_whose_owner_hangs_up(cli: Any) -> None:
    async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    port = int(cli.given["webhook"]["listen"].rpartition(":")[2])
    async with await asyncio.start_server(hang_up, "127.0.0.1", port):
        state, said = found(await cli("check", "--json"))["webhook listener"]
    assert state == "failed"
    assert "the port is taken" in said


async def test_a_socket_that_waits_for_the_daemon(cli: Any, dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("omisync.checkup.webhook.PROBE_SECONDS", 0.2)
    port = int(cli.given["webhook"]["listen"].rpartition(":")[2])
    with socket.create_server(("127.0.0.1", port)):
        state, said = found(await cli("check", "--json"))["webhook listener"]
        assert state == "warning"
        assert "does not answer yet: systemd's socket waits for the daemon, or a stranger" in said
        await beat(dsn)
        ran = await cli("check", "--json")
        assert ran.code == 1
        assert found(ran)["webhook listener"][0] == "failed"


async def test_before_a_start_the_listeners_are_left_to_it_whoever_else_gives_signs_of_life(cli: Any, dsn: str) -> None:
    await beat(dsn)
    port = int(cli.given["webhook"]["listen"].rpartition(":")[2])
    with socket.create_server(("127.0.0.1", port)):
        ran = await cli("check", "--offline", "--json")
    assert ran.code == 0
    said = found(ran)
    assert {said[name] for name in ("webhook listener", "admin listener")} == {
        ("skipped", "--offline leaves it to the start, which opens it")
    }


async def test_a_daemon_elsewhere(cli: Any, dsn: str) -> None:
    await beat(dsn)
    state, said = found(await cli("check", "--json"))["admin listener"]
    assert state == "ok"
    assert said.endswith("is free on this machine; the daemon that runs listens elsewhere")


async def test_an_address_that_this_machine_has_not(cli: Any) -> None:
    cli.change({"webhook": {"listen": "192.0.2.1:8080"}, "admin": {"listen": "192.0.2.1:8081", "token": "t0ken"}})
    ran = await cli("check", "--json")
    assert ran.code == 1
    for name in ("webhook listener", "admin listener"):
        state, said = found(ran)[name]
        assert state == "failed"
        assert "this machine has no such address" in said


@pytest.mark.parametrize(("status", "state", "words"), [(200, "ok", "up at"), (500, "warning", "but answers 500")])
async def test_the_admin_listener(cli: Any, status: int, state: str, words: str) -> None:
    async def healthz(_: web.Request) -> web.Response:
        return web.json_response({"ok": status == 200}, status=status)

    app = web.Application()
    app.router.add_get("/healthz", healthz)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", int(cli.given["admin"]["listen"].rpartition(":")[2])).start()
    try:
        got, said = found(await cli("check", "--json"))["admin listener"]
    finally:
        await runner.cleanup()
    assert got == state
    assert words in said


# Omisell's lists


async def test_how_old_the_lists_are_and_what_is_off_without_one_that_is_not_offered(cli: Any, sql: Any) -> None:
    cli.change({"omisell.paths": {"provinces": "/api/v2/public/nowhere"}})
    for command in ("shops", "pickups", "skus"):
        assert (await cli(command, "--refresh")).code == 0
    await cli("locations", "--refresh")
    await sql.execute("UPDATE omisync.mirrors SET refreshed_at = now() - interval '1 day' WHERE name = 'shops'")
    ran = await cli("check", "--json", "--offline")
    assert ran.code == 0
    said = [(one["state"], one["says"], one["advice"]) for one in ran.json["checks"] if one["name"] == "lists"]
    assert said[0][0] == "ok"
    assert said[0][1].startswith("pickups (2, read ")
    assert said[1:] == [
        (
            "warning",
            "shops: last read 24 h ago, though it is due every 60 min",
            "is the daemon running? `omisync status` says so",
        ),
        (
            "warning",
            "locations: the account offers no list at /api/v2/public/nowhere; addresses are not checked",
            "set omisell.paths.provinces if Omisell names another path",
        ),
    ]
    ran = await cli("status")
    assert "locations: not offered by the account; addresses are not checked" in ran.out
    assert "shops: 3, read 1d ago" in ran.out


# The budget


def test_a_full_bucket_is_a_warning() -> None:
    settings = OmisellSettings.model_validate(
        {"api_key": "k", "api_secret": "s", "seller_id": "77", "country": "VN", "shop_id": 1, "leak_per_minute": 240}
    )
    check = examine_budget(settings, 0.95)
    assert check.state is State.WARNING
    assert check.says.startswith("95% of the bucket is used; ")
    assert examine_budget(settings, 0.5).state is State.OK
    assert "240 calls a minute carry 86,325 orders a day with 4 pushes each" in check.says


async def test_a_budget_that_others_use_up_is_3(cli: Any, monkeypatch: pytest.MonkeyPatch, sql: Any) -> None:
    monkeypatch.setattr(sys.modules[examine.__module__], "OMISELL_SECONDS", 0.2)
    await sql.execute("UPDATE omisync.bucket SET blocked_until = now() + interval '1 minute'")
    ran = await cli("check", "--json")
    assert ran.code == 3
    state, said = found(ran)["omisell"]
    assert state == "unreachable"
    assert said.startswith("the budget gave no place for a call within 0.2 s: others use it up")


async def test_a_wrong_configuration_is_2_and_names_the_key(cli: Any) -> None:
    cli.change({"omisell": {"api_key": None, "shop_id": "shop"}})
    ran = await cli("check")
    assert ran.code == 2
    assert ran.out == ""
    assert sorted(line.split(": ")[2] for line in ran.err.splitlines()) == ["omisell.api_key", "omisell.shop_id"]


async def test_a_schema_of_a_newer_version(cli: Any, sql: asyncpg.Connection) -> None:
    await sql.execute("INSERT INTO omisync.migrations (version, name, checksum) VALUES (999, '0999_later.after', 'x')")
    ran = await cli("check", "--offline")
    assert ran.code == 1
    assert "failed schema schema omisync is too new for omisync 0.1.0: 0999_later.after has taken" in "\n".join(
        ran.lines
    )
