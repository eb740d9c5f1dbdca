"""Pricing what comes in by the price book in force, and what came in before by the book that was in force then."""

import asyncio
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from jangbu import prices as shipped_prices
from jangbu.domain.pricing import Cost, Price, PriceBook, Terms, charge, cost
from jangbu.domain.usage import Usage
from jangbu.errors import NotFound
from jangbu.metering.content import canonical, digest
from jangbu.metering.evidence import restated
from jangbu.storage import prices, usage
from jangbu.storage.database import Database
from jangbu.storage.prices import PriceVersion
from jangbu.storage.usage import UsageRecord

_BACKFILL_ROWS = 500
_BACKFILL_WRITER = 0
_FIRST_ID = UUID(int=0)


@dataclass(frozen=True, slots=True)
class Edition:
    """A price book with the project's terms, as it is stored under a version."""

    version: int
    base: PriceBook
    terms: Terms
    book: PriceBook
    """The base with the project's own prices laid over it: what calls are priced by."""

    def cost(self, usage: Usage, model: str, at: datetime) -> Cost:
        """Price an answer; ``model`` stands in where the answer names none."""
        if usage.model is None:
            members = tuple(member if member.model else replace(member, model=model) for member in usage.members)
            usage = replace(usage, model=model, members=members)
        return cost(self.book, usage, at)


@dataclass(frozen=True, slots=True)
class Priced:
    """What an answer costs, in nano-USD; None where no price is known."""

    cost_nano: int | None
    input_cost_nano: int | None
    charge_nano: int | None
    version: int | None


class Pricing:
    """The price books of one project. ``refresh`` must have run once before anything is priced."""

    def __init__(self, database: Database, *, project: str, book_file: Path | None = None) -> None:
        self._database = database
        self._project = project
        self._book_file = book_file
        self._editions: dict[int, Edition] = {}
        self._in_force: Edition | None = None

    @property
    def in_force(self) -> Edition:
        """The edition that prices what comes in."""
        assert self._in_force is not None, "the book in force is read when the ledger is opened"
        return self._in_force

    async def refresh(self) -> None:
        """Read the newest edition; the first time, put the chosen book (or the shipped one) in force."""
        newest = await prices.newest(self._database, self._project)
        if self._in_force is None and (newest is None or self._book_file is not None):
            await self._put_first(newest)
            newest = await prices.newest(self._database, self._project)
        assert newest is not None, "a project has a price book"
        if self._in_force is None or self._in_force.version != newest.version:
            self._in_force = self._keep(newest)

    async def put(self, book: PriceBook, terms: Terms, note: str) -> tuple[int, bool]:
        """Put a book and terms in force; give the version, and whether anything changed. Nothing is repriced."""
        text = canonical({"rows": book.to_rows(), "terms": _terms_to_json(terms)})
        added = await prices.add(self._database, self._project, digest(text), text, note)
        await self.refresh()
        return added

    async def edition(self, version: int) -> Edition:
        """Give an edition that was in force once. Raises NotFound."""
        if version not in self._editions:
            found = await prices.find(self._database, self._project, version)
            if found is None:
                raise NotFound(f"there is no price version {version}", hint="see `jangbu prices list`")
            self._keep(found)
        return self._editions[version]

    async def history(self, limit: int, before: int | None = None) -> Sequence[PriceVersion]:
        """Give the editions that were ever in force, newest first, without their books."""
        return await prices.history(self._database, self._project, limit, before)

    def price(self, usage: Usage, model: str, at: datetime) -> Priced:
        """Price an answer by the edition in force."""
        return _priced(self.in_force, self.in_force.cost(usage, model, at))

    async def reprice(self, record: UsageRecord) -> Priced:
        """Price a record again by the version that priced it, from its evidence alone."""
        edition = self.in_force if record.price_version is None else await self.edition(record.price_version)
        return _priced(edition, await self.lines(record))

    async def lines(self, record: UsageRecord) -> Cost:
        """Give the cost of a record line by line, by the version that priced it."""
        edition = self.in_force if record.price_version is None else await self.edition(record.price_version)
        return edition.cost(restated(record), record.model, record.created_at)

    async def backfill(self, progress: Callable[[int], None] = lambda _done: None) -> int:
        """Price the calls that had no price when they came in, as far as the book in force can; give how many."""
        after, done = _FIRST_ID, 0
        while page := await usage.unpriced(self._database, self._project, after, _BACKFILL_ROWS):
            after = page[-1][1]
            rows = []
            for account, usage_id in page:
                record = await usage.find(self._database, account, usage_id)
                assert record is not None, "a finding has its record"
                now = _priced(self.in_force, self.in_force.cost(restated(record), record.model, record.created_at))
                if now.cost_nano is not None and now.charge_nano is not None and now.version is not None:
                    input_nano = now.input_cost_nano or 0
                    rows.append((account, usage_id, now.cost_nano, input_nano, now.charge_nano, now.version))
            if rows:
                done += await usage.write_prices(self._database, rows, self._project, _BACKFILL_WRITER)
            progress(len(page))
        return done

    async def _put_first(self, newest: PriceVersion | None) -> None:
        chosen = self._book_file
        book = await asyncio.to_thread(
            shipped_prices.shipped if chosen is None else lambda: shipped_prices.load(chosen)
        )
        terms = Terms() if newest is None else _read(newest).terms
        text = canonical({"rows": book.to_rows(), "terms": _terms_to_json(terms)})
        note = "the shipped book" if chosen is None else f"the book of {chosen.name}"
        await prices.add(self._database, self._project, digest(text), text, note)

    def _keep(self, found: PriceVersion) -> Edition:
        self._editions[found.version] = _read(found)
        return self._editions[found.version]


def _read(found: PriceVersion) -> Edition:
    kept = json.loads(found.book)
    terms = Terms(
        kept["terms"]["markup_parts_per_million"], tuple(Price.from_row(row) for row in kept["terms"]["overrides"])
    )
    base = PriceBook.from_rows(kept["rows"], found.version)
    return Edition(found.version, base, terms, terms.book(base))


def _terms_to_json(terms: Terms) -> dict[str, Any]:
    return {
        "markup_parts_per_million": terms.markup_parts_per_million,
        "overrides": [price.to_row() for price in terms.overrides],
    }


def _priced(edition: Edition, found: Cost) -> Priced:
    version = None if found.amount_nano is None else edition.version
    return Priced(found.amount_nano, found.input_nano, charge(found, edition.terms), version)
