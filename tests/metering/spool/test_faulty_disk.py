"""Disks that fail at any operation: what was acknowledged is there after all, and nothing is that nobody wrote."""

import errno
import random
import zlib
from pathlib import Path

import pytest

from jangbu import telemetry
from jangbu.clock import SystemClock
from jangbu.errors import SpoolFull, SpoolUnusable
from jangbu.metering.spool.spool import Spool
from tests.metering.spool.memory_disk import Inode, MemoryDisk

SEEDS = 1_500
HERE = Path("/spool")


def open_spool(disk: MemoryDisk) -> Spool:
    return Spool.open(HERE, segment_bytes=8192, record_bytes_max=1024, bytes_max=2**20, clock=SystemClock(), disk=disk)


class History:
    """What was written over several lives of a process, and what the disk must still hold of it."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.disk = MemoryDisk(capacity=300_000, chance=random.Random(seed + 1))
        self.written: dict[int, bytes] = {}
        self.acknowledged: set[int] = set()
        self.committed: set[int] = set()
        self.may_have_gone = False

    def live(self) -> None:
        """Write, commit and trim while operations fail, then lose the process or the power."""
        spool = open_spool(self.disk)
        found = {record.sequence: record.payload for record in spool.pending(10_000)}
        missing = self.acknowledged - self.committed - found.keys()
        assert not missing, f"acknowledged and lost: {missing}"
        assert found.items() <= self.written.items(), "a record was invented"
        # Notes on commits are not synced: what is found again is recorded again, which changes nothing.
        self.committed -= found.keys()
        for _ in range(self.chance.randint(1, 25)):
            self.step(spool)
        self.disk.fail.clear()
        if self.chance.random() < 0.4:
            self.disk.lose_power(self.chance)
        else:
            self.disk.kill()

    def step(self, spool: Spool) -> None:
        if self.chance.random() < 0.2:
            kind = self.chance.choice(("sync", "write", "create", "sync_directory", "read"))
            after = [None] * self.chance.randint(0, 2)
            self.disk.fail[kind] = [*after, self.chance.choice((errno.EIO, errno.ENOSPC))]
        match self.chance.choice(("append", "append", "append", "commit", "trim")):
            case "append":
                self.append(spool)
            case "commit":
                self.disk.fail.pop("read", None)
                records = spool.pending(self.chance.randint(1, 5))
                spool.note_committed([record.sequence for record in records])
                self.committed |= {record.sequence for record in records}
            case "trim":
                spool.trim()

    def append(self, spool: Spool) -> None:
        payloads = [self.chance.randbytes(self.chance.randint(0, 900)) for _ in range(self.chance.randint(1, 4))]
        first = spool._store._next_sequence
        self.written |= dict(enumerate(payloads, first))
        self.disk.fail.pop("read", None)
        try:
            sequences = spool.append(payloads)
        except (SpoolFull, SpoolUnusable):
            return
        assert sequences == list(range(first, first + len(payloads)))
        self.acknowledged |= set(sequences)


@pytest.mark.parametrize("batch", range(30))
def test_no_fault_of_the_disk_loses_or_invents_a_record(batch: int) -> None:
    for seed in range(batch * SEEDS // 30, (batch + 1) * SEEDS // 30):
        history = History(seed)
        try:
            for _ in range(4):
                history.live()
        except AssertionError as error:
            raise AssertionError(f"seed {seed} replays this: {error}") from error


def test_a_file_whose_sync_failed_is_never_written_again() -> None:
    disk = MemoryDisk()
    spool = open_spool(disk)
    spool.append([b"one", b"two"])
    spool.note_committed([1])
    told: list[str] = []
    end = telemetry.subscribe(lambda event, _: told.append(event), "spool.abandoned")
    disk.fail["sync"] = [errno.EIO]
    before = disk.done.count("sync")
    spool.append([b"three"])
    end()
    assert told == ["spool.abandoned"]
    # The one that failed, the new file's own, and that of the records in it.
    assert disk.done.count("sync") - before == 3
    disk.lose_power(random.Random(1))
    assert [record.payload for record in open_spool(disk).pending(10)] == [b"two", b"three"]


def test_a_disk_that_syncs_nothing_is_given_up_and_the_caller_is_told() -> None:
    disk = MemoryDisk()
    spool = open_spool(disk)
    disk.fail["sync"] = [errno.EIO] * 20
    with pytest.raises(SpoolUnusable):
        spool.append([b"nowhere"])


def test_a_write_that_takes_a_part_is_carried_on() -> None:
    disk = MemoryDisk(chance=random.Random(7))
    spool = open_spool(disk)
    payload = bytes(range(256)) * 3
    spool.append([payload] * 5)
    assert disk.done.count("write") > 5
    assert [record.payload for record in spool.pending(10)] == [payload] * 5


def test_a_record_that_cannot_be_read_any_more_is_told_and_blocks_no_other() -> None:
    disk = MemoryDisk()
    spool = open_spool(disk)
    spool.append([b"good", b"gone", b"fine"])
    path = next(path for path in disk.files if path.suffix == ".segment")
    disk.files[path].seen[:] = disk.files[path].seen.replace(b"gone", b"g?ne")
    told: list[object] = []
    end = telemetry.subscribe(lambda _, facts: told.append(facts["lost"]), "spool.quarantined")
    assert [record.payload for record in spool.pending(10)] == [b"good", b"fine"]
    assert spool.pending(10) == spool.pending(10)
    end()
    assert told == [(2,)]
    assert (spool.status().waiting, spool.status().quarantined) == (2, 1)


@pytest.mark.parametrize("is_killed", [False, True])
def test_what_is_put_aside_on_a_disk_that_fails_meanwhile_is_kept_whole_the_next_time(is_killed: bool) -> None:
    disk = MemoryDisk()
    spool = open_spool(disk)
    (sequence,) = spool.append([b"never to be recorded"])
    disk.fail["write"] = [errno.ENOSPC]
    spool.set_aside(sequence, "nobody knows why")
    assert spool.status().waiting == 1
    if is_killed:
        disk.files[HERE / "quarantine" / aside(b"never to be recorded")] = Inode(3)
    disk.kill()
    spool = open_spool(disk)
    (record,) = spool.pending(10)
    spool.set_aside(record.sequence, "nobody knows why")
    (kept,) = [inode for path, inode in disk.files.items() if path.parent.name == "quarantine"]
    assert bytes(kept.seen) == b"nobody knows why\nnever to be recorded"
    assert (spool.status().waiting, spool.status().quarantined) == (0, 1)


def test_what_found_no_room_in_the_quarantine_is_put_there_once_there_is_some() -> None:
    disk = MemoryDisk()
    spool = open_spool(disk)
    (sequence,) = spool.append([b"never to be recorded"])
    disk.fail["write"] = [errno.ENOSPC]
    spool.set_aside(sequence, "nobody knows why")
    disk.fail["write"] = [errno.ENOSPC]
    spool.trim()
    assert (spool.status().waiting, spool.pending(10)) == (1, []), "it waits, and is not sent again"
    spool.trim()
    assert (spool.status().waiting, spool.status().quarantined) == (0, 1)
    (kept,) = [inode for path, inode in disk.files.items() if path.parent.name == "quarantine"]
    assert bytes(kept.seen) == b"nobody knows why\nnever to be recorded"


def aside(payload: bytes) -> str:
    return f"record-1-{zlib.crc32(payload):08x}.bytes"
