"""How the hold of a call that is not charged ends: at once, or through the spool where the database is away.

One of which nobody knows whether it was taken is given back too, while nobody waits for that: its call never left.
"""

import asyncio
from collections.abc import Sequence
from uuid import UUID

from jangbu import telemetry
from jangbu.errors import DatabaseUnreachable, JangbuError
from jangbu.metering.holds import Holds
from jangbu.metering.retry import has_ended
from jangbu.metering.spool import SpooledEnd, encode_record
from jangbu.metering.spooling import Spooling

__all__ = ["Endings"]

_AGAIN_SECONDS = 1
_LAST_SECONDS = 2
"""How long closing waits for holds to be given back that may never have been taken."""


class Endings:
    """Gives holds back, or marks them as unknown, so that their callers need not wait for a database that is away."""

    def __init__(self, holds: Holds, spooling: Spooling | None) -> None:
        self._holds = holds
        self._spooling = spooling
        self._left_behind: set[asyncio.Future[None]] = set()
        self._in_doubt: dict[UUID, tuple[UUID, str]] = {}
        self._giving_back: asyncio.Task[None] | None = None

    async def end(self, account: UUID, hold: UUID, reason: str, *, is_unknown: bool) -> None:
        """End a hold, durably. Raises what the ledger raises where there is no spool, or none that takes it."""
        spooling = self._spooling
        if spooling is None:
            await self._end(account, hold, reason, is_unknown=is_unknown)
            return
        kept = (hold, encode_record(SpooledEnd(account, hold, reason, is_unknown)))
        ending: asyncio.Future[None] | None = None
        if not (spooling.is_away or account in self._holds.locked):
            ending = asyncio.ensure_future(self._end(account, hold, reason, is_unknown=is_unknown))
            copies = await self._copied(spooling, kept)
            try:
                is_ended = await self._has_ended(ending, spooling.after_seconds)
            except asyncio.CancelledError:
                spooling.copies.let_wait(copies)
                raise
            except Exception:
                spooling.copies.refuse(copies)
                raise
            if is_ended:
                spooling.copies.settle(copies)
                return
            if account not in self._holds.locked:
                spooling.note_away()
            if copies:
                spooling.copies.let_wait(copies)
                return
        [failure] = await spooling.keep([kept])
        if failure is not None:
            await (ending or self._end(account, hold, reason, is_unknown=is_unknown))

    def give_back_later(self, account: UUID, hold: UUID, reason: str) -> None:
        """Give a hold back that may have been taken for a call that was not made, as soon as that is possible."""
        self._in_doubt[hold] = (account, reason)
        if self._giving_back is None or self._giving_back.done():
            self._giving_back = asyncio.create_task(self._give_back())

    async def close(self) -> None:
        """Leave nothing behind that goes on by itself; what it did is in the spool."""
        if self._giving_back is not None:
            await asyncio.wait((self._giving_back,), timeout=_LAST_SECONDS)
            self._giving_back.cancel()
            await asyncio.gather(self._giving_back, return_exceptions=True)
        for ending in tuple(self._left_behind):
            ending.cancel()
        await asyncio.gather(*self._left_behind, return_exceptions=True)

    async def _give_back(self) -> None:
        while self._in_doubt:
            doubts = tuple(self._in_doubt.items())
            ended = await asyncio.gather(
                *(self.end(account, hold, reason, is_unknown=False) for hold, (account, reason) in doubts),
                return_exceptions=True,
            )
            for (hold, _), error in zip(doubts, ended, strict=True):
                if not isinstance(error, DatabaseUnreachable):
                    del self._in_doubt[hold]
                if isinstance(error, JangbuError):
                    telemetry.warn("holds.not_given_back", str(error), hold=str(hold))
            if self._in_doubt:
                await asyncio.sleep(_AGAIN_SECONDS)

    async def _copied(self, spooling: Spooling, kept: tuple[UUID, bytes]) -> Sequence[int]:
        if not spooling.every_record:
            return ()
        return [copy for copy in await spooling.copy([kept]) if isinstance(copy, int)]

    async def _has_ended(self, ending: asyncio.Future[None], seconds: int) -> bool:
        """Tell whether a hold was ended in time. Raises what is no fault of the connection."""
        if not await has_ended(ending, seconds=seconds):
            self._left_behind.add(ending)
            ending.add_done_callback(self._forget)
            return False
        error = ending.exception()
        if error is not None and not isinstance(error, DatabaseUnreachable):
            raise error
        return error is None

    def _forget(self, ending: asyncio.Future[None]) -> None:
        self._left_behind.discard(ending)
        if not ending.cancelled():
            ending.exception()

    async def _end(self, account: UUID, hold: UUID, reason: str, *, is_unknown: bool) -> None:
        if is_unknown:
            await self._holds.mark_unknown(account, hold, reason)
        else:
            await self._holds.release(account, hold, reason)
