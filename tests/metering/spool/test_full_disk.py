"""A disk of 64 KiB, and a limit on how large files may be: calls are refused before they are made."""

import ctypes
import os
import resource
from collections.abc import Iterator
from pathlib import Path

import pytest

from jangbu.clock import SystemClock
from jangbu.errors import SpoolFull
from jangbu.metering.spool import Spool
from jangbu.metering.spool.disk import Disk, RealDisk
from tests.metering.spool.memory_disk import MemoryDisk

SMALL = 64 * 1024
LIBC = ctypes.CDLL(None, use_errno=True)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[tuple[Path, Disk]]:
    """Give a real disk of 64 KiB where one may be mounted, else one in memory."""
    mounted = os.geteuid() == 0 and LIBC.mount(b"tmpfs", bytes(tmp_path), b"tmpfs", 0, b"size=64k,mode=700") == 0
    if not mounted:
        yield Path("/spool"), MemoryDisk(capacity=SMALL)
        return
    yield tmp_path / "spool", RealDisk()
    LIBC.umount2(bytes(tmp_path), 2)


def open_spool(directory: Path, disk: Disk, segment_bytes: int = 16_384) -> Spool:
    return Spool.open(directory, segment_bytes=segment_bytes, record_bytes_max=4000, clock=SystemClock(), disk=disk)


def is_refused(spool: Spool) -> bool:
    try:
        spool.reserve().give_back()
    except SpoolFull as error:
        return "no room" in error.message
    return False


def test_a_full_disk_refuses_before_the_call_and_takes_every_record_that_it_did_not_refuse(
    small_disk: tuple[Path, Disk],
) -> None:
    directory, disk = small_disk
    spool = open_spool(directory, disk)
    admitted = 0
    while admitted < 1000 and not is_refused(spool):
        with spool.reserve():
            admitted += 1
            spool.append([bytes(3900)])
    # 64 KiB hold 12 records of nearly 4 KiB in three files, beside what the directory and the notes take.
    assert 8 <= admitted <= 16
    assert len(spool.pending(100)) == admitted
    spool.note_committed([record.sequence for record in spool.pending(100)])
    with spool.reserve():
        assert spool.append([b"goes on"])
    spool.close()


def test_a_disk_that_is_full_from_the_start_refuses_the_first_call(small_disk: tuple[Path, Disk]) -> None:
    directory, disk = small_disk
    spool = open_spool(directory, disk, segment_bytes=2 * SMALL)
    with pytest.raises(SpoolFull):
        spool.reserve()
    assert spool.pending(10) == []
    spool.close()


def test_a_limit_on_the_size_of_files_refuses_before_the_call(tmp_path: Path) -> None:
    spool = open_spool(tmp_path / "spool", RealDisk(), segment_bytes=65_536)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    # Python ignores SIGXFSZ, so that the system call fails instead.
    resource.setrlimit(resource.RLIMIT_FSIZE, (32_768, hard))
    try:
        with pytest.raises(SpoolFull):
            spool.reserve()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    with spool.reserve():
        assert spool.append([b"record"]) == [1]
    spool.close()
