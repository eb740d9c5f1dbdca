"""Whether calls can be served: the parts that each call needs, asked for within a bounded time."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass

from jangbu.errors import JangbuError, SpoolUnusable
from jangbu.metering.meter import Metering
from jangbu.storage import verifications

__all__ = ["WHAT_TO_SET", "Failure", "ReachesUpstream", "Readiness"]

ReachesUpstream = Callable[[int], Awaitable[bool]]
"""Tells whether the provider's address takes connections, within so many seconds."""

WHAT_TO_SET = "set GEMINI_API_KEY, JANGBU_UPSTREAM_KEYS or JANGBU_VERTEX_PROJECT"

_DATABASE_SECONDS = 2
_UPSTREAM_SECONDS = 2
_FRESH_SECONDS = 5
"""For how long it is believed whether the provider was reached, and that the database wrote, however many ask."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why calls cannot be served: a stable code, and a message for people."""

    code: str
    message: str


class Readiness:
    """Asks the database each time, now and then to write, and the provider now and then; no call is made for it."""

    def __init__(
        self, metering: Metering, project: str, reaches_upstream: ReachesUpstream | None, *, can_call: bool
    ) -> None:
        self._metering = metering
        self._project = project
        self._reaches_upstream = reaches_upstream
        self._can_call = can_call
        self._reached = False
        self._tried_at: float | None = None
        self._trying = asyncio.Lock()
        self._wrote_at: float | None = None
        self._writing = asyncio.Lock()

    async def database_time(self) -> str | Failure:
        """Ask the database for its time; one that takes no writes serves no call."""
        try:
            async with asyncio.timeout(_DATABASE_SECONDS):
                moment = await self._metering.database.writing_now()
                await self._require_writes()
                return moment.isoformat()
        except TimeoutError:
            return Failure("database_unreachable", f"PostgreSQL did not answer in {_DATABASE_SECONDS} s")
        except JangbuError as error:
            return Failure(error.code, str(error))

    async def spool(self) -> Mapping[str, int] | str | Failure:
        """Tell what waits on the disk, and whether there is room for the records of more calls."""
        spooling = self._metering.spooling
        if spooling is None:
            return "none"
        try:
            await spooling.rooms.require()
            backlog = await spooling.backlog()
        except JangbuError as error:
            return Failure(error.code, str(error))
        except OSError as error:
            return Failure(SpoolUnusable.code, f"the spool cannot be read: {error.strerror or error}")
        return {"waiting": backlog.waiting, "oldest_seconds": backlog.oldest_seconds}

    async def verified(self) -> dict[str, object] | None:
        """Tell how the last verification ended, or nothing: whether calls can be served does not hang on it."""
        with suppress(JangbuError, TimeoutError):
            async with asyncio.timeout(_DATABASE_SECONDS):
                found = await verifications.find(self._metering.database, self._project)
            if found is not None:
                return {
                    "ended_at": found.ended_at.isoformat(),
                    "age_seconds": found.age_seconds,
                    "is_full": found.is_full,
                    "mismatches": found.known_mismatches,
                }
        return None

    async def upstream(self) -> str | Failure:
        """Tell whether the provider is reachable; ``unchecked`` where the gateway calls it with no key (Vertex AI)."""
        if not self._can_call:
            return Failure("not_configured", f"the gateway has nothing to call Gemini with; {WHAT_TO_SET}")
        if self._reaches_upstream is None:
            return "unchecked"
        async with self._trying:
            if self._tried_at is None or time.monotonic() - self._tried_at >= _FRESH_SECONDS:
                self._reached = await self._reaches_upstream(_UPSTREAM_SECONDS)
                self._tried_at = time.monotonic()
        return "reachable" if self._reached else Failure("upstream_unreachable", "Gemini's address cannot be reached")

    async def _require_writes(self) -> None:
        async with self._writing:
            if self._wrote_at is None or time.monotonic() - self._wrote_at >= _FRESH_SECONDS:
                self._wrote_at = None
                await self._metering.database.require_writes()
                self._wrote_at = time.monotonic()
