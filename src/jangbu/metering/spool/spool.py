"""The spool: where records wait, durable on the local disk, until the database has them.

    with spool.reserve():                    # before the call: a full disk refuses here
        ...the call...
        spool.append([payload])              # durable when it returns

A directory has one owner. Room is files that were allocated before; a reservation only counts, so the usual path,
on which nothing is ever written here, does not touch the disk.
"""

import threading
from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Self

from jangbu import telemetry
from jangbu.clock import Clock
from jangbu.errors import JangbuError, SpoolInUse, SpoolUnusable
from jangbu.metering.spool.copies import Copies
from jangbu.metering.spool.disk import Disk, Lock, RealDisk, refuse
from jangbu.metering.spool.recovery import QUARANTINE, Finding, aside_name, keep_aside
from jangbu.metering.spool.reservation import Reservation
from jangbu.metering.spool.segment import REFUSED
from jangbu.metering.spool.store import Record, Store, milliseconds, moment

__all__ = ["LOCK", "Record", "Reservation", "Spool", "Standing"]

LOCK = "owner.lock"
_TELL_MS = 60_000
"""How often it is told that what is kept goes early."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How a spool stands: records that wait and since when, those that are kept after their commit, and damages."""

    waiting: int
    oldest_at: datetime | None
    kept: int
    quarantined: int
    """Files in its quarantine: torn or flipped bytes, and records that can never be recorded."""
    bytes: int
    """What its files take of the disk."""


class Spool:
    """One directory of records, owned by this process. All methods may be called from any thread."""

    def __init__(self, directory: Path, lock: Lock, store: Store, disk: Disk, clock: Clock, keep_seconds: int) -> None:
        self.directory = directory
        self.findings: tuple[Finding, ...] = ()
        """What was not as it had been written when the directory was opened."""
        self._lock = lock
        self._store = store
        self._disk = disk
        self._clock = clock
        self._keep_ms = keep_seconds * 1000
        self._writing = threading.RLock()
        self._counting = threading.Lock()
        self._places = 0
        self._reserved = 0
        self._to_set_aside: dict[int, str] = {}
        """The reasons of records whose quarantine has no room yet."""
        self.copies = Copies()
        self._dropped = 0
        self._told_dropped_at: int | None = None
        store.drops = self._note_dropped
        self._is_closed = False

    @classmethod
    def open(
        cls,
        directory: Path,
        *,
        segment_bytes: int = 4 * 2**20,
        bytes_max: int = 256 * 2**20,
        record_bytes_max: int = 16 * 2**10,
        keep_seconds: int = 900,
        clock: Clock,
        disk: Disk | None = None,
    ) -> Self:
        """Own a directory, which is made where there is none, and read what it holds; nothing is allocated yet.

        ``record_bytes_max`` is what a reservation holds; larger records take what there is. A record is kept for
        ``keep_seconds`` after its commit. Raises SpoolInUse, SpoolUnusable, and SpoolFull where the disk is full.
        """
        chosen = disk or RealDisk()
        try:
            chosen.make_directory(directory)
            lock = chosen.lock(directory / LOCK)
        except OSError as error:
            refuse(directory, error)
        if lock is None:
            raise SpoolInUse(f"another process owns the spool {directory}", hint="each process has a spool of its own")
        store = Store(
            chosen, directory, segment_bytes=segment_bytes, bytes_max=bytes_max, record_bytes_max=record_bytes_max
        )
        spool = cls(directory, lock, store, chosen, clock, keep_seconds)
        try:
            spool._recover()
        except OSError as error:
            lock.close()
            refuse(directory, error)
        return spool

    def reserve(self) -> Reservation:
        """Take room for one record, allocating more where that is needed. Raises SpoolFull or SpoolUnusable."""
        while (reservation := self.reserve_at_once()) is None:
            with self._writing:
                self._check_open()
                self._note_settled()
                if self._places <= self._reserved:
                    self._store.grow()
                    self._count_places()
        return reservation

    def reserve_at_once(self) -> Reservation | None:
        """Take room for one record out of what is allocated, without touching the disk; None where there is none."""
        with self._counting:
            if self._reserved >= self._places or self._is_closed:
                return None
            self._reserved += 1
        return Reservation(self._unreserve)

    def append(self, payloads: Sequence[bytes]) -> list[int]:
        """Make records durable; give their sequences. Whoever appends holds a reservation for each record.

        Raises SpoolFull or SpoolUnusable: it is not known then whether the records will be found later.
        """
        with self._writing:
            self._check_open()
            try:
                return self._store.append(payloads, self._now())
            finally:
                self._count_places()

    def append_each(
        self, payloads: Sequence[bytes], has_room: Sequence[bool], copies: Collection[int] = ()
    ) -> list[int | JangbuError]:
        """Make records durable by one sync; give for each its sequence, or the error that kept it from the disk.

        Those that hold no reservation take what room there is. ``copies`` are the places of those that are copies.
        """
        refused: list[JangbuError | None] = [None] * len(payloads)
        taken: list[Reservation] = []
        for index in (index for index, has in enumerate(has_room) if not has):
            try:
                taken.append(self.reserve())
            except JangbuError as error:
                refused[index] = error
        todo = [index for index, failure in enumerate(refused) if failure is None]
        try:
            with self._writing:
                self._note_settled()
                written = dict(zip(todo, self.append([payloads[index] for index in todo]), strict=True))
                self.copies.begin(sequence for index, sequence in written.items() if index in copies)
        except JangbuError as error:
            return [failure or error for failure in refused]
        finally:
            for reservation in taken:
                reservation.give_back()
        return [failure or written[index] for index, failure in enumerate(refused)]

    def note_settled(self) -> None:
        """Note what the database did with copies."""
        with self._writing:
            self._note_settled()

    def pending(self, limit: int, *, passed_over: Collection[int] = ()) -> list[Record]:
        """Give up to so many records that the database is not known to have, oldest first, but for some."""
        with self._writing:
            self._note_settled()
            others = self._to_set_aside.keys() | self.copies.under_way()
            while True:
                waiting = (each for each in self._store.waiting if each not in others and each not in passed_over)
                chosen = tuple(islice(waiting, limit))
                found = [record for sequence in chosen if (record := self._store.read(sequence)) is not None]
                # Those that cannot be read wait no more.
                if found or not chosen:
                    return found

    def note_committed(self, sequences: Iterable[int]) -> None:
        """Note that the database has records; they are kept for some time yet."""
        with self._writing:
            self._store.note_committed(sequences, self._now())

    def set_aside(self, sequence: int, reason: str) -> None:
        """Put a record that can never be recorded into the quarantine, with the reason in the first line; where there
        is no room for it, with a later ``trim``.
        """
        with self._writing:
            self._to_set_aside[sequence] = reason
            record = self._store.read(sequence)
            if record is not None:
                name = aside_name(sequence, record.payload)
                content = reason.replace("\n", " ").encode() + b"\n" + record.payload
                if not keep_aside(self._disk, self.directory, name, content):
                    return
                self._store.note_committed([sequence], self._now())
            del self._to_set_aside[sequence]

    def trim(self) -> int:
        """Remove files whose records the database has had for long enough; give how many records went."""
        with self._writing:
            for sequence, reason in list(self._to_set_aside.items()):
                self.set_aside(sequence, reason)
            self._note_settled()
            gone = self._store.drop(self._now() - self._keep_ms, self._reserved)
            self._count_places()
            return gone

    def status(self) -> Standing:
        """Tell how the spool stands."""
        with self._writing:
            self._note_settled()
            under_way = self.copies.under_way()
            waiting = [entry for sequence, entry in self._store.waiting.items() if sequence not in under_way]
            oldest = next(iter(waiting), None)
            return Standing(
                waiting=len(waiting),
                oldest_at=None if oldest is None else moment(oldest.frame.at),
                kept=self._store.kept,
                quarantined=len(self._disk.names(self.directory / QUARANTINE)),
                bytes=self._store.size,
            )

    def close(self) -> None:
        """Give the directory back: to whoever opens it next where something is left in it, else it is removed."""
        with self._writing:
            with self._counting:
                was_closed, self._is_closed = self._is_closed, True
            if was_closed:
                return
            # What is left over costs room and nothing else: whoever opens the directory next tries again.
            with suppress(OSError):
                self._note_settled()
                self._store.leave()
                if not self._store.segments and not self._disk.names(self.directory / QUARANTINE):
                    self._disk.remove_directory(self.directory / QUARANTINE)
                    self._disk.remove(self.directory / LOCK)
                    self._disk.remove_directory(self.directory)
            self._store.close()
            self._lock.close()

    def _recover(self) -> None:
        self.findings = tuple(self._store.recover())
        self._store.drop(self._now() - self._keep_ms, 0)
        for finding in self.findings:
            telemetry.warn(
                "spool.quarantined",
                f"{finding.size} bytes in {self.directory} are no record; records lost: {len(finding.lost)}",
                directory=str(self.directory),
                kept_in=finding.kept_in,
                lost=finding.lost,
            )

    def _note_settled(self) -> None:
        settled, refused = self.copies.told()
        if settled or refused:
            self._store.note_committed(settled, self._now())
            self._store.note_committed(refused, REFUSED)
            self.copies.end((*settled, *refused))

    def _unreserve(self) -> None:
        with self._counting:
            self._reserved -= 1

    def _count_places(self) -> None:
        places = self._store.places
        with self._counting:
            self._places = places
        self._tell_dropped()

    def _note_dropped(self, records: int) -> None:
        self._dropped += records
        self._tell_dropped()

    def _tell_dropped(self) -> None:
        """Tell that records were not kept for as long as is set: not of each file, where many go."""
        now, told_at = self._now(), self._told_dropped_at
        if not self._dropped or (told_at is not None and 0 <= now - told_at < _TELL_MS):
            return
        self._told_dropped_at, dropped, self._dropped = now, self._dropped, 0
        telemetry.warn(
            "spool.kept_dropped",
            f"{self.directory} needs room: {dropped:,} records go that were kept for a fail-over",
            directory=str(self.directory),
            records=dropped,
        )

    def _now(self) -> int:
        return milliseconds(self._clock.now())

    def _check_open(self) -> None:
        if self._is_closed:
            raise SpoolUnusable("the spool is closed", hint="open it again")
