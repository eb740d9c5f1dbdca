"""What a spool's directory holds: read after a crash by its owner, or by anybody who only looks.

The owner keeps what is no record beside, in ``quarantine``, and cuts a torn tail off. What is told once is not told
again: the names of quarantined files are those of the places.
"""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from jangbu.metering.spool.disk import Disk
from jangbu.metering.spool.frames import Damage, Frame
from jangbu.metering.spool.segment import Segment, Written, segment_names

__all__ = [
    "QUARANTINE",
    "UNREADABLE",
    "Entry",
    "Finding",
    "Found",
    "aside_name",
    "keep_aside",
    "look_through",
    "quarantine",
    "set_aside_in",
    "unrecorded_in",
]

QUARANTINE = "quarantine"
UNREADABLE = "unreadable-"
"""How the names of files begin that hold what the disk gave in the place of a record."""
_ASIDE, _LOST = "record-", ".lost"


@dataclass(slots=True)
class Entry:
    """A record and where it lies; ``committed_at`` is when the database had it, in milliseconds since 1970."""

    segment: Segment
    frame: Frame
    committed_at: int | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """What is not as it was written in one file. ``lost`` are the sequences of acknowledged records that are gone.

    ``size`` is how many bytes are no record; they are kept in the quarantine under the names in ``kept_in``.
    ``is_tail`` tells that no whole record follows them: a write that was under way when the power or the process went.
    """

    kept_in: tuple[str, ...]
    size: int
    lost: tuple[int, ...]
    is_tail: bool


@dataclass(slots=True)
class Found:
    """The files and records of a directory. Of a record that was written twice the later place counts."""

    segments: list[Segment] = field(default_factory=list)
    written: list[Written] = field(default_factory=list)
    entries: dict[int, Entry] = field(default_factory=dict)
    next_sequence: int = 1
    next_number: int = 1


def look_through(disk: Disk, directory: Path, *, writable: bool) -> Found:
    """Read all files of a directory; nothing is changed. One that its owner removes meanwhile is passed over."""
    found = Found()
    for name in segment_names(disk.names(directory)):
        try:
            segment, written = Segment.find(disk, directory / name, writable=writable)
        except FileNotFoundError:
            continue
        found.segments.append(segment)
        found.written.append(written)
        found.next_number = max(found.next_number, segment.number + 1)
        for frame in written.scan.frames:
            found.entries[frame.sequence] = Entry(segment, frame, written.notes.committed.get(frame.sequence))
        sequences = [frame.sequence for frame in written.scan.frames]
        sequences += [damage.sequence or 0 for damage in written.scan.damages]
        sequences += [last for _, last in written.notes.acknowledged]
        found.next_sequence = max(found.next_sequence, 1 + max(sequences, default=0))
    found.entries = dict(sorted(found.entries.items()))
    return found


def quarantine(disk: Disk, directory: Path, found: Found) -> list[Finding]:
    """Keep what is no record beside, and give what was not found before. On a full disk it stays where it is."""
    folder = directory / QUARANTINE
    findings: list[Finding] = []
    for segment, written in zip(found.segments, found.written, strict=True):
        fresh = [each for each in written.scan.damages if not _is_whole(disk, folder / _name(segment, each), each.size)]
        contents = [(_name(segment, each), segment.raw(each.offset, each.size)) for each in fresh]
        lost = tuple(_lost(written, found))
        # What is cut off or zeroed leaves nothing to keep, but that something is gone is told all the same.
        listed = ",".join(map(str, lost)).encode()
        name = f"{segment.path.stem}-{zlib.crc32(listed):08x}{_LOST}"
        if lost and not _is_whole(disk, folder / name, len(listed)):
            contents.append((name, listed))
        if contents:
            findings.append(
                Finding(
                    kept_in=tuple(name for name, _ in contents),
                    size=sum(each.size for each in fresh),
                    lost=lost,
                    is_tail=all(each.is_tail for each in written.scan.damages),
                )
            )
        unkept = [name for name, content in contents if not keep_aside(disk, directory, name, content)]
        segment.is_evidence = bool(unkept)
        if not segment.is_evidence:
            segment.cut()
    return findings


def keep_aside(disk: Disk, directory: Path, name: str, content: bytes) -> bool:
    """Write a file into the quarantine, durably; tell whether that went well. One whose writing broke off is written
    anew.
    """
    folder = directory / QUARANTINE
    path = folder / name
    try:
        disk.make_directory(folder)
        if _is_whole(disk, path, len(content)):
            return True
        disk.remove(path)
        file = disk.create(path, 0)
        try:
            offset = 0
            while offset < len(content):
                offset += file.write_at(content[offset:], offset)
            file.sync()
        except BaseException:
            disk.remove(path)
            raise
        finally:
            file.close()
        disk.sync_directory(folder)
    except OSError:
        return False
    return True


def aside_name(sequence: int, payload: bytes) -> str:
    """Give the name in the quarantine of a record that the database refuses: sequences begin anew in a directory that
    was empty once.
    """
    return f"{_ASIDE}{sequence}-{zlib.crc32(payload):08x}.bytes"


def set_aside_in(disk: Disk, directory: Path) -> dict[Path, bytes]:
    """Give the records in a quarantine that the database refused, by their files. The reason is their first line."""
    found: dict[Path, bytes] = {}
    for name in disk.names(directory / QUARANTINE):
        if name.startswith(_ASIDE):
            path = directory / QUARANTINE / name
            found[path] = _content(disk, path).partition(b"\n")[2]
    return found


def unrecorded_in(disk: Disk, directory: Path) -> int:
    """Give how many acknowledged records a quarantine tells of that were not recorded: refused, unreadable, or gone."""
    number = 0
    for name in disk.names(directory / QUARANTINE):
        if name.startswith((_ASIDE, UNREADABLE)):
            number += 1
        elif name.endswith(_LOST):
            number += len(_content(disk, directory / QUARANTINE / name).split(b","))
    return number


def _content(disk: Disk, path: Path) -> bytes:
    """Read a file; whoever has looked at it may remove it meanwhile."""
    try:
        file = disk.open(path, writable=False)
    except OSError:
        return b""
    try:
        return file.read_at(file.size(), 0)
    finally:
        file.close()


def _is_whole(disk: Disk, path: Path, size: int) -> bool:
    """Tell whether a file has all of its bytes: who wrote it may have been killed in the middle."""
    try:
        file = disk.open(path, writable=False)
    except OSError:
        return False
    try:
        return file.size() >= size
    finally:
        file.close()


def _name(segment: Segment, damage: Damage) -> str:
    return f"{segment.path.stem}-{damage.offset}.bytes"


def _lost(written: Written, found: Found) -> Iterator[int]:
    """Give the sequences that were acknowledged, that no file holds, and that the database is not known to have."""
    for first, last in written.notes.acknowledged:
        for sequence in range(first, last + 1):
            if sequence not in found.entries and sequence not in written.notes.committed:
                yield sequence
