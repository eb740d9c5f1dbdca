"""The price book in force, and those before it."""

import re
from collections.abc import Mapping
from typing import Any

from jangbu.dashboard.fields import Wrong, require_one_of
from jangbu.dashboard.look import Look
from jangbu.dashboard.page import FIGURES, Page
from jangbu.domain.price_book import Price

__all__ = ["PAGE"]

_UNITS = {"1M": 1_000_000, "1K": 1_000, "1": 1}
_VERSIONS_SHOWN = 50
_INT_MAX = 2**31 - 1
_NUMBER = re.compile(r"[1-9][0-9]{0,9}")


async def show(look: Look) -> Mapping[str, Any]:
    """Read a book: the one in force, or the one that the URL names."""
    pricing = look.ledger.pricing
    version = _version(look.asked("version"))
    edition = pricing.in_force if version is None else await pricing.edition(version)
    wanted = look.asked("price_model")
    rows = [row for row in edition.book.rows if wanted is None or row.model == wanted]
    unit = look.asked("unit") or "1M"
    require_one_of(_UNITS, unit)
    return {
        "edition": edition,
        "in_force": pricing.in_force.version,
        "rows": [(row, _price(look, row, _UNITS[unit])) for row in rows],
        "price_models": sorted({row.model for row in edition.book.rows}),
        "unit": unit,
        "units": tuple(_UNITS),
        "versions": await pricing.history(_VERSIONS_SHOWN),
    }


def _price(look: Look, row: Price, unit: int) -> str:
    """Write a price for as many tokens as was chosen; what is priced by the piece is priced for its own unit."""
    size = unit if row.unit_size == _UNITS["1M"] else row.unit_size
    price = look.formats.unit_price(row.price_nano, row.unit_size, size)
    return look.texts("price.for", price=price, size=look.formats.number(size))


def _version(text: str | None) -> int | None:
    if text is None:
        return None
    if not (_NUMBER.fullmatch(text) and int(text) <= _INT_MAX):
        raise Wrong("version", text=text[:20])
    return int(text)


PAGE = Page("/prices", "prices", FIGURES, show)
