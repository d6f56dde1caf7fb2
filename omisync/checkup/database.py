"""The database: is it there, is its schema this version's, may we use it, does it fit the configuration."""

import time

from omisync.checkup.verdict import Check, State, Tell, clock
from omisync.config import Settings
from omisync.store import Database, SchemaError, StoreError, StoreMisused, StoreUnavailable
from omisync.store.checkup import Inspection
from omisync.store.migrations import require_current
from omisync.store.operator import Operator, Status

DAEMON_ROLE = "omisync_daemon"


async def examine_database(settings: Settings, database: Database, tell: Tell, *, offline: bool) -> Status | None:
    """Looks at the database.

    Args:
        settings: the configuration.
        database: not yet connected.
        tell: hears of each check.
        offline: before a start: a database that is away is waited for by the daemon, so it is no failure.

    Returns:
        The state of things, if the schema is one that can be read.
    """
    inspection = Inspection(database)
    try:
        server = await inspection.server()
        began = time.time()
        theirs = await inspection.clock()
        ours = (began + time.time()) / 2
    except StoreError as error:
        tell(_away(error, offline=offline))
        tell(Check("schema", State.SKIPPED, "needs the database"))
        return None
    where = f"PostgreSQL {server.version.split()[0]}, database {server.database}, user {server.login}"
    if server.standby:
        advice = "name the primary in database.dsn, or add ?target_session_attrs=read-write"
        tell(Check("database", State.FAILED, f"{where}: a standby, which takes no writes", advice))
    else:
        tell(Check("database", State.OK, where))
    tell(clock("database clock", "the database", ours - theirs))
    try:
        return await _examine_schema(settings, database, inspection, tell)
    except StoreError as error:
        tell(_away(error, offline=offline, name="schema"))
        return None


async def _examine_schema(settings: Settings, database: Database, inspection: Inspection, tell: Tell) -> Status | None:
    name = settings.database.schema
    try:
        left = await require_current(settings.database.dsn.get_secret_value(), name)
    except SchemaError as error:
        tell(Check("schema", State.FAILED, str(error)))
        return None
    if closed := await inspection.closed_tables():
        advice = f"GRANT {DAEMON_ROLE} TO the user that database.dsn names"
        tell(Check("schema", State.FAILED, f"{name}: no right to use {', '.join(closed)}", advice))
        return None
    status = await Operator(database).status()
    if left.later:
        advice = "when every daemon is of this version, run `omisync migrate --after`"
        tell(Check("schema", State.WARNING, f"{name} can be used; {', '.join(left.later)} waits", advice))
    else:
        tell(Check("schema", State.OK, f"{name} is up to date ({status.schema_version})"))
    if settings.outbox.notify != await inspection.notifies():
        wanted = "true, but the trigger is not there" if settings.outbox.notify else "false, but the trigger is there"
        tell(Check("notify", State.WARNING, f"outbox.notify is {wanted}", "run `omisync migrate`"))
    if settings.hooks.on_change is not None:
        tell(await _examine_hook(settings.hooks.on_change, inspection))
    return status


async def _examine_hook(function: str, inspection: Inspection) -> Check:
    allowed = await inspection.hook(function)
    if allowed is None:
        advice = "create it, or correct hooks.on_change; until then its calls wait"
        return Check("hook", State.FAILED, f"there is no function {function}(jsonb)", advice)
    if not allowed:
        advice = f"GRANT EXECUTE ON FUNCTION {function}(jsonb), and USAGE on its schema, TO {DAEMON_ROLE}"
        return Check("hook", State.FAILED, f"no right to call {function}(jsonb)", advice)
    return Check("hook", State.OK, f"{function}(jsonb) is there and may be called")


def _away(error: StoreError, *, offline: bool, name: str = "database") -> Check:
    if isinstance(error, StoreUnavailable):
        if offline:
            return Check(name, State.WARNING, f"{error}; the daemon will wait for it")
        return Check(name, State.UNREACHABLE, str(error), "check database.dsn, and that the server runs")
    # SQLSTATE class 28: the user is not let in; 3D: there is no such database.
    state = getattr(error.__cause__, "sqlstate", None) or ""
    closed = isinstance(error, StoreMisused) and state[:2] in {"28", "3D"}
    return Check(name, State.UNREACHABLE if closed else State.FAILED, str(error))
