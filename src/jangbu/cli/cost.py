"""``cost``: what was recorded cost, by model, service or user."""

from enum import StrEnum
from typing import Annotated

import typer

from jangbu.cli.commands import command
from jangbu.cli.figures import COLUMNS, Everybody, Somebody, cells, facts, summed, whose
from jangbu.cli.session import Session
from jangbu.cli.tables import table
from jangbu.cli.values import whole_number
from jangbu.errors import InvalidInput

__all__ = ["register"]


class Axis(StrEnum):
    """What costs are grouped by."""

    MODEL = "model"
    SERVICE = "service"
    USER = "user"


def register(app: typer.Typer) -> None:
    """Add the command to the app."""
    command(app, "cost")(cost)


async def cost(
    session: Session,
    user: Somebody = None,
    everybody: Everybody = False,
    by: Annotated[Axis, typer.Option(help="What to group by.")] = Axis.MODEL,
    days: Annotated[
        str | None,
        typer.Option(metavar="N", help="Everybody's last N days, by model or service.", show_default="all time"),
    ] = None,
    limit: Annotated[str, typer.Option(metavar="N", help="How many lines at most.")] = "100",
) -> None:
    """Show what calls cost, the dearest first, input and output apart; a call without a price counts as unpriced."""
    named = whose(user, everybody)
    most = whole_number(limit, "limit", least=1, most=10_000)
    last = None if days is None else whole_number(days, "days", least=1, most=3660)
    if last is not None and (named is not None or by is Axis.USER):
        raise InvalidInput("--days is not kept for users", hint="use it with --all --by model or --by service")
    project = session.settings().project
    async with session.ledger() as metering:
        named = named and await metering.accounts.user_named(named)
        from jangbu.metering.reports import Reports

        lines = await Reports(metering.database, project).cost(named, by.value, days=last, limit=most)
    total = summed([line.figures for line in lines])

    def text() -> str:
        rows = [(line.name, *cells(line.figures)) for line in lines]
        return table((by.value, *COLUMNS), [*rows, ("total", *cells(total))] if rows else [], empty="no calls")

    costs = [{by.value: line.name, **facts(line.figures)} for line in lines]
    session.show({"user": named, "by": by, "costs": costs, "total": facts(total)}, text)
