"""Rollups: what is over is carried from the recent figures to the lasting ones, and accounts to their places in lists.

Nothing that is read depends on how far this has come: every figure is the sum of what is recent and what lasts, and
what of the directory is not up to date is read from the balances. Reading is slower where much is left to be carried.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

from jangbu import telemetry
from jangbu.storage import rollups
from jangbu.storage.database import Database

__all__ = ["Rollups"]

_SECONDS_BETWEEN = 30
_GRACE = timedelta(minutes=10)
"""How long figures stay recent after their hour or quarter of a day is over: almost all records have come by then."""
_USERS_HOURS = 6
"""Users' figures are carried by quarters of a day: what is written together lies together and is read together."""
_PAGE_ROWS = 2_000
_PAGE_ACCOUNTS = 500


class Rollups:
    """Carries rollups now and then, on any number of nodes at once, one of which does it at a time."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._task: asyncio.Task[None] | None = None

    async def carry(self) -> None:
        """Carry everything that is over."""
        now = (await self._database.now()).astimezone(UTC) - _GRACE
        hour = now.replace(minute=0, second=0, microsecond=0)
        await self.carry_before(hour.replace(hour=hour.hour - hour.hour % _USERS_HOURS), hour)
        await _all(lambda: rollups.refresh_directory(self._database, _PAGE_ACCOUNTS), _PAGE_ACCOUNTS)

    async def carry_before(self, users: datetime, project: datetime) -> None:
        """Carry the figures of users and of everybody from before these moments."""
        await _all(lambda: rollups.carry_project(self._database, project, _PAGE_ROWS), _PAGE_ROWS)
        await _all(lambda: rollups.carry_users(self._database, users, _PAGE_ROWS), _PAGE_ROWS)

    def start(self) -> None:
        """Carry now and then until ``stop``."""
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """End the carrying; what was begun is either done or undone by its transaction."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(_SECONDS_BETWEEN)
            try:
                await self.carry()
            except Exception as error:
                telemetry.warn("rollups.failed", str(error))


async def _all(carry: Callable[[], Awaitable[int]], page: int) -> None:
    """Carry page after page until one is not full, resting for as long as each took: calls come first."""
    while True:
        began = time.monotonic()
        if await carry() < page:
            return
        await asyncio.sleep(time.monotonic() - began)
