"""Emptying a spool into the database, batch by batch. A record that can never be recorded keeps no other waiting."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path

from jangbu import telemetry
from jangbu.errors import InvalidInput
from jangbu.metering.spool import Record, Spool, Spooled, decode_record, records_in
from jangbu.metering.spool.disk import Disk

__all__ = ["Write", "drain", "drain_again"]

Write = Callable[[Sequence[Spooled]], Awaitable[Sequence[str | None]]]
"""Records what was spooled; gives for each None where the database has it, else why it never will. Raises what the
database raises: nothing is known then."""

_BATCH_MAX = 256


async def drain(spool: Spool, write: Write, answered: Callable[[], None] = lambda: None) -> int:
    """Have the database record all that waits; give how many records that were. ``answered`` is told of each batch.

    Raises what ``write`` raises; what was written until then is noted.
    """
    drained = 0
    while records := await asyncio.to_thread(spool.pending, _BATCH_MAX):
        drained += await _drain_batch(spool, records, write)
        answered()
    if drained:
        telemetry.emit("spool.drained", records=drained)
    return drained


async def drain_again(directory: Path, write: Write, disk: Disk) -> int:
    """Record what a spool holds, also after its commit; give how many records the database has. Nothing is owned.

    Among them are those that were put aside: they are refused again, and that was told before. What waits is sent, too:
    that the former database had it may not be noted yet.
    """
    recorded = 0
    records = records_in(directory, disk=disk)
    while batch := await asyncio.to_thread(_next_batch, records):
        readable, _ = _decoded(batch)
        reasons = await write([spooled for _, spooled in readable])
        recorded += sum(reason is None for reason in reasons)
    return recorded


def _next_batch(records: Iterator[Record]) -> list[Record]:
    return list(islice(records, _BATCH_MAX))


async def _drain_batch(spool: Spool, records: Sequence[Record], write: Write) -> int:
    """Write a batch and note what became of each; give how many the database has."""
    readable, poisonous = _decoded(records)
    reasons = await write([spooled for _, spooled in readable])
    done: list[int] = []
    for (record, _), reason in zip(readable, reasons, strict=True):
        if reason is None:
            done.append(record.sequence)
        else:
            poisonous.append((record, reason))
    await asyncio.to_thread(spool.note_committed, done)
    for record, reason in poisonous:
        await asyncio.to_thread(spool.set_aside, record.sequence, reason)
        telemetry.warn(
            "spool.set_aside",
            f"a record in {spool.directory} can never be recorded: {reason}",
            directory=str(spool.directory),
            reason=reason,
        )
    return len(done)


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
