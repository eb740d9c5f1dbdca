"""Emptying a spool into the database, batch by batch. A record that can never be recorded keeps no other waiting."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from uuid import UUID

from jangbu import telemetry
from jangbu.errors import BalanceLocked, InvalidInput
from jangbu.metering.spool import Record, Spool, Spooled, SpooledUsage, decode_record, records_in
from jangbu.metering.spool.disk import Disk
from jangbu.metering.spool.recovery import QUARANTINE, aside_name, set_aside_in

__all__ = ["Fate", "Write", "account_of", "drain", "drain_again"]

Fate = str | BalanceLocked | None
"""What became of what was spooled: None where the database has it, why it never will, or that it has to wait."""

Write = Callable[[Sequence[Spooled]], Awaitable[Sequence[Fate]]]
"""Records what was spooled; gives the fate of each. Raises what the database raises: nothing is known then."""

_BATCH_MAX = 256
_LOCKED_SECONDS = 30
_LOCKED_PAUSE_SECONDS = 0.2
_NEVER = datetime.fromtimestamp(0, UTC)
"""When a record was spooled of which that is not kept."""


async def drain(
    spool: Spool, write: Write, passed_over: dict[int, UUID], answered: Callable[[], None] = lambda: None
) -> int:
    """Have the database record all that waits, but for those that are ``passed_over``, and give how many records that
    were. To these are added those whose balance is locked, with their accounts. ``answered`` is told of each batch.

    Raises what ``write`` raises; what was written until then is noted.
    """
    drained = 0
    while records := await asyncio.to_thread(spool.pending, _BATCH_MAX, passed_over=passed_over):
        written, locked = await _drain_batch(spool, records, write)
        drained += written
        passed_over.update(locked)
        answered()
    if drained:
        telemetry.emit("spool.drained", records=drained)
    return drained


async def drain_again(directory: Path, write: Write, disk: Disk) -> int:
    """Record what a spool holds, also after its commit; give how many records the database has. Nothing is owned.

    Among them are those that were put aside, also where their files are gone: those that are refused again stay in the
    quarantine, and that was told before. What waits is sent, too: that the former database had it may not be noted yet.
    """
    recorded = 0
    aside = await asyncio.to_thread(set_aside_in, disk, directory)
    records = records_in(directory, disk=disk)
    while batch := await asyncio.to_thread(_next_batch, records):
        for record in await _recorded(batch, write):
            recorded += 1
            path = directory / QUARANTINE / aside_name(record.sequence, record.payload)
            if aside.pop(path, None) is not None:
                disk.remove(path)
    for path, payload in aside.items():
        if await _recorded([Record(0, _NEVER, payload)], write):
            recorded += 1
            disk.remove(path)
    return recorded


async def _recorded(records: Sequence[Record], write: Write) -> list[Record]:
    """Write records; give those that the database has. Nobody else sends them, so balances that are locked are waited
    for. Raises BalanceLocked.
    """
    left, _ = _decoded(records)
    recorded: list[Record] = []
    deadline = asyncio.get_running_loop().time() + _LOCKED_SECONDS
    while left:
        fates = await write([spooled for _, spooled in left])
        recorded += [record for (record, _), fate in zip(left, fates, strict=True) if fate is None]
        locked = [fate for fate in fates if isinstance(fate, BalanceLocked)]
        if locked and asyncio.get_running_loop().time() >= deadline:
            raise locked[0]
        left = [each for each, fate in zip(left, fates, strict=True) if isinstance(fate, BalanceLocked)]
        if left:
            await asyncio.sleep(_LOCKED_PAUSE_SECONDS)
    return recorded


def _next_batch(records: Iterator[Record]) -> list[Record]:
    return list(islice(records, _BATCH_MAX))


async def _drain_batch(spool: Spool, records: Sequence[Record], write: Write) -> tuple[int, dict[int, UUID]]:
    """Write a batch and note what became of each; give how many the database has, and the accounts of those that wait
    for their balance, by their sequences.
    """
    readable, poisonous = _decoded(records)
    fates = await write([spooled for _, spooled in readable])
    done: list[int] = []
    locked: dict[int, UUID] = {}
    for (record, spooled), fate in zip(readable, fates, strict=True):
        match fate:
            case None:
                done.append(record.sequence)
            case BalanceLocked():
                locked[record.sequence] = account_of(spooled)
            case str(reason):
                poisonous.append((record, reason))
                _tell_lost(spooled)
    await asyncio.to_thread(spool.note_committed, done)
    for record, reason in poisonous:
        await asyncio.to_thread(spool.set_aside, record.sequence, reason)
        telemetry.warn(
            "spool.set_aside",
            f"a record in {spool.directory} can never be recorded: {reason}",
            directory=str(spool.directory),
            reason=reason,
        )
    return len(done), locked


def account_of(spooled: Spooled) -> UUID:
    """Give whose balance what was spooled moves."""
    return spooled.row.account_id if isinstance(spooled, SpooledUsage) else spooled.account_id


def _tell_lost(spooled: Spooled) -> None:
    """Tell whose record it is that can never be recorded, of its content only the sum."""
    if isinstance(spooled, SpooledUsage):
        row = spooled.row
        facts = {"usage_id": str(row.id), "account_id": str(row.account_id), "total": row.total}
        telemetry.emit("spool.record_lost", **facts)


def _decoded(records: Sequence[Record]) -> tuple[list[tuple[Record, Spooled]], list[tuple[Record, str]]]:
    """Give the records that can be read with what they hold, and the others with the reason why they cannot."""
    readable: list[tuple[Record, Spooled]] = []
    poisonous: list[tuple[Record, str]] = []
    for record in records:
        try:
            readable.append((record, decode_record(record.payload)))
        except InvalidInput as error:
            poisonous.append((record, error.message))
    return readable, poisonous
