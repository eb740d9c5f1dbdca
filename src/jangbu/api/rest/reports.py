"""Reports: what was used and cost, in sums."""

from datetime import date
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from fastapi import Query

from jangbu.api.rest.asked import Ask, Asked, Somebody
from jangbu.api.rest.costs import shown
from jangbu.api.rest.declared import FIGURES, USER, Routes
from jangbu.api.rest.paging import Limit
from jangbu.api.rest.periods import Period, Zone, costs_in, day_of, days_in, totals_in
from jangbu.api.rest.values import Answer, Day, Number, Part, example
from jangbu.domain.windows import Bucket, Window, zone_named
from jangbu.errors import InvalidInput
from jangbu.metering.facts import figures_facts
from jangbu.metering.reports import Axis, Figures, summed

__all__ = ["FIGURES_EXAMPLE", "FigureFacts", "reports"]

reports = Routes("reports")

_DAYS, _DAYS_MAX = 30, 366
"""How many days are told apart where it is not said, and at most."""

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
async def totals(ask: Ask, user: Somebody, period: Period) -> dict[str, Any]:
    """Show what was used of each model for each service: sum, count and average; of all time, or of some days."""
    if period is not None:
        return await totals_in(ask, period, user)
    lines = await ask.reports.totals(user)
    found = [{"service": line.service, "model": line.model, **_figures(ask, line.figures)} for line in lines]
    return {"user": user, "totals": found, "total": _figures(ask, summed([line.figures for line in lines]))}


@reports.get("/usage/daily", roles=FIGURES | USER, answer=Days)
async def daily(
    ask: Ask,
    user: Somebody,
    days: Annotated[int | None, Query(ge=1, le=_DAYS_MAX, description="How many days; without it 30.")] = None,
    since: Annotated[Day | None, Query(description="The first of them, in place of how many.")] = None,
    until: Annotated[Day | None, Query(description="The last of them; without it today.")] = None,
    zone: Zone = "UTC",
    zeros: Annotated[bool, Query(description="Whether the days without calls are shown, too.")] = False,
) -> dict[str, Any]:
    """Show what was used on each day of a time zone for each service, newest first."""
    found_zone, first, last = zone_named(zone), day_of(since), day_of(until)
    if first is not None and days is not None:
        raise InvalidInput("days and since both say how many days", hint="leave one of them out")
    if first is not None or found_zone.key != "UTC":
        last = last or ask.ledger.clock.now().astimezone(found_zone).date()
        window = _days(first, last, days or _DAYS, found_zone)
        return {"user": user, "zone": found_zone.key, "days": await days_in(ask, window, user, zeros=zeros)}
    lines = await ask.reports.daily(user, days or _DAYS, last=last, zero_filled=zeros)
    found = [{"day": line.day, "service": line.service, **_figures(ask, line.figures)} for line in lines]
    return {"user": user, "zone": "UTC", "days": found}


@reports.get("/cost", roles=FIGURES | USER, answer=Costs)
async def cost(
    ask: Ask,
    user: Somebody,
    period: Period,
    by: Axis = "model",
    days: Annotated[int | None, Query(ge=1, le=3_660, description="Everybody's last days; else all time.")] = None,
    limit: Limit = 100,
) -> dict[str, Any]:
    """Show what calls cost, the dearest first, input and output apart; a call without a price counts as unpriced."""
    if period is not None:
        if days is not None:
            raise InvalidInput("days and since or until both say of which days", hint="leave one of them out")
        return await costs_in(ask, period, user, by, limit)
    if days is not None and (user is not None or by == "user"):
        raise InvalidInput("days are not kept for users", hint="name the days with since and until")
    found = await ask.reports.cost(user, by, days=days, limit=limit)
    costs = [{by: line.name, **_figures(ask, line.figures)} for line in found.lines]
    return {"user": user, "by": by, "costs": costs, "total": _figures(ask, found.total)}


def _days(first: date | None, last: date, days: int, zone: ZoneInfo) -> Window:
    if first is None:
        first = date.fromordinal(max(1, last.toordinal() - days + 1))
    if (last - first).days >= _DAYS_MAX:
        raise InvalidInput(f"from {first} to {last} are more than {_DAYS_MAX} days", hint="ask for fewer at once")
    return Window.days(first, last, zone, Bucket.DAY)


def _figures(ask: Asked, figures: Figures) -> dict[str, Any]:
    return shown(ask, figures_facts(figures))
