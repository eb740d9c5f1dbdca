"""Models: how large the calls of each are and what they cost, beside what is on the price list, and how many failed."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from jangbu.dashboard import files
from jangbu.dashboard.choices import chosen, filters_of, metric_of, window_of
from jangbu.dashboard.figures import Figure, parts_figure
from jangbu.dashboard.look import Look
from jangbu.dashboard.page import FIGURES, Page
from jangbu.dashboard.trends import bars_before, trend_figure
from jangbu.dashboard.unmatched import or_nothing
from jangbu.domain.amounts import NOTHING, Amounts, average
from jangbu.domain.list_prices import Listed, listed
from jangbu.domain.price_book import Meter
from jangbu.domain.usual import BEFORE, DEVIATIONS, LEAST
from jangbu.metering import series, tops
from jangbu.metering.series import Series
from jangbu.metering.snapshots import Filters, Snapshot, snapshot
from jangbu.metering.tops import Part, Spread, Spreads
from jangbu.metering.undeducted import undeducted

__all__ = ["PAGE"]

_MILLION = 1_000_000


@dataclass(frozen=True, slots=True)
class _Line:
    """A model: its calls, how large they were and what they cost, what the list asks for input and output, and how many
    calls failed. None is for what is not known.
    """

    part: Part
    spread: Spread | None
    per_million: int | None
    per_call: int | None
    listed: tuple[Listed | None, ...]
    failed: int


async def show(look: Look) -> Mapping[str, Any]:
    """Read what was used of each model, those without a price first, and the trend of the one that is chosen."""
    window, filters, metric = window_of(look), filters_of(look), metric_of(look)
    async with snapshot(look.ledger.database, look.settings.project) as book:
        found = await tops.breakdown(book, window, filters)
        spreads = await tops.spreads(book, window, filters)
        by_model = await series.of(book, window, filters, "model")
        failed = await undeducted(book, window, filters)
        trend = await _trend(look, book, by_model)
        choices = await chosen(look, book)
    return {
        "choices": choices,
        "series": by_model,
        "lines": [
            _line(look, part, _spread_of(spreads, filters, part.name), failed.get(part.name, 0))
            for part in _parts(found.models, failed)
        ],
        "is_sample": spreads.is_sample,
        "total": found.total,
        "failed": sum(failed.values()),
        "chart": parts_figure(look, "by-model", by_model, metric, look.texts(f"overview.by_model.{metric}")),
        "trend": trend,
        "usual": {"before": BEFORE, "least": LEAST, "deviations": DEVIATIONS},
        "price_version": look.ledger.pricing.in_force.version,
        "million": _MILLION,
    }


async def _trend(look: Look, book: Snapshot, by_model: Series) -> Figure | None:
    """Draw the trend of one model; of several together it would tell of their shares more than of their calls."""
    if look.asked("model") is None or not by_model.total.calls:
        return None
    return trend_figure(look, "trend", by_model, await bars_before(book, by_model))


def _parts(used: Iterable[Part], failed: Mapping[str, int]) -> list[Part]:
    """Give the models in their order, and after them those of which no call went well."""
    parts = sorted(used, key=lambda part: not part.amounts.unpriced)
    only_failed = failed.keys() - {part.name for part in parts}
    return [*parts, *(Part(name, NOTHING) for name in sorted(only_failed, key=lambda name: (-failed[name], name)))]


def _spread_of(spreads: Spreads, filters: Filters, model: str) -> Spread | None:
    """Give how large the calls of a model were; of several services, those of each do not tell of them together."""
    match filters.services:
        case ():
            return spreads.models.get(model)
        case (service,):
            return spreads.cells.get((service, model))
        case _:
            return None


def _line(look: Look, part: Part, spread: Spread | None, failed: int) -> _Line:
    book = look.ledger.pricing.in_force.book
    prices = tuple(listed(book, part.name, meter, look.now) for meter in (Meter.INPUT, Meter.OUTPUT))
    return _Line(part, spread, _per_million(part.amounts), _per_call(part.amounts), prices, failed)


def _per_million(amounts: Amounts) -> int | None:
    """Give what a million tokens cost, over the calls that have a price; None where some have none."""
    if amounts.unpriced or not amounts.total_tokens:
        return None
    return average(amounts.cost_nano * _MILLION, amounts.total_tokens)


def _per_call(amounts: Amounts) -> int | None:
    """Give what a call cost on average: no less than this where some have no price. None where there are none."""
    if not amounts.calls:
        return None
    return amounts.cost_nano // amounts.calls if amounts.unpriced else average(amounts.cost_nano, amounts.calls)


PAGE = Page(
    "/models",
    "models",
    FIGURES,
    or_nothing(show),
    files={"calls": files.calls_summed, "usage": files.usage("model"), "models": files.parts("model")},
    lives=True,
)
