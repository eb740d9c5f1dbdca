"""Changes of prices as forms write them: an own price or its end, a mark-up, or what another book knows more."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TypeVar

from jangbu.dashboard.fields import Wrong, chosen_of, day_of, require_one_of, whole
from jangbu.dashboard.look import Look
from jangbu.domain.price_book import PRICE_MAX, TOKEN_UNIT_SIZE, UNIT_SIZES, Meter, Modality, Price, PriceBook
from jangbu.domain.price_bounds import MODEL_LENGTH_MAX, TEXT_LENGTH_MAX
from jangbu.domain.pricing import MARKUP_MAX
from jangbu.domain.usage import Platform, Tier
from jangbu.domain.windows import Window, day_start, zone_named
from jangbu.errors import InvalidInput
from jangbu.metering.price_changes import grown, marked_up, with_own, without_own
from jangbu.metering.pricing import Make
from jangbu.prices import parsed, shipped
from jangbu.prices.files import to_nano

__all__ = ["FIELDS", "KINDS", "UNITS", "Draft", "asked_of", "draft_of"]

KINDS = ("price", "markup", "shipped", "removal", "file")
UNITS = {"1M": 1, "1K": 1_000}
"""How often the unit of the form's price goes into that of the book."""
FIELDS = (
    *("do", "price_model", "meter", "modality", "tier", "platform", "above", "usd", "per", "starts", "ends"),
    *("source", "markup", "note", "at", "since"),
)
"""What the forms hold, as addresses name it."""

Kind = TypeVar("Kind", bound=StrEnum)

_ABOVE_MAX = 10**9
_NOTE_LENGTH_MAX = 200
_SHOWN = 40
_ROWS_MAX = 10_000
_BOOK_LENGTH_MAX = 1_000_000
_PERCENT = re.compile(r"(-?)([0-9]{1,6})(?:\.([0-9]{1,4}))?")


@dataclass(frozen=True, slots=True)
class Draft:
    """A change that was written into a form. ``models`` are those that it concerns, None for all."""

    make: Make
    note: str
    models: tuple[str, ...] | None
    row: Price | None
    """The own price that is set or taken away; None where it is another change."""

    def as_of(self, window: Window, now: datetime) -> datetime | None:
        """Say as of when usage is priced to see what the change comes to: when it holds; each call as of its own time
        where the change holds for the whole of the window.
        """
        if self.row is None:
            return None if self.models is None else now
        starts, ends = self.row.valid_from, self.row.valid_to
        if (starts is None or starts <= window.start) and (ends is None or ends >= window.end):
            return None
        return max(now, starts or now)


def draft_of(look: Look) -> Draft:
    """Read the change that the look's form holds. Raises Wrong."""
    kind = look.form.get("do", "")
    require_one_of(KINDS, kind)
    note = look.form.get("note", "")
    if len(note) > _NOTE_LENGTH_MAX or not note.isprintable():
        raise Wrong("note", most=look.formats.number(_NOTE_LENGTH_MAX))
    if kind == "markup":
        parts = _parts_per_million(look)
        percent = look.form["markup"].removesuffix("%").strip()
        return Draft(marked_up(parts), note or f"a mark-up of {percent}%", None, None)
    if kind == "price":
        row = _row(look, note)
        said = f"{row.meter} of {row.model} at {look.form['usd']} USD"
        return Draft(with_own(row, now=look.now), note or said, (row.model,), row)
    if kind == "removal":
        row = _removed(look)
        return Draft(without_own(row), note or f"no own price for {row.meter} of {row.model}", (row.model,), row)
    book, name = (_file(look), "a file") if kind == "file" else (shipped(), "the shipped book")
    return Draft(grown(book, _at(look)), note or f"imported from {name}", book.models, None)


def _row(look: Look, note: str) -> Price:
    meter = _one(Meter, look, "meter", Meter.INPUT)
    starts, ends = _day(look, "starts"), _day(look, "ends")
    if starts is not None and ends is not None and starts >= ends:
        raise Wrong("price_days", first=look.formats.day(starts), last=look.formats.day(ends))
    if ends is not None and ends <= look.now:
        raise Wrong("past", day=look.formats.day(ends))
    return Price(
        model=_model(look),
        meter=meter,
        price_nano=_price_nano(look, meter),
        source=_source(look),
        modality=_one(Modality, look, "modality", Modality.ANY),
        unit_size=UNIT_SIZES.get(meter, TOKEN_UNIT_SIZE),
        tier=_one(Tier, look, "tier", Tier.STANDARD),
        platform=chosen_of(Platform, look.form.get("platform") or None),
        above_prompt_tokens=_above(look),
        valid_from=starts,
        valid_to=ends,
        note=note,
    )


def _file(look: Look) -> PriceBook:
    text = look.form.get("book", "")
    if not text.strip():
        raise Wrong("book_missing")
    if len(text) > _BOOK_LENGTH_MAX:
        raise Wrong("book_large", most=look.formats.number(_BOOK_LENGTH_MAX))
    try:
        return parsed(text, "JSON", rows_most=_ROWS_MAX)
    except InvalidInput as error:
        raise Wrong("book", text=error.message[:TEXT_LENGTH_MAX]) from None


def _removed(look: Look) -> Price:
    """Give a row for what the own price is for that is taken away."""
    return Price(
        model=_model(look),
        meter=_one(Meter, look, "meter", Meter.INPUT),
        price_nano=0,
        source="the price that is taken away",
        modality=_one(Modality, look, "modality", Modality.ANY),
        tier=_one(Tier, look, "tier", Tier.STANDARD),
        platform=chosen_of(Platform, look.form.get("platform") or None),
        above_prompt_tokens=_above(look),
        valid_from=_moment(look.form.get("since", "")),
    )


def _model(look: Look) -> str:
    model = look.form.get("price_model", "")
    if not (0 < len(model) <= MODEL_LENGTH_MAX and model.isprintable() and "*" not in model[:-1]):
        raise Wrong("price_model", most=look.formats.number(MODEL_LENGTH_MAX))
    return model


def _above(look: Look) -> int:
    return whole(look, "above", least=0, most=_ABOVE_MAX) if look.form.get("above") else 0


def _price_nano(look: Look, meter: Meter) -> int:
    """Give the price for the unit that the book quotes. What is not paid for by the token has one unit alone."""
    text, unit = look.form.get("usd", ""), look.form.get("per") or "1M"
    require_one_of(UNITS, unit)
    if meter in UNIT_SIZES and unit != "1M":
        raise Wrong("per")
    try:
        nano = to_nano(text) * UNITS[unit]
    except ValueError:
        nano = None
    if nano is None or nano > PRICE_MAX:
        raise Wrong("usd", text=text[:_SHOWN])
    return nano


def _parts_per_million(look: Look) -> int:
    text = look.form.get("markup", "").removesuffix("%").strip()
    found = _PERCENT.fullmatch(text)
    parts = 0 if found is None else int(found[2] + (found[3] or "").ljust(4, "0"))
    parts = -parts if found is not None and found[1] else parts
    if found is None or not -1_000_000 <= parts <= MARKUP_MAX:
        raise Wrong("markup", text=text[:_SHOWN])
    return parts


def _source(look: Look) -> str:
    source = look.form.get("source", "")
    if not (0 < len(source) <= TEXT_LENGTH_MAX and source.isprintable()):
        raise Wrong("source", most=look.formats.number(TEXT_LENGTH_MAX))
    return source


def _one(kind: type[Kind], look: Look, name: str, default: Kind) -> Kind:
    return chosen_of(kind, look.form.get(name) or None) or default


def _day(look: Look, name: str) -> datetime | None:
    """Give the beginning of a day that a form names, by the clock of the page's zone."""
    text = look.form.get(name)
    return day_start(day_of(text), zone_named(look.formats.zone)) if text else None


def _at(look: Look) -> datetime:
    """Give from when on changed prices hold: now, which is kept with what was tried."""
    at = _moment(look.form.get("at", "")) or look.now
    if at > look.now:
        raise Wrong("form")
    return at


def _moment(text: str) -> datetime | None:
    try:
        at = datetime.fromisoformat(text) if text else None
    except ValueError:
        raise Wrong("form") from None
    if at is not None and at.tzinfo is None:
        raise Wrong("form")
    return at


def asked_of(form: Mapping[str, str]) -> dict[str, str]:
    """Give what a form holds of a change, for the form that puts it in force."""
    return {name: form[name] for name in (*FIELDS, "book") if form.get(name)}
