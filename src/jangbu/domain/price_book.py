"""A dated price book: which price holds for a model, a meter and a moment. Money is whole nano-USD.

A book is a tuple of rows that only ever grows: a price that changes gets a new row with a later ``valid_from``. Names
are matched exactly, or by a pattern that a row spells out with a final ``*``; nothing else makes one model's price
another's.
"""

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime
from enum import StrEnum
from hashlib import sha256
from typing import Any, Self

from jangbu.domain.usage import Platform, Tier
from jangbu.errors import InvalidInput

OVERRIDE_PRIORITY = 1000
"""What is added to the priority of a project's own rows, so that they win over every shipped one."""

PRICE_MAX = 10**15
"""The dearest price that is believed, in nano-USD a unit: a million USD."""

_PLANS_MAX = 10_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Meter(StrEnum):
    """What is paid for."""

    INPUT = "input"
    OUTPUT = "output"
    THOUGHTS = "thoughts"
    """Priced as output of text where a model has no price of its own for thoughts."""
    TOOL_INPUT = "tool_input"
    """Priced as input of the same modality where a model has no price of its own for it."""
    CACHED_INPUT = "cached_input"
    CACHE_STORAGE_TOKEN_HOUR = "cache_storage_token_hour"  # noqa: S105 - tokens of text, no secret
    IMAGE = "image"
    VIDEO_SECOND = "video_second"
    GROUNDING_QUERY = "grounding_query"
    GROUNDING_REQUEST = "grounding_request"
    MAPS_QUERY = "maps_query"


UNIT_SIZES: Mapping[Meter, int] = {
    Meter.IMAGE: 1,
    Meter.VIDEO_SECOND: 1,
    Meter.GROUNDING_QUERY: 1000,
    Meter.GROUNDING_REQUEST: 1000,
    Meter.MAPS_QUERY: 1000,
}
"""How many a price is quoted for, as Google's price list does; a million where a meter is not named here."""

TOKEN_UNIT_SIZE = 1_000_000


class Modality(StrEnum):
    """What the tokens stand for; ``any`` prices every modality that has no row of its own."""

    ANY = "any"
    TEXT = "text"
    IMAGE = "image"
    AUDIO = "audio"
    VIDEO = "video"
    DOCUMENT = "document"
    """Priced as text where a model has no row of its own for documents."""


@dataclass(frozen=True, slots=True)
class Price:
    """One row: ``price_nano`` nano-USD for ``unit_size`` of a meter.

    ``platform`` None holds on both. ``above_prompt_tokens`` holds for calls whose prompt is larger than that, and then
    for all of their tokens. Valid from ``valid_from`` until just before ``valid_to`` (None: unbounded). Of several rows
    that hold, the highest ``priority`` wins, then the more specific model, platform, band and modality, then the later
    ``valid_from``, then the later row. Raises InvalidInput.
    """

    model: str
    meter: Meter
    price_nano: int
    source: str
    modality: Modality = Modality.ANY
    unit_size: int = TOKEN_UNIT_SIZE
    tier: Tier = Tier.STANDARD
    platform: Platform | None = None
    above_prompt_tokens: int = 0
    valid_from: datetime | None = None
    valid_to: datetime | None = None
    priority: int = 0
    note: str = ""

    def __post_init__(self) -> None:
        self._require(
            bool(self.model) and "*" not in self.model[:-1], "a model is a name, or a beginning and a final *"
        )
        self._require(bool(self.source.strip()), "a price needs its source")
        for name, least, most in (
            ("price_nano", 0, PRICE_MAX),
            ("unit_size", 1, 10**9),
            ("above_prompt_tokens", 0, 10**9),
            ("priority", 0, 2 * OVERRIDE_PRIORITY),
        ):
            value = getattr(self, name)
            self._require(type(value) is int and least <= value <= most, f"{name} is no whole number in its bounds")
        for moment in (self.valid_from, self.valid_to):
            self._require(moment is None or moment.tzinfo is not None, "a date needs its time zone")
        if self.valid_from is not None and self.valid_to is not None:
            self._require(self.valid_from < self.valid_to, "valid_to is not after valid_from")

    def _require(self, holds: bool, message: str) -> None:
        if not holds:
            raise InvalidInput(f"price of {self.model or '(no model)'}: {message}")

    @property
    def key(self) -> tuple[object, ...]:
        """What the row prices, without the price: two books are compared by it."""
        return (
            self.model,
            self.meter,
            self.modality,
            self.tier,
            self.platform,
            self.above_prompt_tokens,
            self.valid_from,
            self.priority,
        )

    def to_row(self) -> dict[str, Any]:
        """Give the row as integers and strings, ready for JSON; dates in UTC."""
        row: dict[str, Any] = {}
        for each in fields(self):
            value = getattr(self, each.name)
            if isinstance(value, StrEnum):
                value = value.value
            elif isinstance(value, datetime):
                value = value.astimezone(UTC).isoformat()
            row[each.name] = value
        return row

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Self:
        """Read what ``to_row`` gave. Raises InvalidInput."""
        try:
            platform = row.get("platform")
            return cls(
                **{
                    **row,
                    "meter": Meter(row["meter"]),
                    "modality": Modality(row.get("modality", Modality.ANY)),
                    "tier": Tier(row.get("tier", Tier.STANDARD)),
                    "platform": None if platform is None else Platform(platform),
                    "valid_from": _moment(row.get("valid_from")),
                    "valid_to": _moment(row.get("valid_to")),
                }
            )
        except (KeyError, TypeError, ValueError) as error:
            raise InvalidInput(f"price of {row.get('model', '(no model)')}: {error}") from error


class Plan:
    """The prices that hold for one model, tier, platform, moment and size of prompt."""

    __slots__ = ("_found", "_rows", "model_known")

    def __init__(self, rows: tuple[Price, ...], *, model_known: bool) -> None:
        self._rows = rows
        self._found: dict[tuple[Meter, Modality], Price | None] = {}
        self.model_known = model_known

    @property
    def empty(self) -> bool:
        """Tell whether nothing at all is priced here."""
        return not self._rows

    def price(self, meter: Meter, modality: Modality = Modality.ANY) -> Price | None:
        """Find the price of a meter, falling back from thoughts to output and from tool input to input."""
        key = (meter, modality)
        try:
            return self._found[key]
        except KeyError:
            found = self._first(meter, modality)
            if found is None and meter in _FALLBACKS:
                found = self._first(_FALLBACKS[meter], modality)
            self._found[key] = found
            return found

    def _first(self, meter: Meter, modality: Modality) -> Price | None:
        wanted = {modality, Modality.ANY}
        if modality is Modality.DOCUMENT:
            wanted.add(Modality.TEXT)
        return next((row for row in self._rows if row.meter is meter and row.modality in wanted), None)


@dataclass(frozen=True, slots=True)
class PriceBook:
    """Rows in the order in which they were appended. ``version`` is given by storage; 0 is a book not stored."""

    rows: tuple[Price, ...] = ()
    version: int = 0
    _shelves: "dict[str, _Shelf]" = field(init=False, compare=False, repr=False)
    _pattern_rows: tuple[tuple[int, Price], ...] = field(init=False, compare=False, repr=False)
    _plans: dict[tuple[object, ...], Plan] = field(default_factory=dict, init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        patterns = tuple((place, row) for place, row in enumerate(self.rows) if row.model.endswith("*"))
        exact: dict[str, list[tuple[int, Price]]] = {}
        for place, row in enumerate(self.rows):
            if not row.model.endswith("*"):
                exact.setdefault(row.model, []).append((place, row))
        shelves = {
            model: _Shelf([*rows, *_matching(patterns, model)], model_known=True) for model, rows in exact.items()
        }
        object.__setattr__(self, "_shelves", shelves)
        object.__setattr__(self, "_pattern_rows", patterns)

    def plan(self, model: str, tier: Tier, platform: Platform, at: datetime, prompt_tokens: int) -> Plan:
        """Find the prices that hold. An unknown model gets an empty plan, or what an explicit pattern gives it."""
        name = model.rpartition("models/")[2]
        shelf = self._shelves.get(name)
        if shelf is None:
            matching = _matching(self._pattern_rows, name)
            known = any(len(row.model) > 1 for _, row in matching)
            return _Shelf(matching, model_known=known).plan(tier, platform, at, prompt_tokens)
        key = (name, tier, platform, bisect_right(shelf.moments, at), shelf.band(prompt_tokens))
        plan = self._plans.get(key)
        if plan is None:
            if len(self._plans) >= _PLANS_MAX:
                self._plans.clear()
            plan = self._plans[key] = shelf.plan(tier, platform, at, prompt_tokens)
        return plan

    @property
    def models(self) -> tuple[str, ...]:
        """Every name and pattern that the book prices, sorted."""
        return tuple(sorted({row.model for row in self.rows}))

    def digest(self) -> bytes:
        """Give the SHA-256 of the rows in canonical form: the same for the same prices in the same order."""
        canonical = sha256()
        for row in self.rows:
            canonical.update("\x1f".join(f"{name}={value}" for name, value in row.to_row().items()).encode())
            canonical.update(b"\x1e")
        return canonical.digest()

    def with_overrides(self, rows: Iterable[Price]) -> "PriceBook":
        """Append rows that win over all the others; the result is a book of its own, not stored yet."""
        raised = (replace(row, priority=row.priority + OVERRIDE_PRIORITY) for row in rows)
        return PriceBook((*self.rows, *raised))

    def to_rows(self) -> list[dict[str, Any]]:
        """Give all rows as integers and strings, in order."""
        return [row.to_row() for row in self.rows]

    @classmethod
    def from_rows(cls, rows: Iterable[Mapping[str, Any]], version: int = 0) -> "PriceBook":
        """Read what ``to_rows`` gave. Raises InvalidInput, naming the row."""
        read = []
        for number, row in enumerate(rows, start=1):
            try:
                read.append(Price.from_row(row))
            except InvalidInput as error:
                raise InvalidInput(f"row {number}: {error.message}") from error
        return cls(tuple(read), version)


class _Shelf:
    """The rows of one model, the winner of any two first."""

    __slots__ = ("_bands", "_model_known", "_rows", "moments")

    def __init__(self, rows: Iterable[tuple[int, Price]], *, model_known: bool) -> None:
        self._rows = tuple(row for _, row in sorted(rows, key=_preference, reverse=True))
        self._bands = sorted({row.above_prompt_tokens for row in self._rows if row.above_prompt_tokens})
        self._model_known = model_known
        dates = (date for row in self._rows for date in (row.valid_from, row.valid_to))
        self.moments = sorted({date for date in dates if date is not None})

    def band(self, prompt_tokens: int) -> int:
        """Number the band of a prompt: a prompt of exactly the threshold is still below it."""
        return sum(prompt_tokens > threshold for threshold in self._bands) if self._bands else 0

    def plan(self, tier: Tier, platform: Platform, at: datetime, prompt_tokens: int) -> Plan:
        """Keep the rows that hold, in their order."""
        rows = tuple(
            row
            for row in self._rows
            if row.tier is tier
            and (row.platform is None or row.platform is platform)
            and (not row.above_prompt_tokens or prompt_tokens > row.above_prompt_tokens)
            and (row.valid_from is None or row.valid_from <= at)
            and (row.valid_to is None or at < row.valid_to)
        )
        return Plan(rows, model_known=self._model_known)


_FALLBACKS = {Meter.THOUGHTS: Meter.OUTPUT, Meter.TOOL_INPUT: Meter.INPUT}
_MODALITY_RANKS = {Modality.ANY: 0, Modality.TEXT: 1}


def _preference(placed: tuple[int, Price]) -> tuple[object, ...]:
    place, row = placed
    return (
        row.priority,
        not row.model.endswith("*"),
        len(row.model),
        row.platform is not None,
        row.above_prompt_tokens,
        _MODALITY_RANKS.get(row.modality, 2),
        row.valid_from or _EPOCH,
        place,
    )


def _matching(patterns: Iterable[tuple[int, Price]], name: str) -> list[tuple[int, Price]]:
    return [(place, row) for place, row in patterns if name.startswith(row.model[:-1])]


def _moment(value: object) -> datetime | None:
    if value is None or isinstance(value, datetime):
        return value
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is no date")
    return datetime.fromisoformat(value)
