"""Prices from genai-prices (MIT), as rows to look at before they are written.

genai-prices also matches by prefix, which would price a model that does not exist yet like its neighbour: only names
that it spells out are taken. Names that Google moves from model to model are left out, for the same reason.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, date, datetime, time
from importlib import import_module
from importlib.metadata import version
from typing import Any

from jangbu.domain.price_book import TOKEN_UNIT_SIZE, UNIT_SIZES, Meter, Modality, Price, PriceBook
from jangbu.domain.usage import Platform, Tier
from jangbu.errors import InvalidInput
from jangbu.prices.files import to_nano, to_usd

MOVING_NAMES = frozenset({"gemini-flash-latest", "gemini-flash-lite-latest", "gemini-pro-latest"})
"""Aliases whose model Google changes: an answer is priced by the model that gave it."""

GEMINI_API_ONLY = frozenset({"gemini-2.0-flash"})
"""Models for which Vertex has a price list of its own (in the overlay)."""

_FAMILIES = ("gemini-", "gemma-")
_METERS: Mapping[str, tuple[Meter, Modality]] = {
    "input_mtok": (Meter.INPUT, Modality.ANY),
    "input_audio_mtok": (Meter.INPUT, Modality.AUDIO),
    "input_image_mtok": (Meter.INPUT, Modality.IMAGE),
    "input_video_mtok": (Meter.INPUT, Modality.VIDEO),
    "cache_read_mtok": (Meter.CACHED_INPUT, Modality.ANY),
    "cache_audio_read_mtok": (Meter.CACHED_INPUT, Modality.AUDIO),
    "output_mtok": (Meter.OUTPUT, Modality.ANY),
    "output_audio_mtok": (Meter.OUTPUT, Modality.AUDIO),
    "output_image_mtok": (Meter.OUTPUT, Modality.IMAGE),
    "output_video_mtok": (Meter.OUTPUT, Modality.VIDEO),
}
_TIERS = {("processing", "batch"): Tier.BATCH, ("service_tier", "flex"): Tier.FLEX}
_TIERS[("service_tier", "priority")] = Tier.PRIORITY

_Prices = dict[tuple[Meter, Modality, int], int]
"""Nano-USD by meter, modality and the prompt size above which it holds."""
_Timeline = list[tuple[date | None, _Prices]]


def read() -> PriceBook:
    """Read the Gemini and Gemma prices of the installed genai-prices.

    Raises InvalidInput where it is not installed or holds a price of a kind that is not known here.
    """
    try:
        providers = import_module("genai_prices.data").providers
    except ImportError as error:
        raise InvalidInput("genai-prices is not installed", hint="pip install genai-prices") from error
    google = next(provider for provider in providers if provider.id == "google")
    source = f"genai-prices {version('genai-prices')}: {google.pricing_urls[0]}"
    rows = (row for model in google.models if model.id.startswith(_FAMILIES) for row in _rows(model, source))
    return PriceBook(tuple(rows))


def entries(book: PriceBook) -> list[dict[str, Any]]:
    """Group rows into entries of a price file: models that share their prices stand together."""
    by_model: dict[tuple[str, tuple[tuple[str, Any], ...]], dict[str, str]] = {}
    for row in book.rows:
        name = row.meter.value if row.modality is Modality.ANY else f"{row.meter}.{row.modality}"
        by_model.setdefault((row.model, tuple(_shared(row).items())), {})[name] = to_usd(row.price_nano)
    grouped: dict[tuple[Any, ...], list[str]] = {}
    for (model, shared), usd in by_model.items():
        grouped.setdefault((shared, tuple(usd.items())), []).append(model)
    return [{"models": models, "usd": dict(usd), **dict(shared)} for (shared, usd), models in grouped.items()]


def _shared(row: Price) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    if row.tier is not Tier.STANDARD:
        fields["tier"] = row.tier.value
    if row.platform is not None:
        fields["platform"] = row.platform.value
    if row.above_prompt_tokens:
        fields["above_prompt_tokens"] = row.above_prompt_tokens
    for name, moment in (("from", row.valid_from), ("to", row.valid_to)):
        if moment is not None:
            fields[name] = moment.date().isoformat()
    return {**fields, "source": row.source}


def _rows(model: Any, source: str) -> Iterator[Price]:
    standard = _standard(model)
    timelines = {Tier.STANDARD: standard}
    for tier in dict.fromkeys(_tier(variant.when) for variant in model.price_variants or ()):
        timelines[tier] = _varied(model, tier, standard)
    platform = Platform.GEMINI_API if model.id in GEMINI_API_ONLY else None
    for name in sorted({model.id, *_names(model.match)} - MOVING_NAMES):
        for tier, timeline in timelines.items():
            for key, price_nano, since, until in _periods(timeline):
                meter, modality, above = key
                yield Price(
                    model=name,
                    meter=meter,
                    price_nano=price_nano,
                    source=source,
                    modality=modality,
                    unit_size=UNIT_SIZES.get(meter, TOKEN_UNIT_SIZE),
                    tier=tier,
                    platform=platform,
                    above_prompt_tokens=above,
                    valid_from=_midnight(since),
                    valid_to=_midnight(until),
                )


def _names(match: Any) -> Iterator[str]:
    """Give the names that a match clause spells out; a prefix counts as the name that it is, not as what it begins."""
    yield from (name for name in (getattr(match, "equals", None), getattr(match, "starts_with", None)) if name)
    for clause in getattr(match, "or_", ()):
        yield from (name for name in _names(clause) if not name.endswith("-"))


def _standard(model: Any) -> _Timeline:
    if not isinstance(model.prices, list):
        return [(None, _prices(model.id, model.prices))]
    return [(_start(model.id, each.constraint), _prices(model.id, each.prices)) for each in model.prices]


def _varied(model: Any, tier: Tier, standard: _Timeline) -> _Timeline:
    """Lay the partial prices of a variant over the standard ones, at every date on which either of them changes."""
    variants = [
        (_start(model.id, variant.constraint), _prices(model.id, variant.prices))
        for variant in model.price_variants
        if _tier(variant.when) is tier
    ]
    first = min((since for since, _ in variants), key=_order)
    dates = {since for since, _ in (*standard, *variants) if _order(since) >= _order(first)}
    return [(day, {**_in_force(standard, day), **_in_force(variants, day)}) for day in sorted(dates, key=_order)]


def _in_force(timeline: Iterable[tuple[date | None, _Prices]], day: date | None) -> _Prices:
    begun = [entry for entry in timeline if _order(entry[0]) <= _order(day)]
    return max(begun, key=lambda entry: _order(entry[0]))[1] if begun else {}


def _periods(timeline: _Timeline) -> Iterator[tuple[tuple[Meter, Modality, int], int, date | None, date | None]]:
    """Give each price once for as long as it stays the same; it ends only where nothing follows it."""
    for place, (since, prices) in enumerate(timeline):
        before = timeline[place - 1][1] if place else {}
        for key, price_nano in prices.items():
            if before.get(key) != price_nano:
                ends = (day for day, later in timeline[place + 1 :] if key not in later)
                yield key, price_nano, since, next(ends, None)


def _prices(model: str, prices: Any) -> _Prices:
    found: _Prices = {}
    for name, value in vars(prices).items():
        if value is None or name.startswith("_"):
            continue
        meter, modality = _meter(model, name)
        found[(meter, modality, 0)] = to_nano(str(getattr(value, "base", value)))
        for band in getattr(value, "tiers", ()):
            found[(meter, modality, band.start)] = to_nano(str(band.price))
    return found


def _meter(model: str, name: str) -> tuple[Meter, Modality]:
    if name == "web_searches_kcount":
        by_request = model.startswith("gemini-2")
        return (Meter.GROUNDING_REQUEST if by_request else Meter.GROUNDING_QUERY), Modality.ANY
    if name not in _METERS:
        raise InvalidInput(f"genai-prices has a price of an unknown kind for {model}: {name}")
    return _METERS[name]


def _tier(when: Mapping[str, str]) -> Tier:
    tier = _TIERS.get(next(iter(when.items()))) if len(when) == 1 else None
    if tier is None:
        raise InvalidInput(f"genai-prices has prices for an unknown context: {dict(when)}")
    return tier


def _start(model: str, constraint: Any) -> date | None:
    if constraint is None:
        return None
    start = getattr(constraint, "start_date", None)
    if not isinstance(start, date):
        raise InvalidInput(f"genai-prices has a price of {model} that depends on more than a date")
    return start


def _order(day: date | None) -> date:
    return day or date.min


def _midnight(day: date | None) -> datetime | None:
    return None if day is None else datetime.combine(day, time(), UTC)
