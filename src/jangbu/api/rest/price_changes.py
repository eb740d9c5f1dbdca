"""Changes of prices: a book that grows, own prices, the mark-up, and calls that had no price. Nothing is repriced."""

from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import Query, Response
from pydantic import Field, StringConstraints

from jangbu.api.rest.asked import Ask, Asked
from jangbu.api.rest.declared import MONEY, Routes
from jangbu.api.rest.prices import PriceFacts
from jangbu.api.rest.values import Answer, Body, Day, Legible, Moment, Number, Part, Text, example
from jangbu.clock import new_id
from jangbu.domain.ledger import project_id
from jangbu.domain.price_book import OVERRIDE_PRIORITY, PRICE_MAX, TOKEN_UNIT_SIZE, UNIT_SIZES, Meter, Modality, Price
from jangbu.domain.pricing import MARKUP_MAX
from jangbu.domain.usage import Platform, Tier
from jangbu.metering.content import digest
from jangbu.metering.facts import price_change_facts
from jangbu.metering.once import done_once, nothing_more
from jangbu.metering.price_changes import changes_of, grown, marked_up, with_own, without_own
from jangbu.metering.pricing import Changed, Make
from jangbu.prices import read

__all__ = ["price_changes"]

price_changes = Routes("prices")

_ROWS_MOST = 10_000
_BACKFILL_SECONDS = 10
_SOURCE = "https://ai.google.dev/gemini-api/docs/pricing"
_ENTRY = {"models": ["gemini-9-flash"], "usd": {"input": "0.3", "output": "2.5"}, "source": _SOURCE}
_ROW = {
    "model": "gemini-9-flash",
    "meter": "input",
    "price_nano": 300_000_000,
    "source": _SOURCE,
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

Usd = Annotated[str, StringConstraints(strict=True, pattern=r"^[0-9]{1,6}(\.[0-9]{1,9})?$")]
Words = Annotated[str, StringConstraints(strict=True, max_length=500), Legible]
Source = Annotated[str, StringConstraints(strict=True, min_length=1, max_length=500, pattern=r"\S"), Legible]
Below = Annotated[int, Field(strict=True, ge=0, le=10**9)]


class PriceEntry(Body):
    """An entry as the files have it that `jangbu prices import` takes: ``usd`` names meters (or `meter.modality`)."""

    model_config = example(**_ENTRY)
    models: list[Text] = Field(min_length=1, max_length=1_000)
    source: Source
    usd: dict[str, Usd] | None = Field(None, min_length=1, max_length=100)
    same_as: Text | None = None
    tier: Tier | None = None
    platform: Platform | None = None
    above_prompt_tokens: Below | None = None
    from_: Day | None = Field(None, alias="from")
    to: Day | None = None
    priority: Annotated[int, Field(strict=True, ge=0, lt=OVERRIDE_PRIORITY)] | None = None
    note: Words | None = None


class BookOrder(Body):
    """What a price book knows: the book in force grows by it, and what it does not name stays."""

    model_config = example(entries=[_ENTRY], note="spring prices")
    entries: list[PriceEntry] = Field(min_length=1, max_length=5_000)
    note: Text | None = Field(None, description="Why, for the list of versions.")


class PriceOrder(Body):
    """An own price, which wins over the book's: for a million tokens, a thousand queries, one image or one second."""

    model_config = example(model="gemini-9-flash", meter="input", price_nano=300_000_000, source="our contract")
    model: Text
    meter: Meter
    price_nano: Annotated[int, Field(strict=True, ge=0, le=PRICE_MAX)]
    source: Source
    modality: Modality = Modality.ANY
    tier: Tier = Tier.STANDARD
    platform: Platform | None = None
    above_prompt_tokens: Below = 0
    valid_from: Moment | None = None
    valid_to: Moment | None = None
    note: Words = ""


class OwnPrice(Body):
    """What an own price is for. ``valid_from`` is when it begins, as the price book tells it."""

    model_config = example(model="gemini-9-flash", meter="input", note="the contract ended")
    model: Text
    meter: Meter
    modality: Modality = Modality.ANY
    tier: Tier = Tier.STANDARD
    platform: Platform | None = None
    above_prompt_tokens: Below = 0
    valid_from: Moment | None = None
    note: Text | None = Field(None, description="Why, for the list of versions.")


class MarkupOrder(Body):
    """What users are charged on top of what calls cost: 200,000 for a fifth, below zero for a discount."""

    model_config = example(parts_per_million=200_000)
    parts_per_million: Annotated[int, Field(strict=True, ge=-1_000_000, le=MARKUP_MAX)]
    note: Text | None = Field(None, description="Why, for the list of versions.")


class Backfill(Body):
    """From where on calls without a price are looked at."""

    model_config = example(after=None)
    after: UUID | None = Field(None, description="The `next` of the answer before.")


class PriceChange(Part):
    """One row of the book before and after; null where there was none, or is none."""

    kind: Literal["added", "changed", "removed"]
    before: PriceFacts | None
    after: PriceFacts | None


class Written(Answer):
    """The version in force, and whether this made it; ``replayed`` tells that the key stands for it since before."""

    model_config = example(schema_version=1, version=2, is_new=True, replayed=False)
    version: Number
    is_new: bool
    replayed: bool


class WrittenBook(Written):
    """The rows that were added; with ``dry_run`` those that would be, and ``is_new`` tells whether there are any."""

    model_config = example(
        schema_version=1,
        version=2,
        is_new=True,
        replayed=False,
        dry_run=False,
        changes=[{"kind": "added", "before": None, "after": _ROW}],
    )
    dry_run: bool
    changes: list[PriceChange]


class Backfilled(Answer):
    """How many calls got a price. Where ``next`` is not null there are more: give it as ``after``."""

    model_config = example(schema_version=1, priced=3, next=None)
    priced: Number
    next: UUID | None


@price_changes.post("/prices/versions", roles=MONEY, answer=WrittenBook, status=201, also=(200,), body_bytes=None)
async def write(
    ask: Ask,
    body: BookOrder,
    response: Response,
    dry_run: Annotated[bool, Query(description="Only show what would change.")] = False,
) -> dict[str, Any]:
    """Put a book in force that knows more: what was charged before stays, and a changed price holds from now on."""
    book = await ask.parts.bodies.aside(_read, body)
    make = grown(book, ask.ledger.clock.now())
    if dry_run:
        changed = await ask.ledger.pricing.preview(make)
    else:
        content = digest("prices.versions", book.digest().hex(), body.note)
        changed = await ask.ledger.pricing.change(
            make, body.note or "written through the API", once=(ask.once, content)
        )
    response.status_code = 201 if changed.is_new and not dry_run else 200
    changes = [price_change_facts(each) for each in changes_of(changed)]
    return {**_facts(changed), "dry_run": dry_run, "changes": changes}


@price_changes.post("/prices/own", roles=MONEY, answer=Written, status=201, also=(200,))
async def write_own(ask: Ask, body: PriceOrder, response: Response) -> dict[str, Any]:
    """Set an own price, which wins over the book's from now on, or from ``valid_from`` on."""
    row = Price(**body.model_dump(), unit_size=UNIT_SIZES.get(body.meter, TOKEN_UNIT_SIZE))
    content = digest("prices.own", row.to_row())
    make = with_own(row, now=ask.ledger.clock.now())
    return await _changed(ask, make, body.note or f"{row.meter} of {row.model}", content, response)


@price_changes.post("/prices/own/remove", roles=MONEY, answer=Written, status=201, also=(200,))
async def remove_own(ask: Ask, body: OwnPrice, response: Response) -> dict[str, Any]:
    """Take an own price away, so that the book's holds again from now on; what was charged before stays."""
    row = Price(**body.model_dump(exclude={"note"}), price_nano=0, source="taken away")
    note = body.note or f"no own price for {row.meter} of {row.model}"
    return await _changed(ask, without_own(row), note, digest("prices.own.remove", row.to_row(), body.note), response)


@price_changes.post("/prices/markup", roles=MONEY, answer=Written, status=201, also=(200,))
async def write_markup(ask: Ask, body: MarkupOrder, response: Response) -> dict[str, Any]:
    """Set what users are charged on top of what calls cost, from now on."""
    parts = body.parts_per_million
    content = digest("prices.markup", parts, body.note)
    note = body.note or f"a mark-up of {parts:,} parts per million"
    return await _changed(ask, marked_up(parts), note, content, response)


@price_changes.post("/prices/backfill", roles=MONEY, answer=Backfilled)
async def backfill(ask: Ask, body: Backfill) -> dict[str, Any]:
    """Price the calls that had no price when they came in, as far as the book in force can, for some seconds."""
    content = digest("prices.backfill", body.after and str(body.after))
    owner, asked = project_id(ask.parts.project), new_id(ask.ledger.clock)
    await done_once(ask.ledger.database, owner, ask.once, content, asked, nothing_more)
    _, priced, following = await ask.ledger.pricing.backfill_for(_BACKFILL_SECONDS, body.after or UUID(int=0))
    return {"priced": priced, "next": following}


def _read(body: BookOrder) -> Any:
    entries = [each.model_dump(mode="json", by_alias=True, exclude_none=True) for each in body.entries]
    return read(entries, "the book", rows_most=_ROWS_MOST)


async def _changed(ask: Asked, make: Make, note: str, content: bytes, response: Response) -> dict[str, Any]:
    changed = await ask.ledger.pricing.change(make, note, once=(ask.once, content))
    response.status_code = 201 if changed.is_new else 200
    return _facts(changed)


def _facts(changed: Changed) -> dict[str, Any]:
    return {"version": changed.version, "is_new": changed.is_new, "replayed": changed.replayed}
