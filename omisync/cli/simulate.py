"""`omisync simulate`: an Omisell to run at home."""

# ruff: noqa: PLC0415 (what is heavy is imported by the command that needs it, so that --help answers at once)

from __future__ import annotations

import json as json_module
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from omisync.cli import output
from omisync.cli.failures import WrongUsage
from omisync.cli.options import Common, Config, Debug, Json, examples

if TYPE_CHECKING:
    from omisync.simulator import Simulator, SimulatorConfig


class Form(StrEnum):
    """How a push proves where it comes from."""

    token = "token"  # noqa: S105 (a form's name)
    hmac_url_body = "hmac-url-body"
    hmac_body = "hmac-body"
    none = "none"


class PushType(StrEnum):
    """What Omisell pushes about, as its Console offers it."""

    order = "order"
    shipment = "shipment"
    returns = "return"


class Language(StrEnum):
    """Of names and messages."""

    en = "en"
    vi = "vi"


def add_to(app: typer.Typer) -> None:
    """Puts the command into the tree."""
    app.command(
        epilog=examples("simulate --callback-url http://127.0.0.1:8080/webhooks/omisell --automatic --speed 60")
    )(simulate)


def simulate(
    context: typer.Context,
    host: Annotated[str, typer.Option(metavar="ADDRESS", help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(metavar="PORT", min=0, max=65535, help="The port; 0 takes a free one.")] = 8090,
    callback_url: Annotated[str | None, typer.Option(metavar="URL", help="Where pushes go.")] = None,
    secret: Annotated[str | None, typer.Option(metavar="TEXT", help="The webhook's secret.")] = None,
    authorization: Annotated[Form | None, typer.Option(help="How pushes are authorized.")] = None,
    push: Annotated[
        list[PushType] | None,
        typer.Option(
            metavar="order|shipment|return", help="A type of push that is switched on; may be repeated.  [order]"
        ),
    ] = None,
    automatic: Annotated[bool, typer.Option("--automatic", help="Orders go on by themselves.")] = False,
    speed: Annotated[float, typer.Option(metavar="FACTOR", min=0.01, max=1e6, help="60: an hour in a minute.")] = 1.0,
    language: Annotated[Language | None, typer.Option(help="Of names and messages.")] = None,
    faults: Annotated[
        str | None, typer.Option(metavar="JSON", help="""Trouble from the start: '{"slow": {"rate": 0.2}}'.""")
    ] = None,
    options: Annotated[
        Path | None, typer.Option(metavar="FILE", help="All of the simulator's options, as TOML.")
    ] = None,
    like_config: Annotated[
        bool, typer.Option("--like-config", help="Take credentials, shop and webhook from omisync's configuration.")
    ] = False,
    config: Config = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Run a simulated Omisell, to develop a shop against.

    Its page shows the orders, moves them on, and switches faults.
    """
    common = Common.of(context, config, json, debug)
    settings: dict[str, Any] = _from_file(options) if options else {}
    if like_config:
        _merge(settings, _like(common))
    flags = {
        "language": language.value if language else None,
        "clock_factor": 1 / speed if speed != 1 else None,
        "faults": _parsed(faults) if faults else None,
        "life": {"automatic": automatic or None},
        "push": {
            "callback_url": callback_url,
            "secret": secret,
            "authorization": authorization.value if authorization else None,
            "categories": [each.value for each in push] if push else None,
        },
    }
    _merge(settings, flags)
    made = _checked(settings)
    from omisync.simulator import serve

    common.run(serve(made, host, port, started=lambda simulator: _started(common, made, simulator)))


def _from_file(path: Path) -> dict[str, Any]:
    from omisync.config.load import read_toml

    return read_toml(path)


def _parsed(faults: str) -> dict[str, Any]:
    try:
        parsed = json_module.loads(faults)
    except ValueError as error:
        raise WrongUsage(f"--faults: not JSON: {error}") from None
    if not isinstance(parsed, dict):
        raise WrongUsage("""--faults: expected an object, such as '{"slow": {"rate": 0.2}}'""")
    return parsed


def _like(common: Common) -> dict[str, Any]:
    """The simulated account that fits omisync's own configuration."""
    from omisync.simulator.account import PICKUPS, SHOPS, Pickup, Shop

    settings = common.settings()
    own, webhook = settings.omisell, settings.webhook
    listen = webhook.listen
    host = "127.0.0.1" if listen.host in {"0.0.0.0", "::"} else listen.host  # noqa: S104 (compared, not listened on)
    shops = [Shop(own.shop_id, "omisync")] + [shop for shop in SHOPS if shop.shop_id != own.shop_id]
    pickups = [pickup for pickup in PICKUPS if pickup.id != own.pickup_id]
    return {
        "account": {
            "seller_id": int(own.seller_id) if own.seller_id.isdigit() else None,
            "country": own.country,
            "api_key": own.api_key.get_secret_value(),
            "api_secret": own.api_secret.get_secret_value(),
            "shops": shops,
            "pickups": [Pickup(own.pickup_id, "omisync"), *pickups] if own.pickup_id else pickups,
        },
        "push": {
            "callback_url": f"http://{type(listen)(host, listen.port)}{webhook.path}",
            "registered_url": webhook.callback_url,
            "secret": webhook.secret[0].get_secret_value() if webhook.secret else None,
            "authorization": None if webhook.authorization == "auto" else webhook.authorization,
        },
    }


def _merge(into: dict[str, Any], changes: dict[str, Any]) -> None:
    """Puts `changes` over `into`, table by table; None changes nothing."""
    for name, value in changes.items():
        if isinstance(value, dict) and name != "faults":
            _merge(into.setdefault(name, {}), value)
        elif value is not None:
            into[name] = value


def _checked(settings: dict[str, Any]) -> SimulatorConfig:
    from pydantic import TypeAdapter, ValidationError

    from omisync.simulator import SimulatorConfig

    try:
        return TypeAdapter(SimulatorConfig).validate_python(settings)
    except ValidationError as error:
        faults = [f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors(include_input=False)]
        raise WrongUsage("simulator's option " + "\n".join(faults)) from None


def _started(common: Common, made: SimulatorConfig, simulator: Simulator) -> None:
    account = made.account
    if common.json:
        output.print_json({"url": simulator.url, "callback_url": made.push.callback_url}, indent=None)
        return
    output.say(f"Omisell is simulated at {simulator.url}/ (a page to move orders and switch faults); Ctrl-C ends it")
    output.say(f"pushes go to {made.push.callback_url or 'nobody: give --callback-url'}\n")
    shop = next(iter(account.shops))
    pickup = next(iter(account.pickups), None)
    lines = [
        "[omisell]",
        f'base_url = "{simulator.url}"',
        *([] if _is_users_own(made) else [f'api_key = "{account.api_key}"', f'api_secret = "{account.api_secret}"']),
        f"seller_id = {account.seller_id}",
        f'country = "{account.country}"',
        f"shop_id = {shop.shop_id}",
        *([f"pickup_id = {pickup.id}"] if pickup else []),
    ]
    output.say("\n".join(lines))


def _is_users_own(made: SimulatorConfig) -> bool:
    """Whether the account's credentials are the user's own, which are not printed."""
    from omisync.simulator import AccountConfig

    return (made.account.api_key, made.account.api_secret) != (AccountConfig().api_key, AccountConfig().api_secret)
