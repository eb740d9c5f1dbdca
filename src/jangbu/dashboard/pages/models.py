"""Models: what calls of each use and cost on average, beside what is on the price list."""

from collections.abc import Mapping
from typing import Any

from jangbu.dashboard import files
from jangbu.dashboard.choices import chosen, filters_of, metric_of, window_of
from jangbu.dashboard.figures import parts_figure
from jangbu.dashboard.look import Look
from jangbu.dashboard.page import FIGURES, Page
from jangbu.dashboard.unmatched import or_nothing
from jangbu.domain.amounts import Amounts
from jangbu.metering import series, tops
from jangbu.metering.reports import average
from jangbu.metering.snapshots import snapshot

__all__ = ["PAGE"]

_MILLION = 1_000_000


async def show(look: Look) -> Mapping[str, Any]:
    """Read what was used of each model, those without a price first."""
    window, filters, metric = window_of(look), filters_of(look), metric_of(look)
    async with snapshot(look.ledger.database, look.settings.project) as book:
        found = await tops.breakdown(book, window, filters)
        by_model = await series.of(book, window, filters, "model")
        choices = await chosen(look, book)
    parts = sorted(found.models, key=lambda part: not part.amounts.unpriced)
    return {
        "choices": choices,
        "series": by_model,
        "lines": [(part, _per_million(part.amounts), _per_call(part.amounts)) for part in parts],
        "total": found.total,
        "chart": parts_figure(look, "by-model", by_model, metric, look.texts(f"overview.by_model.{metric}")),
    }


def _per_million(amounts: Amounts) -> int | None:
    """Give what a million tokens cost, over the calls that have a price; None where some have none."""
    if amounts.unpriced or not amounts.total_tokens:
        return None
    return average(amounts.cost_nano * _MILLION, amounts.total_tokens)


def _per_call(amounts: Amounts) -> int | None:
    """Give what a call cost on average, over those that have a price; None where none has."""
    priced = amounts.calls - amounts.unpriced
    return average(amounts.cost_nano, priced) if priced else None


PAGE = Page(
    "/models",
    "models",
    FIGURES,
    or_nothing(show),
    files={"calls": files.calls_summed, "usage": files.usage("model"), "models": files.parts("model")},
)
