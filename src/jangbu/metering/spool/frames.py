"""The spool's bytes, pure: a record is a frame with two checksums, and a reader finds its way again behind a damage.

    magic 4 | length 4 | sequence 8 | milliseconds 8 | checksum of the head 4 | checksum of the payload 4 | payload

A frame begins at a multiple of eight bytes, and what was never written is zero. Each file has a salt of its own, which
goes into the checksums: bytes that look like a frame inside of somebody's payload are none.
"""

import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

__all__ = ["HEAD_BYTES", "Damage", "Frame", "Scan", "encode", "frame_bytes", "payload_of", "scan"]

_MAGIC = b"\xb5J\x1bf"
_HEAD = struct.Struct("<4sIQQ")
_SUMS = struct.Struct("<II")
_ALIGNED = 8
HEAD_BYTES = _HEAD.size + _SUMS.size


class Frame(NamedTuple):
    """A whole record at its place in a file. ``at`` is when it was written, in milliseconds since 1970."""

    sequence: int
    at: int
    offset: int
    length: int

    @property
    def end(self) -> int:
        """Where the next frame begins."""
        return self.offset + frame_bytes(self.length)


@dataclass(frozen=True, slots=True)
class Damage:
    """Bytes that are no record, though something was written there. ``is_tail`` tells that nothing whole follows.

    ``sequence`` is known where the frame's head is whole and its payload is not.
    """

    offset: int
    size: int
    is_tail: bool
    sequence: int | None


@dataclass(frozen=True, slots=True)
class Scan:
    """What a file holds: its records in the order of their places, what is damaged, and where the last record ends."""

    frames: tuple[Frame, ...]
    damages: tuple[Damage, ...]

    @property
    def end(self) -> int:
        """Where the last whole record ends; behind it is nothing, or a torn tail."""
        return self.frames[-1].end if self.frames else 0


def frame_bytes(length: int) -> int:
    """Give how many bytes a record takes whose payload has ``length``."""
    return -(-(HEAD_BYTES + length) // _ALIGNED) * _ALIGNED


def encode(sequence: int, at: int, payload: bytes, salt: bytes) -> bytes:
    """Give the frame of a record."""
    head = _HEAD.pack(_MAGIC, len(payload), sequence, at)
    sums = _SUMS.pack(_head_sum(head, salt), _payload_sum(head, payload, salt))
    return (head + sums + payload).ljust(frame_bytes(len(payload)), b"\0")


def payload_of(data: bytes, frame: Frame, salt: bytes) -> bytes | None:
    """Take a record's payload out of the bytes of its frame, or None where they are not what was written."""
    found = _frame_at(data, 0, salt)
    if found is None or found[:2] != frame[:2] or found.length != frame.length:
        return None
    return _payload(data, found, salt)


def scan(data: bytes, salt: bytes) -> Scan:
    """Read all records of a file. A damage costs the records whose own bytes it hit, and none behind it."""
    frames: list[Frame] = []
    damages: list[Damage] = []
    written = len(data.rstrip(b"\0"))
    position = 0
    while position < written:
        frame = _frame_at(data, position, salt)
        if frame is not None and _payload(data, frame, salt) is not None:
            frames.append(frame)
            position = frame.end
            continue
        following = _next_head(data, position + _ALIGNED if frame is None else frame.end, salt)
        end = written if following is None else following
        damages.append(Damage(position, end - position, following is None, None if frame is None else frame.sequence))
        position = end
    return Scan(tuple(frames), tuple(_tails(damages, frames)))


def _tails(damages: Sequence[Damage], frames: Sequence[Frame]) -> Iterator[Damage]:
    """Call a damage a tail only where no whole record follows, whatever heads do."""
    last = frames[-1].offset if frames else -1
    for each in damages:
        yield Damage(each.offset, each.size, each.offset > last, each.sequence)


def _next_head(data: bytes, position: int, salt: bytes) -> int | None:
    """Find the next place, from ``position`` on, at which a frame's head is whole."""
    while (position := data.find(_MAGIC, position)) >= 0:
        if position % _ALIGNED == 0 and _frame_at(data, position, salt) is not None:
            return position
        position += 1
    return None


def _frame_at(data: bytes, offset: int, salt: bytes) -> Frame | None:
    if offset + HEAD_BYTES > len(data):
        return None
    magic, length, sequence, at = _HEAD.unpack_from(data, offset)
    if magic != _MAGIC:
        return None
    wanted, _ = _SUMS.unpack_from(data, offset + _HEAD.size)
    is_whole = _head_sum(data[offset : offset + _HEAD.size], salt) == wanted
    return Frame(sequence, at, offset, length) if is_whole else None


def _payload(data: bytes, frame: Frame, salt: bytes) -> bytes | None:
    begin = frame.offset + HEAD_BYTES
    payload = data[begin : begin + frame.length]
    head = data[frame.offset : frame.offset + _HEAD.size]
    _, wanted = _SUMS.unpack_from(data, frame.offset + _HEAD.size)
    is_whole = len(payload) == frame.length and _payload_sum(head, payload, salt) == wanted
    return payload if is_whole else None


def _head_sum(head: bytes, salt: bytes) -> int:
    return zlib.crc32(head, zlib.crc32(salt))


def _payload_sum(head: bytes, payload: bytes, salt: bytes) -> int:
    return zlib.crc32(payload, zlib.crc32(head, zlib.crc32(salt, 1)))
