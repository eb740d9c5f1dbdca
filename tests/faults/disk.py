"""A small disk of a test's own, which is really full and has room again."""

import ctypes
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from jangbu.storage import migrate
from tests.conftest import address, execute
from tests.faults.server import KillableServer

_LIBC = ctypes.CDLL(None, use_errno=True)
_MEBIBYTE = 1024 * 1024
_DETACHED = 2


class SmallDisk:
    """A disk of 64 MB; what lies there lies below ``path``."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._filling = path / "filling"

    def fill(self) -> None:
        """Leave no byte of it."""
        with suppress(OSError), self._filling.open("ab", buffering=0) as file:
            while file.write(bytes(4096)):
                pass

    def make_room(self) -> None:
        """Give back what filled it."""
        self._filling.unlink()


@contextmanager
def small_disk() -> Iterator[SmallDisk]:
    """Give a disk, and leave nothing of it. Only root may put one into its place; for others there is no such test."""
    folder = Path(tempfile.mkdtemp(prefix="jb", dir="/tmp"))
    options = b"size=%d,mode=755" % (64 * _MEBIBYTE)
    try:
        if os.geteuid() != 0 or _LIBC.mount(b"tmpfs", bytes(folder), b"tmpfs", 0, options) != 0:
            pytest.skip("no disk may be mounted here")
        yield SmallDisk(folder)
    finally:
        _LIBC.umount2(bytes(folder), _DETACHED)
        folder.rmdir()


async def ledger_on(disk: SmallDisk, server: KillableServer) -> str:
    """Give the address of a database of the server whose tables lie on the disk, and its log does not."""
    place = disk.path / "tables"
    place.mkdir()
    server.own(place)
    await execute(server.dsn, f"CREATE TABLESPACE small LOCATION '{place}'")
    await execute(server.dsn, "CREATE DATABASE small TABLESPACE small")
    dsn = address(server.dsn, "small")
    await migrate.upgrade(dsn)
    return dsn
