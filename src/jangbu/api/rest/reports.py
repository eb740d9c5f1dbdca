"""Reports: what was used and cost, in sums."""

from datetime import date
from typing import Annotated, Any

from fastapi import Query

from jangbu.api.rest.asked import Ask, Asked, Somebody
from jangbu.api.rest.costs import shown
from jangbu.api.rest.declared import FIGURES, USER, Routes
from jangbu.api.rest.paging import Limit
from jangbu.api.rest.values import Answer, Number, Part, example
from jangbu.errors import InvalidInput
from jangbu.metering.facts import figures_facts
from jangbu.metering.reports import Axis, Figures, summed

__all__ = ["FIGURES_EXAMPLE", "FigureFacts", "day_of", "reports"]

reports = Routes("reports")

FIGURES_EXAMPLE = {
    "calls": 1,
    "prompt_tokens": 150,
    "completion_tokens": 300,
    "cached_tokens": 0,
    "total_tokens": 450,
    "average_tokens": 450,
    "cost_nano": 795_000,
    "input_cost_nano": 45_000,
    "output_cost_nano": 750_000,
    "charge_nano": 795_000,
    "unpriced": 0,
}


class FigureFacts(Part):
    """What calls used and cost: tokens, and money in nano-USD, null where none of them has a price."""

    calls: Number
    prompt_tokens: Number
    completion_tokens: Number
    cached_tokens: Number
    total_tokens: Number
    average_tokens: Number
    cost_nano: Number | None
    input_cost_nano: Number | None
    output_cost_nano: Number | None
    charge_nano: Number | None
    unpriced: Number


class TotalFacts(FigureFacts):
    """What was used of one model for one service."""

    service: str
    model: str


class DayFacts(FigureFacts):
    """What was used on one day for one service; a day without calls has none."""

    day: date
    service: str | None


class ModelCost(FigureFacts):
    """What calls of one model cost."""

    model: str


class ServiceCost(FigureFacts):
    """What calls for one service cost."""

    service: str


class UserCost(FigureFacts):
    """What one user's calls cost."""

    user: str


class Totals(Answer):
    """Sums by service and model; ``user`` is null where they are everybody's."""

    model_config = example(
        schema_version=1,
        user="kim",
        totals=[{"service": "text_generation", "model": "gemini-2.5-flash", **FIGURES_EXAMPLE}],
        total=FIGURES_EXAMPLE,
    )
    user: str | None
    totals: list[TotalFacts]
    total: FigureFacts


class Days(Answer):
    """Sums by day and service, newest first."""

    model_config = example(
        schema_version=1,
        user="kim",
        zone="UTC",
        days=[{"day": "2026-01-31", "service": "text_generation", **FIGURES_EXAMPLE}],
    )
    user: str | None
    zone: str
    days: list[DayFacts]


class Costs(Answer):
    """Sums by model, service or user, the dearest first; ``total`` is that of all, also of what is not listed."""

    model_config = example(
        schema_version=1,
        user=None,
        by="model",
        costs=[{"model": "gemini-2.5-flash", **FIGURES_EXAMPLE}],
        total=FIGURES_EXAMPLE,
    )
    user: str | None
    by: Axis
    costs: list[ModelCost | ServiceCost | UserCost]
    total: FigureFacts


@reports.get("/usage/totals", roles=FIGURES | USER, answer=Totals)
async def totals(ask: Ask, user: Somebody) -> dict[str, Any]:
    """Show what was used of each model for each service: sum, count and average."""
    lines = await ask.reports.totals(user)
    found = [{"service": line.service, "model": line.model, **_figures(ask, line.figures)} for line in lines]
    return {"user": user, "totals": found, "total": _figures(ask, summed([line.figures for line in lines]))}


@reports.get("/usage/daily", roles=FIGURES | USER, answer=Days)
async def daily(
    ask: Ask,
    user: Somebody,
    days: Annotated[int, Query(ge=1, le=366, description="How many days.")] = 30,
    until: Annotated[
        str | None,
        Query(pattern="^[0-9]{4}-[0-9]{2}-[0-9]{2}$", description="The last of them; without it today."),
    ] = None,
    zeros: Annotated[bool, Query(description="Whether the days without calls are shown, too.")] = False,
) -> dict[str, Any]:
    """Show what was used on each day (UTC) for each service, newest first."""
    lines = await ask.reports.daily(user, days, last=day_of(until), zero_filled=zeros)
    found = [{"day": line.day, "service": line.service, **_figures(ask, line.figures)} for line in lines]
    return {"user": user, "zone": "UTC", "days": found}


@reports.get("/cost", roles=FIGURES | USER, answer=Costs)
async def cost(
    ask: Ask,
    user: Somebody,
    by: Axis = "model",
    days: Annotated[int | None, Query(ge=1, le=3_660, description="Everybody's last days; else all time.")] = None,
    limit: Limit = 100,
) -> dict[str, Any]:
    """Show what calls cost, the dearest first, input and output apart; a call without a price counts as unpriced."""
    if days is not None and (user is not None or by == "user"):
        raise InvalidInput("days are not kept for users", hint="ask for everybody's, by model or by service")
    found = await ask.reports.cost(user, by, days=days, limit=limit)
    costs = [{by: line.name, **_figures(ask, line.figures)} for line in found.lines]
    return {"user": user, "by": by, "costs": costs, "total": _figures(ask, found.total)}


def _figures(ask: Asked, figures: Figures) -> dict[str, Any]:
    return shown(ask, figures_facts(figures))


def day_of(text: str | None) -> date | None:
    """Read a day of a query. Raises InvalidInput."""
    try:
        return None if text is None else date.fromisoformat(text)
    except ValueError:
        raise InvalidInput(f"{text!r} is no day", hint="write it like 2027-01-31") from None
