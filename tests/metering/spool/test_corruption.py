"""Bytes that change on the disk: only the records that they belonged to are lost, and that is told."""

import random
from copy import deepcopy
from pathlib import Path

import pytest

from jangbu.clock import SystemClock
from jangbu.metering.spool.disk import Disk
from jangbu.metering.spool.segment import segment_names
from jangbu.metering.spool.spool import Spool
from tests.metering.spool.memory_disk import MemoryDisk

CORRUPTIONS = 5_000
BATCHES = 100
"""In how many tests they are made, so that a seed that fails is found fast."""
HERE = Path("/spool")


def open_spool(directory: Path, disk: Disk | None = None) -> Spool:
    return Spool.open(
        directory, segment_bytes=4096, record_bytes_max=2048, bytes_max=2**20, clock=SystemClock(), disk=disk
    )


def fill(disk: MemoryDisk, chance: random.Random) -> dict[int, bytes]:
    """Write a spool of some files; give what has to be found in it."""
    spool = open_spool(HERE, disk)
    acknowledged: dict[int, bytes] = {}
    for _ in range(chance.randint(1, 12)):
        payloads = [chance.randbytes(chance.choice((0, 3, 40, 300, 1500))) for _ in range(chance.randint(1, 4))]
        acknowledged |= zip(spool.append(payloads), payloads, strict=True)
    spool.close()
    return acknowledged


def places_in(disk: MemoryDisk) -> dict[int, tuple[Path, int, int]]:
    """Give for each record the place of its bytes."""
    spool = open_spool(HERE, disk)
    places = {
        sequence: (entry.segment.path, entry.frame.offset, entry.frame.end)
        for sequence, entry in spool._store.waiting.items()
    }
    spool.close()
    return places


def corrupt(disk: MemoryDisk, chance: random.Random) -> list[tuple[Path, int, int]]:
    """Change some bytes of some files; give the places that are not what they were."""
    changed = []
    for _ in range(chance.randint(1, 3)):
        path = HERE / chance.choice(segment_names(disk.names(HERE)))
        data = disk.files[path].seen
        if not data:
            continue
        begin = chance.randrange(len(data))
        match chance.choice(("flip", "zero", "junk", "cut")):
            case "flip":
                end = begin + 1
                data[begin] ^= 1 << chance.randrange(8)
            case "zero":
                end = min(len(data), begin + chance.choice((1, 8, 100, 512, 4096)))
                data[begin:end] = bytes(end - begin)
            case "junk":
                end = min(len(data), begin + chance.choice((8, 100, 512)))
                data[begin:end] = chance.randbytes(end - begin)
            case _:
                end = len(data)
                del data[begin:]
        changed.append((path, begin, end))
    return changed


def hit_by(places: dict[int, tuple[Path, int, int]], changed: list[tuple[Path, int, int]]) -> set[int]:
    return {
        sequence
        for sequence, (path, begin, end) in places.items()
        if any(path == other and begin < last and first < end for other, first, last in changed)
    }


@pytest.mark.parametrize("batch", range(BATCHES))
def test_a_corruption_costs_the_records_that_it_hit_and_is_told(batch: int) -> None:
    sound = MemoryDisk()
    acknowledged = fill(sound, random.Random(batch))
    places = places_in(sound)
    assert places.keys() == acknowledged.keys()
    for number in range(CORRUPTIONS // BATCHES):
        seed = batch * CORRUPTIONS + number
        disk = deepcopy(sound)
        changed = corrupt(disk, random.Random(seed))
        check(disk, acknowledged, hit_by(places, changed), seed)


def check(disk: MemoryDisk, acknowledged: dict[int, bytes], hit: set[int], seed: int) -> None:
    spool = open_spool(HERE, disk)
    found = {record.sequence: record.payload for record in spool.pending(10_000)}
    told = {sequence for finding in spool.findings for sequence in finding.lost}
    assert found.items() <= acknowledged.items(), f"seed {seed}: a record was invented"
    missing = acknowledged.keys() - found.keys()
    assert missing <= hit, f"seed {seed}: records {missing - hit} were not hit and are lost"
    assert missing == told, f"seed {seed}: lost {missing}, told {told}"
    again = spool.append([b"goes on"])
    assert again[0] not in acknowledged, f"seed {seed}: a sequence was given twice"
    spool.close()
    reopened = open_spool(HERE, disk)
    assert not reopened.findings, f"seed {seed}: the same is told twice"
    assert {record.sequence for record in reopened.pending(10_000)} == {*found, *again}, f"seed {seed}"
    reopened.close()


def test_the_bytes_that_are_no_record_are_kept_beside(tmp_path: Path) -> None:
    spool = open_spool(tmp_path / "spool")
    spool.append([b"first", b"second", b"third"])
    spool.close()
    path = next((tmp_path / "spool").glob("*.segment"))
    data = path.read_bytes()
    path.write_bytes(data.replace(b"second", b"sekond") + b"torn")
    reopened = open_spool(tmp_path / "spool")
    kept = b"".join(each.read_bytes() for each in sorted((tmp_path / "spool/quarantine").iterdir()))
    assert [record.payload for record in reopened.pending(10)] == [b"first", b"third"]
    assert b"sekond" in kept
    assert b"torn" in kept
    (finding,) = reopened.findings
    assert (finding.lost, finding.is_tail) == ((2,), False)
    assert path.stat().st_size == len(data), "the torn tail is cut"
    reopened.close()
