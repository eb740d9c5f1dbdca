"""When keys were last used, written now and then, while nobody waits for it."""

import asyncio
from uuid import UUID

from jangbu import telemetry
from jangbu.metering.known_keys import remember
from jangbu.storage import api_keys
from jangbu.storage.database import Database
from jangbu.storage.failures import translated

__all__ = ["KeyUses"]

_USE_SECONDS = 60
_NOTING_SECONDS = 5


class KeyUses:
    """Uses that are to be written. Belongs to one event loop; of no more than ``remembered_max`` keys it is remembered
    when their use was noted.
    """

    def __init__(self, database: Database, *, remembered_max: int) -> None:
        self._database = database
        self._remembered_max = remembered_max
        self._noted_at: dict[UUID, float] = {}
        self._used: set[UUID] = set()
        self._noting: asyncio.Task[None] | None = None

    def note(self, key: UUID) -> None:
        """Have the use of a key written, once a minute."""
        now = asyncio.get_running_loop().time()
        noted_at = self._noted_at.get(key)
        if noted_at is not None and now < noted_at + _USE_SECONDS:
            return
        remember(self._noted_at, key, now, self._remembered_max)
        self._used.add(key)
        if self._noting is None or self._noting.done():
            self._noting = asyncio.create_task(self._write())

    async def close(self) -> None:
        """Write what waits, then stop."""
        if self._noting is not None:
            await self._noting

    async def _write(self) -> None:
        while self._used:
            batch, self._used = tuple(self._used), set()
            try:
                with translated():
                    async with asyncio.timeout(_NOTING_SECONDS):
                        await api_keys.note_use(self._database, batch)
            except Exception as error:
                telemetry.warn("keys.use_not_noted", str(error), keys=len(batch))
