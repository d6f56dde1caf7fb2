"""The listeners: does a signed push pass, is the daemon listening, and if not, could it."""

import asyncio
import errno
import json
from collections.abc import Mapping
from secrets import token_hex
from typing import Literal

import aiohttp
from aiohttp import hdrs

from omisync.checkup.verdict import Check, State
from omisync.config import Listen, WebhookSettings
from omisync.omisell import Authorizer, sign
from omisync.web.sockets import ListenError, open_servers

PROBE_SECONDS = 3.0
"""For a listener on this machine to answer; Omisell's sister product waits as long [sibling: boxme]."""

PROBE_BODY = b"omisync check"
"""Not JSON: an authentic delivery of it is answered 400, and nothing is stored."""

MOST_READ = 4096
"""Bytes of an answer; ours have a hundred."""

SAMPLE_BODY = b'{"event": "order.shipped", "data": {"order_number": "omisync check"}}'

LISTENERS = ("webhook listener", "admin listener")

Nobody = Literal["stranger", "silent"]
"""Who is at an address where our own listener does not answer."""


def examine_signature(webhook: WebhookSettings) -> Check:
    """Makes a delivery in each form that is accepted, with each secret, and has it checked as the listener does."""
    name = "webhook signature"
    if webhook.authorization == "none":
        says = "webhook.authorization is none: anyone who reaches the listener can make omisync fetch orders"
        return Check(name, State.WARNING, says, "set webhook.secret, and webhook.authorization to auto")
    secrets = [secret.get_secret_value() for secret in webhook.secret]
    authorizer = Authorizer(webhook.authorization, secrets, webhook.callback_url)
    forms = _forms(webhook)
    for form in forms:
        for place, secret in enumerate(secrets, 1):
            header = sign(form, secret, SAMPLE_BODY, webhook.callback_url)
            if authorizer.check(header, SAMPLE_BODY) is None:
                says = f"a delivery signed by {form} with secret {place} of {len(secrets)} was turned away"
                return Check(name, State.FAILED, says, "use a secret without blanks around it")
        forged = sign(form, token_hex(16), SAMPLE_BODY, webhook.callback_url)
        if authorizer.check(forged, SAMPLE_BODY) is not None:
            return Check(name, State.FAILED, f"a delivery with a wrong {form} was let in", "report this fault")
    count = f", {len(secrets)} secrets" if len(secrets) > 1 else ""
    said = f"a delivery in each form passes ({', '.join(forms)}{count}), a forged one does not"
    if webhook.authorization == "auto" and webhook.callback_url is None:
        advice = "set webhook.callback_url to the URL registered in Omisell's Console"
        return Check(name, State.WARNING, f"{said}; hmac-url-body cannot be recognised without the URL", advice)
    return Check(name, State.OK, said)


def _forms(webhook: WebhookSettings) -> list[str]:
    if webhook.authorization != "auto":
        return [webhook.authorization]
    return ["token", "hmac-body", *(["hmac-url-body"] if webhook.callback_url else [])]


async def examine_webhook_listener(webhook: WebhookSettings, *, running: bool) -> Check:
    """Whether the listener answers an authentic delivery; if nobody listens, whether the address can be had.

    Args:
        webhook: the configuration.
        running: whether a daemon has given a sign of life lately.
    """
    name, _ = LISTENERS
    taken = await _taken(webhook.listen, "webhook")
    if taken is None:
        return _free(name, webhook.listen, running=running)
    # Who it is comes first: a secret is not shown to whoever happens to have the port.
    tls = webhook.tls_cert is not None  # this machine's own address is in no certificate
    answer = await _ask("GET", webhook.listen, webhook.path, taken, tls=tls)
    if answer == 405:
        answer = await _ask("POST", webhook.listen, webhook.path, taken, _signed(webhook), tls=tls)
    if isinstance(answer, int):
        return _judged(name, answer, webhook)
    return _not_ours(name, answer, taken, webhook.listen, running=running)


def _judged(name: str, status: int, webhook: WebhookSettings) -> Check:
    """What our own listener means by its answer to an authentic delivery."""
    up = f"up at {webhook.listen}"
    match status:
        case 400:
            return Check(name, State.OK, f"{up}{webhook.path}, and accepts our signature")
        case 401:
            advice = "let it read them: `systemctl restart omisync`, or a SIGHUP for plain files"
            return Check(name, State.FAILED, f"{up}, but with other secrets than configured", advice)
        case 403:
            return Check(name, State.OK, f"{up}{webhook.path}, and keeps this machine out, as webhook.allow says")
        case 404:
            advice = "restart the daemon: it runs with another webhook.path"
            return Check(name, State.FAILED, f"{up}, but not for {webhook.path}", advice)
        case _:
            says = f"{up}, and answers {status} instead of taking a delivery"
            return Check(name, State.WARNING, says, "look at the daemon's log")


def _signed(webhook: WebhookSettings) -> dict[str, str]:
    """The header of an authentic delivery of `PROBE_BODY`; by an HMAC, which does not show the secret, if accepted."""
    if webhook.authorization == "none":
        return {}
    form = _forms(webhook)[-1]
    secret = webhook.secret[0].get_secret_value()
    return {hdrs.AUTHORIZATION: sign(form, secret, PROBE_BODY, webhook.callback_url)}


async def examine_admin_listener(listen: Listen, *, running: bool) -> Check:
    """The same of the admin page, by its `/healthz`."""
    _, name = LISTENERS
    taken = await _taken(listen, "admin")
    if taken is None:
        return _free(name, listen, running=running)
    answer = await _ask("GET", listen, "/healthz", taken)
    if answer == 200:
        return Check(name, State.OK, f"up at {listen}")
    if isinstance(answer, int):
        return Check(name, State.WARNING, f"up at {listen}, but answers {answer}", "look at the daemon's log")
    return _not_ours(name, answer, taken, listen, running=running)


def _free(name: str, listen: Listen, *, running: bool) -> Check:
    if running:
        # Not a fault: the daemon that gives signs of life may be another machine's.
        return Check(name, State.OK, f"{listen} is free on this machine; the daemon that runs listens elsewhere")
    return Check(name, State.OK, f"{listen} can be had; the daemon is not running")


def _not_ours(name: str, answer: Nobody, taken: ListenError, listen: Listen, *, running: bool) -> Check:
    match answer:
        case "silent" if running:
            advice = "look at the daemon's log; restart it"
            return Check(name, State.FAILED, f"{listen} is taken, and does not answer", advice)
        case "silent":
            says = f"{listen} is taken, and does not answer yet: systemd's socket waits for the daemon, or a stranger"
            return Check(name, State.WARNING, says, f"see who has it: `ss -ltnp 'sport = :{listen.port}'`")
        case _:
            return Check(name, State.FAILED, str(taken))


def _may_be_ours(taken: ListenError) -> bool:
    """Whether somebody may be listening there: the port is in use, or only systemd may open it."""
    return isinstance(taken.__cause__, OSError) and taken.__cause__.errno in {errno.EADDRINUSE, errno.EACCES}


async def _taken(listen: Listen, name: str) -> ListenError | None:
    """Why the address cannot be had now; None if it can."""
    try:
        servers = await open_servers(asyncio.Protocol, listen, name, [])
    except ListenError as error:
        return error
    for server in servers:
        server.close()
        await server.wait_closed()
    return None


def _is_ours(headers: Mapping[str, str], body: bytes) -> bool:
    """By the server's name, or by the form of the answers to pushes, which carry none."""
    if headers.get(hdrs.SERVER) == "omisync":
        return True
    try:
        said = json.loads(body)
    except ValueError:
        return False
    return isinstance(said, dict) and isinstance(said.get("ok"), bool)


async def _ask(
    method: str,
    listen: Listen,
    path: str,
    taken: ListenError,
    headers: Mapping[str, str] | None = None,
    *,
    tls: bool = False,
) -> int | Nobody:
    """The status that our own listener answers with, or who it is that does not."""
    if not _may_be_ours(taken):
        return "stranger"
    url = f"{'https' if tls else 'http'}://{Listen(listen.reachable, listen.port)}{path}"
    timeout = aiohttp.ClientTimeout(total=PROBE_SECONDS)
    data = PROBE_BODY if method == "POST" else None
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.request(method, url, data=data, headers=headers, allow_redirects=False, ssl=not tls) as answer,
        ):
            return answer.status if _is_ours(answer.headers, await answer.content.read(MOST_READ)) else "stranger"
    except TimeoutError:
        return "silent"
    except (aiohttp.ClientError, OSError):
        return "stranger"
