"""A process that appends, commits and trims until it is killed, saying what it was told before it goes on."""

import os
import random
from pathlib import Path

from jangbu.clock import SystemClock
from jangbu.metering.spool.spool import Spool


def open_spool(directory: Path) -> Spool:
    return Spool.open(
        directory,
        segment_bytes=32_768,
        record_bytes_max=2048,
        bytes_max=4 * 2**20,
        keep_seconds=0,
        clock=SystemClock(),
    )


def payload_of(life: int, number: int) -> bytes:
    """Give what a process of this number writes: anybody can tell a record that it did not write."""
    chance = random.Random(life * 100_000 + number)
    return b"%d:%d:" % (life, number) + chance.randbytes(chance.choice((0, 10, 500, 1500)))


def name_of(payload: bytes) -> bytes:
    """Give the name that a record bears: who wrote it, and as the how manieth."""
    return b":".join(payload.split(b":", 2)[:2])


def write(directory: Path, life: int, pipe: int) -> None:
    """Write until killed. A line ``a LIFE:NUMBER`` says that a record is durable, ``c LIFE:NUMBER`` that it may go."""
    spool = open_spool(directory)
    chance = random.Random(life)
    number = 0
    while True:
        count = chance.randint(1, 4)
        with spool.reserve():
            spool.append([payload_of(life, number + each) for each in range(count)])
        os.write(pipe, "".join(f"a {life}:{number + each}\n" for each in range(count)).encode())
        number += count
        if chance.random() < 0.3:
            oldest = spool.pending(8)
            os.write(pipe, b"".join(b"c %s\n" % name_of(record.payload) for record in oldest))
            spool.note_committed([record.sequence for record in oldest])
            spool.trim()
