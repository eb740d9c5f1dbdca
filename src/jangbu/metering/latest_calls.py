"""Everybody's calls, newest first, a page at a time, wherever a page lies and however many calls there are."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from jangbu.domain.windows import Window
from jangbu.metering import stretches
from jangbu.metering.snapshots import Filters, Snapshot
from jangbu.storage import stretches as stored
from jangbu.storage.database import Reader
from jangbu.storage.stretches import CallLine, Stretch

__all__ = ["CallLine", "CallPage", "latest_calls"]

_SIZE = 100
"""About how many calls are looked at at a time: most pages need one stretch or two, and seldom calls lie far apart."""


@dataclass(frozen=True, slots=True)
class CallPage:
    """A page of calls. ``next`` is before which call the next one goes on, None after the last.

    A page may have few calls, or none, and a next one all the same: where calls came all at once, or retention dropped
    their records, a look at some times finds none.
    """

    calls: Sequence[CallLine]
    next: UUID | None


async def latest_calls(
    look: Snapshot, window: Window, filters: Filters, before: UUID | None = None, *, limit: int = 50
) -> CallPage:
    """Give the calls of a window that the filters let through, from the one before ``before`` on. Raises NotFound."""

    async def read(reader: Reader, stretch: Stretch) -> Sequence[CallLine]:
        return await stored.lines(reader, stretch, limit + 1)

    calls, rest = await stretches.before(look, window, filters, before, read, most=limit + 1, size=_SIZE)
    if len(calls) > limit:
        return CallPage(calls[:limit], calls[limit - 1].id)
    return CallPage(calls, rest)
