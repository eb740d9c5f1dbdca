"""The files of a spool and which record lies where. Not safe for threads: the spool's lock is held around it.

After a write or a sync that failed, nothing is written to that file again: whether its bytes are on the disk cannot be
known, so what the database does not have yet is written once more to another.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from jangbu import telemetry
from jangbu.errors import SpoolFull, SpoolUnusable
from jangbu.metering.spool.disk import Disk, is_full, refuse
from jangbu.metering.spool.frames import frame_bytes
from jangbu.metering.spool.recovery import UNREADABLE, Entry, Finding, keep_aside, look_through, quarantine
from jangbu.metering.spool.segment import Segment

__all__ = ["Record", "Store", "milliseconds", "moment", "runs"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FILES_TRIED_MOST = 3
"""To how many files a batch is written until the disk is given up."""


class Record(NamedTuple):
    """A record as it was appended, and when."""

    sequence: int
    at: datetime
    payload: bytes


class Store:
    """Writes records to files, reads them again, and removes files that are not needed any more."""

    def __init__(
        self, disk: Disk, directory: Path, *, segment_bytes: int, bytes_max: int, record_bytes_max: int
    ) -> None:
        self._disk = disk
        self._directory = directory
        self._frame_bytes_max = frame_bytes(record_bytes_max)
        self._segment_bytes = max(segment_bytes, self._frame_bytes_max)
        self._bytes_max = bytes_max
        self._next_sequence = 1
        self._next_number = 1
        self.segments: list[Segment] = []
        self.waiting: dict[int, Entry] = {}
        """The records that the database is not known to have, oldest first."""
        self.drops: Callable[[int], None] = lambda _records: None
        """Hears how many records that the database has are about to go early, because others need room."""

    @property
    def places(self) -> int:
        """How many records of the reserved size there is room for without allocating more."""
        return sum(segment.room // self._frame_bytes_max for segment in self.segments)

    @property
    def kept(self) -> int:
        """How many records there are that the database has; where they lie is not remembered."""
        return sum(segment.kept for segment in self.segments)

    @property
    def size(self) -> int:
        """How many bytes the files take."""
        return sum(segment.size for segment in self.segments)

    def recover(self) -> Sequence[Finding]:
        """Read what the directory holds; give what is not as it was written and was not found before."""
        found = look_through(self._disk, self._directory, writable=True)
        findings = quarantine(self._disk, self._directory, found)
        self.segments = found.segments
        self._next_sequence, self._next_number = found.next_sequence, found.next_number
        for sequence, entry in found.entries.items():
            if entry.committed_at is None:
                entry.segment.waiting += 1
                self.waiting[sequence] = entry
            else:
                _keep(entry.segment, entry.committed_at)
        stems = {segment.path.stem for segment in found.segments}
        for name in self._disk.names(self._directory):
            if name.endswith(".notes") and Path(name).stem not in stems:
                self._disk.remove(self._directory / name)
        return findings

    def append(self, payloads: Sequence[bytes], at: int) -> list[int]:
        """Make records durable; give their sequences. Raises SpoolFull and SpoolUnusable."""
        first = self._next_sequence
        self._next_sequence += len(payloads)
        todo = [(first + number, at, payload) for number, payload in enumerate(payloads)]
        for _ in range(_FILES_TRIED_MOST):
            broken, cause = self._try_to_write(todo)
            if broken is None:
                return list(range(first, self._next_sequence))
            broken.close_for_writing()
            telemetry.warn("spool.abandoned", f"{broken.path} cannot be written: {cause}", path=str(broken.path))
            written = {sequence for sequence, _, _ in todo}
            stranded = [each for each, entry in self.waiting.items() if entry.segment is broken and each not in written]
            again = [record for each in stranded if (record := self.read(each)) is not None]
            todo = [(record.sequence, milliseconds(record.at), record.payload) for record in again] + todo
        raise SpoolUnusable(f"the spool {self._directory} cannot be written", hint="check the disk")

    def read(self, sequence: int) -> Record | None:
        """Read a record that waits. One that the disk does not give back is put aside and told."""
        entry = self.waiting.get(sequence)
        if entry is None:
            return None
        try:
            payload = entry.segment.read(entry.frame)
        except OSError:
            payload = None
        if payload is not None:
            return Record(sequence, moment(entry.frame.at), payload)
        self._tell_unreadable(sequence, entry)
        return None

    def note_committed(self, sequences: Iterable[int], at: int) -> None:
        """Note that the database has records, or with ``REFUSED`` that it shall not be given them again."""
        noted: list[tuple[Segment, int]] = []
        for sequence in sequences:
            entry = self.waiting.pop(sequence, None)
            if entry is not None:
                entry.segment.waiting -= 1
                _keep(entry.segment, at)
                noted.append((entry.segment, sequence))
        for segment, group in groupby(noted, key=lambda each: each[0]):
            segment.note_committed([sequence for _, sequence in group], at)
            _retire_done(segment)

    def grow(self, least: int = 0) -> Segment:
        """Allocate another file. Where there is no room, what is only kept makes some. Raises SpoolFull."""
        size = max(self._segment_bytes, least)
        while self.size + size <= self._bytes_max:
            try:
                segment = Segment.create(self._disk, self._directory, self._next_number, size)
            except OSError as error:
                if not is_full(error) or not self._drop_oldest_kept():
                    refuse(self._directory, error)
            else:
                self._next_number += 1
                self.segments.append(segment)
                return segment
        if self._drop_oldest_kept():
            return self.grow(least)
        raise SpoolFull(
            f"the spool {self._directory} holds {self.size:,} bytes and may hold {self._bytes_max:,}",
            hint="bring the database back, or raise JANGBU_SPOOL_BYTES_MAX",
        )

    def drop(self, before: int, reserved: int) -> int:
        """Remove the files whose records the database has all had since ``before``; give how many records went.

        ``reserved`` records keep their room: what is written to just now goes only when another takes its place.
        """
        current = next((each for each in self.segments if each.is_open and each.end), None)
        if current is not None and _is_done(current, before) and self._has_room_without(current, reserved):
            current.close_for_writing()
        return self._remove([each for each in self.segments if not each.is_open and _is_done(each, before)])

    def leave(self) -> None:
        """Give room back, and close the files. Nothing is written any more."""
        for segment in self.segments:
            segment.close_for_writing()
            if segment.end:
                segment.cut()
        self._remove([segment for segment in self.segments if not segment.end and not segment.is_evidence])

    def close(self) -> None:
        """Close the files."""
        for segment in self.segments:
            segment.close()

    def _try_to_write(self, records: Sequence[tuple[int, int, bytes]]) -> tuple[Segment | None, OSError | None]:
        """Write and sync records; give the file that failed and why, or nothing."""
        entries: dict[int, Entry] = {}
        segment: Segment | None = None
        try:
            for segment, batch in self._spread(records):
                for frame in segment.write(batch):
                    # A file with records in it does not go to make room for the next.
                    segment.waiting += 1
                    entries[frame.sequence] = Entry(segment, frame)
            for segment, group in groupby(entries.values(), key=lambda entry: entry.segment):
                segment.sync()
                written = list(group)
                segment.note_acknowledged(runs(entry.frame.sequence for entry in written), written[0].frame.at)
        except BaseException as error:
            for entry in entries.values():
                entry.segment.waiting -= 1
            if not isinstance(error, OSError):
                raise
            return segment, error
        for sequence in entries.keys() & self.waiting.keys():
            self.waiting[sequence].segment.waiting -= 1
        self.waiting |= entries
        return None, None

    def _spread(
        self, records: Sequence[tuple[int, int, bytes]]
    ) -> Iterator[tuple[Segment, Sequence[tuple[int, int, bytes]]]]:
        """Give records in order with the files that they fit into, allocating what is needed."""
        left = list(records)
        while left:
            segment = self._segment_with(frame_bytes(len(left[0][2])))
            batch, room = [], segment.room
            while left and frame_bytes(len(left[0][2])) <= room:
                room -= frame_bytes(len(left[0][2]))
                batch.append(left.pop(0))
            yield segment, batch

    def _segment_with(self, size: int) -> Segment:
        """Give the oldest file that has room; one that is too small for any record is written to no more."""
        for segment in [each for each in self.segments if each.is_open]:
            if segment.room >= size:
                return segment
            if segment.room < self._frame_bytes_max:
                segment.close_for_writing()
                _retire_done(segment)
        return self.grow(size)

    def _drop_oldest_kept(self) -> bool:
        for segment in self.segments:
            # What has no place left for a reservation, and nothing that waits, may go as well as one that is full.
            if segment.room < self._frame_bytes_max:
                segment.close_for_writing()
        done = next((each for each in self.segments if not each.is_open and not each.waiting), None)
        if done is None or done.is_evidence:
            return False
        # A process that dies in between has told of what is still there, and not kept silent about what is not.
        self.drops(done.kept)
        self._remove([done])
        return True

    def _remove(self, segments: Sequence[Segment]) -> int:
        for segment in segments:
            self.segments.remove(segment)
            segment.remove()
        return sum(segment.kept for segment in segments)

    def _has_room_without(self, current: Segment, reserved: int) -> bool:
        """Allocate what takes the place of a file that shall go; tell whether all reservations have room then."""
        try:
            while self.places - current.room // self._frame_bytes_max < reserved:
                self.grow()
        except (SpoolFull, SpoolUnusable):
            return False
        return True

    def _tell_unreadable(self, sequence: int, entry: Entry) -> None:
        frame = entry.frame
        name = f"{UNREADABLE}{entry.segment.path.stem}-{frame.offset}.bytes"
        try:
            content = entry.segment.raw(frame.offset, frame.end - frame.offset)
        except OSError:
            content = b""
        entry.segment.is_evidence |= not keep_aside(self._disk, self._directory, name, content)
        self.note_committed([sequence], frame.at)
        telemetry.warn(
            "spool.quarantined",
            f"record {sequence} in {self._directory} cannot be read any more",
            directory=str(self._directory),
            kept_in=(name,),
            lost=(sequence,),
        )


def moment(since_epoch_ms: int) -> datetime:
    """Give a moment, in UTC, from milliseconds since 1970."""
    return _EPOCH + timedelta(milliseconds=since_epoch_ms)


def milliseconds(at: datetime) -> int:
    """Give a moment as milliseconds since 1970."""
    return (at - _EPOCH) // timedelta(milliseconds=1)


def runs(sequences: Iterable[int]) -> list[tuple[int, int]]:
    """Give the first and the last of each run of neighbours."""
    found: list[tuple[int, int]] = []
    for sequence in sequences:
        if found and found[-1][1] + 1 == sequence:
            found[-1] = (found[-1][0], sequence)
        else:
            found.append((sequence, sequence))
    return found


def _keep(segment: Segment, at: int) -> None:
    segment.committed_at = max(segment.committed_at, at)
    segment.kept += 1


def _retire_done(segment: Segment) -> None:
    if not segment.is_open and not segment.waiting and not segment.is_evidence:
        segment.retire()


def _is_done(segment: Segment, before: int) -> bool:
    return not segment.waiting and not segment.is_evidence and segment.committed_at <= before
