"""One file of the spool, allocated before anything is written to it, and beside it the notes on its records.

Records are durable once ``sync`` has returned. The notes are not: they tell which records there ought to be and which
of them the database has, and a note that is lost costs a repetition that changes nothing.
"""

import os
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from jangbu.metering.spool.disk import Disk, File
from jangbu.metering.spool.frames import Frame, Scan, encode, payload_of, scan

__all__ = ["REFUSED", "Notes", "Segment", "Written", "segment_names"]

_SUFFIX = ".segment"
_NOTES = ".notes"
_SALT_BYTES = 4
_NUMBER = struct.Struct("<Q")
_NOTES_SALT = b"notes"
_RANGE = struct.Struct("<QQ")
_ACKNOWLEDGED, _COMMITTED = range(2)
REFUSED = 0
"""Noted for the time of the commit of a record that is not to be sent again: its caller was told that it is none."""


@dataclass(frozen=True, slots=True)
class Notes:
    """What is noted on a file: ranges of sequences (first, last) whose callers were told that they are durable, and
    those that the database has, each since when in milliseconds, or ``REFUSED`` for those that it never will have.
    """

    acknowledged: tuple[tuple[int, int], ...]
    committed: dict[int, int]


@dataclass(frozen=True, slots=True)
class Written:
    """What was found in a file."""

    scan: Scan
    notes: Notes


class Segment:
    """A file of records. ``room`` is how many bytes may still be written to it: 0 in one that was found."""

    def __init__(self, disk: Disk, path: Path, file: File, size: int) -> None:
        self._disk = disk
        self._file = file
        self._notes: File | None = None
        self._notes_end = 0
        self._salt = bytes.fromhex(path.stem.split("-")[1])
        self.path = path
        self.size = size
        self.end = 0
        self.is_open = True
        """Whether records may be written to it."""
        self.waiting = 0
        """How many of its records the database is not known to have."""
        self.committed_at = 0
        """When the database had the last of the others, in milliseconds since 1970."""
        self.kept = 0
        """How many others there are."""
        self._is_retired = False
        self.is_evidence = False
        """Whether it holds a damage that could not be kept elsewhere."""

    @classmethod
    def create(cls, disk: Disk, directory: Path, number: int, size: int) -> Self:
        """Allocate a file durably, name included. Raises OSError, and leaves nothing then."""
        path = directory / f"{number:08d}-{os.urandom(_SALT_BYTES).hex()}{_SUFFIX}"
        file = disk.create(path, size)
        try:
            file.sync()
            disk.sync_directory(directory)
        except BaseException:
            file.close()
            disk.remove(path)
            raise
        return cls(disk, path, file, size)

    @classmethod
    def find(cls, disk: Disk, path: Path, *, writable: bool = True) -> tuple[Self, Written]:
        """Read a file that is there; nothing more is written to it."""
        file = disk.open(path, writable=writable)
        size = file.size()
        segment = cls(disk, path, file, size)
        segment.is_open = False
        found = scan(_whole(file, size), segment._salt)
        segment.end = found.end
        return segment, Written(found, segment._find_notes(writable=writable))

    @property
    def number(self) -> int:
        """The file's number: later files have larger ones."""
        return number_of(self.path.name)

    @property
    def room(self) -> int:
        """How many bytes may still be written."""
        return self.size - self.end if self.is_open else 0

    def write(self, records: Sequence[tuple[int, int, bytes]]) -> list[Frame]:
        """Write records (sequence, milliseconds, payload); they are durable after ``sync``. Raises OSError."""
        frames, position = [], self.end
        for sequence, at, payload in records:
            frames.append(Frame(sequence, at, position, len(payload)))
            position = frames[-1].end
        assert position <= self.size, "room was allocated before"
        data = b"".join(encode(sequence, at, payload, self._salt) for sequence, at, payload in records)
        _write_all(self._file, data, self.end)
        self.end = position
        return frames

    def sync(self) -> None:
        """Wait until what was written is on the disk. Raises OSError: nothing more may be written here then."""
        self._file.sync()

    def read(self, frame: Frame) -> bytes | None:
        """Read a record's payload, or None where its bytes are not what was written any more."""
        data = self._file.read_at(frame.end - frame.offset, frame.offset)
        return payload_of(data, frame._replace(offset=0), self._salt)

    def raw(self, offset: int, size: int) -> bytes:
        """Read bytes as they are."""
        return self._file.read_at(size, offset)

    def cut(self) -> None:
        """Drop what lies behind the last record, durably: a torn tail, and room that is not needed any more."""
        if self.size > self.end and not self._is_retired:
            self._file.cut(self.end)
            self._file.sync()
            self.size = self.end

    def close_for_writing(self) -> None:
        """Write nothing more to this file."""
        self.is_open = False

    def retire(self) -> None:
        """Close a file that nothing is written to or read from any more: what is kept is many files for a long time."""
        self._is_retired = True
        self.close()

    def note_acknowledged(self, ranges: Iterable[tuple[int, int]], at: int) -> None:
        """Note which sequences callers are told of, first and last of each range. Where that fails it is not noted."""
        self._note(_ACKNOWLEDGED, at, b"".join(_RANGE.pack(*each) for each in ranges))

    def note_committed(self, sequences: Iterable[int], at: int) -> None:
        """Note which sequences the database has."""
        self._note(_COMMITTED, at, b"".join(_NUMBER.pack(sequence) for sequence in sequences))

    def remove(self) -> None:
        """Remove the file and its notes."""
        self.close()
        self._disk.remove(self.path)
        self._disk.remove(self._notes_path)

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        if self._notes is not None:
            self._notes.close()
            self._notes = None

    @property
    def _notes_path(self) -> Path:
        return self.path.with_suffix(_NOTES)

    def _note(self, kind: int, at: int, payload: bytes) -> None:
        data = encode(kind, at, payload, _NOTES_SALT + self._salt)
        try:
            if self._notes is None:
                self._notes = self._disk.create(self._notes_path, 0)
            _write_all(self._notes, data, self._notes_end)
        except OSError:
            return
        self._notes_end += len(data)

    def _find_notes(self, *, writable: bool) -> Notes:
        try:
            self._notes = self._disk.open(self._notes_path, writable=writable)
            data = _whole(self._notes, self._notes.size())
        except OSError:
            return Notes((), {})
        salt = _NOTES_SALT + self._salt
        found = scan(data, salt)
        # What a crash tore off is written over.
        self._notes_end = found.end
        acknowledged: list[tuple[int, int]] = []
        committed: dict[int, int] = {}
        for frame in found.frames:
            payload = payload_of(data[frame.offset : frame.end], frame._replace(offset=0), salt) or b""
            if frame.sequence == _COMMITTED:
                committed.update((sequence, frame.at) for (sequence,) in _NUMBER.iter_unpack(payload))
            else:
                acknowledged += _RANGE.iter_unpack(payload)
        return Notes(tuple(acknowledged), committed)


def segment_names(names: Iterable[str]) -> list[str]:
    """Give the names of a directory's files of records, oldest first."""
    return sorted(name for name in names if name.endswith(_SUFFIX) and _is_name(name))


def number_of(name: str) -> int:
    """Give the number that a file's name carries."""
    return int(name.split("-", maxsplit=1)[0])


def _is_name(name: str) -> bool:
    number, _, salt = name.removesuffix(_SUFFIX).partition("-")
    return number.isdecimal() and len(salt) == 2 * _SALT_BYTES and all(digit in "0123456789abcdef" for digit in salt)


def _whole(file: File, size: int) -> bytes:
    """Read a file from its beginning to its end, in as many pieces as that takes."""
    pieces: list[bytes] = []
    position = 0
    while position < size and (piece := file.read_at(size - position, position)):
        pieces.append(piece)
        position += len(piece)
    return b"".join(pieces)


def _write_all(file: File, data: bytes, offset: int) -> None:
    """Write all of it, in as many pieces as that takes."""
    while data:
        written = file.write_at(data, offset)
        if written <= 0:
            raise OSError("the disk took nothing")
        data, offset = data[written:], offset + written
