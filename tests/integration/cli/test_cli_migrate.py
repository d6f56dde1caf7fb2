"""`omisync migrate` on an empty database, and what every command says of a database that is not as it should be."""

from typing import Any
from urllib.parse import urlsplit, urlunsplit

import pytest

from omisync.store.migrations import shipped

NAMES = [migration.name for migration in shipped()]


async def test_a_plan_and_then_the_deed(cli: Any, empty_dsn: str) -> None:
    cli.change({"database": {"dsn": empty_dsn}})
    ran = await cli("migrate", "--plan")
    assert (ran.code, ran.err) == (0, "")
    assert ran.lines == [f"would apply {name}" for name in NAMES]
    assert (await cli("migrate", "--plan", "--json")).json == {"schema": "omisync", "pending": NAMES, "after": []}
    ran = await cli("migrate")
    assert ran.code == 0
    assert ran.lines == [f"applied {name}" for name in NAMES]
    ran = await cli("migrate")
    assert (ran.code, ran.out) == (0, "schema omisync is up to date\n")
    assert (await cli("migrate", "--json")).json == {"schema": "omisync", "applied": [], "after": []}


async def test_a_schema_of_another_name(cli: Any, empty_dsn: str) -> None:
    cli.change({"database": {"dsn": empty_dsn, "schema": "second"}})
    assert (await cli("migrate")).code == 0
    assert (await cli("status")).code == 0
    cli.change({"database": {"schema": "third"}})
    ran = await cli("status")
    assert ran.code == 1


async def test_a_newer_schema_is_left_alone(cli: Any, sql: Any) -> None:
    await sql.execute("INSERT INTO omisync.migrations (version, name, checksum) VALUES (999, '0999_later', 'x')")
    for arguments in (["migrate"], ["migrate", "--plan"]):
        ran = await cli(*arguments)
        assert (ran.code, ran.out) == (1, "")
        assert ran.err == (
            "omisync: the schema has migration 0999_later, which this version does not know; "
            "install the newer omisync again\n"
        )


async def test_an_edited_migration_is_refused(cli: Any, sql: Any) -> None:
    await sql.execute("UPDATE omisync.migrations SET checksum = 'x' WHERE version = 1")
    ran = await cli("migrate")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith("omisync: migration 0001_outbox was applied with another text; ")


async def test_a_user_who_may_not_create_is_told(cli: Any, empty_dsn: str, sql: Any) -> None:
    login = "migrate_" + urlsplit(empty_dsn).path[-6:]
    await sql.execute(f"CREATE ROLE {login} LOGIN PASSWORD 'pass-word'")
    try:
        cli.change({"database": {"dsn": as_user(empty_dsn, login)}})
        ran = await cli("migrate")
        assert ran.code == 1
        assert ran.err.startswith("omisync: the database refuses: permission denied for database ")
    finally:
        await sql.execute(f"DROP ROLE {login}")


def as_user(dsn: str, login: str) -> str:
    """The same database for another user, whose password is `pass-word`."""
    parts = urlsplit(dsn)
    return urlunsplit(parts._replace(netloc=f"{login}:pass-word@{parts.hostname}:{parts.port}"))


EVERY_COMMAND = [
    ["migrate"],
    ["migrate", "--plan"],
    ["status"],
    ["outbox", "list"],
    ["outbox", "show", "1"],
    ["outbox", "retry", "1"],
    ["outbox", "discard", "--all-failed"],
    ["orders", "list"],
    ["orders", "show", "WEB-1"],
    ["orders", "refresh", "WEB-1"],
    ["pause"],
    ["resume"],
    ["reconcile"],
    ["check"],
]


@pytest.mark.parametrize("command", EVERY_COMMAND, ids=" ".join)
async def test_a_database_that_is_away_is_3_in_one_line(cli: Any, nobody_there: str, command: list[str]) -> None:
    cli.change({"database": {"dsn": nobody_there}})
    ran = await cli(*command)
    assert ran.code == 3
    [line] = ran.err.splitlines()
    assert line.startswith(("omisync: the database cannot be used now: ", "omisync: 1 of 15 checks failed: database"))
    assert "pass-word" not in ran.out + ran.err


@pytest.mark.parametrize("command", EVERY_COMMAND, ids=" ".join)
async def test_a_wrong_password_is_3_in_one_line(cli: Any, dsn: str, command: list[str]) -> None:
    cli.change({"database": {"dsn": as_user(dsn, "postgres")}})
    ran = await cli(*command)
    assert ran.code == 3
    [line] = ran.err.splitlines()
    assert line.startswith(("omisync: the database refuses: password authentication failed", "omisync: 1 of 15 checks"))
    assert "pass-word" not in ran.out + ran.err


@pytest.mark.parametrize("command", EVERY_COMMAND[2:], ids=" ".join)
async def test_a_missing_schema_is_1_and_names_the_command_that_mends_it(
    cli: Any, empty_dsn: str, command: list[str]
) -> None:
    cli.change({"database": {"dsn": empty_dsn}})
    ran = await cli(*command)
    assert ran.code == 1
    [line] = ran.err.splitlines()
    assert "`omisync migrate" in line or line == "omisync: 1 of 16 checks failed: schema"


@pytest.mark.parametrize("command", [*EVERY_COMMAND, ["run"], ["shops"], ["pickups"]], ids=" ".join)
async def test_a_wrong_configuration_is_2_and_names_the_key(cli: Any, command: list[str]) -> None:
    cli.change({"omisell": {"api_key": None}})
    ran = await cli(*command)
    assert (ran.code, ran.out) == (2, "")
    [line] = ran.err.splitlines()
    assert line.startswith(f"omisync: {cli.config}: omisell.api_key: is missing")
