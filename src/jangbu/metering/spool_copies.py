"""Copies in the spool of what the database is given at the same time: whoever had one made tells what became of it."""

import asyncio
from collections.abc import Callable, Sequence

from jangbu.metering.spool_opening import OwnSpool

__all__ = ["SpoolCopies"]

_NOTE_SECONDS = 1
"""How soon it is noted that the database has copies, where nothing else is written until then."""


class SpoolCopies:
    """What became of copies. Belongs to one event loop.

    They lie in the process' ``own`` spool; ``notes`` has noted what was told of them, ``waits`` hears how many wait.
    """

    def __init__(self, own: OwnSpool, notes: Callable[[], None], waits: Callable[[int], None]) -> None:
        self._own = own
        self._notes = notes
        self._waits = waits
        self._timer: asyncio.TimerHandle | None = None

    def settle(self, copies: Sequence[int]) -> None:
        """Tell that the database has copies: they stay for a fail-over that loses it."""
        if copies and (own := self._own.spool) is not None:
            own.copies.settle(copies)
            self._note_soon()

    def refuse(self, copies: Sequence[int]) -> None:
        """Tell that callers of copies were told that nothing is recorded: they are never sent again."""
        if copies and (own := self._own.spool) is not None:
            own.copies.refuse(copies)
            self._note_soon()

    def let_wait(self, copies: Sequence[int]) -> None:
        """Have copies drain, because nobody knows whether the database has them."""
        if copies and (own := self._own.spool) is not None:
            own.copies.let_wait(copies)
            self._waits(len(copies))

    def close(self) -> None:
        """Have nothing noted any more: who closes the spool does that."""
        if self._timer is not None:
            self._timer.cancel()

    def _note_soon(self) -> None:
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_NOTE_SECONDS, self._note)

    def _note(self) -> None:
        self._timer = None
        self._notes()
