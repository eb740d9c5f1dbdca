"""The three file locks of a server's home, and that of a directory. The kernel drops a lock with its process, however
that ends.

A forked child would share its parent's locks and keep them when the parent is gone: it closes them when it begins.

start        held by whoever starts, joins or stops: one at a time
users        shared by all users: when it is free, the last user has gone
supervisor   held by the supervisor for its life; the file holds its process id, and is empty after an orderly end
"""

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from jangbu.errors import DatabaseUnreachable, DataDirectoryUnusable

START = "start.lock"
USERS = "users.lock"
SUPERVISOR = "supervisor.lock"
_POLL_MS = 10
_opened: set["FileLock"] = set()


class FileLock:
    """An advisory lock on one file; closing it gives the lock back."""

    def __init__(self, path: Path) -> None:
        try:
            # A link could lead root to overwrite something else.
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise DataDirectoryUnusable(
                f"the lock file {path} cannot be opened: {error.strerror}",
                hint="run as the owner of the data directory, or set JANGBU_DATA_DIR to another one",
            ) from error
        self.path = path
        self._process = os.getpid()
        _opened.add(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give the lock back and forget the file."""
        if self._file < 0:
            return
        if os.getpid() == self._process:
            # Closing alone would leave the lock to whatever process shares the descriptor by a fork.
            fcntl.flock(self._file, fcntl.LOCK_UN)
        self.forget()

    def forget(self) -> None:
        """Forget the file and leave the lock to the process that took it, as a forked child must."""
        _opened.discard(self)
        file, self._file = self._file, -1
        os.close(file)

    @property
    def is_open(self) -> bool:
        """Tell whether the lock can be taken: it is neither closed nor the parent's."""
        return self._file >= 0

    def is_in_place(self) -> bool:
        """Tell whether the file is still the one at its path: a directory may be removed with its lock file in it."""
        try:
            return os.path.samestat(os.fstat(self._file), self.path.stat())
        except FileNotFoundError:
            return False

    def try_exclusive(self) -> bool:
        """Take the lock alone, if nobody holds it."""
        return self._try(fcntl.LOCK_EX)

    def try_shared(self) -> bool:
        """Take the lock beside other sharers, if nobody holds it alone."""
        return self._try(fcntl.LOCK_SH)

    def exclusive(self, *, within_ms: int) -> None:
        """Take the lock alone, waiting for others. Raises DatabaseUnreachable when it takes too long."""
        deadline = time.monotonic_ns() + within_ms * 1_000_000
        while not self.try_exclusive():
            if time.monotonic_ns() > deadline:
                raise DatabaseUnreachable(
                    f"another process has held {self.path} for {within_ms // 1000} s",
                    hint="the server is being started or stopped; try again",
                )
            time.sleep(_POLL_MS / 1000)

    def shared(self) -> None:
        """Take the lock beside other sharers, however long that takes."""
        fcntl.flock(self._file, fcntl.LOCK_SH)

    def release(self) -> None:
        """Give the lock back and keep the file."""
        fcntl.flock(self._file, fcntl.LOCK_UN)

    def read_number(self) -> int | None:
        """Read the number that the file holds, or None."""
        text = os.pread(self._file, 32, 0)
        return int(text) if text.strip().isdigit() else None

    def write_number(self, number: int | None) -> None:
        """Let the file hold a number, or nothing."""
        os.ftruncate(self._file, 0)
        if number is not None:
            os.pwrite(self._file, str(number).encode(), 0)

    def _try(self, kind: int) -> bool:
        try:
            fcntl.flock(self._file, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


def is_supervised(home: Path) -> bool:
    """Tell whether a supervisor lives."""
    with FileLock(home / SUPERVISOR) as lock:
        return not lock.try_shared()


def _forget_inherited() -> None:
    for lock in tuple(_opened):
        with contextlib.suppress(OSError):
            lock.forget()


os.register_at_fork(after_in_child=_forget_inherited)


@contextlib.contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Let one process at a time look whether something is there, and make it. Waits for the others."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
