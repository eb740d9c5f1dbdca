"""What the recorder does while the database is away: records wait in the spool, and drain when it is back.

A process has one directory of its own, made when it takes its first hold. Directories whose process has died are
adopted by whoever opens the ledger next, drained and given back.
"""

import asyncio
import random
from collections.abc import Collection, Sequence
from contextlib import suppress
from pathlib import Path
from uuid import UUID

from jangbu import telemetry
from jangbu.clock import Clock
from jangbu.metering.absence import Absence
from jangbu.metering.spool import Spool, spools_below
from jangbu.metering.spool.disk import Disk, RealDisk
from jangbu.metering.spool_adoption import SpoolAdoption
from jangbu.metering.spool_copies import SpoolCopies
from jangbu.metering.spool_drain import Write, drain, drain_again
from jangbu.metering.spool_keeping import SpoolKeeping
from jangbu.metering.spool_opening import OwnSpool, SpoolOpening
from jangbu.metering.spool_rooms import Kept, SpoolRooms
from jangbu.metering.spool_telling import SpoolTelling, loop_seconds
from jangbu.metering.spools_here import Backlog, SpoolsHere

__all__ = ["Backlog", "Kept", "Spooling"]

_WAIT_FIRST_SECONDS = 0.05
_WAIT_MOST_SECONDS = 1.0
_UPKEEP_SECONDS = 15
_LAST_DRAIN_SECONDS = 2


class Spooling:
    """Keeps records on the disk and drains them. Belongs to one event loop; the disk is used in threads.

    ``after_seconds`` is how long a flush may take before what it records is spooled. With ``every_record`` whoever has
    the database write something has a copy of it kept here at the same time, for a fail-over that loses it.
    """

    drained = 0
    """How many records the database was given that had waited."""

    def __init__(  # noqa: PLR0913 - what is set of a spool, and what it works with
        self,
        directory: Path,
        write: Write,
        *,
        clock: Clock,
        bytes_max: int,
        keep_seconds: int,
        after_seconds: int,
        every_record: bool = False,
        disk: Disk | None = None,
        absence: Absence | None = None,
    ) -> None:
        self.directory = directory
        """Where all spools of this ledger lie, each in a directory of its own."""
        self.after_seconds = after_seconds
        self.every_record = every_record
        self._write = write
        self._clock = clock
        self._disk = disk or RealDisk()
        self._opening = SpoolOpening(
            self._disk, clock, bytes_max=bytes_max, keep_seconds=keep_seconds, recycles=every_record
        )
        self._own = OwnSpool(directory, self._opening)
        self.here = SpoolsHere(self._own, self._disk, clock, copies=every_record)
        self._draining = asyncio.Lock()
        self.rooms = SpoolRooms(self._own)
        self.telling = SpoolTelling(directory)
        self._work = asyncio.Event()
        self._absence = absence or Absence(after_seconds)
        self._absence.asks = self._work.set
        self._passed_over: dict[int, UUID] = {}
        """What waits for balances that are locked, and whose these are."""
        self._task: asyncio.Task[None] | None = None
        self.copies = SpoolCopies(self._own, self._work.set, self._tell_waiting)
        self._keeping = SpoolKeeping(self._own, self.rooms, self.copies)
        self._adoption = SpoolAdoption(self._own, self._opening, self._disk, self._drain, keep_seconds=keep_seconds)

    @property
    def is_away(self) -> bool:
        """Tell whether the database did not answer when it was last asked: records go to the disk at once."""
        return self._absence.is_noted

    def note_away(self) -> None:
        """Note that the database does not answer; the draining finds out when it does again."""
        self._absence.begin()

    async def keep(self, records: Sequence[tuple[UUID, bytes]]) -> list[Exception | None]:
        """Make records of calls durable; give for each None, or the error that kept it from the disk."""
        kept = await self._keeping.keep(records)
        self._tell_waiting(sum(isinstance(each, int) for each in kept))
        return [each if isinstance(each, Exception) else None for each in kept]

    async def copy(self, records: Sequence[tuple[UUID, bytes]]) -> Sequence[Kept]:
        """Make records durable that the database is given at the same time; give for each its copy, or the error.

        Whoever has a copy tells ``copies`` what became of the record. What a caller who is gone asked for waits.
        """
        return await self._keeping.copy(records)

    async def backlog(self) -> Backlog:
        """Tell what waits in this process's own spool; ``here`` tells it of all on this machine."""
        if self._own.spool is None:
            return Backlog()
        standing = await asyncio.to_thread(self._own.spool.status)
        age = 0 if standing.oldest_at is None else (self._clock.now() - standing.oldest_at).total_seconds()
        return Backlog(standing.waiting, max(0, int(age)), standing.quarantined)

    async def adopt(self, directories: Sequence[Path] | None = None) -> int:
        """Drain the spools whose process has died, of this ledger or the ones that are named; give how many records
        the database has now.

        Raises what the database raises. A spool that another process adopts just now is left to it.
        """
        return await self._adoption.adopt(directories)

    async def record_again(self, former: Sequence[Path] = ()) -> int:
        """Record what the spools of this ledger hold, also after its commit, whoever owns them, and the ``former``
        ones; give how many records the database has now of those.

        What the database still has is not changed by that. Raises what the database raises.
        """
        own = await asyncio.to_thread(lambda: list(spools_below(self.directory, disk=self._disk)))
        directories = dict.fromkeys((*own, *former))
        return sum([await drain_again(directory, self._write, self._disk) for directory in directories])

    async def drain(self) -> int:
        """Have the database record all that waits here; give how many records that were. Raises what it raises.

        What waits for a balance that is locked is left until that is free.
        """
        return 0 if self._own.spool is None else await self._drain(self._own.spool, self._passed_over)

    def drain_anew(self, freed: Collection[UUID]) -> None:
        """Drain also what was passed over for balances that are free now."""
        # A drain that is under way goes on with the former one, and whatever it adds there is looked at again.
        self._passed_over = {each: account for each, account in self._passed_over.items() if account not in freed}
        self._work.set()

    def start(self) -> None:
        """Drain whenever something waits, adopt and tidy up now and then, until ``close``."""
        self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        """Write what waits to be kept, drain once more if the database answers, and give the directory back."""
        await self._keeping.close()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        self.copies.close()
        await self._opening.close()
        if self._own.spool is None:
            return
        if not self.is_away:
            with suppress(Exception):
                async with asyncio.timeout(_LAST_DRAIN_SECONDS):
                    await self.drain()
        await asyncio.to_thread(self._own.spool.close)
        with suppress(OSError):
            self._disk.remove_directory(self.directory)

    async def _run(self) -> None:
        wait, upkeep_at = _WAIT_FIRST_SECONDS, loop_seconds() + _UPKEEP_SECONDS
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(_UPKEEP_SECONDS):
                    await self._work.wait()
            self._work.clear()
            try:
                if self._own.spool is not None and self.every_record:
                    await asyncio.to_thread(self._own.spool.note_settled)
                if self.is_away:
                    await self._write(())
                    self._absence.end()
                await self.drain()
                self._tell_drained()
                wait = _WAIT_FIRST_SECONDS
                if loop_seconds() >= upkeep_at:
                    upkeep_at = loop_seconds() + _UPKEEP_SECONDS
                    await self._tidy_up()
            except Exception as error:
                self._work.set()
                self.telling.failed(error)
                await asyncio.sleep(wait * random.uniform(0.5, 1))  # noqa: S311 - nobody has to guess it
                wait = min(2 * wait, _WAIT_MOST_SECONDS)

    async def _tidy_up(self) -> None:
        if self._own.spool is not None:
            await asyncio.to_thread(self._own.spool.trim)
        self.rooms.forget_old()
        await self.adopt()

    async def _drain(self, spool: Spool, passed_over: dict[int, UUID] | None = None) -> int:
        async with self._draining:
            drained = await drain(spool, self._write, {} if passed_over is None else passed_over, self._absence.end)
        self.drained += drained
        return drained

    def _tell_waiting(self, number: int) -> None:
        """Have what waits drained, and tell that it waits."""
        if number:
            telemetry.emit("spool.kept", records=number)
            self._work.set()
            self.telling.kept(is_away=self.is_away)

    def _tell_drained(self) -> None:
        if self._passed_over:
            self.telling.locked()
        else:
            self.telling.ended()
