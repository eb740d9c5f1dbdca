"""What lies on this machine and is in no book: the spools of a ledger, whoever owns them. Nothing is repaired here."""

import asyncio
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from jangbu.clock import Clock
from jangbu.metering.spool import spools_below
from jangbu.metering.spool.disk import Disk, refuse
from jangbu.metering.spool.recovery import QUARANTINE, unrecorded_in
from jangbu.metering.spool.segment import Segment, segment_names
from jangbu.metering.spool.store import milliseconds, runs
from jangbu.metering.spool_opening import OwnSpool

__all__ = ["Backlog", "SpoolsHere"]

_COPIED_MS = 5_000
"""How old a copy may be of which another process has not noted yet that the database has it."""
_SETTLED_NS = 1_000_000_000
"""How long ago a file was written to whose time of change tells of the next write, whatever clock the disk has."""

Stamp = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Backlog:
    """What waits in spools: how many records, and since when in seconds; how many files were quarantined, and of how
    many acknowledged records these tell that are in no book.
    """

    waiting: int = 0
    oldest_seconds: int = 0
    quarantined: int = 0
    unrecorded: int = 0


class SpoolsHere:
    """Looks at all spools below the directory of a ledger, its own one among them. Belongs to one event loop.

    A file that has not changed since it was read is not read again: where every record is kept there are many. With
    ``copies`` what other processes wrote a moment ago counts as given to the database, as it mostly is.
    """

    def __init__(self, own: OwnSpool, disk: Disk, clock: Clock, *, copies: bool) -> None:
        self._own = own
        self._disk = disk
        self._clock = clock
        self._copies = copies
        self._looking = asyncio.Lock()
        self._known: dict[Path, _File] = {}
        """The files of others, as they were when they were read."""

    async def backlog(self) -> Backlog:
        """Tell what waits, and what never will be recorded by itself. Raises SpoolUnusable."""
        async with self._looking:
            return await asyncio.to_thread(self._look)

    def _look(self) -> Backlog:
        now = milliseconds(self._clock.now())
        own, known, self._known = self._own.spool, self._known, {}
        waiting: list[int] = []
        quarantined = unrecorded = 0
        try:
            for directory in spools_below(self._own.root, disk=self._disk):
                if own is None or directory != own.directory:
                    waiting += self._waiting(directory, known)
                quarantined += len(self._disk.names(directory / QUARANTINE))
                unrecorded += unrecorded_in(self._disk, directory)
        except OSError as error:
            refuse(self._own.root, error)
        if self._copies:
            waiting = [at for at in waiting if at <= now - _COPIED_MS]
        number, oldest = len(waiting), min(waiting, default=now)
        if own is not None:
            standing = own.status()
            number += standing.waiting
            oldest = min(oldest, now if standing.oldest_at is None else milliseconds(standing.oldest_at))
        return Backlog(number, max(0, now - oldest) // 1000, quarantined, unrecorded)

    def _waiting(self, directory: Path, known: "dict[Path, _File]") -> Iterator[int]:
        """Give when the records of a spool were written that the database is not known to have."""
        waiting: dict[int, int] = {}
        for name in segment_names(self._disk.names(directory)):
            path = directory / name
            stamp, file = _stamp(path), known.get(path)
            if file is None or file.stamp != stamp:
                file = self._read(path, stamp)
            self._known[path] = file
            if waiting and file.runs and file.runs[0][0] <= max(waiting):
                # A record that was written twice waits if it does so in the later file.
                waiting = {each: at for each, at in waiting.items() if not file.holds(each)}
            waiting |= file.waiting
        yield from waiting.values()

    def _read(self, path: Path, stamp: Stamp) -> "_File":
        """Read one file. Its owner may remove it meanwhile."""
        try:
            segment, written = Segment.find(self._disk, path, writable=False)
        except FileNotFoundError:
            return _File(stamp, (), {})
        segment.close()
        frames, committed = written.scan.frames, written.notes.committed
        return _File(
            stamp,
            tuple(runs(sorted(each.sequence for each in frames))),
            {each.sequence: each.at for each in frames if each.sequence not in committed},
        )


@dataclass(frozen=True, slots=True)
class _File:
    """What is known of a file: the runs of its records' sequences, and when those were written that wait."""

    stamp: Stamp
    runs: Sequence[tuple[int, int]]
    waiting: Mapping[int, int]

    def holds(self, sequence: int) -> bool:
        return any(first <= sequence <= last for first, last in self.runs)


def _stamp(path: Path) -> Stamp:
    """Give what tells whether a file, or the notes on it, changed; nothing that lasts of one just written to."""
    stamp: list[int] = []
    for each in (path, path.with_suffix(".notes")):
        with suppress(OSError):
            found = each.stat()
            stamp += (found.st_mtime_ns, found.st_size)
    is_settled = max(stamp[::2], default=0) < time.time_ns() - _SETTLED_NS
    return tuple(stamp) if is_settled else (time.time_ns(),)
