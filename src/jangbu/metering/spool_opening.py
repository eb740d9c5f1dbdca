"""Opening spools in threads, for callers who may be gone before the disk has answered; among them this process' own."""

import asyncio
import os
import random
import socket
from contextlib import suppress
from pathlib import Path

from jangbu.clock import Clock
from jangbu.errors import SpoolInUse
from jangbu.metering.spool import Spool
from jangbu.metering.spool.disk import Disk

__all__ = ["OwnSpool", "SpoolOpening"]

_SEGMENT_BYTES = 2**20
_FILES_LEAST = 8
_LEFT_SECONDS = 2
"""How long closing waits for what callers left behind."""


class SpoolOpening:
    """Opens directories. Belongs to one event loop. For ``bytes_max`` and ``keep_seconds`` see ``Spool.open``.

    A spool that ``recycles`` is made of several files however small it is: the oldest goes while others are written to.
    """

    def __init__(self, disk: Disk, clock: Clock, *, bytes_max: int, keep_seconds: int, recycles: bool = False) -> None:
        self._disk = disk
        self._clock = clock
        self._bytes_max = bytes_max
        self._segment_bytes = min(_SEGMENT_BYTES, bytes_max // _FILES_LEAST if recycles else bytes_max)
        self._keep_seconds = keep_seconds
        self._left: set[asyncio.Future[Spool]] = set()

    async def open(self, directory: Path) -> Spool:
        """Open a directory. Raises what ``Spool.open`` does.

        One that was opened for a caller who is cancelled meanwhile is closed: nobody else would give its lock back.
        """
        asked = asyncio.get_running_loop().run_in_executor(None, self._open, directory)
        try:
            return await asyncio.shield(asked)
        except asyncio.CancelledError:
            self._left.add(asked)
            asked.add_done_callback(_close)
            asked.add_done_callback(self._left.discard)
            raise

    async def close(self) -> None:
        """Wait for a moment until what callers left behind is closed."""
        if self._left:
            await asyncio.wait(tuple(self._left), timeout=_LEFT_SECONDS)

    def _open(self, directory: Path) -> Spool:
        return Spool.open(
            directory,
            segment_bytes=self._segment_bytes,
            bytes_max=self._bytes_max,
            keep_seconds=self._keep_seconds,
            clock=self._clock,
            disk=self._disk,
        )


class OwnSpool:
    """The spool of this process: a directory of its own, made when it is first asked for. Belongs to one event loop."""

    def __init__(self, root: Path, opening: SpoolOpening) -> None:
        self.root = root
        """Where all spools of its ledger lie, each in a directory of its own."""
        self._opening = opening
        self._owning = asyncio.Lock()
        self.spool: Spool | None = None
        """None until it is opened."""

    async def opened(self) -> Spool:
        """Give it, opened. Raises what ``Spool.open`` does."""
        if self.spool is not None:
            return self.spool
        async with self._owning:
            while self.spool is None:
                name = f"{socket.gethostname()}-{os.getpid()}-{random.getrandbits(32):08x}"
                # Whoever adopts may look at a new directory before it is locked.
                with suppress(SpoolInUse):
                    self.spool = await self._opening.open(self.root / name)
            return self.spool


def _close(asked: "asyncio.Future[Spool]") -> None:
    if asked.cancelled() or asked.exception() is not None:
        return
    spool = asked.result()
    try:
        asked.get_loop().run_in_executor(None, spool.close)
    except RuntimeError:
        # The loop ends and takes no more work for its threads; waiting for the disk delays nobody then.
        spool.close()
