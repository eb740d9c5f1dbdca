"""The flush that every record goes through, whoever brings it: the recorder, or the spool when it drains.

What may succeed the next time is for the caller to repeat; what can never succeed is found by halving the batch, so
that one poisonous row fails alone and its neighbours are recorded.
"""

from collections.abc import Awaitable, Callable, Sequence
from uuid import UUID

from jangbu import telemetry
from jangbu.storage import usage
from jangbu.storage.database import Database
from jangbu.storage.failures import is_of_one_row, lacks_partition
from jangbu.storage.usage import Flushed, UsageRow

__all__ = ["Attempts", "Flushes", "flush", "flush_or_halve"]

Flushes = dict[UUID, Flushed]
Attempts = Callable[[Callable[[], Awaitable[Flushes]]], Awaitable[Flushes]]
"""Runs a flush, again where that may help."""


async def flush_or_halve(
    database: Database, rows: Sequence[UsageRow], project: str, writer: int, attempts: Attempts
) -> dict[UUID, Flushed | Exception]:
    """Record rows whose ids differ; give by id what became of each, or the error that keeps it from being recorded."""
    keys = [row.key for row in rows if row.key is not None]
    if len(set(keys)) == len(keys):
        return await _flush_or_halve(database, rows, project, writer, attempts)
    # Of those that bear one answer's id the first is recorded, and the others are compared with it.
    first = {(row.account_id, row.key or row.id): row for row in reversed(rows)}
    others = [row for row in rows if first[row.account_id, row.key or row.id] is not row]
    results = await _flush_or_halve(database, list(first.values()), project, writer, attempts)
    return results | await _flush_or_halve(database, others, project, writer, attempts)


async def _flush_or_halve(
    database: Database, rows: Sequence[UsageRow], project: str, writer: int, attempts: Attempts
) -> dict[UUID, Flushed | Exception]:
    try:
        return dict(await attempts(lambda: flush(database, rows, project, writer)))
    except Exception as error:
        if len(rows) == 1 or not is_of_one_row(error):
            return {row.id: error for row in rows}
    telemetry.emit("recorder.halved", rows=len(rows))
    middle = len(rows) // 2
    first = await _flush_or_halve(database, rows[:middle], project, writer, attempts)
    return first | await _flush_or_halve(database, rows[middle:], project, writer, attempts)


async def flush(database: Database, rows: Sequence[UsageRow], project: str, writer: int) -> Flushes:
    """Flush rows once, making the partitions that they lack."""
    try:
        async with database.connection() as connection:
            return await usage.flush(connection, rows, project, writer)
    except Exception as error:
        if not lacks_partition(error):
            raise
    await usage.make_partitions(database, sorted({usage.moment_of(row.id) for row in rows}))
    async with database.connection() as connection:
        return await usage.flush(connection, rows, project, writer)
