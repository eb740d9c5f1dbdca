"""What can be exported: calls, entries, and what was used in each bucket of a window.

Each page is a statement of its own, and nothing is held between two of them: whoever takes an export slowly keeps no
connection and no old rows. Calls and entries are never changed, but for a price that is filled in and for what is given
back, and those that come in meanwhile are left out, so that the pages belong together all the same.
"""

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from jangbu.domain.amounts import Amounts
from jangbu.domain.ledger import Asset, EntryKind, account_id
from jangbu.domain.windows import Window
from jangbu.errors import NoAccount
from jangbu.metering import series, tops
from jangbu.metering.exports.tables import Column, Kind, Page, Table
from jangbu.metering.facts import has_no_price
from jangbu.metering.log_search import ANY_CALL, Sought
from jangbu.metering.logs import Ending, stretch_of
from jangbu.metering.snapshots import ALL_TIME, EVERYTHING, Filters, Span, snapshot
from jangbu.metering.walks import ROWS, all_owners, walk
from jangbu.storage import accounts, exports
from jangbu.storage.database import Database, Row
from jangbu.storage.entries import as_given

__all__ = ["AMOUNTS", "amount_cells", "calls", "entries", "parts", "usage"]

_BUCKETS = 50
_READ_MAX = 20_000
"""After how many rows a page is given, however few of them are meant: whoever waits for a file sees that it comes."""
_ROWS_LEAST = 20
"""For how many rows a look counts that finds fewer, or none: it takes its time, too."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

AMOUNTS = (
    "calls",
    *(f"{name}_tokens" for name in ("prompt", "completion", "cached", "thinking", "total")),
    *("cost_nano", "input_cost_nano", "charge_nano", "unpriced"),
)
"""The columns of what calls used, which ``amount_cells`` gives the cells of."""

_CALLS = (
    *(Column(name, Kind.TEXT) for name in ("user", "id")),
    Column("created_at", Kind.MOMENT),
    *(Column(name, Kind.TEXT) for name in ("service", "model", "surface", "tier", "source")),
    *(Column(f"{name}_tokens", Kind.INTEGER) for name in ("prompt", "completion", "cached", "thinking", "total")),
    *(Column(name, Kind.INTEGER) for name in ("cost_nano", "input_cost_nano", "charge_nano", "price_version")),
    Column("response_id", Kind.TEXT),
    Column("anomalies", Kind.WORDS),
    Column("metadata", Kind.TEXT),
    Column("status", Kind.TEXT),
)
_CELLS = tuple(column.name for column in _CALLS if column.name not in {"user", "id", "anomalies", "metadata", "status"})
_ENTRIES = (
    *(Column(name, Kind.TEXT) for name in ("user", "asset")),
    Column("seq", Kind.INTEGER),
    Column("created_at", Kind.MOMENT),
    Column("kind", Kind.TEXT),
    *(Column(name, Kind.INTEGER) for name in ("delta", "balance_after", "posting")),
    *(Column(name, Kind.TEXT) for name in ("reference", "reason", "key")),
)
_USAGE = (
    Column("user", Kind.TEXT),
    *(Column(name, Kind.MOMENT) for name in ("start", "end")),
    Column("part", Kind.TEXT),
    *(Column(name, Kind.INTEGER) for name in AMOUNTS),
)


async def calls(
    database: Database,
    project: str,
    zone: ZoneInfo,
    user: str | None = None,
    span: Span = ALL_TIME,
    what: Sought = ANY_CALL,
) -> Table:
    """Export calls of a user or of everybody in the order of users, each user's oldest first: those that are ``what``.

    They are those that a list of ``what`` has. What comes in meanwhile is told by when it was recorded: the time in an
    id is the app's, whose clock may be ahead. Raises NotFound for a user without an account.
    """
    as_of = await database.now()
    owners = await _owners(database, project, user)
    first, before = stretch_of(span, None)
    after, tag = UUID(int=max(0, first.int - 1)), None if what.tag is None else what.tag.name

    async def read(ids: Sequence[UUID], afters: Sequence[UUID], limit: int) -> Sequence[Row]:
        return await exports.calls(database, ids, afters, before, as_of, limit, tag)

    async def pages() -> AsyncIterator[tuple[int, Page]]:
        async for owner, rows in walk(owners, read, after, "id"):
            ended = [(row, _ending(row)) for row in rows]
            yield len(rows), [_call(owner, row, ending) for row, ending in ended if what.means(row, ending)]

    return Table("calls", _CALLS, zone, as_of, _filled(pages()))


async def entries(
    database: Database,
    project: str,
    zone: ZoneInfo,
    user: str | None = None,
    asset: Asset = Asset.TOKENS,
    span: Span = ALL_TIME,
    kind: EntryKind | None = None,
) -> Table:
    """Export entries of an asset, each user's oldest first. Raises NotFound for a user without an account."""
    as_of = await database.now()
    owners = await _owners(database, project, user)
    since, until = span.since or _EPOCH, as_of if span.until is None else min(span.until, as_of)

    async def read(ids: Sequence[UUID], afters: Sequence[int], limit: int) -> Sequence[Row]:
        return await exports.entries(database, ids, afters, asset, limit)

    async def pages() -> AsyncIterator[tuple[int, Page]]:
        async for owner, rows in walk(owners, read, 0, "seq"):
            meant = [row for row in rows if since <= row["created_at"] < until and kind in {None, row["kind"]}]
            yield len(rows), [_entry(owner, asset, row) for row in meant]

    return Table("entries", _ENTRIES, zone, as_of, _filled(pages()))


async def usage(
    database: Database, project: str, window: Window, filters: Filters = EVERYTHING, by: series.Part = "service"
) -> Table:
    """Export what was used in each bucket of a window, by service or by model; a bucket without calls has no row.

    Raises NotFound for a user without an account.
    """
    async with snapshot(database, project) as look:
        if filters.user is not None:
            await look.account(filters.user)
        as_of = look.as_of

    async def pages() -> AsyncIterator[Page]:
        edges = window.edges()
        for at in range(0, len(edges) - 1, _BUCKETS):
            slice_ = Window(edges[at], edges[min(at + _BUCKETS, len(edges) - 1)], window.zone, window.bucket)
            async with snapshot(database, project) as look:
                found = await series.of(look, slice_, filters, by)
            yield [
                (filters.user, bar.start, bar.end, line.name, *amount_cells(line.amounts[place]))
                for place, bar in enumerate(found.bars)
                for line in found.lines
                if line.amounts[place].calls
            ]

    return Table("usage", _usage_of(by), window.zone, as_of, pages())


async def parts(
    database: Database, project: str, window: Window, filters: Filters = EVERYTHING, by: series.Part = "service"
) -> Table:
    """Export what was used in the whole of a window, a row for each service or model, the most used first.

    Raises NotFound for a user without an account.
    """
    async with snapshot(database, project) as look:
        found = await tops.breakdown(look, window, filters)
    lines = found.services if by == "service" else found.models

    async def pages() -> AsyncIterator[Page]:
        yield [(filters.user, window.start, window.end, part.name, *amount_cells(part.amounts)) for part in lines]

    return Table(f"{by}s", _usage_of(by), window.zone, found.as_of, pages())


async def _owners(database: Database, project: str, user: str | None) -> AsyncIterator[dict[UUID, str]]:
    """Give the users whose rows are meant by their accounts, some at a time, in the order of the users."""
    if user is not None:
        found = await accounts.find(database, account_id(project, user))
        if found is None:
            raise NoAccount(user)
        return _one({found.id: user})
    return all_owners(database, project)


async def _one(owners: dict[UUID, str]) -> AsyncIterator[dict[UUID, str]]:
    yield owners


async def _filled(pages: AsyncIterator[tuple[int, Page]]) -> AsyncIterator[Page]:
    """Put small pages together, each of which comes with how many rows were read for it."""
    waiting: list[tuple[Any, ...]] = []
    read = 0
    async for rows, page in pages:
        waiting += page
        read += max(rows, _ROWS_LEAST)
        if len(waiting) >= ROWS or read >= _READ_MAX:
            yield waiting
            waiting, read = [], 0
    if waiting:
        yield waiting


def _ending(row: Row) -> Ending:
    return Ending.of(
        is_returned=row["is_returned"], is_late=row["late"], held=row["hold_amount"], used=row["total_tokens"]
    )


def _call(user: str, row: Row, ending: Ending) -> tuple[Any, ...]:
    cells = (row[name] for name in _CELLS)
    return (user, str(row["id"]), *cells, tuple(row["anomalies"] or ()), row["metadata"], ending.value)


def _entry(user: str, asset: Asset, row: Row) -> tuple[Any, ...]:
    reference, key = row["reference"], row["key"]
    texts = (None if reference is None else str(reference), row["reason"], None if key is None else as_given(key))
    return (user, asset.name.lower(), *row[1:-3], *texts)


def _usage_of(by: series.Part) -> tuple[Column, ...]:
    return tuple(Column(by, each.kind) if each.name == "part" else each for each in _USAGE)


def amount_cells(found: Amounts) -> tuple[int | None, ...]:
    """Give the figures of a row; money is None where none of the calls has a price."""
    money = (found.cost_nano, found.input_cost_nano, found.charge_nano)
    return (
        found.calls,
        found.input_tokens,
        found.completion_tokens,
        found.cached_tokens,
        found.thinking_tokens,
        found.total_tokens,
        *((None, None, None) if has_no_price(found) else money),
        found.unpriced,
    )
