"""Calls that were refused because a balance does not cover them: counted in memory, and written down every second.

No call waits for it. What was counted and not written when a process is killed is not counted.
"""

import asyncio
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID

from jangbu import telemetry
from jangbu.clock import Clock
from jangbu.domain.windows import Window
from jangbu.metering.snapshots import Snapshot
from jangbu.storage import refusals
from jangbu.storage.database import Database
from jangbu.storage.refusals import RefusedRow

__all__ = ["Refusals", "RefusedRow", "refused_in", "refused_page"]

_SECONDS_BETWEEN = 1
_PURGED_MAX = 1_000
_WAITING_MAX = 50_000
"""Of how many users and minutes is counted at most while the database is away."""


class Refusals:
    """Counts the refused calls of one project. Belongs to one event loop."""

    def __init__(self, database: Database, clock: Clock, *, project: str) -> None:
        self._database = database
        self._clock = clock
        self._project = project
        self._counted: Counter[tuple[datetime, UUID]] = Counter()
        self._task: asyncio.Task[None] | None = None

    def note(self, account: UUID) -> None:
        """Count a call that was refused now."""
        minute = self._clock.now().astimezone(UTC).replace(second=0, microsecond=0)
        if (minute, account) in self._counted or len(self._counted) < _WAITING_MAX:
            self._counted[minute, account] += 1

    async def write(self) -> None:
        """Write down what was counted; asks nothing where nothing was. Raises DatabaseUnreachable."""
        taken, self._counted = self._counted, Counter()
        if not taken:
            return
        try:
            await refusals.add(self._database, self._project, taken)
        except BaseException:
            self._counted.update(taken)
            raise

    async def purge(self) -> None:
        """Forget what was counted long ago."""
        while await refusals.purge(self._database, self._project, _PURGED_MAX) == _PURGED_MAX:
            pass

    def start(self) -> None:
        """Write down now and then until ``stop``."""
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Write down what is left, once."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self._try()

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(_SECONDS_BETWEEN)
            await self._try()

    async def _try(self) -> None:
        try:
            await self.write()
        except Exception as error:
            telemetry.warn("refusals.failed", str(error))


async def refused_in(look: Snapshot, window: Window, user: str | None = None) -> int:
    """Give how many calls were refused for balance in a window. Raises NotFound."""
    account = None if user is None else await look.account(user)
    return await refusals.total(look.reader, look.project, account, window.start, window.end)


async def refused_page(
    look: Snapshot,
    *,
    window: Window | None = None,
    user: str | None = None,
    before: tuple[datetime, UUID] | None = None,
    limit: int = 50,
) -> Sequence[RefusedRow]:
    """Give the refused calls by user and minute, the latest first, from the one before ``before``. Raises NotFound."""
    account = None if user is None else await look.account(user)
    between = (None, None) if window is None else (window.start, window.end)
    return await refusals.page(look.reader, look.project, account, between, before, limit)
