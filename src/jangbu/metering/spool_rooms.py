"""Room in the spool: taken for the record of a call before it is made, and given back when it has ended."""

import asyncio
from collections.abc import Awaitable, Callable
from uuid import UUID, uuid4

from jangbu.metering.spool import Reservation, Spool
from jangbu.metering.spool_telling import loop_seconds

__all__ = ["SpoolRooms"]

_ROOM_SECONDS_MAX = 3_600
"""How long a call keeps its room that nobody ends: its record takes what there is by then."""


class SpoolRooms:
    """Which calls have room. Belongs to one event loop; ``own`` gives the process' spool, once it is ``opened``."""

    def __init__(self, own: Callable[[], Spool | None], opened: Callable[[], Awaitable[Spool]]) -> None:
        self._own = own
        self._opened = opened
        self._taken: dict[UUID, tuple[Reservation, float]] = {}

    def __len__(self) -> int:
        return len(self._taken)

    def __contains__(self, call: UUID) -> bool:
        return call in self._taken

    async def take(self, call: UUID) -> None:
        """Take room for the record of a call before it is made. Raises SpoolFull or SpoolUnusable."""
        if call in self._taken:
            return
        own = self._own()
        reservation = None if own is None else own.reserve_at_once()
        if reservation is None:
            reservation = await self._allocated()
        if call in self._taken:
            reservation.give_back()
        else:
            self._taken[call] = (reservation, loop_seconds())

    def give(self, call: UUID) -> None:
        """Give the room of a call back, if it has any."""
        taken = self._taken.pop(call, None)
        if taken is not None:
            taken[0].give_back()

    async def require(self) -> None:
        """Raise SpoolFull or SpoolUnusable where no call could be made now."""
        probe = uuid4()
        await self.take(probe)
        self.give(probe)

    def forget_old(self) -> None:
        """Give the room of calls back that nobody ends."""
        least = loop_seconds() - _ROOM_SECONDS_MAX
        for call in [each for each, (_, since) in self._taken.items() if since < least]:
            self.give(call)

    async def _allocated(self) -> Reservation:
        """Take room that has to be allocated first. What a caller who is gone asked for is given back."""
        own = self._own() or await self._opened()
        asked = asyncio.ensure_future(asyncio.to_thread(own.reserve))
        try:
            return await asyncio.shield(asked)
        except asyncio.CancelledError:
            asked.add_done_callback(_give_back)
            raise


def _give_back(asked: "asyncio.Future[Reservation]") -> None:
    if not asked.cancelled() and asked.exception() is None:
        asked.result().give_back()
