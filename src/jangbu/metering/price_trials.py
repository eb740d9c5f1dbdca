"""Trying a change of prices: what would differ, what usage would have cost under it, and that this is what is done."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from jangbu.domain.price_book import Price, PriceBook
from jangbu.domain.price_dates import held
from jangbu.domain.pricing import Terms, charge
from jangbu.domain.windows import Window
from jangbu.errors import InvalidInput
from jangbu.metering.content import digest
from jangbu.metering.editions import Edition
from jangbu.metering.evidence import restated
from jangbu.metering.lacks import Lack, lacks_of, most
from jangbu.metering.price_changes import differences
from jangbu.metering.pricing import Make, Pricing
from jangbu.metering.walks import all_owners, walk
from jangbu.storage import usage
from jangbu.storage.database import Database, Row
from jangbu.storage.usage import UsageRecord, first_id, record_of

__all__ = ["BookMoved", "Compared", "Line", "Sums", "Trial", "as_tried", "compared", "tried"]

_ROWS = 500
_SECONDS = 8


class BookMoved(InvalidInput):
    """The prices changed since a change of them was tried, or it is not the change that was tried."""

    def __init__(self, version: int) -> None:
        super().__init__(
            f"the prices in force are no longer those that this was tried on, but version {version}",
            hint="try it again, and look at what it comes to now",
        )
        self.version = version


@dataclass(frozen=True, slots=True)
class Line:
    """A row that a change adds or replaces, and the prices that hold for what it prices before and after the change.

    They are those of the moment ``at``: now, or when the row begins.
    """

    row: Price
    at: datetime
    before: Price | None
    after: Price | None


@dataclass(frozen=True, slots=True)
class Trial:
    """What a change would come to. ``confirmation`` stands for it, on the edition that it was tried on."""

    before: Edition
    after: Edition
    lines: tuple[Line, ...]
    is_new: bool
    confirmation: str


@dataclass(frozen=True, slots=True)
class Sums:
    """What calls cost and what users are charged for them, in nano-USD; ``unpriced`` calls add nothing to either."""

    cost_nano: int = 0
    charge_nano: int = 0
    unpriced: int = 0

    def plus(self, cost_nano: int | None, charge_nano: int | None) -> "Sums":
        """Add a call."""
        if cost_nano is None or charge_nano is None:
            return Sums(self.cost_nano, self.charge_nano, self.unpriced + 1)
        return Sums(self.cost_nano + cost_nano, self.charge_nano + charge_nano, self.unpriced)


@dataclass(frozen=True, slots=True)
class Compared:
    """The same calls as they were recorded, by the prices in force, and by those that are tried.

    ``is_whole`` tells whether they are all calls of the window, or as many as could be looked at in time. The
    ``difference`` is what the calls would have cost more by the prices that are tried than what was recorded: of those
    that have a price on both sides, its ``unpriced`` calls are left out. ``lacks`` says of how many calls what has no
    price by those that are tried.
    """

    calls: int
    recorded: Sums
    before: Sums
    after: Sums
    is_whole: bool
    difference: Sums = Sums()
    lacks: tuple[tuple[Lack, int], ...] = ()


async def tried(pricing: Pricing, make: Make, at: datetime) -> Trial:
    """Tell what a change would come to; nothing is changed."""
    before, after = await pricing.tried(make)
    lines = await asyncio.to_thread(_lines, before, after, at)
    return Trial(before, after, lines, not after.is_like(before), _confirmation(before, after.base, after.terms))


def as_tried(make: Make, confirmation: str) -> Make:
    """Let a change be made only as it was tried, of the edition that it was tried on. Raises BookMoved."""

    def checked(edition: Edition) -> tuple[PriceBook, Terms]:
        base, terms = make(edition)
        if _confirmation(edition, base, terms) != confirmation:
            raise BookMoved(edition.version)
        return base, terms

    return checked


async def compared(
    database: Database,
    project: str,
    window: Window,
    models: Sequence[str] | None,
    trial: Trial,
    at: datetime | None,
    *,
    seconds: int = _SECONDS,
) -> Compared:
    """Price the calls of a window by both editions, for some seconds at most; nothing is changed.

    They are priced as of ``at``, or each as of its own time where that is None. ``models`` are names, or beginnings of
    names with a final ``*``; None are all.
    """
    found, waiting = Compared(0, Sums(), Sums(), Sums(), is_whole=False), list[UsageRecord]()
    until = time.monotonic() + seconds
    first, last = UUID(int=first_id(window.start).int - 1), first_id(window.end)

    async def read(ids: Sequence[UUID], afters: Sequence[UUID], limit: int) -> Sequence[Row]:
        return await usage.window(database, ids, afters, last, models, limit)

    async with aclosing(walk(_in_time(all_owners(database, project), until), read, first, "id")) as walked:
        async for _, page in walked:
            waiting += map(record_of, page)
            if len(waiting) >= _ROWS:
                found = await asyncio.to_thread(_added, found, waiting, trial, at)
                waiting = []
            if time.monotonic() >= until:
                break
    found = await asyncio.to_thread(_added, found, waiting, trial, at)
    return replace(found, is_whole=time.monotonic() < until)


async def _in_time(owners: AsyncIterator[dict[UUID, str]], until: float) -> AsyncIterator[dict[UUID, str]]:
    """Give owners until the time is over, also where none of them has anything to look at."""
    async for some in owners:
        if time.monotonic() >= until:
            return
        yield some


def _added(found: Compared, page: Sequence[UsageRecord], trial: Trial, at: datetime | None) -> Compared:
    recorded, before, after, difference = found.recorded, found.before, found.after, found.difference
    lacks = Counter(dict(found.lacks))
    for record in page:
        recorded = recorded.plus(record.cost_nano, record.charge_nano)
        used, priced_at = restated(record), at or record.created_at
        now, then = (each.cost(used, record.model, priced_at) for each in (trial.before, trial.after))
        charged = charge(then, trial.after.terms)
        before = before.plus(now.amount_nano, charge(now, trial.before.terms))
        after = after.plus(then.amount_nano, charged)
        difference = difference.plus(_more(then.amount_nano, record.cost_nano), _more(charged, record.charge_nano))
        if then.amount_nano is None or charged is None:
            lacks.update(lacks_of(then))
    calls = found.calls + len(page)
    return Compared(calls, recorded, before, after, is_whole=False, difference=difference, lacks=most(lacks))


def _more(nano: int | None, than: int | None) -> int | None:
    return None if nano is None or than is None else nano - than


def _lines(before: Edition, after: Edition, now: datetime) -> tuple[Line, ...]:
    own = differences(PriceBook(before.terms.overrides), PriceBook(after.terms.overrides))
    lines = []
    for change in (*own, *differences(before.base, after.base)):
        at = max(now, change.row.valid_from or now)
        lines.append(Line(change.row, at, held(before.book, change.row, at), held(after.book, change.row, at)))
    return tuple(lines)


def _confirmation(before: Edition, base: PriceBook, terms: Terms) -> str:
    kept = [row.to_row() for row in terms.overrides]
    return digest(before.version, base.digest().hex(), terms.markup_parts_per_million, kept).hex()
