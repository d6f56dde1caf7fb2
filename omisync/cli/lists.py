"""`omisync skus` and `locations`: what Omisell knows, out of the copies that the daemon keeps."""

# ruff: noqa: PLC0415 (what is heavy is imported by the command that needs it, so that --help answers at once)

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from omisync.cli import output
from omisync.cli.failures import FAILED, CommandFailed
from omisync.cli.options import Common, Config, Debug, Json, Refresh, examples

if TYPE_CHECKING:
    from omisync.checks.addresses import Resolution
    from omisync.store.mirrors import MirrorAge


def add_to(app: typer.Typer) -> None:
    """Puts the commands into the tree."""
    app.command(epilog=examples("skus", "skus tee --refresh"))(skus)
    app.command(epilog=examples("locations", "locations hcm", 'locations "Hà Nội" "Ba Dinh District"'))(locations)


def skus(
    context: typer.Context,
    search: Annotated[str, typer.Argument(help="A part of the SKU or of the product's name.")] = "",
    limit: Annotated[int, typer.Option("--limit", metavar="N", min=1, max=100_000, help="At most so many.")] = 100,
    refresh: Refresh = False,
    config: Config = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """List the SKUs that Omisell knows, as of the daemon's last look."""
    common = Common.of(context, config, json, debug)
    settings = common.settings()
    from omisync import mirrored

    found = common.run(mirrored.skus(settings, search, limit, refresh=refresh))
    if common.json:
        output.print_json({"lists": found.ages, "skus": found.rows})
        return
    _require("SKUs", found.ages)
    made = output.table("sku", "name", "in", wrap=["name"])
    for one in found.rows:
        output.row(made, one.sku, one.name, one.mirrors)
    output.console().print(made)
    output.say(f"{len(found.rows)} shown; {_ages(found.ages)}")


def locations(
    context: typer.Context,
    province: Annotated[str, typer.Argument(help="A province, in any spelling; without it all are listed.")] = "",
    district: Annotated[str, typer.Argument(help="A district of it.")] = "",
    refresh: Refresh = False,
    config: Config = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """List Omisell's places: provinces, districts of a province, subdistricts of a district.

    A place that cannot be told is 1, with what it may be.
    """
    common = Common.of(context, config, json, debug)
    settings = common.settings()
    from omisync import mirrored

    found = common.run(mirrored.places(settings, province, district, refresh=refresh))
    _require("places", () if found.age is None else (found.age,))
    asked = found.asked
    if common.json:
        output.print_json({"list": found.age, "asked": asked, "below": found.names})
    elif asked is not None and asked.address is None:
        output.say(_unclear(asked))
    else:
        if asked is not None:
            output.say(f"{asked.address}:")
        output.say("\n".join(found.names) or "nothing below it")
        output.say(_ages(() if found.age is None else (found.age,)))
    if asked is not None and asked.address is None:
        raise typer.Exit(FAILED)


def _require(what: str, ages: Sequence[MirrorAge]) -> None:
    if any(age.refreshed_at is not None for age in ages):
        return
    if ages and not any(age.offered for age in ages):
        raise CommandFailed(
            f"this account offers no list of {what} at the paths in [omisell.paths]; the check that needs it is off"
        )
    raise CommandFailed(f"Omisell's {what} were not read yet: let the daemon run, or add --refresh")


def _ages(ages: Sequence[MirrorAge]) -> str:
    return ", ".join(f"{age.name} read {output.ago(age.refreshed_at)}" for age in ages if age.refreshed_at is not None)


def _unclear(asked: Resolution) -> str:
    head = "fits more than one place" if asked.reason == "ambiguous" else "is not in Omisell's address system"
    near = "".join(f"\n  {candidate}" for candidate in asked.candidates)
    return f"the {asked.level} {head}{'; it may be:' if near else ''}{near}"
