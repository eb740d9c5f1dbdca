"""How spools stand, seen from outside: nothing is owned, changed or repaired."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from jangbu.clock import Clock
from jangbu.metering.spool.disk import Disk, RealDisk, refuse
from jangbu.metering.spool.recovery import QUARANTINE, look_through, unrecorded_in
from jangbu.metering.spool.segment import REFUSED, segment_names
from jangbu.metering.spool.spool import LOCK
from jangbu.metering.spool.store import Record, milliseconds, moment

__all__ = ["Sight", "look", "records_in", "spools_below"]


@dataclass(frozen=True, slots=True)
class Sight:
    """One spool. ``oldest_seconds`` is how long its oldest record waits, None where none does."""

    directory: Path
    waiting: int
    bytes: int
    oldest_seconds: int | None
    kept: int
    quarantined: int
    unrecorded: int
    """How many acknowledged records the quarantine tells of that are in no book, as far as anybody knows."""
    is_owned: bool
    """Whether a living process has it."""


def look(directory: Path, clock: Clock, *, disk: Disk | None = None) -> Sight:
    """Look at one spool. What its owner writes at this moment may be missing."""
    chosen = disk or RealDisk()
    found = look_through(chosen, directory, writable=False)
    waiting = [entry.frame.at for entry in found.entries.values() if entry.committed_at is None]
    for segment in found.segments:
        segment.close()
    now = milliseconds(clock.now())
    return Sight(
        directory=directory,
        waiting=len(waiting),
        bytes=sum(segment.size for segment in found.segments),
        oldest_seconds=max(0, now - min(waiting)) // 1000 if waiting else None,
        kept=sum(bool(entry.committed_at) for entry in found.entries.values()),
        quarantined=len(chosen.names(directory / QUARANTINE)),
        unrecorded=unrecorded_in(chosen, directory),
        is_owned=_is_owned(chosen, directory),
    )


def records_in(directory: Path, *, disk: Disk | None = None) -> Iterator[Record]:
    """Give the records of a spool, oldest first, also those that the database had: a fail-over may have lost them.

    Those that it refused are left out. Of what its owner removes meanwhile nothing more is given.
    """
    found = look_through(disk or RealDisk(), directory, writable=False)
    try:
        for sequence, entry in found.entries.items():
            payload = None if entry.committed_at == REFUSED else entry.segment.read(entry.frame)
            if payload is not None:
                yield Record(sequence, moment(entry.frame.at), payload)
    finally:
        for segment in found.segments:
            segment.close()


def spools_below(root: Path, *, disk: Disk | None = None) -> Iterator[Path]:
    """Give the directories of spools beneath a directory, at any depth that Jangbu makes them at.

    Raises SpoolUnusable where it may not be looked into.
    """
    chosen = disk or RealDisk()
    try:
        names = chosen.names(root)
    except OSError as error:
        refuse(root, error)
    if LOCK in names or segment_names(names):
        yield root
        return
    for name in names:
        if name != QUARANTINE:
            yield from spools_below(root / name, disk=chosen)


def _is_owned(disk: Disk, directory: Path) -> bool:
    if LOCK not in disk.names(directory):
        return False
    try:
        lock = disk.lock(directory / LOCK)
    except OSError:
        return True
    if lock is None:
        return True
    lock.close()
    return False
