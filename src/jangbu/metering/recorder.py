"""The recorder: usage rows become durable in groups, each caller waiting for its own.

What becomes of a group is turned here into what each caller shall see, also where rows came twice or failed.
"""

from collections.abc import Sequence
from uuid import UUID

from jangbu import telemetry
from jangbu.errors import JangbuError, RecordingFailed, RecordRefused
from jangbu.metering.durability import Durability, InSpool, Known, Named, Outcome, Results
from jangbu.metering.flushing import Flushing
from jangbu.metering.group_commit import GroupCommit
from jangbu.metering.locked_balances import LockedBalances
from jangbu.metering.spooling import Spooling
from jangbu.storage.database import Database
from jangbu.storage.failures import is_known_already, is_of_one_row, translated
from jangbu.storage.usage import Flushed, UsageRow

__all__ = ["InSpool", "Known", "Named", "Outcome", "Recorder"]


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
        spooling: Spooling | None = None,
        locked: LockedBalances | None = None,
    ) -> None:
        self._flushing = Flushing(database, project, locked)
        self._durability = Durability(self._flushing, spooling, project=project, seconds=seconds)
        self.spooling = spooling
        self.seconds = seconds
        """How long a record is tried before its caller is told that it is not recorded."""
        self._queue = GroupCommit[Named, Outcome](
            self._commit, lanes=lanes, batch_max=batch_max, queue_max=queue_max, unheard=self._let_wait
        )

    async def record(self, named: Named) -> Outcome:
        """Wait until the row is durable. Raises RecordingFailed, which leaves nothing half done."""
        return await self._queue.submit(named, named.row.account_id)

    async def keep(self, named: Named) -> bool:
        """Have the spool keep a row whose names have no numbers while the database is away; tell whether it does."""
        return isinstance((await self._durability.spool([named]))[named.row.id], InSpool)

    @property
    def depth(self) -> int:
        """How many rows wait to be written."""
        return self._queue.depth

    async def close(self) -> None:
        """Write what waits, then stop."""
        await self._queue.close()
        await self._durability.close()

    async def _commit(self, records: Sequence[Named], lane: int) -> Sequence[Outcome | BaseException]:
        distinct: dict[UUID, Named] = {}
        others = [each for each in records if distinct.setdefault(each.row.id, each).row != each.row]
        if others:
            return await self._commit_apart(records, others, lane)
        results = await self._durability.secure(list(distinct.values()), lane)
        failed = {usage_id: result for usage_id, result in results.items() if isinstance(result, BaseException)}
        for usage_id, error in failed.items():
            results[usage_id] = _failure(distinct[usage_id].row, error)
        spooled = sum(isinstance(result, InSpool) for result in results.values())
        telemetry.emit("recorder.flushed", rows=len(distinct), failed=len(failed), spooled=spooled, lane=lane)
        if len(distinct) == len(records):
            return [results[each.row.id] for each in records]
        return _told_once(records, results)

    async def _commit_apart(
        self, records: Sequence[Named], others: Sequence[Named], lane: int
    ) -> Sequence[Outcome | BaseException]:
        """Write two answers of one call one after the other: of one id a flush takes one row."""
        apart = {id(each) for each in others}
        first = iter(await self._commit([each for each in records if id(each) not in apart], lane))
        second = iter(await self._commit(others, lane))
        return [next(second if id(each) in apart else first) for each in records]

    def _let_wait(self, outcome: Outcome) -> None:
        """Have the copy of a row drain that was not new, and whose caller is gone who would have found out more."""
        if isinstance(outcome, Known) and self.spooling is not None:
            self.spooling.copies.let_wait([outcome.copy])


def _told_once(records: Sequence[Named], results: Results) -> Sequence[Outcome | BaseException]:
    """Give each row what became of it, where some came more than once: only the first of them was new."""
    told: list[Outcome | BaseException] = []
    for each in records:
        result = results[each.row.id]
        told.append(result)
        if isinstance(result, Flushed):
            results[each.row.id] = result._replace(is_new=False)
    return told


def _failure(row: UsageRow, error: BaseException) -> RecordingFailed:
    """Say what became of a row that could not be recorded, and have somebody hear of it."""
    try:
        with translated():
            raise error
    except JangbuError as readable:
        cause = str(readable)
    except Exception as unknown:
        cause = str(unknown)
    telemetry.warn(
        "recorder.failed",
        cause,
        usage_id=str(row.id),
        account_id=str(row.account_id),
        total=row.total,
        evidence=row.raw,
    )
    # Of two that record the same at once the second may still be told what was there first.
    kind = RecordRefused if is_of_one_row(error) and not is_known_already(error) else RecordingFailed
    failure = kind(f"the usage of call {row.id} is not recorded: {cause}")
    failure.__cause__ = error
    return failure
