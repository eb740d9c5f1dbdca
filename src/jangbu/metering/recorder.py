"""The recorder: usage rows become durable in groups, each caller waiting for its own.

Where the database does not take them in time they become durable in the spool, from which they drain into it later;
without a spool they are tried for as long as is set. So are those whose balance somebody keeps locked, while the others
are recorded. Where every record is to be in the spool, too, they become durable in both at the same time.
"""

import asyncio
import os
from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

from jangbu import telemetry
from jangbu.errors import BalanceLocked, JangbuError, RecordingFailed, RecordRefused
from jangbu.metering.flushing import Flush, Flushing, Write, flush_or_halve
from jangbu.metering.group_commit import GroupCommit
from jangbu.metering.locked_balances import LockedBalances
from jangbu.metering.retry import has_ended, repeated, repeated_while_reachable
from jangbu.metering.spool import Claim, SpooledUsage, encode_record
from jangbu.metering.spooling import Kept, Spooling
from jangbu.storage.database import Database
from jangbu.storage.failures import is_known_already, is_of_one_row, translated
from jangbu.storage.usage import Flushed, UsageRow

__all__ = ["Known", "Named", "Outcome", "Recorder", "Spooled"]

_WRITERS = 64
_LEFT_BEHIND_SECONDS = 2


class Named(NamedTuple):
    """A row, and in words what its numbers stand for, which may be all that is known while the database is away."""

    row: UsageRow
    user: str
    service: str
    model: str
    claim: Claim | None = None
    """The caller's own key, under which it is recorded once, where there is one."""


class Spooled(NamedTuple):
    """A row that is durable in the spool; what it does to the balance shows when it is drained."""


class Known(NamedTuple):
    """A row that was not new, and its copy in the spool: whoever finds out what was there first tells what becomes of
    it.
    """

    flushed: Flushed
    copy: int


Outcome = Flushed | Spooled | Known
_SPOOLED = Spooled()
_Results = dict[UUID, Outcome | BaseException]


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
        self._project = project
        self._flushing = Flushing(database, project, locked)
        self.spooling = spooling
        self.seconds = seconds
        """How long a record is tried before its caller is told that it is not recorded."""
        self._first_writer = int.from_bytes(os.urandom(1)) % _WRITERS
        self._left_behind: set[asyncio.Task[dict[UUID, Flushed | Exception]]] = set()
        self._queue = GroupCommit[Named, Outcome](
            self._commit, lanes=lanes, batch_max=batch_max, queue_max=queue_max, unheard=self._let_wait
        )

    async def record(self, named: Named) -> Outcome:
        """Wait until the row is durable. Raises RecordingFailed, which leaves nothing half done."""
        return await self._queue.submit(named, named.row.account_id)

    async def keep(self, named: Named) -> bool:
        """Have the spool keep a row whose names have no numbers while the database is away; tell whether it does."""
        return isinstance((await self._spool([named]))[named.row.id], Spooled)

    @property
    def depth(self) -> int:
        """How many rows wait to be written."""
        return self._queue.depth

    async def close(self) -> None:
        """Write what waits, then stop."""
        await self._queue.close()
        if self._left_behind:
            await asyncio.wait(tuple(self._left_behind), timeout=_LEFT_BEHIND_SECONDS)

    async def _commit(self, records: Sequence[Named], lane: int) -> Sequence[Outcome | BaseException]:
        distinct: dict[UUID, Named] = {}
        others = [each for each in records if distinct.setdefault(each.row.id, each).row != each.row]
        if others:
            return await self._commit_apart(records, others, lane)
        results = await self._durably(list(distinct.values()), lane)
        failed = sum(isinstance(result, BaseException) for result in results.values())
        spooled = sum(isinstance(result, Spooled) for result in results.values())
        telemetry.emit("recorder.flushed", rows=len(distinct), failed=failed, spooled=spooled, lane=lane)
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

    async def _durably(self, records: Sequence[Named], lane: int) -> _Results:
        if self.spooling is None:
            return self._told(records, await self._patiently(records, lane))
        if self.spooling.is_away:
            results: _Results = dict(await self._spool(records))
        else:
            if self.spooling.every_record:
                results = await self._in_both(records, lane, self.spooling)
            else:
                results = dict(await self._in_time(records, lane, self.spooling.after_seconds))
            late = [each for each in records if _is_for_later(results[each.row.id])]
            if late:
                _note_late(self.spooling, [results[each.row.id] for each in late])
                results |= await self._spool(late)
        # What the spool does not take either is tried for as long as it is worth while.
        failed = [each for each in records if _is_for_later(results[each.row.id])]
        if failed:
            refusal = results[failed[0].row.id]
            results |= await self._patiently(failed, lane)
            if self.spooling.every_record:
                _tell_not_copied(refusal, sum(isinstance(results[each.row.id], Flushed) for each in failed))
        return self._told(records, results)

    async def _patiently(self, records: Sequence[Named], lane: int) -> dict[UUID, Flushed | Exception]:
        """Flush for as long as is worth while, and those whose balance is locked after the others."""

        def tried(flush: Flush) -> Write:
            return lambda rows: repeated("recorder", lambda: flush(rows, self._writer(lane)), seconds=self.seconds)

        results = await flush_or_halve([each.row for each in records], tried(self._flushing.free))
        locked = [each.row for each in records if isinstance(results[each.row.id], BalanceLocked)]
        return results | await flush_or_halve(locked, tried(self._flushing.every)) if locked else results

    async def _in_time(self, records: Sequence[Named], lane: int, seconds: int) -> dict[UUID, Flushed | Exception]:
        """Flush within a deadline. A flush that has not ended by then is left behind: waiting for it to be cancelled
        takes as long as a server that does not answer likes, and to record twice is harmless.
        """
        flushing = asyncio.create_task(
            flush_or_halve(
                [each.row for each in records],
                lambda rows: repeated_while_reachable(
                    "recorder", lambda: self._flushing.free(rows, self._writer(lane)), seconds=seconds
                ),
            )
        )
        if await has_ended(flushing, seconds=seconds):
            return flushing.result()
        flushing.cancel()
        self._left_behind.add(flushing)
        flushing.add_done_callback(self._left_behind.discard)
        return {each.row.id: TimeoutError(f"no answer within {seconds} s") for each in records}

    async def _in_both(self, records: Sequence[Named], lane: int, spooling: Spooling) -> _Results:
        """Flush within a deadline, and have the spool keep a copy meanwhile: callers are told when both are done.

        What the database does not take in time is in the spool by then, and drains.
        """
        copying = asyncio.ensure_future(self._copied(records, spooling))
        results: _Results = dict(await self._in_time(records, lane, spooling.after_seconds))
        copies = {each.row.id: copy for each, copy in zip(records, await copying, strict=True)}
        known = {usage_id: copy for usage_id, copy in copies.items() if isinstance(copy, int)}
        late = [usage_id for usage_id in known if _is_for_later(results[usage_id])]
        if late:
            _note_late(spooling, [results[usage_id] for usage_id in late])
            spooling.copies.let_wait([known.pop(usage_id) for usage_id in late])
            results |= dict.fromkeys(late, _SPOOLED)
        results |= self._told_of(known, results, spooling)
        return results

    def _told_of(self, copies: dict[UUID, int], results: _Results, spooling: Spooling) -> dict[UUID, Known]:
        """Tell the spool what became of copies; give those rows of which it is not known yet what was there first."""
        recorded: list[int] = []
        refused: list[int] = []
        known: dict[UUID, Known] = {}
        for usage_id, copy in copies.items():
            match results[usage_id]:
                case Flushed(is_new=True):
                    recorded.append(copy)
                case Flushed(has_account=True) as flushed:
                    known[usage_id] = Known(flushed, copy)
                case _:
                    refused.append(copy)
        spooling.copies.settle(recorded)
        spooling.copies.refuse(refused)
        return known

    async def _copied(self, records: Sequence[Named], spooling: Spooling) -> Sequence[Kept]:
        copies = await spooling.copy([(each.row.id, self._encoded(each)) for each in records])
        failures = [copy for copy in copies if isinstance(copy, Exception)]
        if failures:
            _tell_not_copied(failures[0], len(failures))
        return copies

    async def _spool(self, records: Sequence[Named]) -> dict[UUID, Spooled | Exception]:
        assert self.spooling is not None, "there is a spool where something is for it"
        kept = await self.spooling.keep([(each.row.id, self._encoded(each)) for each in records])
        return {
            each.row.id: _SPOOLED if failure is None else failure for each, failure in zip(records, kept, strict=True)
        }

    def _let_wait(self, outcome: Outcome) -> None:
        """Have the copy of a row drain that was not new, and whose caller is gone who would have found out more."""
        if isinstance(outcome, Known) and self.spooling is not None:
            self.spooling.copies.let_wait([outcome.copy])

    def _encoded(self, named: Named) -> bytes:
        return encode_record(
            SpooledUsage(self._project, named.user, named.service, named.model, named.row, named.claim)
        )

    def _writer(self, lane: int) -> int:
        return (self._first_writer + lane) % _WRITERS

    def _told(self, records: Sequence[Named], results: "dict[UUID, Flushed | Exception] | _Results") -> _Results:
        """Put what a caller shall see in the place of errors."""
        rows = {each.row.id: each.row for each in records}
        return {
            usage_id: _failure(rows[usage_id], result) if isinstance(result, BaseException) else result
            for usage_id, result in results.items()
        }


def _tell_not_copied(refusal: object, records: int) -> None:
    if records:
        telemetry.warn("spool.not_copied", f"records are in the database alone: {refusal}", records=records)


def _note_late(spooling: Spooling, errors: Sequence[object]) -> None:
    """Note that the database is away, unless it was other transactions that were waited for."""
    if not all(isinstance(error, BalanceLocked) for error in errors):
        spooling.note_away()


def _is_for_later(result: Outcome | BaseException) -> bool:
    """Tell whether the row was not recorded, and not for a reason that lies in itself."""
    return isinstance(result, Exception) and not is_of_one_row(result)


def _told_once(records: Sequence[Named], results: _Results) -> Sequence[Outcome | BaseException]:
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
