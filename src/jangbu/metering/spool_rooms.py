"""Room in the spool: taken for the record of a call before it is made, and given back when it has ended.

A room holds one record. Whoever writes a call's end again, because its caller was ended meanwhile, is given the record
that is there: written anew it would take the place that another call's answer counts on.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from uuid import UUID, uuid4

from jangbu.metering.spool import Reservation, Spool
from jangbu.metering.spool_opening import OwnSpool
from jangbu.metering.spool_telling import loop_seconds

__all__ = ["Kept", "SpoolRooms"]

Kept = int | Exception
"""A record's place in the order of the spool, or what kept it from the disk."""

_ROOM_SECONDS_MAX = 3_600
"""How long a call keeps its room that nobody ends: its record takes what there is by then."""


@dataclass(slots=True)
class _Room:
    """``reservation`` is None once a record is written with it; ``written`` says where which records lie."""

    reservation: Reservation | None
    since: float
    written: dict[bytes, int] = field(default_factory=dict)


class SpoolRooms:
    """Which calls have room in the process' own spool. Belongs to one event loop."""

    def __init__(self, own: OwnSpool) -> None:
        self._own = own
        self._taken: dict[UUID, _Room] = {}

    def __len__(self) -> int:
        return len(self._taken)

    async def append(self, own: Spool, asked: Mapping[tuple[UUID, bytes], bool]) -> dict[tuple[UUID, bytes], Kept]:
        """Make records of calls durable, in the rooms of those that have one, and give where they lie; what was written
        for a call before is not written again. ``asked`` tells of each whether it is a copy.
        """
        places: dict[tuple[UUID, bytes], Kept] = {}
        for call, payload in asked:
            room = self._taken.get(call)
            if room is not None and payload in room.written:
                places[call, payload] = room.written[payload]
        fresh = [record for record in asked if record not in places]
        if not fresh:
            return places
        claimed = [self._claim(call) for call, _ in fresh]
        has_room = [reservation is not None for reservation in claimed]
        copies = {index for index, record in enumerate(fresh) if asked[record]}
        try:
            kept = await asyncio.to_thread(own.append_each, [payload for _, payload in fresh], has_room, copies)
            places.update(zip(fresh, kept, strict=True))
        finally:
            for record, reservation in zip(fresh, claimed, strict=True):
                self._note(*record, places.get(record), reservation)
        return places

    async def take(self, call: UUID) -> None:
        """Take room for the record of a call before it is made. Raises SpoolFull or SpoolUnusable."""
        if call in self._taken:
            return
        own = self._own.spool
        reservation = None if own is None else own.reserve_at_once()
        if reservation is None:
            reservation = await self._allocated()
        if call in self._taken:
            reservation.give_back()
        else:
            self._taken[call] = _Room(reservation, loop_seconds())

    def give(self, call: UUID) -> None:
        """Give the room of a call back, if it has any."""
        room = self._taken.pop(call, None)
        if room is not None and room.reservation is not None:
            room.reservation.give_back()

    async def require(self) -> None:
        """Raise SpoolFull or SpoolUnusable where no call could be made now."""
        probe = uuid4()
        await self.take(probe)
        self.give(probe)

    def forget_old(self) -> None:
        """Give the room of calls back that nobody ends."""
        least = loop_seconds() - _ROOM_SECONDS_MAX
        for call in [each for each, room in self._taken.items() if room.since < least]:
            self.give(call)

    def _claim(self, call: UUID) -> Reservation | None:
        """Give the room of a call to whoever writes its record; None where it has none, or has used it."""
        room = self._taken.get(call)
        if room is None:
            return None
        reservation, room.reservation = room.reservation, None
        return reservation

    def _note(self, call: UUID, payload: bytes, place: Kept | None, claimed: Reservation | None) -> None:
        """Note where a record of a call lies; where it was not written, the call has its room again."""
        room = self._taken.get(call)
        if isinstance(place, int):
            if room is not None:
                room.written[payload] = place
        elif room is not None and room.reservation is None:
            room.reservation, claimed = claimed, None
        if claimed is not None:
            claimed.give_back()

    async def _allocated(self) -> Reservation:
        """Take room that has to be allocated first. What a caller who is gone asked for is given back."""
        own = await self._own.opened()
        asked = asyncio.ensure_future(asyncio.to_thread(own.reserve))
        try:
            return await asyncio.shield(asked)
        except asyncio.CancelledError:
            asked.add_done_callback(_give_back)
            raise


def _give_back(asked: "asyncio.Future[Reservation]") -> None:
    if not asked.cancelled() and asked.exception() is None:
        asked.result().give_back()
