"""Cost: what Google asks for, and what users are charged for it, by model, service, user, tag and key."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from jangbu.dashboard import costs, files
from jangbu.dashboard.choices import before_of, chosen, filters_of, window_of
from jangbu.dashboard.figures import Figure, parts_figure
from jangbu.dashboard.look import Look
from jangbu.dashboard.page import READERS, Page
from jangbu.dashboard.top_users import BY_USER, top_users
from jangbu.dashboard.unmatched import or_nothing
from jangbu.domain.amounts import Amounts
from jangbu.domain.budgets import NEAR_PER_CENT
from jangbu.metering import series, tops
from jangbu.metering.months import outlook, spent_of
from jangbu.metering.series import Series
from jangbu.metering.snapshots import EVERYTHING, snapshot
from jangbu.metering.tags import BY_KEY, tag_names

__all__ = ["PAGE"]

_TOP_USERS = 20
_KEPT = ("whatif", "tag", "tag_value", "by_key", BY_USER)
"""What the form of filters takes along."""


async def show(look: Look) -> Mapping[str, Any]:
    """Read the cost of a window; users are those who cost most, where it is not of one."""
    window, filters = window_of(look), filters_of(look)
    async with snapshot(look.ledger.database, look.settings.project) as book:
        found = await tops.breakdown(book, window, filters)
        by_service = await series.of(book, window, filters, "service")
        before = None
        if look.asked("compare"):
            before = (await tops.breakdown(book, before_of(window, book.as_of), filters)).total
        month = await outlook(book, window.zone, filters)
        budget = look.ledger.alerts.budget if filters == EVERYTHING else None
        spent = None if budget is None else await spent_of(book, budget)
        names = () if look.asked("tag") or look.asked("by_key") else await tag_names(book, window, filters.user)
        choices = await chosen(look, book)
        users = await top_users(look, book, window, "cost", _TOP_USERS)
    # Looked at when the connection is free again: others need it meanwhile.
    other, tags = await costs.tried(look, book.as_of), await costs.tags_of(look, book.as_of, names)
    return {
        "choices": choices,
        "series": by_service,
        "found": found,
        "before": before,
        "top": users,
        "month": month,
        "spent": spent,
        "near": NEAR_PER_CENT,
        "markup": look.ledger.pricing.in_force.terms.markup_parts_per_million,
        "priced_models": costs.models_of(look),
        "other": other,
        "tags": tags,
        "carried": {name: value for name, value in costs.carried(look).items() if name in _KEPT},
        "of_what_if": costs.carried(look, "whatif"),
        "of_tags": costs.carried(look, "tag", "tag_value", "by_key"),
        "chart": parts_figure(look, "by-service", by_service, "cost", look.texts("cost.by_service")),
        "tags_chart": _of_tags(look, by_service, tags),
    }


def _of_tags(look: Look, shown: Series, tags: costs.Tags) -> Figure | None:
    """Draw what is told by tag or by key in the buckets that are shown; nothing where retention dropped some of it."""
    lines, found = tags.drawn, tags.found
    if not lines or found is None or found.total.calls < shown.total.calls:
        return None
    bars = tuple(
        replace(bar, amounts=Amounts.sum(line.amounts[place] for line in lines)) for place, bar in enumerate(shown.bars)
    )
    series = replace(shown, by=None, bars=bars, lines=lines, total=Amounts.sum(line.total for line in lines))
    name = look.texts("tag.key") if found.name is BY_KEY else found.name
    if tags.value is None:
        return parts_figure(look, "by-tag", series, "cost", look.texts("tag.cost", name=name))
    title = look.texts("tag.cost_of", name=name, value=lines[0].name)
    return parts_figure(look, "by-tag", series, "cost", title)


PAGE = Page(
    "/cost",
    "cost",
    READERS,
    or_nothing(show, *_KEPT),
    files={
        "calls": costs.calls_file,
        "usage": files.usage("service"),
        "models": files.parts("model"),
        "services": files.parts("service"),
        "whatif": costs.what_if_file,
        "tags": costs.tags_file,
        "keys": costs.keys_file,
    },
    lives=True,
)
