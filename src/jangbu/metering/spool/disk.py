"""The disk as the spool uses it: a small port, so that a simulator and tests can put a faulty one in its place."""

import errno
import os
from contextlib import suppress
from pathlib import Path
from typing import NoReturn, Protocol

from jangbu.errors import DataDirectoryUnusable, SpoolFull, SpoolUnusable
from jangbu.storage.embedded.locks import FileLock

__all__ = ["Disk", "File", "Lock", "RealDisk", "RealFile", "is_full", "refuse"]

_PRIVATE_FILE = 0o600
_PRIVATE_DIRECTORY = 0o700


class File(Protocol):
    """An open file."""

    def write_at(self, data: bytes, offset: int) -> int:
        """Write as much as goes in at once; give how much that was."""
        ...

    def read_at(self, size: int, offset: int) -> bytes:
        """Read up to ``size`` bytes."""
        ...

    def size(self) -> int:
        """Give the file's size in bytes."""
        ...

    def cut(self, size: int) -> None:
        """Drop what lies behind ``size``."""
        ...

    def sync(self) -> None:
        """Wait until what was written is on the disk. Once it has failed, what was written before may be lost."""
        ...

    def close(self) -> None:
        """Close the file."""
        ...


class Lock(Protocol):
    """The ownership of a directory; the kernel takes it back from a process that died."""

    def close(self) -> None:
        """Give it back."""
        ...


class Disk(Protocol):
    """Directories and files. Whatever goes wrong is an OSError."""

    def make_directory(self, path: Path) -> None:
        """Make a directory with its parents, durably, where it is not there."""
        ...

    def names(self, path: Path) -> list[str]:
        """Give the names in a directory; none where there is no such directory."""
        ...

    def create(self, path: Path, size: int) -> File:
        """Create a file with room for ``size`` bytes, all zero; a full disk refuses here and not later."""
        ...

    def open(self, path: Path, *, writable: bool = True) -> File:
        """Open a file that is there."""
        ...

    def remove(self, path: Path) -> None:
        """Remove a file, where it is there."""
        ...

    def remove_directory(self, path: Path) -> None:
        """Remove a directory, where it is empty."""
        ...

    def sync_directory(self, path: Path) -> None:
        """Wait until the names in a directory are on the disk."""
        ...

    def lock(self, path: Path) -> Lock | None:
        """Take a lock file for this process alone, or give None where another has it."""
        ...


def is_full(error: OSError) -> bool:
    """Tell whether there is no room: the disk, a quota, or how large a file of this process may be."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def refuse(directory: Path, error: OSError) -> NoReturn:
    """Raise SpoolFull or SpoolUnusable for what the disk said."""
    if is_full(error):
        raise SpoolFull(
            f"there is no room for the spool {directory}: {error.strerror}", hint="make room on that disk"
        ) from error
    raise SpoolUnusable(
        f"the spool {directory} cannot be used: {error.strerror or error}",
        hint="set JANGBU_SPOOL_DIR to a directory on a sound disk that you may write",
    ) from error


class RealFile:
    """A file of the operating system."""

    def __init__(self, number: int) -> None:
        self._number = number

    def write_at(self, data: bytes, offset: int) -> int:
        """Write as ``File`` does."""
        return os.pwrite(self._number, data, offset)

    def read_at(self, size: int, offset: int) -> bytes:
        """Read as ``File`` does."""
        return os.pread(self._number, size, offset)

    def size(self) -> int:
        """Give the size as ``File`` does."""
        return os.fstat(self._number).st_size

    def cut(self, size: int) -> None:
        """Cut as ``File`` does."""
        os.ftruncate(self._number, size)

    def sync(self) -> None:
        """Sync as ``File`` does."""
        _sync_data(self._number)

    def close(self) -> None:
        """Close as ``File`` does."""
        number, self._number = self._number, -1
        if number >= 0:
            os.close(number)


class RealDisk:
    """The disk of the operating system."""

    file = RealFile

    def make_directory(self, path: Path) -> None:
        """Make a directory as ``Disk`` does, private to the process's user."""
        if path.is_dir():
            return
        try:
            path.mkdir(mode=_PRIVATE_DIRECTORY, exist_ok=True)
        except FileNotFoundError:
            # Somebody may remove an empty parent at the same time, as whoever closes the last spool in it does.
            self.make_directory(path.parent)
            self.make_directory(path)
        self.sync_directory(path.parent)

    def names(self, path: Path) -> list[str]:
        """Give names as ``Disk`` does."""
        try:
            return sorted(each.name for each in path.iterdir())
        except (FileNotFoundError, NotADirectoryError):
            return []

    def create(self, path: Path, size: int) -> File:
        """Create as ``Disk`` does; where that fails nothing is left."""
        number = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, _PRIVATE_FILE)
        try:
            if size:
                _allocate(number, size)
        except BaseException:
            os.close(number)
            path.unlink()
            raise
        return self.file(number)

    def open(self, path: Path, *, writable: bool = True) -> File:
        """Open as ``Disk`` does."""
        access = os.O_RDWR if writable else os.O_RDONLY
        return self.file(os.open(path, access | os.O_CLOEXEC | os.O_NOFOLLOW))

    def remove(self, path: Path) -> None:
        """Remove as ``Disk`` does."""
        path.unlink(missing_ok=True)

    def remove_directory(self, path: Path) -> None:
        """Remove as ``Disk`` does."""
        with suppress(FileNotFoundError):
            path.rmdir()

    def sync_directory(self, path: Path) -> None:
        """Sync as ``Disk`` does."""
        number = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(number)
        finally:
            os.close(number)

    def lock(self, path: Path) -> Lock | None:
        """Lock as ``Disk`` does. A forked child keeps no lock of its parent's."""
        try:
            lock = FileLock(path)
        except DataDirectoryUnusable as error:
            raise OSError(errno.EACCES, error.message) from error
        # Who had the lock before may have removed the directory with it meanwhile.
        if lock.try_exclusive() and lock.is_in_place():
            return lock
        lock.forget()
        return None


def _sync_data(number: int) -> None:
    if hasattr(os, "fdatasync"):
        os.fdatasync(number)
    else:
        os.fsync(number)


def _allocate(number: int, size: int) -> None:
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(number, 0, size)
        return
    for offset in range(0, size, 2**20):
        os.pwrite(number, bytes(min(2**20, size - offset)), offset)
