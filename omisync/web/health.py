"""Whether the daemon is alive and whether it can work: for probes, monitors and people with curl."""

from aiohttp import web

from omisync.web.seen import Lookout, Seen


async def alive(_: web.Request) -> web.Response:
    """`/healthz`: that this is answered shows that the process lives and its event loop turns."""
    return web.json_response({"ok": True})


async def ready(lookout: Lookout) -> web.Response:
    """`/readyz`: 200 when database, schema and token are good, else 503; JSON naming each."""
    checks = judge(await lookout.look())
    good = all(check["ok"] for check in checks.values())
    return web.json_response({"ready": good, **checks}, status=200 if good else 503)


def judge(seen: Seen) -> dict[str, dict[str, object]]:
    """Each check by its name; without details that a stranger should not read."""
    unknown: dict[str, object] = {"ok": False, "why": "unknown while the database is away"}
    if not seen.reachable:
        return {"database": {"ok": False, "why": "it does not answer"}, "schema": unknown, "token": unknown}
    database: dict[str, object] = {"ok": True}
    if seen.trouble is not None or seen.status is None or not seen.status.schema_version:
        schema: dict[str, object] = {"ok": False, "why": "it cannot be read: run `omisync check`"}
        return {"database": database, "schema": schema, "token": {"ok": False, "why": "unknown without the schema"}}
    expires = seen.status.token_expires_seconds
    token: dict[str, object]
    if expires is None and seen.status.token_held:
        token = {"ok": True, "expires_seconds": None}
    elif expires is None:
        token = {"ok": False, "why": "there is none: run `omisync check`"}
    elif expires <= 0:
        token = {"ok": False, "why": "it has expired: run `omisync check`"}
    else:
        token = {"ok": True, "expires_seconds": round(expires)}
    return {"database": database, "schema": {"ok": True, "version": seen.status.schema_version}, "token": token}
