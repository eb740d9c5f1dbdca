"""What an answer costs by a price book, in whole nano-USD, and what a project's terms make of it.

Every line is rounded once, half to even. A quantity without a price makes the whole cost unknown (None) and is named;
it is never taken as 0 and never priced as something else.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from jangbu.domain.price_book import Meter, Modality, Plan, Price, PriceBook
from jangbu.domain.usage import Anomaly, Breakdown, Platform, Source, Surface, Tier, Units, Usage
from jangbu.errors import InvalidInput

__all__ = [
    "Cost",
    "Meter",
    "Modality",
    "Price",
    "PriceBook",
    "PriceLine",
    "Reason",
    "Rules",
    "Terms",
    "Unpriced",
    "charge",
    "cost",
]

AMOUNT_MAX = 2**63 - 1
"""The largest amount that a bigint holds; what would be dearer is unpriced rather than a failed record."""

MARKUP_MAX = 1_000_000_000
"""The largest mark-up, in parts per million: a thousand times the cost."""

_PARTS = 1_000_000
_SECONDS_PER_HOUR = 3600
_INPUT_METERS = frozenset(
    {
        Meter.INPUT,
        Meter.TOOL_INPUT,
        Meter.CACHED_INPUT,
        Meter.CACHE_STORAGE_TOKEN_HOUR,
    }
)
_MODALITIES = (Modality.TEXT, Modality.IMAGE, Modality.AUDIO, Modality.VIDEO, Modality.DOCUMENT)


class Reason(StrEnum):
    """Why a cost is not known."""

    NO_MODEL = "no_model"
    """The answer does not say which model gave it."""
    MODEL_UNPRICED = "model_unpriced"
    """The book has no price for this model name."""
    TIER_UNPRICED = "tier_unpriced"
    """The model is priced, but at this moment not in this tier on this platform."""
    METER_UNPRICED = "meter_unpriced"
    """The model is priced in this tier, but not for this meter and modality."""
    TIER_UNKNOWN = "tier_unknown"
    """The answer names a tier that is not known."""
    USAGE_UNKNOWN = "usage_unknown"
    """The answer's counts are missing, incomplete or unusable."""
    DURATION_UNKNOWN = "duration_unknown"
    """It is not said how long: for how many seconds a cache is kept, which has not ended, or those of a video."""
    AMOUNT_TOO_LARGE = "amount_too_large"


_BEYOND_PRICES = frozenset({Reason.TIER_UNKNOWN, Reason.USAGE_UNKNOWN, Reason.DURATION_UNKNOWN})


@dataclass(frozen=True, slots=True)
class Unpriced:
    """One reason why a cost is not known, with the quantity that has no price."""

    reason: Reason
    model: str | None
    meter: Meter | None = None
    modality: Modality | None = None
    quantity: int = 0


@dataclass(frozen=True, slots=True)
class PriceLine:
    """A quantity of one meter at ``unit_price_nano`` for ``unit_size``.

    ``amount_nano`` is rounded once; in a batch it is the sum of what each member's line was rounded to.
    """

    meter: Meter
    modality: Modality
    quantity: int
    unit_size: int
    unit_price_nano: int
    amount_nano: int


@dataclass(frozen=True, slots=True)
class Cost:
    """What an answer costs, in nano-USD: the sum of its lines, or None where anything of it has no price."""

    amount_nano: int | None
    lines: tuple[PriceLine, ...]
    price_version: int
    unpriced: tuple[Unpriced, ...] = ()

    @property
    def input_nano(self) -> int | None:
        """The part that input makes: prompt, cached prompt, tool input and cache storage."""
        if self.amount_nano is None:
            return None
        return sum(line.amount_nano for line in self.lines if line.meter in _INPUT_METERS)

    @property
    def is_beyond_prices(self) -> bool:
        """Tell whether no price would make it known: the answer itself does not say what would be priced."""
        return any(each.reason in _BEYOND_PRICES for each in self.unpriced)


@dataclass(frozen=True, slots=True)
class Rules:
    """What Google leaves open, with the defaults that are used.

    Its price list tests the size of the *prompt* against the 200k threshold and says nothing of tool-use tokens: they
    are left out. In Live answers the thoughts come on top of the reported total, and nobody has seen a bill that
    contains them: they are charged only as far as the total includes them.
    """

    band_counts_tool: bool = False
    live_thoughts_charged: bool = False


@dataclass(frozen=True, slots=True)
class Terms:
    """What a project charges: a mark-up in parts per million of the cost (negative: a discount), and own prices."""

    markup_parts_per_million: int = 0
    overrides: tuple[Price, ...] = ()

    def __post_init__(self) -> None:
        parts = self.markup_parts_per_million
        if type(parts) is not int or not -_PARTS <= parts <= MARKUP_MAX:
            raise InvalidInput("a mark-up is a whole number of parts per million, from -100% to 100,000%")

    def book(self, book: PriceBook) -> PriceBook:
        """Lay the project's own prices over a book."""
        return book.with_overrides(self.overrides) if self.overrides else book


def cost(book: PriceBook, usage: Usage, at: datetime, *, tier: Tier | None = None, rules: Rules | None = None) -> Cost:
    """Price an answer by the model that gave it, as of ``at``; members of a batch are priced one by one and added.

    ``tier`` overrides the tier that the answer names; an answer that names none is standard. Grounding is priced at
    the list price: Google's free allowance belongs to a whole project and cannot be attributed to a call.
    """
    if at.tzinfo is None:
        raise InvalidInput("a price holds at a moment, which needs its time zone")
    rules = rules or _DEFAULT_RULES
    if usage.members:
        return _added(book, usage, at, tier or usage.tier, rules)
    if usage.units.cache_storage_seconds and usage.model is not None:
        return _storage_cost(book, usage.model, usage.platform, usage.units, at)
    unknown = _unknown(usage, tier)
    quantities = _quantities(usage, rules)
    if not quantities:
        return Cost(None if unknown else 0, (), book.version, unknown)
    if usage.model is None:
        return Cost(None, (), book.version, (*unknown, Unpriced(Reason.NO_MODEL, None)))
    counts = usage.counts
    band_tokens = counts.prompt + counts.tool if rules.band_counts_tool else counts.prompt
    served = tier or usage.tier or Tier.STANDARD
    plan = book.plan(usage.model, served, usage.platform, at, band_tokens)
    lines, missing = _lines(plan, usage.model, quantities)
    return _total(book.version, lines, (*unknown, *missing))


def charge(cost: Cost, terms: Terms) -> int | None:
    """Give the nano-USD that the project charges for a cost, rounded half to even; None where unknown or too large."""
    if cost.amount_nano is None:
        return None
    amount = _rounded(cost.amount_nano * (_PARTS + terms.markup_parts_per_million), _PARTS)
    return amount if amount <= AMOUNT_MAX else None


_DEFAULT_RULES = Rules()
_Quantity = tuple[Meter, Modality, int]


def _added(book: PriceBook, usage: Usage, at: datetime, tier: Tier | None, rules: Rules) -> Cost:
    """Price the members in the tier of the whole: batches are recorded whose members call themselves standard."""
    merged: dict[tuple[Meter, Modality, int, int], tuple[int, int]] = {}
    unpriced: dict[Unpriced, None] = {}
    for member in usage.members:
        part = cost(book, member, at, tier=tier, rules=rules)
        for line in part.lines:
            key = (line.meter, line.modality, line.unit_size, line.unit_price_nano)
            quantity, amount = merged.get(key, (0, 0))
            merged[key] = (quantity + line.quantity, amount + line.amount_nano)
        unpriced.update(dict.fromkeys(part.unpriced))
    lines = tuple(
        PriceLine(key[0], key[1], quantity, key[2], key[3], amount) for key, (quantity, amount) in merged.items()
    )
    return _total(book.version, lines, tuple(unpriced))


def _storage_cost(book: PriceBook, model: str, platform: Platform, units: Units, at: datetime) -> Cost:
    """Price the storage of a cache at the standard price of ``at``, when it was made.

    Google quotes it for a million tokens and an hour; the time is prorated (ai.google.dev/gemini-api/docs/caching).
    """
    plan = book.plan(model, Tier.STANDARD, platform, at, 0)
    meter, tokens = Meter.CACHE_STORAGE_TOKEN_HOUR, units.cache_storage_tokens
    price = plan.price(meter)
    if price is None:
        return Cost(None, (), book.version, (_missing(plan, model, meter, Modality.ANY, tokens),))
    kept = tokens * units.cache_storage_seconds
    amount = _rounded(kept * price.price_nano, price.unit_size * _SECONDS_PER_HOUR)
    line = PriceLine(meter, Modality.ANY, _rounded(kept, _SECONDS_PER_HOUR), price.unit_size, price.price_nano, amount)
    return _total(book.version, (line,), ())


def _total(version: int, lines: tuple[PriceLine, ...], unpriced: tuple[Unpriced, ...]) -> Cost:
    amount = 0
    for line in lines:
        amount += line.amount_nano
    if amount > AMOUNT_MAX:
        unpriced = (*unpriced, Unpriced(Reason.AMOUNT_TOO_LARGE, None))
    return Cost(None if unpriced else amount, lines, version, unpriced)


def _unknown(usage: Usage, tier: Tier | None) -> tuple[Unpriced, ...]:
    """Name what the answer itself leaves unknown, whatever the book says."""
    found = []
    if usage.anomalies:
        if tier is None and usage.tier is None and Anomaly.UNKNOWN_TIER in usage.anomalies:
            found.append(Unpriced(Reason.TIER_UNKNOWN, usage.model))
        if not _UNKNOWN_USAGE.isdisjoint(usage.anomalies):
            found.append(Unpriced(Reason.USAGE_UNKNOWN, usage.model))
    if usage.source is Source.NONE and usage.surface is Surface.EMBED_CONTENT and not found:
        found.append(Unpriced(Reason.USAGE_UNKNOWN, usage.model))
    units = usage.units
    if units.cache_storage_tokens:
        meter = Meter.CACHE_STORAGE_TOKEN_HOUR
        found.append(Unpriced(Reason.DURATION_UNKNOWN, usage.model, meter, None, units.cache_storage_tokens))
    if units.videos and not units.video_seconds:
        found.append(Unpriced(Reason.DURATION_UNKNOWN, usage.model, Meter.VIDEO_SECOND, None, units.videos))
    return tuple(found)


_UNKNOWN_USAGE = frozenset(
    {Anomaly.USAGE_MISSING, Anomaly.USAGE_INCOMPLETE, Anomaly.INVALID_USAGE, Anomaly.UNKNOWN_MODALITY}
)


def _quantities(usage: Usage, rules: Rules) -> list[_Quantity]:
    """List every quantity above zero that has to be priced."""
    counts, split = usage.counts, usage.by_modality
    found: list[_Quantity] = []
    if counts.cached:
        prompt = _parts(split.prompt, counts.prompt)
        cached = _parts(split.cached, min(counts.cached, counts.prompt))
        found += _spread(Meter.INPUT, _fresh(prompt, cached))
        found += _spread(Meter.CACHED_INPUT, cached)
    elif counts.prompt:
        found += _spread(Meter.INPUT, _parts(split.prompt, counts.prompt))
    if counts.tool:
        found += _spread(Meter.TOOL_INPUT, _parts(split.tool, counts.tool))
    if counts.candidates:
        found += _spread(Meter.OUTPUT, _parts(split.candidates, counts.candidates))
    if counts.thoughts and (thoughts := _thoughts(usage, rules)):
        found.append((Meter.THOUGHTS, Modality.TEXT, thoughts))
    units = usage.units
    for meter, quantity in (
        (Meter.IMAGE, units.images),
        (Meter.VIDEO_SECOND, units.video_seconds),
        (Meter.GROUNDING_REQUEST, units.grounding_requests),
        (Meter.GROUNDING_QUERY, units.grounding_queries),
        (Meter.MAPS_QUERY, units.maps_queries),
    ):
        if quantity:
            found.append((meter, Modality.ANY, quantity))
    return found


def _thoughts(usage: Usage, rules: Rules) -> int:
    counts = usage.counts
    if usage.surface is not Surface.LIVE or rules.live_thoughts_charged or counts.total is None:
        return counts.thoughts
    within_total = counts.total - (counts.summed - counts.thoughts)
    return max(0, min(counts.thoughts, within_total))


def _parts(split: Breakdown, count: int) -> tuple[int, ...]:
    """Split a count in the order of ``_MODALITIES``; what no modality names is text, and no part exceeds the count."""
    if not (split.image or split.audio or split.video or split.document):
        return (count, 0, 0, 0, 0)
    left = count
    others = []
    for part in (split.image, split.audio, split.video, split.document):
        others.append(min(part, left))
        left -= others[-1]
    return (left, *others)


def _fresh(prompt: tuple[int, ...], cached: tuple[int, ...]) -> tuple[int, ...]:
    """Take the cached part from the prompt; where the details cover less than it, the rest comes off text first."""
    fresh = [max(0, whole - part) for whole, part in zip(prompt, cached, strict=True)]
    surplus = sum(fresh) - (sum(prompt) - sum(cached))
    for place, amount in enumerate(fresh):
        taken = min(amount, surplus)
        fresh[place] -= taken
        surplus -= taken
    return tuple(fresh)


def _spread(meter: Meter, parts: tuple[int, ...]) -> Iterator[_Quantity]:
    for modality, quantity in zip(_MODALITIES, parts, strict=True):
        if quantity:
            yield meter, modality, quantity


def _lines(
    plan: Plan, model: str, quantities: Iterable[_Quantity]
) -> tuple[tuple[PriceLine, ...], tuple[Unpriced, ...]]:
    lines, missing = [], []
    for meter, modality, quantity in quantities:
        price = plan.price(meter, modality)
        if price is not None:
            amount = _rounded(quantity * price.price_nano, price.unit_size)
            lines.append(PriceLine(meter, modality, quantity, price.unit_size, price.price_nano, amount))
        elif plan.price(_OTHER_GROUNDING.get(meter, meter)) is None:
            missing.append(_missing(plan, model, meter, modality, quantity))
    return tuple(lines), tuple(missing)


_OTHER_GROUNDING = {
    Meter.GROUNDING_QUERY: Meter.GROUNDING_REQUEST,
    Meter.GROUNDING_REQUEST: Meter.GROUNDING_QUERY,
}
"""A grounded answer counts both; Gemini 2 is billed by the request, Gemini 3 by the query: one price is enough."""


def _missing(plan: Plan, model: str, meter: Meter, modality: Modality, quantity: int) -> Unpriced:
    reason = Reason.METER_UNPRICED
    if plan.empty:
        reason = Reason.TIER_UNPRICED if plan.model_known else Reason.MODEL_UNPRICED
    return Unpriced(reason, model, meter, modality, quantity)


def _rounded(numerator: int, denominator: int) -> int:
    """Divide whole numbers, half to even."""
    quotient, remainder = divmod(numerator, denominator)
    twice = 2 * remainder
    return quotient + (twice > denominator or (twice == denominator and quotient & 1))
