"""What a price keeps to that comes from outside: a file, a form, a request. What is stored is read as it is."""

from jangbu.domain.price_book import OVERRIDE_PRIORITY, Price
from jangbu.domain.windows import FIRST, LAST
from jangbu.errors import InvalidInput

__all__ = ["MODEL_LENGTH_MAX", "TEXT_LENGTH_MAX", "bounded", "legible"]

MODEL_LENGTH_MAX = 200
TEXT_LENGTH_MAX = 500
"""How long a source and a note may be."""


def bounded(row: Price) -> Price:
    """Give a row whose dates every zone's calendar has, and which cannot pose as an own price. Raises InvalidInput."""
    for name, moment in (("begins", row.valid_from), ("ends", row.valid_to)):
        if moment is not None and not FIRST <= moment <= LAST:
            raise InvalidInput(
                f"price of {row.model}: it {name} outside of the years {FIRST.year} to {LAST.year - 1}",
                hint="leave the date out where the price always holds",
            )
    if row.priority >= OVERRIDE_PRIORITY:
        raise InvalidInput(
            f"price of {row.model}: priority is below {OVERRIDE_PRIORITY:,}, from where on own prices win",
            hint="set an own price instead",
        )
    return row


def legible(value: object, what: str, most: int) -> str:
    """Give a text that can be kept, and shown in one line. Raises InvalidInput."""
    if not (isinstance(value, str) and len(value) <= most and value.isprintable()):
        raise InvalidInput(f"{what} is text of at most {most:,} printable characters")
    return value
