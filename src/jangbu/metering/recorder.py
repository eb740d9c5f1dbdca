"""The recorder: usage rows become durable in groups, each caller waiting for its own.

A flush is one statement. What may succeed the next time is repeated; what can never succeed is found by halving the
batch, so that one poisonous row fails alone and its neighbours are recorded.
"""

import os
from collections.abc import Sequence
from uuid import UUID

from jangbu import telemetry
from jangbu.errors import RecordingFailed
from jangbu.metering.group_commit import GroupCommit
from jangbu.metering.retry import repeated
from jangbu.storage import usage
from jangbu.storage.database import Database
from jangbu.storage.failures import is_of_one_row, lacks_partition, translated
from jangbu.storage.usage import Flushed, UsageRow

_WRITERS = 64


class Recorder:
    """Makes usage rows of one project durable. Belongs to one event loop."""

    def __init__(
        self,
        database: Database,
        *,
        project: str,
        lanes: int = 2,
        batch_max: int = 128,
        queue_max: int = 20_000,
        seconds: int = 30,
    ) -> None:
        self._database = database
        self._project = project
        self.seconds = seconds
        """How long a record is tried before its caller is told that it is not recorded."""
        self._first_writer = int.from_bytes(os.urandom(1)) % _WRITERS
        self._queue = GroupCommit[UsageRow, Flushed](
            self._commit, lanes=lanes, batch_max=batch_max, queue_max=queue_max
        )

    async def record(self, row: UsageRow) -> Flushed:
        """Wait until the row is durable. Raises RecordingFailed, which leaves nothing half done."""
        return await self._queue.submit(row, row.account_id)

    @property
    def depth(self) -> int:
        """How many rows wait to be written."""
        return self._queue.depth

    async def close(self) -> None:
        """Write what waits, then stop."""
        await self._queue.close()

    async def _commit(self, rows: Sequence[UsageRow], lane: int) -> Sequence[Flushed | BaseException]:
        distinct = {row.id: row for row in rows}
        results = await self._flush_or_halve(list(distinct.values()), lane)
        telemetry.emit("recorder.flushed", rows=len(rows), lane=lane)
        if len(distinct) == len(rows):
            return [results[row.id] for row in rows]
        return _told_once(rows, results)

    async def _flush_or_halve(self, rows: Sequence[UsageRow], lane: int) -> dict[UUID, Flushed | BaseException]:
        try:
            return dict(await repeated("recorder", lambda: self._flush(rows, lane), seconds=self.seconds))
        except Exception as error:
            if len(rows) == 1 or not is_of_one_row(error):
                return {row.id: _failure(row, error) for row in rows}
        telemetry.emit("recorder.halved", rows=len(rows))
        middle = len(rows) // 2
        first = await self._flush_or_halve(rows[:middle], lane)
        return first | await self._flush_or_halve(rows[middle:], lane)

    async def _flush(self, rows: Sequence[UsageRow], lane: int) -> dict[UUID, Flushed]:
        writer = (self._first_writer + lane) % _WRITERS
        try:
            async with self._database.connection() as connection:
                return await usage.flush(connection, rows, self._project, writer)
        except Exception as error:
            if not lacks_partition(error):
                raise
        await usage.make_partitions(self._database, sorted({usage.moment_of(row.id) for row in rows}))
        async with self._database.connection() as connection:
            return await usage.flush(connection, rows, self._project, writer)


def _told_once(
    rows: Sequence[UsageRow], results: dict[UUID, Flushed | BaseException]
) -> Sequence[Flushed | BaseException]:
    """Give each row what became of it, where some came more than once: only the first of them was new."""
    told: list[Flushed | BaseException] = []
    for row in rows:
        result = results[row.id]
        told.append(result)
        if isinstance(result, Flushed):
            results[row.id] = result._replace(is_new=False)
    return told


def _failure(row: UsageRow, error: Exception) -> RecordingFailed:
    """Say what became of a row that could not be recorded, and have somebody hear of it."""
    try:
        with translated():
            raise error
    except Exception as readable:
        cause = str(readable)
    telemetry.warn(
        "recorder.failed",
        cause,
        usage_id=str(row.id),
        account_id=str(row.account_id),
        total=row.total,
        evidence=row.raw,
    )
    failure = RecordingFailed(f"the usage of call {row.id} is not recorded: {cause}")
    failure.__cause__ = error
    return failure
