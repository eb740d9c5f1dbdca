"""Writing to the process' own spool: records that come at the same time share one append and one ``fdatasync``."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from jangbu.metering.group_commit import GroupCommit
from jangbu.metering.spool_copies import SpoolCopies
from jangbu.metering.spool_opening import OwnSpool
from jangbu.metering.spool_rooms import Kept, SpoolRooms

__all__ = ["SpoolKeeping"]

_BATCH_MAX = 256
_QUEUE_MAX = 20_000


@dataclass(frozen=True, slots=True)
class _Group:
    """Records of calls that are written together; copies of what the database is given at the same time, or not."""

    records: Sequence[tuple[UUID, bytes]]
    are_copies: bool


class SpoolKeeping:
    """Makes records of calls durable, each in the room of its call. Belongs to one event loop."""

    def __init__(self, own: OwnSpool, rooms: SpoolRooms, copies: SpoolCopies) -> None:
        self._own = own
        self._rooms = rooms
        self._copies = copies
        self._queue = GroupCommit[_Group, Sequence[Kept]](
            self._write, lanes=1, batch_max=_BATCH_MAX, queue_max=_QUEUE_MAX
        )

    async def keep(self, records: Sequence[tuple[UUID, bytes]]) -> Sequence[Kept]:
        """Make records durable that wait from now on; give for each its place, or what kept it from the disk."""
        return await self._kept(_Group(records, are_copies=False))

    async def copy(self, records: Sequence[tuple[UUID, bytes]]) -> Sequence[Kept]:
        """Make records durable that the database is given at the same time; give for each its copy, or the error.

        What a caller who is gone asked for waits.
        """
        asked = asyncio.ensure_future(self._kept(_Group(records, are_copies=True)))
        try:
            return await asyncio.shield(asked)
        except asyncio.CancelledError:
            asked.add_done_callback(self._let_wait)
            raise

    async def close(self) -> None:
        """Write what waits to be written, then stop."""
        await self._queue.close()

    async def _kept(self, group: _Group) -> Sequence[Kept]:
        try:
            return await self._queue.submit(group, None)
        except Exception as error:
            return [error] * len(group.records)

    async def _write(self, groups: Sequence[_Group], _lane: int) -> Sequence[Sequence[Kept] | BaseException]:
        own = await self._own.opened()
        asked: dict[tuple[UUID, bytes], bool] = {}
        for group in groups:
            for record in group.records:
                asked[record] = group.are_copies and asked.get(record, True)
        places = await self._rooms.append(own, asked)
        return [[places[record] for record in group.records] for group in groups]

    def _let_wait(self, asked: "asyncio.Future[Sequence[Kept]]") -> None:
        if not asked.cancelled():
            self._copies.let_wait([each for each in asked.result() if isinstance(each, int)])
