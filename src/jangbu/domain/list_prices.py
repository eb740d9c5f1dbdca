"""What a price list says of a model: one price for its input and one for its output, of all that a book has."""

from dataclasses import dataclass
from datetime import datetime

from jangbu.domain.price_book import Meter, Modality, Price, PriceBook
from jangbu.domain.usage import Platform, Tier

__all__ = ["Listed", "listed"]


@dataclass(frozen=True, slots=True)
class Listed:
    """A price, and the largest prompt that it holds for; None where it holds for all."""

    price: Price
    up_to: int | None


def listed(book: PriceBook, model: str, meter: Meter, at: datetime) -> Listed | None:
    """Give the price of a meter at a moment, None where there is none.

    It is that of the standard tier and the shortest prompts, for text where kinds of content are priced apart.
    """
    first = _priced(book, model, meter, at, 0)
    if first is None:
        return None
    bands = sorted({row.above_prompt_tokens for row in book.rows if row.above_prompt_tokens})
    ends = (band for band in bands if _priced(book, model, meter, at, band + 1) is not first)
    return Listed(first, next(ends, None))


def _priced(book: PriceBook, model: str, meter: Meter, at: datetime, prompt_tokens: int) -> Price | None:
    return book.plan(model, Tier.STANDARD, Platform.GEMINI_API, at, prompt_tokens).price(meter, Modality.TEXT)
