"""Pricing what comes in by the price book in force, and what came in before by the book that was in force then."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from uuid import UUID

from jangbu import prices as shipped_prices
from jangbu.clock import Clock
from jangbu.domain.ledger import project_id
from jangbu.domain.pricing import Cost, PriceBook, Terms
from jangbu.domain.usage import Usage
from jangbu.errors import IdempotencyConflict, InvalidInput, NotFound
from jangbu.metering.audit import Audit, Change
from jangbu.metering.content import digest
from jangbu.metering.editions import Edition, Priced, edition_facts, edition_text, priced_by, read_edition
from jangbu.metering.evidence import restated
from jangbu.metering.once import own_key, used_otherwise
from jangbu.storage import accounts, entries, findings, prices, usage
from jangbu.storage.database import Connection, Database
from jangbu.storage.failures import translated
from jangbu.storage.prices import PriceVersion
from jangbu.storage.usage import UsageRecord

_BACKFILL_ROWS = 500
_BACKFILL_WRITER = 0
_FIRST_ID = UUID(int=0)


Make = Callable[[Edition], tuple[PriceBook, Terms]]
"""Makes a book and terms of those that are in force."""


@dataclass(frozen=True, slots=True)
class Changed:
    """What a change of prices came to: the version in force, and whether the change made it.

    ``before`` and ``after`` are the base books. ``replayed`` tells that it was made before with this key.
    """

    version: int
    is_new: bool
    before: PriceBook
    after: PriceBook
    replayed: bool = False


class BookIsSet(InvalidInput):
    """A book would grow that a setting names: the next process that starts with it would put the named one back."""

    def __init__(self) -> None:
        super().__init__(
            "the setting price_book names the file whose prices hold, and would undo this at the next start",
            hint="change that file and start again, or unset JANGBU_PRICE_BOOK; own prices and the mark-up stay",
        )


class Pricing:
    """The price books of one project. ``refresh`` must have run once before anything is priced."""

    def __init__(self, database: Database, clock: Clock, *, project: str, book_file: Path | None = None) -> None:
        self._database = database
        self.project = project
        self._audit = Audit(database, clock, project=project)
        self._book_file = book_file
        self._editions: dict[int, Edition] = {}
        self._in_force: Edition | None = None
        self._changing = asyncio.Lock()
        """Whoever waits for another change of this process keeps no connection meanwhile."""

    @property
    def in_force(self) -> Edition:
        """The edition that prices what comes in."""
        assert self._in_force is not None, "the book in force is read when the ledger is opened"
        return self._in_force

    async def refresh(self) -> None:
        """Read the newest edition; the first time, put the chosen book (or the shipped one) in force."""
        newest = await prices.newest(self._database, self.project)
        if self._in_force is None and (newest is None or self._book_file is not None):
            await self._put_first(newest)
            newest = await prices.newest(self._database, self.project)
        assert newest is not None, "a project has a price book"
        if self._in_force is None or self._in_force.version != newest.version:
            self._in_force = self._keep(newest)

    async def put(self, book: PriceBook, terms: Terms, note: str) -> tuple[int, bool]:
        """Put a book and terms in force; give the version, and whether anything changed. Nothing is repriced."""
        changed = await self.change(lambda _: (book, terms), note)
        return changed.version, changed.is_new

    async def preview(self, make: Make) -> Changed:
        """Tell what a change would come to; nothing is changed."""
        before, after = await self.tried(make)
        return Changed(before.version, not after.is_like(before), before.base, after.base)

    async def tried(self, make: Make) -> tuple[Edition, Edition]:
        """Give the newest edition, and the one that a change would make of it; nothing is changed."""
        await self.refresh()
        before = self.in_force
        base, terms = await asyncio.to_thread(make, before)
        self._require_kept(before.base, base)
        return before, Edition(0, base, terms, await asyncio.to_thread(terms.book, base))

    async def change(self, make: Make, note: str, *, once: tuple[str, bytes] | None = None) -> Changed:
        """Put in force what is made of the newest book, which nobody else changes meanwhile. Nothing is repriced.

        ``once`` is a key of the caller's and the digest of what it stands for: it is done once. Raises
        IdempotencyConflict.
        """
        async with self._changing, prices.writing(self._database, self.project) as connection:
            version = None if once is None else await self._done(connection, *once)
            if version is None:
                changed = await self._change(connection, make, note)
                self._require_kept(changed.before, changed.after)
                if once is not None:
                    await self._claim(connection, *once, changed.version)
        # A task of its own sees what is committed: calls are not priced by a book that may still be undone.
        await asyncio.create_task(self.refresh())
        if version is None:
            return changed
        base = (await self.edition(version)).base
        return Changed(version, False, base, base, replayed=True)

    async def _change(self, connection: Connection, make: Make, note: str) -> Changed:
        newest = await prices.newest(connection, self.project)
        assert newest is not None, "a project has a price book"
        before = await asyncio.to_thread(read_edition, newest)
        base, terms = await asyncio.to_thread(make, before)
        text = await asyncio.to_thread(edition_text, base, terms)
        version, is_new = await prices.add(connection, self.project, digest(text), text, note)
        if is_new:
            former = edition_facts(before.version, before.base, before.terms)
            change = Change("prices.change", "prices", former, {**edition_facts(version, base, terms), "note": note})
            await self._audit.note(connection, change)
        return Changed(version, is_new, before.base, base)

    def _require_kept(self, before: PriceBook, after: PriceBook) -> None:
        if self._book_file is not None and before.rows != after.rows:
            raise BookIsSet

    async def _done(self, connection: Connection, key: str, content: bytes) -> int | None:
        """Give the version that a key stands for, or None. Raises IdempotencyConflict."""
        known = await entries.find_key(connection, project_id(self.project), own_key(key))
        if known is not None and known.digest != content:
            raise used_otherwise(own_key(key), known)
        return None if known is None else known.result_id.int

    async def _claim(self, connection: Connection, key: str, content: bytes, version: int) -> None:
        """Let a key stand for a version. Changes of prices take turns, so whoever was quicker does something else."""
        result = UUID(int=version)
        if not await entries.reserve_key(connection, project_id(self.project), own_key(key), content, result):
            raise IdempotencyConflict(f"key {key!r} is used for something else", hint="use a new key for a new request")

    async def edition(self, version: int) -> Edition:
        """Give an edition that was in force once. Raises NotFound."""
        if version not in self._editions:
            found = await prices.find(self._database, self.project, version)
            if found is None:
                raise NotFound(f"there is no price version {version}", hint="see `jangbu prices list`")
            self._keep(found)
        return self._editions[version]

    async def history(self, limit: int, before: int | None = None) -> Sequence[PriceVersion]:
        """Give the editions that were ever in force, newest first, without their books."""
        return await prices.history(self._database, self.project, limit, before)

    def price(self, usage: Usage, model: str, at: datetime) -> Priced:
        """Price an answer by the edition in force."""
        return priced_by(self.in_force, self.in_force.cost(usage, model, at))

    async def reprice(self, record: UsageRecord) -> Priced:
        """Price a record again by the version that priced it, from its evidence alone."""
        edition = self.in_force if record.price_version is None else await self.edition(record.price_version)
        return priced_by(edition, await self.lines(record))

    async def lines(self, record: UsageRecord) -> Cost:
        """Give the cost of a record line by line, by the version that priced it."""
        edition = self.in_force if record.price_version is None else await self.edition(record.price_version)
        return edition.cost(restated(record), record.model, record.created_at)

    async def backfill(self) -> int:
        """Price the calls that had no price when they came in, as far as the book in force can; give how many."""
        after: UUID | None = _FIRST_ID
        done = 0
        while after is not None:
            _, priced, after = await self.backfill_page(after)
            done += priced
        return done

    async def backfill_for(self, seconds: int, after: UUID = _FIRST_ID) -> tuple[int, int, UUID | None]:
        """Price as many of them as can be in some seconds, by the newest book; say the same of all as of a page."""
        await self.refresh()
        looked_at, priced, until = 0, 0, time.monotonic() + seconds
        while True:
            seen, done, following = await self.backfill_page(after)
            looked_at, priced = looked_at + seen, priced + done
            if following is None or time.monotonic() >= until:
                return looked_at, priced, following
            after = following

    async def backfill_page(self, after: UUID = _FIRST_ID) -> tuple[int, int, UUID | None]:
        """Price some of them, from the call after ``after``; give how many were looked at and priced, and after which
        call to go on, None at the end.

        A call whose answer does not say what it used is none of them, whatever was found of it: that ends here.
        """
        page = await usage.unpriced(self._database, self.project, after, _BACKFILL_ROWS)
        never, priced = await self._fill_in_all(page)
        return len(page) - never, priced, page[-1][1] if page else None

    async def fill_in(self, account: UUID, call: UUID) -> None:
        """Price one call that had no price, as far as the book in force can. Nobody asked for it, so no audit tells."""
        await self._fill_in_all([(account, call)], is_asked=False)

    async def _fill_in_all(self, page: Sequence[tuple[UUID, UUID]], *, is_asked: bool = True) -> tuple[int, int]:
        """Price calls; give of how many no price would ever tell, and how many have one now."""
        rows, never = [], []
        for account, usage_id in page:
            record = await usage.find(self._database, account, usage_id)
            assert record is not None, "a finding has its record"
            cost = self.in_force.cost(restated(record), record.model, record.created_at)
            now = priced_by(self.in_force, cost)
            if now.cost_nano is not None and now.charge_nano is not None and now.version is not None:
                input_nano = now.input_cost_nano or 0
                rows.append((account, usage_id, now.cost_nano, input_nano, now.charge_nano, now.version))
            elif cost.is_beyond_prices:
                never.append((account, usage_id))
        if never:
            await findings.settle(self._database, never)
        return len(never), await self._write(rows, is_asked=is_asked)

    async def _write(self, rows: Sequence[tuple[UUID, UUID, int, int, int, int]], *, is_asked: bool) -> int:
        """Write prices, and in the same transaction the line that tells who asked; give how many calls had none."""
        if not rows:
            return 0
        with translated():
            async with self._database.together() as connection:
                await accounts.lock_all(connection, {account for account, *_ in rows})
                done = await usage.write_prices(self._database, rows, self.project, _BACKFILL_WRITER)
                if done and is_asked:
                    facts = {"priced": done, "version": self.in_force.version}
                    await self._audit.note(connection, Change("prices.backfill", "prices", after=facts))
                return done

    async def _put_first(self, newest: PriceVersion | None) -> None:
        chosen = self._book_file
        book = await asyncio.to_thread(
            shipped_prices.shipped if chosen is None else lambda: shipped_prices.load(chosen)
        )
        note = "the shipped book" if chosen is None else f"the book of {chosen.name}"
        async with prices.writing(self._database, self.project) as connection:
            if newest is not None:
                await self._change(connection, lambda edition: (book, edition.terms), note)
                return
            text = edition_text(book, Terms())
            await prices.add(connection, self.project, digest(text), text, note)

    def _keep(self, found: PriceVersion) -> Edition:
        self._editions[found.version] = read_edition(found)
        return self._editions[found.version]
