"""The time that a list is of, and the days that a report is of, by any time zone's calendar, with its figures where it
is of some days alone.
"""

from datetime import date, timedelta
from typing import Annotated, Any

from fastapi import Depends, Query

from jangbu.api.rest.asked import Ask, Asked
from jangbu.api.rest.costs import shown
from jangbu.api.rest.values import Day, Moment
from jangbu.domain.amounts import Amounts
from jangbu.domain.windows import FIRST, Window, zone_named
from jangbu.errors import InvalidInput
from jangbu.metering import series, tops
from jangbu.metering.facts import amounts_facts
from jangbu.metering.reports import Axis
from jangbu.metering.snapshots import Filters, Span, snapshot

__all__ = ["Period", "Within", "Zone", "costs_in", "day_of", "days_in", "totals_in"]

Zone = Annotated[str, Query(max_length=64, description="Whose days are meant: an IANA name.")]
_DAY = timedelta(days=1)


def day_of(text: str | None) -> date | None:
    """Read a day of a query. Raises InvalidInput."""
    try:
        return None if text is None else date.fromisoformat(text)
    except ValueError:
        raise InvalidInput(f"{text!r} is no day", hint="write it like 2027-01-31") from None


def _period(
    ask: Ask,
    since: Annotated[Day | None, Query(description="The first day; without it all up to the last.")] = None,
    until: Annotated[Day | None, Query(description="The last day; without it today.")] = None,
    zone: Zone = "UTC",
) -> Window | None:
    found = zone_named(zone)
    if since is None and until is None:
        return None
    last = day_of(until) or ask.ledger.clock.now().astimezone(found).date()
    return Window.days(day_of(since) or FIRST.date() + _DAY, last, found)


Period = Annotated[Window | None, Depends(_period)]
"""The days that the query names; None where it names none, for all time."""


def _span(
    since: Annotated[
        Moment | None, Query(description="Only from this moment on.", examples=["2026-01-01T00:00:00+09:00"])
    ] = None,
    until: Annotated[
        Moment | None, Query(description="Only before this moment.", examples=["2026-02-01T00:00:00+09:00"])
    ] = None,
) -> Span:
    return Span(since, until)


Within = Annotated[Span, Depends(_span)]
"""The time from and to the moments that the query names, of which either may be left out."""


async def totals_in(ask: Asked, window: Window, user: str | None) -> dict[str, Any]:
    """Give what was used in a window of each model for each service. Raises NotFound for a user without an account."""
    async with snapshot(ask.ledger.database, ask.parts.project) as look:
        found = await tops.breakdown(look, window, Filters(user))
    lines = [{"service": each.service, "model": each.model, **_figures(ask, each.amounts)} for each in found.cells]
    return {"user": user, "totals": lines, "total": _figures(ask, found.total)}


async def costs_in(ask: Asked, window: Window, user: str | None, by: Axis, limit: int) -> dict[str, Any]:
    """Give what calls of a window cost, the dearest first; of users those who cost something. Raises NotFound."""
    async with snapshot(ask.ledger.database, ask.parts.project) as look:
        found = await tops.breakdown(look, window, Filters(user))
        lines = [(part.name, part.amounts) for part in (found.models if by == "model" else found.services)]
        if by == "user":
            first = await tops.users(look, window, "cost", limit) if user is None else ()
            lines = [(each.user, each.amounts) for each in first] if user is None else [(user, found.total)]
    lines.sort(key=lambda line: (-line[1].cost_nano, line[0]))
    costs = [{by: name, **_figures(ask, amounts)} for name, amounts in lines[:limit]]
    return {"user": user, "by": by, "costs": costs, "total": _figures(ask, found.total)}


async def days_in(ask: Asked, window: Window, user: str | None, *, zeros: bool) -> list[dict[str, Any]]:
    """Give what was used on each day of a window for each service, newest first. Raises NotFound."""
    async with snapshot(ask.ledger.database, ask.parts.project) as look:
        found = await series.of(look, window, Filters(user), "service")
    lines: list[dict[str, Any]] = []
    parts = sorted(found.lines, key=lambda line: line.name)
    for place, bar in reversed(list(enumerate(found.bars))):
        day = bar.start.astimezone(window.zone).date()
        used = [(line.name, line.amounts[place]) for line in parts if line.amounts[place].calls]
        nothing = [(None, bar.amounts)] if zeros and not used else []
        lines += [{"day": day, "service": name, **_figures(ask, amounts)} for name, amounts in (*used, *nothing)]
    return lines


def _figures(ask: Asked, amounts: Amounts) -> dict[str, Any]:
    return shown(ask, amounts_facts(amounts))
