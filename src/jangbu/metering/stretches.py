"""Calls of a window from the latest back, some at a time, for what no rollup tells.

The rollups say when the calls were made and by whom, so that a stretch of time is as long as it takes for so many of
them, however many users there are. No connection is kept from one stretch to the next: others need them meanwhile.
"""

import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import TypeVar
from uuid import UUID

from jangbu.domain.windows import Window
from jangbu.metering.snapshots import Filters, Snapshot, snapshot
from jangbu.storage import stretches
from jangbu.storage.database import Database, Reader
from jangbu.storage.stretches import Part, Quarter, Span, Stretch
from jangbu.storage.usage import first_id, moment_of

__all__ = ["Meant", "Stretch", "before", "in_time", "latest", "walk"]

Found = TypeVar("Found")
_Callers = Sequence[tuple[UUID, datetime | None]]
"""Accounts, each with a quarter of an hour in which it called, or with None for all of a cut."""

_QUARTER = timedelta(minutes=15)
_MILLISECOND = timedelta(milliseconds=1)
_REACHES: Sequence[timedelta] = (timedelta(days=1), timedelta(days=8), timedelta(days=90))
"""How far back from the latest call it is looked when calls were made: as far as it takes, and further each time."""
_ASKED_MAX = 16
"""How many stretches are asked at most for what the latest calls say."""
_SELDOM = 20
"""Where one of so many calls or fewer are meant, accounts are looked for in the quarters of an hour that have such."""
_SCATTERED = 200
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


@dataclass(frozen=True, slots=True)
class _Bounds:
    """From which moment to before which calls are meant, and the moment up to which they were recorded."""

    since: datetime
    until: datetime
    as_of: datetime

    def cut(self, quarters: Sequence[Quarter]) -> _Cut:
        """Give quarters that follow each other, newest first, as far as they lie between the moments."""
        first, after = quarters[-1].at, quarters[0].at + _QUARTER
        return _Cut(max(first, self.since), min(after, self.until), quarters)

    def begun(self, quarters: Sequence[Quarter]) -> Sequence[Quarter]:
        """Give quarters with about as many calls in the newest one as lie before the end, where that cuts it."""
        newest, *others = quarters
        filled = max(min(newest.at + _QUARTER, self.as_of) - newest.at, _MILLISECOND)
        calls = -(-newest.calls * (self.until - newest.at) // filled)
        return [replace(newest, calls=max(1, min(calls, newest.calls))), *others]

    def apart(self, quarter: Quarter, parts: int) -> Iterator[_Cut]:
        """Give a quarter in so many parts, newest first. One that is under way has no calls yet in what is to come."""
        whole = self.cut([quarter])
        filled = (min(whole.after, max(self.as_of, whole.first)) - whole.first) // _MILLISECOND
        edges = [whole.first + filled * number // parts * _MILLISECOND for number in range(parts)] + [whole.after]
        yield from (_Cut(edges[number], edges[number + 1], [quarter]) for number in reversed(range(parts)))


async def walk(
    meant: Meant, ask: Callable[[Reader, Stretch], Awaitable[Found]], size: int
) -> AsyncGenerator[Found, None]:
    """Give what is asked of each stretch of about so many calls, the latest first. Raises NotFound for a user without
    an account.

    Records that retention dropped are no part of it, though rollups still count them.
    """
    account = await _account(meant)
    bounds = _bounds(meant.window, meant.as_of)
    end, reaches = bounds.until, _REACHES
    while True:
        async with snapshot(meant.database, meant.project) as look:
            found = await _quarters(look, account, meant.part, (_quarter(bounds.since), end), size, reaches)
        if not found:
            return
        for cut in _cut(found, size, bounds):
            async with snapshot(meant.database, meant.project) as look:
                callers = await _callers_of(look, meant.part, account, cut)
                answer = await ask(look.reader, Stretch(_spans(callers, cut), meant.part, meant.as_of))
            yield answer
        end, reaches = found[-1].at, reaches[1:] or reaches


async def latest(
    look: Snapshot,
    window: Window,
    filters: Filters,
    ask: Callable[[Reader, Stretch], Awaitable[tuple[int, Found]]],
    size: int,
) -> Sequence[Found]:
    """Give what is asked of the latest stretches, until they have about so many calls in all, in one look.

    What is asked tells how many calls a stretch has, too: one may have none, as where all of a quarter of an hour came
    early in it. Raises NotFound for a user without an account.
    """
    part = _part(filters)
    account = None if filters.user is None else await look.account(filters.user)
    bounds = _bounds(window, look.as_of)
    quarters = await _quarters(look, account, part, (_quarter(bounds.since), bounds.until), size, _REACHES)
    answers, seen = list[Found](), 0
    callers: _Callers = ()
    called: Sequence[Quarter] = ()
    for cut in islice(_cut(quarters, size, bounds), _ASKED_MAX) if quarters else ():
        # The parts of a quarter of an hour that was taken apart have the same callers.
        if cut.quarters != called:
            callers, called = await _callers_of(look, part, account, cut), cut.quarters
        calls, answer = await ask(look.reader, Stretch(_spans(callers, cut), part, look.as_of))
        answers.append(answer)
        seen += calls
        # Quarters are put together up to so many calls, so that mostly a few are missing.
        if seen * 2 >= size:
            break
    return answers


async def before(
    look: Snapshot,
    window: Window,
    filters: Filters,
    last: UUID | None,
    ask: Callable[[Reader, Stretch], Awaitable[Sequence[Found]]],
    *,
    most: int,
    size: int,
) -> tuple[Sequence[Found], UUID | None]:
    """Give what is asked of the stretches of the calls before one (the latest where it is None), until it is so much or
    so many stretches were asked; and before which id the calls lie that were not asked for, None where there are none.

    Raises NotFound for a user without an account.
    """
    part, account = _part(filters), None if filters.user is None else await look.account(filters.user)
    bounds = _bounds(window, look.as_of)
    if last is not None and last < first_id(bounds.until):
        bounds = replace(bounds, until=min(bounds.until, moment_of(last) + _MILLISECOND))
    end, answers, asked = bounds.until, list[Found](), 0
    callers: _Callers = ()
    called: Sequence[Quarter] = ()
    while quarters := await _quarters(look, account, part, (_quarter(bounds.since), end), size, _REACHES):
        for cut in _cut(bounds.begun(quarters), size, bounds):
            if asked == _ASKED_MAX or len(answers) >= most:
                return answers, first_id(cut.after)
            if cut.quarters != called:
                callers, called = await _callers_of(look, part, account, cut), cut.quarters
            spans = [replace(span, after=min(span.after, last or span.after)) for span in _spans(callers, cut)]
            answers += await ask(look.reader, Stretch(spans, part, look.as_of))
            asked += 1
        end = quarters[-1].at
    return answers, None


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


def _bounds(window: Window, as_of: datetime) -> _Bounds:
    return _Bounds(window.start.astimezone(UTC), window.end.astimezone(UTC), as_of)


def _part(filters: Filters) -> Part:
    return Part(filters.models or None, filters.services or None)


async def _account(meant: Meant) -> UUID | None:
    if meant.filters.user is None:
        return None
    async with snapshot(meant.database, meant.project) as look:
        return await look.account(meant.filters.user)


async def _quarters(
    look: Snapshot,
    account: UUID | None,
    part: Part,
    times: tuple[datetime, datetime],
    size: int,
    reaches: Sequence[timedelta],
) -> Sequence[Quarter]:
    """Give when calls were made, newest first: no further back than it takes for so many of them."""
    found: Sequence[Quarter] = ()
    for reach in reaches:
        found = await stretches.quarters(look.reader, account or look.project, part, *times, reach)
        if not found or found[0].at - reach <= times[0]:
            break
        if sum(quarter.calls for quarter in found) >= _most(found, size):
            break
    return found


async def _callers_of(look: Snapshot, part: Part, account: UUID | None, cut: _Cut) -> _Callers:
    if account is None:
        return await stretches.callers(look.reader, look.project, part, cut.times, with_times=cut.is_seldom)
    return [(account, at) for at in cut.times] if cut.is_seldom else [(account, None)]


def _spans(callers: _Callers, cut: _Cut) -> Sequence[Span]:
    """Give the spans of a cut in which accounts called: all of it, or their quarters of an hour, those that follow each
    other as one.
    """
    found: list[tuple[UUID, datetime, datetime]] = []
    for account, at in callers:
        first, after = (cut.first, cut.after) if at is None else (max(at, cut.first), min(at + _QUARTER, cut.after))
        if found and (found[-1][0], found[-1][2]) == (account, first):
            _, first, _ = found.pop()
        found.append((account, first, after))
    # Hundreds of accounts have few moments in common: to make an id takes longer than all else here.
    ids = {at: first_id(at) for at in {at for _, first, after in found for at in (first, after)}}
    return [Span(account, ids[first], ids[after]) for account, first, after in found]


def _cut(quarters: Sequence[Quarter], size: int, bounds: _Bounds) -> Iterator[_Cut]:
    """Put quarters together that have at most so many calls, and take those apart that have more, newest first."""
    size = _most(quarters, size)
    waiting, calls = list[Quarter](), 0
    for quarter in quarters:
        if waiting and calls + quarter.calls > size:
            yield bounds.cut(waiting)
            waiting, calls = [], 0
        if quarter.calls > size:
            yield from bounds.apart(quarter, -(-quarter.calls // size))
        else:
            waiting.append(quarter)
            calls += quarter.calls
    if waiting:
        yield bounds.cut(waiting)


def _most(quarters: Sequence[Quarter], size: int) -> int:
    """Give how many calls of some quarters are a stretch at most."""
    whole = _Cut(quarters[-1].at, quarters[0].at + _QUARTER, quarters)
    return min(size, _SCATTERED) if whole.is_seldom else size


def _quarter(at: datetime) -> datetime:
    return at - timedelta(minutes=at.minute % 15, seconds=at.second, microseconds=at.microsecond)
