"""A year of a user, day by day, as the clock of a zone cuts days."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from jangbu.domain.shifts import Shifts, nights_of, shifts_of
from jangbu.domain.windows import Bucket, Window
from jangbu.metering.snapshots import Snapshot
from jangbu.storage import calendars

__all__ = ["WEEKS", "CalendarDay", "year_of"]

WEEKS = 53
"""How many weeks a year is shown in: the one that is under way, and those before it."""

_CUTS_KEPT = 64


@dataclass(frozen=True, slots=True)
class CalendarDay:
    """What was used on a day."""

    day: date
    calls: int
    tokens: int


@dataclass(frozen=True, slots=True)
class _Cut:
    days: tuple[date, ...]
    edges: tuple[datetime, ...]
    nights: tuple[date, ...]
    shifts: Shifts


async def year_of(book: Snapshot, user: str, zone: ZoneInfo) -> tuple[CalendarDay, ...]:
    """Give what a user used on each day from a Monday a year ago until today. Raises NotFound.

    Days that the zone's calendar left out are left out, too.
    """
    cut = _cut(zone, book.as_of.astimezone(zone).date())
    account = await book.account(user)
    rows = await calendars.of_user(book.reader, account, cut.edges, cut.nights, cut.shifts)
    found = {row.number: row for row in rows}
    return tuple(
        CalendarDay(day, found[number].calls, found[number].total_tokens) if number in found else CalendarDay(day, 0, 0)
        for number, day in enumerate(cut.days)
    )


@lru_cache(maxsize=_CUTS_KEPT)
def _cut(zone: ZoneInfo, today: date) -> _Cut:
    """Cut the year that ends today; for all users of a zone it is the same one all day."""
    first = today - timedelta(days=today.weekday(), weeks=WEEKS - 1)
    edges = Window.days(first, today, zone, Bucket.DAY).edges()
    days = tuple(edge.astimezone(zone).date() for edge in edges[:-1])
    return _Cut(days, edges, nights_of(edges), shifts_of(edges))
