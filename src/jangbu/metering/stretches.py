"""Calls of a window from the latest back, some at a time, for what no rollup tells.

The rollups say when the calls were made and by whom, so that a stretch of time is as long as it takes for so many of
them, however many users there are. No connection is kept from one stretch to the next: others need them meanwhile.
"""

import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TypeVar
from uuid import UUID

from jangbu.domain.windows import Window
from jangbu.metering.snapshots import Filters, Snapshot, snapshot
from jangbu.storage import stretches
from jangbu.storage.database import Database, Reader
from jangbu.storage.stretches import Part, Quarter, Span, Stretch
from jangbu.storage.usage import first_id

__all__ = ["Meant", "Stretch", "in_time", "latest", "walk"]

Found = TypeVar("Found")

_QUARTER = timedelta(minutes=15)
_MILLISECOND = timedelta(milliseconds=1)
_SELDOM = 20
"""Where one of so many calls or fewer are meant, accounts are looked for in the quarters of an hour that have such."""
_SCATTERED = 250
"""How many of those are a stretch at most: each lies somewhere else, so each is a look of its own."""


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
        return _part(self.filters)


@dataclass(frozen=True, slots=True)
class _Cut:
    """A time from one moment to before another, and the quarters of an hour in it that have calls, newest first."""

    first: datetime
    after: datetime
    quarters: Sequence[Quarter]

    @property
    def times(self) -> Sequence[datetime]:
        """Give when its quarters begin, the earliest first."""
        return [quarter.at for quarter in reversed(self.quarters)]

    @property
    def is_seldom(self) -> bool:
        """Whether few of the calls that were made are meant."""
        calls = sum(quarter.calls for quarter in self.quarters)
        return calls * _SELDOM <= self.quarters[-1].calls_since - self.quarters[0].calls_since

    def within(self, since: datetime, until: datetime) -> "_Cut":
        """Leave out what is before one moment, and what is not before another."""
        return replace(self, first=max(self.first, since), after=min(self.after, until))


async def walk(
    meant: Meant, ask: Callable[[Reader, Stretch], Awaitable[Found]], size: int
) -> AsyncGenerator[Found, None]:
    """Give what is asked of each stretch of about so many calls, the latest first. Raises NotFound for a user without
    an account.

    Records that retention dropped are no part of it, though rollups still count them.
    """
    account = await _account(meant)
    since, until = (edge.astimezone(UTC) for edge in (meant.window.start, meant.window.end))
    end = until
    while True:
        async with snapshot(meant.database, meant.project) as look:
            found = await stretches.quarters(look.reader, account or meant.project, meant.part, _quarter(since), end)
        if not found:
            return
        for cut in _cut(found, size):
            async with snapshot(meant.database, meant.project) as look:
                stretch = await _stretch(look, meant.part, account, cut.within(since, until), meant.as_of)
                answer = await ask(look.reader, stretch)
            yield answer
        end = found[-1].at


async def latest(
    look: Snapshot, window: Window, filters: Filters, ask: Callable[[Reader, Stretch], Awaitable[Found]], size: int
) -> Found | None:
    """Give what is asked of the latest stretch alone, in one look; None where there is no call. Raises NotFound for a
    user without an account.
    """
    part = _part(filters)
    account = None if filters.user is None else await look.account(filters.user)
    since, until = (edge.astimezone(UTC) for edge in (window.start, window.end))
    found = await stretches.quarters(look.reader, account or look.project, part, _quarter(since), until)
    if not found:
        return None
    cut = next(_cut(found, size)).within(since, until)
    return await ask(look.reader, await _stretch(look, part, account, cut, look.as_of))


async def in_time(walked: AsyncGenerator[Found, None], seconds: int | None) -> AsyncGenerator[Found | None, None]:
    """Give what a walk gives for so many seconds, None for as long as it takes; where there was no time for all, None
    comes last.
    """
    until = None if seconds is None else time.monotonic() + seconds
    async with aclosing(walked):
        async for found in walked:
            if until is not None and time.monotonic() >= until:
                yield None
                return
            yield found


def _part(filters: Filters) -> Part:
    return Part(filters.models or None, filters.services or None)


async def _account(meant: Meant) -> UUID | None:
    if meant.filters.user is None:
        return None
    async with snapshot(meant.database, meant.project) as look:
        return await look.account(meant.filters.user)


async def _stretch(look: Snapshot, part: Part, account: UUID | None, cut: _Cut, as_of: datetime) -> Stretch:
    callers: Sequence[tuple[UUID, datetime | None]]
    if account is None:
        callers = await stretches.callers(look.reader, look.project, part, cut.times, with_times=cut.is_seldom)
    else:
        callers = [(account, at) for at in cut.times] if cut.is_seldom else [(account, None)]
    return Stretch(_spans(callers, cut), part, as_of)


def _spans(callers: Iterable[tuple[UUID, datetime | None]], cut: _Cut) -> Sequence[Span]:
    """Give the spans of a cut in which accounts called: all of it, or their quarters of an hour, those that follow each
    other as one.
    """
    found: list[tuple[UUID, datetime, datetime]] = []
    for account, at in callers:
        first, after = (cut.first, cut.after) if at is None else (max(at, cut.first), min(at + _QUARTER, cut.after))
        if found and (found[-1][0], found[-1][2]) == (account, first):
            _, first, _ = found.pop()
        found.append((account, first, after))
    return [Span(account, first_id(first), first_id(after)) for account, first, after in found]


def _cut(quarters: Sequence[Quarter], size: int) -> Iterator[_Cut]:
    """Put quarters together that have at most so many calls, and take those apart that have more, newest first."""
    if _Cut(quarters[-1].at, quarters[0].at + _QUARTER, quarters).is_seldom:
        size = min(size, _SCATTERED)
    waiting, calls = list[Quarter](), 0
    for quarter in quarters:
        if waiting and calls + quarter.calls > size:
            yield _Cut(waiting[-1].at, waiting[0].at + _QUARTER, waiting)
            waiting, calls = [], 0
        if quarter.calls > size:
            yield from _apart(quarter, -(-quarter.calls // size))
        else:
            waiting.append(quarter)
            calls += quarter.calls
    if waiting:
        yield _Cut(waiting[-1].at, waiting[0].at + _QUARTER, waiting)


def _apart(quarter: Quarter, parts: int) -> Iterator[_Cut]:
    whole = _QUARTER // _MILLISECOND
    edges = [quarter.at + whole * number // parts * _MILLISECOND for number in range(parts + 1)]
    yield from (_Cut(edges[number], edges[number + 1], [quarter]) for number in reversed(range(parts)))


def _quarter(at: datetime) -> datetime:
    return at - timedelta(minutes=at.minute % 15, seconds=at.second, microseconds=at.microsecond)
