"""Recording what waited in the spool: by the same flush as everything else, so that a repetition changes nothing."""

import asyncio
import os
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from uuid import UUID

from jangbu import telemetry
from jangbu.errors import BalanceLocked, InvalidInput, NoAccount
from jangbu.metering.drafts import other_answer
from jangbu.metering.first_records import first_record, id_on_its_own
from jangbu.metering.flushing import Flushing, flush_or_halve
from jangbu.metering.locked_balances import LockedBalances, locked_balance
from jangbu.metering.retention import dropped_by_retention
from jangbu.metering.retry import repeated
from jangbu.metering.spool import Spooled, SpooledEnd, SpooledUsage
from jangbu.metering.spool_drain import Fate, account_of
from jangbu.storage import entries, holds
from jangbu.storage.database import Database
from jangbu.storage.failures import is_of_one_row, translated
from jangbu.storage.names import Names
from jangbu.storage.usage import WRITERS, Flushed, UsageRow

__all__ = ["Draining"]

_ATTEMPT_SECONDS = 30
_PROBE_SECONDS = 5
_WRITE_SECONDS = 60


@dataclass(frozen=True, slots=True)
class _Numbered:
    spooled: SpooledUsage
    row: UsageRow


class Draining:
    """Records what was spooled. Belongs to one event loop."""

    def __init__(self, database: Database, locked: LockedBalances | None = None) -> None:
        self._database = database
        self._locked = locked or LockedBalances(database)
        self._services = Names(database, "service")
        self._models = Names(database, "model")
        self._writer = int.from_bytes(os.urandom(1)) % WRITERS

    async def write(self, spooled: Sequence[Spooled]) -> Sequence[Fate]:
        """Record; give for each None where the database has it, else why it never will, or that its balance is locked.

        With nothing to record the database is asked whether it answers. Raises what the database raises, also where it
        says nothing for too long.
        """
        if not spooled:
            await self._database.probe(_PROBE_SECONDS)
            return []
        with translated():
            async with asyncio.timeout(_WRITE_SECONDS):
                return await self._written(spooled)

    async def _written(self, spooled: Sequence[Spooled]) -> Sequence[Fate]:
        fates = iter(await self._record([each for each in spooled if isinstance(each, SpooledUsage)]))
        left = await self._end([each for each in spooled if isinstance(each, SpooledEnd)])
        return [next(fates) if isinstance(each, SpooledUsage) else left.get(each.hold) for each in spooled]

    async def _end(self, ends: Sequence[SpooledEnd]) -> dict[UUID, BalanceLocked]:
        """End holds; give those that wait for their balance. One that was ended before stays as it is."""
        for each in (end for end in ends if end.is_unknown):
            await holds.mark_unknown(self._database, each.account_id, each.hold, each.reason)
        released = list({each.hold: each for each in ends if not each.is_unknown}.values())
        if not released:
            return {}
        told = await self._locked.passed_over(released, account_of, self._release)
        return {end.hold: each for end, each in zip(released, told, strict=True) if isinstance(each, BalanceLocked)}

    async def _release(self, ends: Sequence[SpooledEnd]) -> Sequence[bool]:
        async with self._database.connection() as connection:
            return await holds.release(connection, [(each.account_id, each.hold, each.reason) for each in ends])

    async def _record(self, spooled: Sequence[SpooledUsage]) -> Sequence[Fate]:
        try:
            await self._services.learn(each.service for each in spooled)
            await self._models.learn(each.model for each in spooled)
        except InvalidInput as error:
            if len(spooled) == 1:
                return [error.message]
            return [reason for each in spooled for reason in await self._record([each])]
        found = [
            locked_balance() if account_of(each) in self._locked else await self._numbered(each) for each in spooled
        ]
        reasons: dict[int, Fate] = {index: each for index, each in enumerate(found) if not isinstance(each, _Numbered)}
        numbered = {index: each for index, each in enumerate(found) if isinstance(each, _Numbered)}
        ordered = sorted(numbered, key=lambda index: spooled[index].project)
        for project, indexes in groupby(ordered, key=lambda index: spooled[index].project):
            reasons |= await self._of_project(project, {index: numbered[index] for index in indexes})
        return [reasons[index] for index in range(len(spooled))]

    async def _numbered(self, spooled: SpooledUsage) -> _Numbered | Fate:
        """Give a record as it is written, or what became of it already: None where the database had it, or why not."""
        row = spooled.row._replace(service_id=self._services[spooled.service], model_id=self._models[spooled.model])
        claim = spooled.claim
        if claim is None:
            return _Numbered(spooled, row)
        known = await entries.claim_key(self._database, row.account_id, claim.key, claim.digest, row.id)
        if known is None:
            return NoAccount(spooled.user).message
        if known.digest != claim.digest:
            return other_answer(repr(claim.key.partition(":")[2]), known).message
        if known.result_id == row.id:
            return _Numbered(spooled, row)
        if await dropped_by_retention(self._database, known.result_id, account=row.account_id) is not None:
            return None
        return _Numbered(spooled, row._replace(id=known.result_id))

    async def _of_project(self, project: str, records: dict[int, _Numbered]) -> dict[int, Fate]:
        first: dict[UUID, _Numbered] = {}
        others: dict[int, _Numbered] = {}
        for index, each in records.items():
            if first.setdefault(each.row.id, each).row != each.row:
                others[index] = each
        results = await self._flush([each.row for each in first.values()], project)
        reasons = {each: await self._judged(project, first[each], result) for each, result in results.items()}
        told = {index: reasons[each.row.id] for index, each in records.items() if index not in others}
        # Two answers of one call wait for each other: the second is compared with the record of the first.
        return told | await self._of_project(project, others) if others else told

    async def _flush(self, rows: Sequence[UsageRow], project: str) -> dict[UUID, Flushed | Exception]:
        flushing = Flushing(self._database, project, self._locked)
        return await flush_or_halve(
            rows,
            lambda rows: repeated("spool", lambda: flushing.free(rows, self._writer), seconds=_ATTEMPT_SECONDS),
        )

    async def _judged(self, project: str, record: _Numbered, result: Flushed | Exception) -> Fate:
        match result:
            case BalanceLocked():
                return result
            case Flushed(is_new=True):
                telemetry.emit("meter.recorded", tokens=record.row.total, is_priced=record.row.cost_nano is not None)
                return None
            case Flushed(has_account=False):
                return NoAccount(record.spooled.user).message
            case Flushed():
                return await self._known(project, record)
        if is_of_one_row(result):
            return f"PostgreSQL cannot store it: {result}"
        raise result

    async def _known(self, project: str, record: _Numbered) -> Fate:
        """Tell whether the database has a record that was not new: by its own id, or by its answer's.

        Another answer of a call that was settled meanwhile is recorded on its own, as its caller was told. An answer's
        id that stands for other counts proves nothing where there is a key of its caller's: it goes without it then.
        """
        row = record.row
        first = await first_record(self._database, row)
        if first.is_another:
            row = row._replace(id=id_on_its_own(row))
        elif first.conflict is None:
            return None
        elif first.charged:
            # Of a batch that other records are charged for in part, to do as it says charges the rest.
            return f"{first.conflict.message}; {first.conflict.hint}"
        elif first.record is None and record.spooled.claim is not None:
            row = row._replace(key=None, digest=None)
        else:
            return first.conflict.message
        return await self._judged(project, _Numbered(record.spooled, row), (await self._flush([row], project))[row.id])
