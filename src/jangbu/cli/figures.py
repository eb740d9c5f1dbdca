"""Figures of reports as table cells."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from jangbu.cli.money import dollars
from jangbu.errors import InvalidInput
from jangbu.metering.facts import has_no_price

if TYPE_CHECKING:
    from jangbu.metering.reports import Figures

__all__ = ["COLUMNS", "Everybody", "Somebody", "cells", "summed", "whose"]

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


def whose(user: str | None, everybody: bool) -> str | None:
    """Give the user who is meant, or None for everybody. Raises InvalidInput unless it is one or the other."""
    if everybody and user is not None:
        raise InvalidInput("a USER and --all are both given", hint="give one of them")
    if not everybody and user is None:
        raise InvalidInput("say whose figures", hint="give a USER, or --all for everybody")
    return user


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
    shown = ("unpriced",) * len(money) if has_no_price(figures) else tuple(dollars(nano) for nano in money)
    return (*(f"{count:,}" for count in counts), *shown, f"{figures.unpriced:,}" if figures.unpriced else "")


def summed(parts: Sequence["Figures"]) -> "Figures":
    """Add figures up."""
    from jangbu.metering.reports import summed as added

    return added(parts)
