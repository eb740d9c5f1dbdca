"""The flush that every record goes through, whoever brings it: the recorder, or the spool when it drains.

What may succeed the next time is for the caller to repeat; what can never succeed is found by halving the batch, so
that one poisonous row fails alone and its neighbours are recorded.
"""

from collections.abc import Awaitable, Callable, Sequence
from uuid import UUID

from jangbu import telemetry
from jangbu.errors import BalanceLocked
from jangbu.metering.locked_balances import LockedBalances
from jangbu.storage import usage
from jangbu.storage.database import Database
from jangbu.storage.failures import is_of_one_row, lacks_partition
from jangbu.storage.usage import Flushed, UsageRow

__all__ = ["Flush", "Flushing", "PatientFlush", "flush_or_halve"]

PatientFlush = Callable[[Sequence[UsageRow]], Awaitable[Sequence[Flushed | BalanceLocked]]]
"""Flushes rows, again where that may help; gives what became of each."""

Flush = Callable[[Sequence[UsageRow], int], Awaitable[Sequence[Flushed | BalanceLocked]]]
"""Flushes rows once, as a writer; gives what became of each."""


async def flush_or_halve(rows: Sequence[UsageRow], flush: PatientFlush) -> dict[UUID, Flushed | Exception]:
    """Record rows whose ids differ; give by id what became of each, or the error that keeps it from being recorded."""
    keys = [row.key for row in rows if row.key is not None]
    if len(set(keys)) == len(keys):
        return await _flush_or_halve(rows, flush)
    # Of those that bear one answer's id the first is recorded, and the others are compared with it.
    first = {(row.account_id, row.key or row.id): row for row in reversed(rows)}
    others = [row for row in rows if first[row.account_id, row.key or row.id] is not row]
    results = await _flush_or_halve(list(first.values()), flush)
    return results | await _flush_or_halve(others, flush)


async def _flush_or_halve(rows: Sequence[UsageRow], flush: PatientFlush) -> dict[UUID, Flushed | Exception]:
    try:
        return {row.id: fate for row, fate in zip(rows, await flush(rows), strict=True)}
    except Exception as error:
        if len(rows) == 1 or not is_of_one_row(error):
            return {row.id: error for row in rows}
    telemetry.emit("recorder.halved", rows=len(rows))
    middle = len(rows) // 2
    first = await _flush_or_halve(rows[:middle], flush)
    return first | await _flush_or_halve(rows[middle:], flush)


class Flushing:
    """How rows of one project get into the database; ``writer`` keeps the rollups of those who flush apart."""

    def __init__(self, database: Database, project: str, locked: LockedBalances | None = None) -> None:
        self._database = database
        self._project = project
        self._locked = locked or LockedBalances(database)

    async def free(self, rows: Sequence[UsageRow], writer: int) -> Sequence[Flushed | BalanceLocked]:
        """Flush those rows once whose balance nobody keeps locked; give what became of each."""
        return await self._locked.passed_over(rows, lambda row: row.account_id, lambda free: self.every(free, writer))

    async def every(self, rows: Sequence[UsageRow], writer: int) -> Sequence[Flushed]:
        """Flush rows once, making the partitions that they lack; give what became of each."""
        try:
            found = await self._flush(rows, writer)
        except Exception as error:
            if not lacks_partition(error):
                raise
            await usage.make_partitions(self._database, sorted({usage.moment_of(row.id) for row in rows}))
            found = await self._flush(rows, writer)
        return [found[row.id] for row in rows]

    async def _flush(self, rows: Sequence[UsageRow], writer: int) -> dict[UUID, Flushed]:
        async with self._database.connection(in_passing=True) as connection:
            return await usage.flush(connection, rows, self._project, writer)
