"""Where rows become durable: in the database, in the spool where that does not take them in time, or in both at once.

What the spool does not take either is tried in the database for as long as is worth while, and so is everything where
there is no spool. Rows whose balance somebody keeps locked go the same ways, while the others are recorded.
"""

import asyncio
import os
from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

from jangbu import telemetry
from jangbu.errors import BalanceLocked
from jangbu.metering.flushing import Flush, Flushing, PatientFlush, flush_or_halve
from jangbu.metering.retry import has_ended, repeated, repeated_while_reachable
from jangbu.metering.spool import Claim, SpooledUsage, encode_record
from jangbu.metering.spooling import Kept, Spooling
from jangbu.storage.failures import is_of_one_row
from jangbu.storage.usage import WRITERS, Flushed, UsageRow

__all__ = ["Durability", "InSpool", "Known", "Named", "Outcome", "Results"]

_LEFT_BEHIND_SECONDS = 2


class Named(NamedTuple):
    """A row, and in words what its numbers stand for, which may be all that is known while the database is away."""

    row: UsageRow
    user: str
    service: str
    model: str
    claim: Claim | None = None
    """The caller's own key, under which it is recorded once, where there is one."""


class InSpool(NamedTuple):
    """A row that is durable in the spool; what it does to the balance shows when it is drained."""


class Known(NamedTuple):
    """A row that was not new, and its copy in the spool: whoever finds out what was there first tells what becomes of
    it.
    """

    flushed: Flushed
    copy: int


Outcome = Flushed | InSpool | Known
Results = dict[UUID, Outcome | BaseException]
"""What became of rows by their ids, or the error that keeps one from being recorded."""

_IN_SPOOL = InSpool()


class Durability:
    """Makes rows of one project durable, each batch on a lane. Belongs to one event loop.

    ``seconds`` is for how long a row is tried that no spool takes.
    """

    def __init__(self, flushing: Flushing, spooling: Spooling | None, *, project: str, seconds: int) -> None:
        self._flushing = flushing
        self._spooling = spooling
        self._project = project
        self._seconds = seconds
        self._first_writer = int.from_bytes(os.urandom(1)) % WRITERS
        self._left_behind: set[asyncio.Task[dict[UUID, Flushed | Exception]]] = set()

    async def secure(self, records: Sequence[Named], lane: int) -> Results:
        """Make rows durable whose ids differ; give what became of each."""
        if self._spooling is None:
            return dict(await self._patiently(records, lane))
        if self._spooling.is_away:
            results: Results = dict(await self.spool(records))
        else:
            if self._spooling.every_record:
                results = await self._in_both(records, lane, self._spooling)
            else:
                results = dict(await self._in_time(records, lane, self._spooling.after_seconds))
            late = [each for each in records if _is_for_later(results[each.row.id])]
            if late:
                _note_late(self._spooling, [results[each.row.id] for each in late])
                results |= await self.spool(late)
        # What the spool does not take either is tried for as long as it is worth while.
        failed = [each for each in records if _is_for_later(results[each.row.id])]
        if failed:
            refusal = results[failed[0].row.id]
            results |= await self._patiently(failed, lane)
            if self._spooling.every_record:
                _tell_not_copied(refusal, sum(isinstance(results[each.row.id], Flushed) for each in failed))
        return results

    async def spool(self, records: Sequence[Named]) -> dict[UUID, InSpool | Exception]:
        """Have the spool keep rows; give what became of each."""
        assert self._spooling is not None, "there is a spool where something is for it"
        kept = await self._spooling.keep([(each.row.id, self._encoded(each)) for each in records])
        return {
            each.row.id: _IN_SPOOL if failure is None else failure for each, failure in zip(records, kept, strict=True)
        }

    async def close(self) -> None:
        """Wait for a moment until the flushes have ended that were left behind."""
        if self._left_behind:
            await asyncio.wait(tuple(self._left_behind), timeout=_LEFT_BEHIND_SECONDS)

    async def _patiently(self, records: Sequence[Named], lane: int) -> dict[UUID, Flushed | Exception]:
        """Flush for as long as is worth while, and those whose balance is locked after the others."""

        def tried(flush: Flush) -> PatientFlush:
            return lambda rows: repeated("recorder", lambda: flush(rows, self._writer(lane)), seconds=self._seconds)

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

    async def _in_both(self, records: Sequence[Named], lane: int, spooling: Spooling) -> Results:
        """Flush within a deadline, and have the spool keep a copy meanwhile: callers are told when both are done.

        What the database does not take in time is in the spool by then, and drains.
        """
        copying = asyncio.ensure_future(self._copied(records, spooling))
        results: Results = dict(await self._in_time(records, lane, spooling.after_seconds))
        copies = {each.row.id: copy for each, copy in zip(records, await copying, strict=True)}
        known = {usage_id: copy for usage_id, copy in copies.items() if isinstance(copy, int)}
        late = [usage_id for usage_id in known if _is_for_later(results[usage_id])]
        if late:
            _note_late(spooling, [results[usage_id] for usage_id in late])
            spooling.copies.let_wait([known.pop(usage_id) for usage_id in late])
            results |= dict.fromkeys(late, _IN_SPOOL)
        results |= _told_of(known, results, spooling)
        return results

    async def _copied(self, records: Sequence[Named], spooling: Spooling) -> Sequence[Kept]:
        copies = await spooling.copy([(each.row.id, self._encoded(each)) for each in records])
        failures = [copy for copy in copies if isinstance(copy, Exception)]
        if failures:
            _tell_not_copied(failures[0], len(failures))
        return copies

    def _encoded(self, named: Named) -> bytes:
        return encode_record(
            SpooledUsage(self._project, named.user, named.service, named.model, named.row, named.claim)
        )

    def _writer(self, lane: int) -> int:
        return (self._first_writer + lane) % WRITERS


def _told_of(copies: dict[UUID, int], results: Results, spooling: Spooling) -> dict[UUID, Known]:
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
