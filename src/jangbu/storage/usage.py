"""Usage records: written in batches by one statement, read one by one."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from jangbu.storage.database import Connection, Database, Reader, Row
from jangbu.storage.failures import is_known_already
from jangbu.storage.statements import statement

WRITERS = 64
"""How many flushers have rows of their own in a project's rollups by minutes, so that hardly two write to one."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class UsageRow(NamedTuple):
    """A record to write. The fields are, in order, the arrays of the flush; ``raw``, ``metadata`` and ``members`` are
    JSON texts.

    A tuple, because it is one in the driver, and one is made for every record.
    """

    account_id: UUID
    id: UUID
    service_id: int
    model_id: int
    surface: str
    platform: str
    tier: str | None
    source: str
    prompt: int
    candidates: int
    thoughts: int
    tool: int
    cached: int
    total: int
    cost_nano: int | None
    input_cost_nano: int | None
    charge_nano: int | None
    price_version: int | None
    was_held: bool
    response_id: str | None
    anomalies: str | None
    raw: str
    metadata: str | None
    key: str | None = None
    digest: bytes | None = None
    members: str | None = None
    """The keys under which the answers of a batch are known, with the digests of their counts in hexadecimal digits."""

    @property
    def is_plain(self) -> bool:
        """Tell whether nothing about the answer has to be found: priced and charged, reported whole, no anomalies, and
        no answers in it that are known by themselves.
        """
        is_priced = self.cost_nano is not None and self.input_cost_nano is not None and self.charge_nano is not None
        is_whole = self.source == "reported" and self.anomalies is None and self.members is None
        return is_priced and is_whole and self.total > 0


class Flushed(NamedTuple):
    """What became of a row: new, or known already; ``available`` is the account's after the flush."""

    is_new: bool
    has_account: bool
    hold_amount: int
    available: int


@dataclass(frozen=True, slots=True)
class UsageRecord:
    """A record as it was written, with the names of what it refers to. ``raw`` and ``metadata`` are JSON texts."""

    account_id: UUID
    id: UUID
    user: str
    service: str
    model: str
    surface: str
    platform: str
    tier: str | None
    source: str
    prompt: int
    candidates: int
    thoughts: int
    tool: int
    cached: int
    total: int
    cost_nano: int | None
    input_cost_nano: int | None
    charge_nano: int | None
    price_version: int | None
    hold_amount: int | None
    late: bool
    posting: int
    money_posting: int | None
    response_id: str | None
    anomalies: tuple[str, ...]
    raw: str
    metadata: str | None
    recorded_at: datetime
    created_at: datetime


async def flush(connection: Connection, rows: Sequence[UsageRow], project: str, writer: int) -> dict[UUID, Flushed]:
    """Record a batch of a project's with all that follows from it; give by id what became of each row.

    Ids and an account's keys must differ within the batch. ``writer`` keeps the project's rollups of flushers apart. A
    connection inside a transaction is of no use: a race for one record may abort the first statement, and a second one
    is then sent.
    """
    if len(rows) == 1 and rows[0].is_plain:
        recorded = await record_plain(connection, rows[0], project, writer)
        if recorded is not None:
            return {rows[0].id: recorded}
    arguments = (*zip(*rows, strict=True), writer, project)
    try:
        found = await connection.fetch(statement("usage_flush"), *arguments)
    except Exception as error:
        if not is_known_already(error):
            raise
        # An answer's key was taken in the same moment, and nothing was done: what is new is seen by who looks again.
        found = await connection.fetch(statement("usage_flush"), *arguments)
    return {row[0]: Flushed(row[1], row[2], row[3], row[4] or 0) for row in found}


async def record_plain(connection: Connection, row: UsageRow, project: str, writer: int) -> Flushed | None:
    """Record a lone plain row by the statement that starts fastest; None where there is more to it, nothing changed."""
    try:
        # What is plain has no members, of which the statement knows nothing.
        found = await connection.fetchrow(statement("usage_record"), *row[:-1], writer, project)
    except Exception as error:
        if not is_known_already(error):
            raise
        return None
    return None if found is None else Flushed(is_new=True, has_account=True, hold_amount=found[0], available=found[1])


async def make_partitions(database: Database, moments: Sequence[datetime]) -> None:
    """Make the partitions of the months that hold the moments."""
    await database.rows("partition_make", moments)


async def find(reader: Reader, account: UUID, usage_id: UUID) -> UsageRecord | None:
    """Give one record, or None."""
    row = await reader.row("usage_find", account, usage_id)
    return None if row is None else record_of(row)


def record_of(row: Row) -> UsageRecord:
    """Give a record from a row that has its columns and names."""
    values = dict(row)
    values["user"] = values.pop("user_id")
    values["anomalies"] = tuple(values["anomalies"] or ())
    return UsageRecord(**values)


async def find_account(reader: Reader, project: str, usage_id: UUID, *, by_figures: bool = False) -> UUID | None:
    """Give the account of a record that is named by its id alone, or None; ``by_figures`` in a moment, where those of
    the record's time are right.
    """
    found: UUID | None = await reader.value("usage_find_by_id", project, usage_id, not by_figures)
    return found


async def window(
    database: Database,
    accounts: Sequence[UUID],
    afters: Sequence[UUID],
    before: UUID,
    models: Sequence[str] | None,
    limit: int,
) -> Sequence[Row]:
    """Give the next records of each account, at most ``limit`` of each, from the one after its place to before an id.

    They are of all models, or of some: a model is a name, or the beginning of names and a final ``*``.
    """
    return await database.rows("usage_window", accounts, afters, before, models, limit)


async def unpriced(database: Database, project: str, after: UUID, limit: int) -> Sequence[tuple[UUID, UUID]]:
    """Give (account, id) of calls without a price, oldest first, from the one after ``after``."""
    rows = await database.rows("usage_unpriced", project, after, limit)
    return [(row["account_id"], row["usage_id"]) for row in rows]


async def write_prices(
    database: Database, prices: Sequence[tuple[UUID, UUID, int, int, int, int]], project: str, writer: int
) -> int:
    """Fill in (account, id, cost, input cost, charge, price version) of a project's calls; give how many had none."""
    columns = [list(column) for column in zip(*prices, strict=True)]
    return int(await database.value("usage_price", *columns, writer, project))


def moment_of(usage_id: UUID) -> datetime:
    """Give the moment, in UTC, that a UUIDv7 carries."""
    return _EPOCH + timedelta(milliseconds=usage_id.int >> 80)


def first_id(at: datetime) -> UUID:
    """Give an id that is not after any that is made from a moment on, to the millisecond."""
    return UUID(int=((at - _EPOCH) // timedelta(milliseconds=1)) << 80)
