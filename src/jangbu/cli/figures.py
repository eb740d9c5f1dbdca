"""Figures of reports as JSON and as table cells."""

from collections.abc import Sequence
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Annotated

import typer

from jangbu.cli.money import dollars
from jangbu.errors import InvalidInput

if TYPE_CHECKING:
    from jangbu.metering.reports import Figures

__all__ = ["COLUMNS", "Everybody", "Somebody", "cells", "facts", "summed", "whose"]

Somebody = Annotated[
    str | None,
    typer.Argument(metavar="[USER]", help="The app's own user id, or a full account id.", show_default=False),
]
Everybody = Annotated[bool, typer.Option("--all", help="Everybody's, instead of one user's.")]

COLUMNS = (
    "calls>",
    "prompt>",
    "completion>",
    "cached>",
    "total>",
    "average>",
    "cost>",
    "input>",
    "output>",
    "unpriced>",
)
_MONEY = ("cost_nano", "input_cost_nano", "output_cost_nano", "charge_nano")


def whose(user: str | None, everybody: bool) -> str | None:
    """Give the user who is meant, or None for everybody. Raises InvalidInput unless it is one or the other."""
    if everybody == (user is not None):
        raise InvalidInput("say whose figures", hint="give a USER, or --all for everybody")
    return user


def facts(figures: "Figures") -> dict[str, int | None]:
    """Give figures as JSON; money is null where none of the calls has a price."""
    found: dict[str, int | None] = asdict(figures)
    if _has_no_price(figures):
        found |= dict.fromkeys(_MONEY)
    return found


def cells(figures: "Figures") -> tuple[str, ...]:
    """Give figures as the cells of ``COLUMNS``."""
    counts = (
        figures.calls,
        figures.prompt_tokens,
        figures.completion_tokens,
        figures.cached_tokens,
        figures.total_tokens,
        figures.average_tokens,
    )
    money = (figures.cost_nano, figures.input_cost_nano, figures.output_cost_nano)
    shown = ("unpriced",) * len(money) if _has_no_price(figures) else tuple(dollars(nano) for nano in money)
    return (*(f"{count:,}" for count in counts), *shown, f"{figures.unpriced:,}" if figures.unpriced else "")


def summed(parts: Sequence["Figures"]) -> "Figures":
    """Add figures up."""
    from jangbu.metering.reports import Figures, average

    sums = {each.name: sum(getattr(part, each.name) for part in parts) for each in fields(Figures)}
    return Figures(**sums | {"average_tokens": average(sums["total_tokens"], sums["calls"])})


def _has_no_price(figures: "Figures") -> bool:
    return figures.calls > 0 and figures.unpriced == figures.calls
