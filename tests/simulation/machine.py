"""The machine that processes run on: its disk outlives them, and loses what was not synced where the power goes."""

from collections.abc import Callable
from pathlib import Path

from jangbu.metering.spool import spools_below
from jangbu.metering.spool.disk import File, Lock
from jangbu.metering.spool.recovery import look_through
from tests.metering.spool.memory_disk import MemoryDisk
from tests.simulation.loop import Died
from tests.simulation.pool import Host

SPOOLS = Path("/spools")


class ProcessDisk:
    """A machine's disk as one process uses it. Every operation that changes something is a step at which it may die."""

    def __init__(self, disk: MemoryDisk, host: Host) -> None:
        self._disk = disk
        self._host = host
        self._locks: list[Lock] = []

    def make_directory(self, path: Path) -> None:
        self._disk.make_directory(path)

    def names(self, path: Path) -> list[str]:
        return self._disk.names(path)

    def create(self, path: Path, size: int) -> File:
        self._reach("disk create")
        return self._wrapped(self._disk.create(path, size))

    def open(self, path: Path, *, writable: bool = True) -> File:
        return self._wrapped(self._disk.open(path, writable=writable))

    def remove(self, path: Path) -> None:
        self._reach("disk remove")
        self._disk.remove(path)

    def remove_directory(self, path: Path) -> None:
        self._disk.remove_directory(path)

    def sync_directory(self, path: Path) -> None:
        self._reach("disk sync directory")
        self._disk.sync_directory(path)

    def lock(self, path: Path) -> Lock | None:
        lock = self._disk.lock(path)
        if lock is not None:
            self._locks.append(lock)
        return lock

    def unlock(self) -> None:
        """Give back what the process owned, as the kernel does when it is gone."""
        for lock in self._locks:
            lock.close()

    def _reach(self, what: str) -> None:
        if self._host.reaches(what):
            raise Died

    def _wrapped(self, file: File) -> File:
        return _ProcessFile(file, self._reach)


class _ProcessFile:
    def __init__(self, file: File, reach: Callable[[str], None]) -> None:
        self._file = file
        self._reach = reach

    def write_at(self, data: bytes, offset: int) -> int:
        self._reach("disk write")
        return self._file.write_at(data, offset)

    def read_at(self, size: int, offset: int) -> bytes:
        return self._file.read_at(size, offset)

    def size(self) -> int:
        return self._file.size()

    def cut(self, size: int) -> None:
        self._reach("disk cut")
        self._file.cut(size)

    def sync(self) -> None:
        self._reach("disk sync")
        self._file.sync()

    def close(self) -> None:
        self._file.close()


def waiting_records(disk: MemoryDisk) -> int:
    """Give how many records wait in all spools on a disk."""
    found = (look_through(disk, spool, writable=False) for spool in spools_below(SPOOLS, disk=disk))
    return sum(entry.committed_at is None for each in found for entry in each.entries.values())
