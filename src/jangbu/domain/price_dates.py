"""When the prices of a book hold: which row is the one that counts at a moment, and what changes later."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from jangbu.domain.price_book import Price, PriceBook
from jangbu.domain.usage import Platform

__all__ = ["Standing", "Turn", "held", "priced_models", "standing", "turns"]

_INSTANT = timedelta(microseconds=1)


class Standing(StrEnum):
    """How a row of a book stands at a moment."""

    HOLDS = "holds"
    LATER = "later"
    """It begins later."""
    OVER = "over"
    """It has ended."""
    OUTDONE = "outdone"
    """Another row for the same wins over it."""


@dataclass(frozen=True, slots=True)
class Turn:
    """A price that changes at a moment; None where there was none, or is none from then on."""

    at: datetime
    row: Price
    """A row that names what is priced."""
    before: Price | None
    after: Price | None

    @property
    def prices(self) -> tuple[Price | None, Price | None]:
        """Give both prices, the one before first."""
        return self.before, self.after


def standing(book: PriceBook, row: Price, at: datetime) -> Standing:
    """Tell how a row of a book stands. One for both platforms holds as long as it does on either."""
    if row.valid_to is not None and row.valid_to <= at:
        return Standing.OVER
    if row.valid_from is not None and row.valid_from > at:
        return Standing.LATER
    platforms = tuple(Platform) if row.platform is None else (row.platform,)
    holds = any(_found(book, row, platform, at) is row for platform in platforms)
    return Standing.HOLDS if holds else Standing.OUTDONE


def held(book: PriceBook, row: Price, at: datetime) -> Price | None:
    """Give the price that holds at a moment for what a row prices, or None."""
    return _found(book, row, row.platform or Platform.GEMINI_API, at)


def priced_models(book: PriceBook, at: datetime) -> tuple[str, ...]:
    """Give the models by name, without patterns, for which any price holds at a moment."""
    return tuple(
        sorted(
            {
                row.model
                for row in book.rows
                if not row.model.endswith("*")
                and (row.valid_from is None or row.valid_from <= at)
                and (row.valid_to is None or at < row.valid_to)
            }
        )
    )


def turns(book: PriceBook, after: datetime) -> tuple[Turn, ...]:
    """Give the prices of a book that change after a moment, the soonest first."""
    found: dict[tuple[object, ...], Turn] = {}
    for row, at in _dates(book, after):
        before, then = held(book, row, at - _INSTANT), held(book, row, at)
        if before is not then:
            found.setdefault((at, *row.key[:6]), Turn(at, row, before, then))
    return tuple(sorted(found.values(), key=lambda turn: (turn.at, turn.row.model, turn.row.meter, turn.row.tier)))


def _dates(book: PriceBook, after: datetime) -> Iterator[tuple[Price, datetime]]:
    for row in book.rows:
        for at in (row.valid_from, row.valid_to):
            if at is not None and at > after:
                yield row, at


def _found(book: PriceBook, row: Price, platform: Platform, at: datetime) -> Price | None:
    """Find a price for what a row prices, for a prompt that is just in its band."""
    plan = book.plan(row.model, row.tier, platform, at, row.above_prompt_tokens + bool(row.above_prompt_tokens))
    return plan.price(row.meter, row.modality)
