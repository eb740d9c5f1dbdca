"""Prices: the rows of a price book, and the books that were ever in force."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import Query

from jangbu.api.rest.asked import Ask
from jangbu.api.rest.declared import FIGURES, Routes
from jangbu.api.rest.paging import Cursor, Limit, page, place, place_of
from jangbu.api.rest.values import Answer, Number, Part, example
from jangbu.errors import InvalidInput

__all__ = ["prices"]

prices = Routes("prices")

_INT_MAX = 2**31 - 1


class PriceFacts(Part):
    """What ``unit_size`` of a meter cost, in nano-USD."""

    model: str
    meter: str
    price_nano: Number
    source: str
    modality: str
    unit_size: Number
    tier: str
    platform: str | None
    above_prompt_tokens: Number
    valid_from: datetime | None
    valid_to: datetime | None
    priority: Number
    note: str


class PriceList(Answer):
    """Rows of a price book."""

    model_config = example(
        schema_version=1,
        version=1,
        markup_parts_per_million=0,
        prices=[
            {
                "model": "gemini-2.5-flash",
                "meter": "output",
                "price_nano": 2_500_000_000,
                "source": "https://ai.google.dev/gemini-api/docs/pricing",
                "modality": "any",
                "unit_size": 1_000_000,
                "tier": "standard",
                "platform": None,
                "above_prompt_tokens": 0,
                "valid_from": None,
                "valid_to": None,
                "priority": 0,
                "note": "",
            }
        ],
        next=None,
    )
    version: Number
    markup_parts_per_million: Number
    prices: list[PriceFacts]
    next: str | None


class VersionFacts(Part):
    """A price book that was put in force."""

    version: Number
    note: str
    created_at: datetime
    digest: str


class VersionList(Answer):
    """Price books, newest first."""

    model_config = example(
        schema_version=1,
        versions=[{"version": 1, "note": "the shipped book", "created_at": "2026-01-31T09:00:00Z", "digest": "0" * 64}],
        next=None,
    )
    versions: list[VersionFacts]
    next: str | None


@prices.get("/prices", roles=FIGURES, answer=PriceList)
async def list_prices(
    ask: Ask,
    model: Annotated[str | None, Query(max_length=200, description="Only this model's.")] = None,
    version: Annotated[int | None, Query(ge=1, le=_INT_MAX, description="The book; else the one in force.")] = None,
    limit: Limit = 1_000,
    cursor: Cursor = None,
) -> dict[str, Any]:
    """List the rows of a price book. A cursor goes on in the book that it began in, whichever is in force by then."""
    begun, start = (version, 0) if cursor is None else place(cursor, int, int)
    if version not in (None, begun) or (begun or 0) > _INT_MAX:
        raise InvalidInput("the cursor is of another version", hint="leave the version out")
    pricing = ask.ledger.pricing
    edition = pricing.in_force if begun is None else await pricing.edition(begun)
    found = [row for row in edition.book.rows if model is None or row.model == model]
    rows = found[start : start + limit]
    end = start + len(rows)
    return {
        "version": edition.version,
        "markup_parts_per_million": edition.terms.markup_parts_per_million,
        "prices": [row.to_row() for row in rows],
        "next": place_of(edition.version, end) if end < len(found) else None,
    }


@prices.get("/prices/versions", roles=FIGURES, answer=VersionList)
async def versions(ask: Ask, limit: Limit = 100, cursor: Cursor = None) -> dict[str, Any]:
    """List the price books that were ever in force, newest first."""
    (before,) = (None,) if cursor is None else place(cursor, int)
    if (before or 0) > _INT_MAX:
        raise InvalidInput("this is no cursor of this list")
    rows, following = page(await ask.ledger.pricing.history(limit + 1, before), limit, lambda row: (row.version,))
    found = [
        {"version": row.version, "note": row.note, "created_at": row.created_at, "digest": row.digest.hex()}
        for row in rows
    ]
    return {"versions": found, "next": following}
