"""Calls of a window from the latest back, some at a time, for what no rollup tells.

The rollups say when the calls were made and by whom, so that a stretch of time is as long as it takes for so many of
them, however many users there are. No connection is kept from one stretch to the next: others need them meanwhile.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TypeVar
from uuid import UUID

from jangbu.domain.windows import Window
from jangbu.metering.snapshots import Filters, snapshot
from jangbu.storage import stretches
from jangbu.storage.database import Database, Reader
from jangbu.storage.stretches import Part, Stretch
from jangbu.storage.usage import first_id

__all__ = ["Meant", "Stretch", "walk"]

Found = TypeVar("Found")

_QUARTER = timedelta(minutes=15)
_MILLISECOND = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class Meant:
    """Which calls are meant: those of a window that the filters let through and that were recorded at ``as_of``."""

    database: Database
    project: str
    window: Window
    filters: Filters
    as_of: datetime

    @property
    def part(self) -> Part:
        """Give the models and services that are meant."""
        return Part(self.filters.models or None, self.filters.services or None)


async def walk(
    meant: Meant, ask: Callable[[Reader, Stretch], Awaitable[Found]], size: int
) -> AsyncGenerator[Found, None]:
    """Give what is asked of each stretch of about so many calls, the latest first. Raises NotFound for a user without
    an account.

    Records that retention dropped are no part of it, though rollups still count them.
    """
    account = await _account(meant)
    since, until = (edge.astimezone(UTC) for edge in (meant.window.start, meant.window.end))
    start, end = _quarter(since), until
    while True:
        async with snapshot(meant.database, meant.project) as look:
            found = await stretches.quarters(look.reader, account or meant.project, meant.part, start, end)
        if not found:
            return
        for first, after in _cut(found, size):
            yield await _asked(meant, account, ask, max(first, since), min(after, until))
        end = found[-1][0]


async def _account(meant: Meant) -> UUID | None:
    if meant.filters.user is None:
        return None
    async with snapshot(meant.database, meant.project) as look:
        return await look.account(meant.filters.user)


async def _asked(
    meant: Meant,
    account: UUID | None,
    ask: Callable[[Reader, Stretch], Awaitable[Found]],
    first: datetime,
    after: datetime,
) -> Found:
    async with snapshot(meant.database, meant.project) as look:
        if account is None:
            owners = await stretches.accounts(look.reader, meant.project, meant.part, _quarter(first), after)
        else:
            owners = (account,)
        return await ask(look.reader, Stretch(owners, meant.part, first_id(first), first_id(after), meant.as_of))


def _cut(quarters: Sequence[tuple[datetime, int]], size: int) -> Iterator[tuple[datetime, datetime]]:
    """Put quarters together that have at most so many calls, and take those apart that have more, newest first."""
    first, after, calls = quarters[0][0], quarters[0][0], 0
    for at, count in quarters:
        if calls and calls + count > size:
            yield first, after
            calls = 0
        if count > size:
            yield from _apart(at, -(-count // size))
            continue
        after = after if calls else at + _QUARTER
        first, calls = at, calls + count
    if calls:
        yield first, after


def _apart(at: datetime, parts: int) -> Iterator[tuple[datetime, datetime]]:
    whole = _QUARTER // _MILLISECOND
    edges = [at + whole * number // parts * _MILLISECOND for number in range(parts + 1)]
    yield from ((edges[number], edges[number + 1]) for number in reversed(range(parts)))


def _quarter(at: datetime) -> datetime:
    return at - timedelta(minutes=at.minute % 15, seconds=at.second, microseconds=at.microsecond)
