"""Adopting spools: those of this ledger whose process has died are emptied by whoever opens the ledger next."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from jangbu import telemetry
from jangbu.errors import JangbuError, SpoolInUse
from jangbu.metering.spool import Spool
from jangbu.metering.spool.disk import Disk
from jangbu.metering.spool.spool import LOCK
from jangbu.metering.spool_opening import OwnSpool, SpoolOpening
from jangbu.metering.spool_telling import loop_seconds

__all__ = ["SpoolAdoption"]


class SpoolAdoption:
    """Finds what dead processes left beside the process' own spool, and has it drained. Belongs to one event loop.

    A spool in which nothing waits only keeps what the database has: nobody needs to read it until that goes, after
    ``keep_seconds``.
    """

    def __init__(
        self,
        own: OwnSpool,
        opening: SpoolOpening,
        disk: Disk,
        drain: Callable[[Spool], Awaitable[int]],
        *,
        keep_seconds: int,
    ) -> None:
        self._own = own
        self._opening = opening
        self._disk = disk
        self._drain = drain
        self._keep_seconds = keep_seconds
        self._passed_until: dict[Path, float] = {}
        """Until when directories are passed by in which nothing waits."""

    async def adopt(self, directories: Sequence[Path] | None) -> int:
        """Drain what dead processes left, or the directories that are named; give how many records the database has
        now. Raises what draining raises. A spool that another process adopts just now is left to it.
        """
        drained = 0
        for directory in await self._waiting() if directories is None else directories:
            try:
                spool = await self._opening.open(directory)
            except SpoolInUse:
                continue
            except JangbuError as error:
                telemetry.warn("spool.unusable", str(error), directory=str(directory))
                continue
            try:
                drained += await self._drain(spool)
                if not (await asyncio.to_thread(spool.status)).waiting:
                    self._passed_until[directory] = loop_seconds() + self._keep_seconds
            finally:
                await asyncio.to_thread(spool.close)
        return drained

    async def _waiting(self) -> list[Path]:
        """Give the directories in which something may wait, or has been kept for long enough."""
        found, now = await asyncio.to_thread(self._others), loop_seconds()
        self._passed_until = {each: until for each, until in self._passed_until.items() if until > now}
        return [each for each in found if each not in self._passed_until]

    def _others(self) -> list[Path]:
        """Give the directories of all spools but this process' own."""
        own = None if self._own.spool is None else self._own.spool.directory
        try:
            found = [self._own.root / name for name in self._disk.names(self._own.root)]
            return [each for each in found if each != own and LOCK in self._disk.names(each)]
        except OSError:
            return []
