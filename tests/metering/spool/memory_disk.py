"""A disk in memory that fails as disks do: full, broken, taking a part only, and losing what was not synced.

It stands at the spool's own port, so that every fault can be had at every operation, and from a seed.
"""

import errno
import random
from pathlib import Path

from jangbu.metering.spool.disk import File, Lock

PAGE = 4096


class Inode:
    """A file's bytes as processes see them, and as they would be found after the power was cut."""

    def __init__(self, size: int) -> None:
        self.seen = bytearray(size)
        self.kept = bytearray()
        self.allocated = size

    def dirty_pages(self) -> list[int]:
        most = max(len(self.seen), len(self.kept))
        return [at for at in range(0, most, PAGE) if self.seen[at : at + PAGE] != self.kept[at : at + PAGE]]


class MemoryDisk:
    """``capacity`` is in bytes. ``fail`` makes the next operations of a kind fail: ``disk.fail["sync"] = [EIO]``."""

    def __init__(self, capacity: int = 2**30, chance: random.Random | None = None) -> None:
        self.capacity = capacity
        self.chance = chance
        """Where it is given, writes take any part of what they are given."""
        self.files: dict[Path, Inode] = {}
        self.kept_names: dict[Path, Inode] = {}
        self.directories: set[Path] = set()
        self.locked: set[Path] = set()
        self.fail: dict[str, list[int | None]] = {}
        self.done: list[str] = []

    def make_directory(self, path: Path) -> None:
        self.directories |= {path, *path.parents}

    def names(self, path: Path) -> list[str]:
        names = {each.name for each in self.files if each.parent == path}
        return sorted(names | {each.name for each in self.directories if each.parent == path and each != path})

    def create(self, path: Path, size: int) -> File:
        self.do("create")
        if path in self.files:
            raise FileExistsError(errno.EEXIST, "there already", str(path))
        self._take(size)
        self.files[path] = Inode(size)
        return MemoryFile(self, self.files[path])

    def open(self, path: Path, *, writable: bool = True) -> File:
        del writable
        if path not in self.files:
            raise FileNotFoundError(errno.ENOENT, "not there", str(path))
        return MemoryFile(self, self.files[path])

    def remove(self, path: Path) -> None:
        self.do("remove")
        self.files.pop(path, None)

    def remove_directory(self, path: Path) -> None:
        if self.names(path):
            raise OSError(errno.ENOTEMPTY, "not empty")
        self.directories.discard(path)

    def sync_directory(self, path: Path) -> None:
        self.do("sync_directory")
        self.kept_names = {each: inode for each, inode in self.kept_names.items() if each.parent != path}
        self.kept_names |= {each: inode for each, inode in self.files.items() if each.parent == path}

    def lock(self, path: Path) -> Lock | None:
        if path in self.locked:
            return None
        self.locked.add(path)
        self.files.setdefault(path, Inode(0))
        return MemoryLock(self, path)

    def do(self, what: str) -> None:
        """Note an operation, or fail it where that was asked for."""
        self.done.append(what)
        waiting = self.fail.get(what)
        if waiting and (number := waiting.pop(0)) is not None:
            raise OSError(number, errno.errorcode[number])

    def lose_power(self, chance: random.Random) -> None:
        """Keep of what was not synced any part, at random; nobody owns anything any more."""
        names = dict(self.kept_names)
        for path, inode in self.files.items():
            if path not in names and chance.random() < 0.5:
                names[path] = inode
        for path in [each for each in names if each not in self.files]:
            # The removal was not synced.
            if chance.random() < 0.5:
                del names[path]
        for inode in names.values():
            lost = [at for at in inode.dirty_pages() if chance.random() < 0.5]
            for at in lost:
                inode.seen[at : at + PAGE] = inode.kept[at : at + PAGE].ljust(len(inode.seen[at : at + PAGE]), b"\0")
            inode.kept = bytearray(inode.seen)
        self.files, self.kept_names = names, dict(names)
        self.locked.clear()
        self.fail.clear()

    def kill(self) -> None:
        """End the process that owned anything: what it wrote stays."""
        self.locked.clear()

    def _take(self, size: int) -> None:
        taken = sum(-(-inode.allocated // PAGE) * PAGE for inode in self.files.values())
        if taken + size > self.capacity:
            raise OSError(errno.ENOSPC, "no space left")


class MemoryFile:
    def __init__(self, disk: MemoryDisk, inode: Inode) -> None:
        self._disk = disk
        self._inode = inode

    def write_at(self, data: bytes, offset: int) -> int:
        self._disk.do("write")
        chance, inode = self._disk.chance, self._inode
        part = data if chance is None else data[: chance.randint(1, len(data))]
        end = offset + len(part)
        if end > inode.allocated:
            self._disk._take(end - inode.allocated)
            inode.allocated = end
        inode.seen.extend(bytes(max(0, end - len(inode.seen))))
        inode.seen[offset:end] = part
        return len(part)

    def read_at(self, size: int, offset: int) -> bytes:
        self._disk.do("read")
        return bytes(self._inode.seen[offset : offset + size])

    def size(self) -> int:
        return len(self._inode.seen)

    def cut(self, size: int) -> None:
        del self._inode.seen[size:]
        self._inode.allocated = min(self._inode.allocated, size)

    def sync(self) -> None:
        """Sync; one that fails leaves some pages unwritten and calls them clean, as kernels do."""
        inode = self._inode
        try:
            self._disk.do("sync")
        except OSError:
            for at in inode.dirty_pages()[::2]:
                inode.kept[at : at + PAGE] = inode.seen[at : at + PAGE]
            raise
        inode.kept = bytearray(inode.seen)

    def close(self) -> None:
        """Nothing to do."""


class MemoryLock:
    def __init__(self, disk: MemoryDisk, path: Path) -> None:
        self._disk = disk
        self._path = path

    def close(self) -> None:
        self._disk.locked.discard(self._path)
