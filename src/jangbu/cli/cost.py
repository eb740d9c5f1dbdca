"""``cost``: what was recorded cost, by model, service or user."""

from typing import TYPE_CHECKING, Annotated

import typer

from jangbu.cli.commands import command
from jangbu.cli.figures import COLUMNS, Everybody, Somebody, cells, whose
from jangbu.cli.session import Session
from jangbu.cli.tables import table
from jangbu.cli.values import whole_number
from jangbu.errors import InvalidInput
from jangbu.metering.facts import figures_facts

if TYPE_CHECKING:
    from jangbu.metering.reports import Axis

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the command to the app."""
    command(app, "cost")(cost)


async def cost(
    session: Session,
    user: Somebody = None,
    everybody: Everybody = False,
    by: Annotated[str, typer.Option(metavar="WHAT", help="What to group by: model, service or user.")] = "model",
    days: Annotated[
        str | None,
        typer.Option(metavar="N", help="Everybody's last N days, by model or service.", show_default="all time"),
    ] = None,
    limit: Annotated[str, typer.Option(metavar="N", help="How many lines at most.")] = "100",
) -> None:
    """Show what calls cost, the dearest first, input and output apart; a call without a price counts as unpriced."""
    named = whose(user, everybody)
    axis = _axis(by)
    most = whole_number(limit, "limit", least=1, most=10_000)
    last = None if days is None else whole_number(days, "days", least=1, most=3660)
    if last is not None and (named is not None or axis == "user"):
        raise InvalidInput("--days is not kept for users", hint="use it with --all --by model or --by service")
    project = session.settings().project
    async with session.ledger() as metering:
        named = named and await metering.accounts.user_named(named)
        from jangbu.metering.reports import Reports

        found = await Reports(metering.database, project).cost(named, axis, days=last, limit=most)
    lines, total = found.lines, found.total

    def text() -> str:
        rows = [(line.name, *cells(line.figures)) for line in lines]
        return table((axis, *COLUMNS), [*rows, ("total", *cells(total))] if rows else [], empty="no calls")

    costs = [{axis: line.name, **figures_facts(line.figures)} for line in lines]
    session.show({"user": named, "by": axis, "costs": costs, "total": figures_facts(total)}, text)


def _axis(name: str) -> "Axis":
    """Give what costs are grouped by. Raises InvalidInput that lists what there is."""
    match name:
        case "model" | "service" | "user":
            return name
        case _:
            raise InvalidInput(f"costs are not kept by {name[:40]!r}", hint="one of model, service, user")
